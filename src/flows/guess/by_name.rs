//! Taking a code that was sent to the owner of a name, when the answer must not tell whether an account has the name.
//!
//! A guess is made twice. The first time at the row of the name, which exists for unknown names too: it decides the
//! whole answer to a wrong guess, and its charges are those of the name and the address. The second time at the code that was sent to
//! the phone behind the name, with the charges of the phone. If there is no such code, or the phone is locked, the same statements
//! run on rows of nobody, and the guess counts as wrong.

use std::future::Future;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    super::{
        Error, Services, blocks,
        budget::{self, BudgetClaim, GuessClaim, GuessOutcome},
        transaction,
    },
    CodeRefused, Guesser, note_wrong,
};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Event},
        otp::{
            Accepted, Challenge, ChallengeKey, ChallengeRow, Claim, OtpCode, Purpose, Verdict, judge,
            judge_as_wrong,
        },
        pseudonym::Pseudonym,
    },
    store::{self, Txn, otp::Consumed},
};

/// An attempt at the code of a name, taken and charged to the name and the address.
#[must_use = "an attempt that was taken must be judged"]
pub(in super::super) struct Attempt<'a> {
    name: &'a Pseudonym,
    address: ClientAddress,
    now: DateTime<Utc>,
    /// The id of the row of the name.
    row: Uuid,
    /// How many guesses are left if this one is wrong.
    left: i64,
    budget_claim: BudgetClaim,
}

/// A right code.
#[must_use = "the claims of a right code must be settled"]
pub(in super::super) struct RightCode<'a> {
    attempt: Attempt<'a>,
    key: ChallengeKey<'a>,
    accepted: Accepted,
    /// What was charged to the phone.
    of_phone: BudgetClaim,
}

impl<'a> Attempt<'a> {
    /// Takes an attempt, whether an account has the name or not.
    ///
    /// # Errors
    /// [`Error::Blocked`] when the address is blocked: nothing was charged.
    pub(in super::super) async fn begin(
        services: &Services,
        name: &'a Pseudonym,
        address: ClientAddress,
        now: DateTime<Utc>,
    ) -> Result<Result<Self, CodeRefused>, Error> {
        let refused = || event(Action::GuessRefused, name).from(address);
        blocks::check_address(services, address, refused, now).await?;
        let (claim, taken) = match budget::claim_name_guess(services, name, address, now).await? {
            GuessClaim::Refused(exceeded) => {
                let event = refused().with("budget", exceeded.budget.as_str());
                services.audit.note(event.with_known("retry_after", exceeded.retry_after), now);
                return Ok(Err(CodeRefused::Budget(exceeded)));
            }
            GuessClaim::NotWaiting(row) => (Claim::NotTaken(row), None),
            GuessClaim::Taken(row, budget_claim) => {
                let id = row.id;
                (Claim::Taken(row), Some((id, budget_claim)))
            }
        };
        Ok(match (judge_as_wrong(claim, &services.otp, now), taken) {
            (Verdict::Wrong { left }, Some((row, budget_claim))) => {
                Ok(Self { name, address, now, row, left, budget_claim })
            }
            (Verdict::Exhausted { challenge: row }, _) => {
                let wait = budget::name_wait(services, name, address, now).await?;
                Err(CodeRefused::Exhausted { retry_after: row.resend_in(&services.otp, now).max(wait) })
            }
            (Verdict::Expired, _) => Err(CodeRefused::Expired),
            (Verdict::NoneRequested | Verdict::Accepted(_) | Verdict::Wrong { .. }, _) => {
                Err(CodeRefused::NoneRequested)
            }
        })
    }

    /// Judges the code. `key` is that of the code behind the name, if the name has one.
    pub(in super::super) async fn judge(
        self,
        services: &Services,
        key: Option<ChallengeKey<'a>>,
        code: &OtpCode,
    ) -> Result<Result<RightCode<'a>, CodeRefused>, Error> {
        let Self { name, address, now, left, .. } = self;
        let claimed = budget::claim_guess_behind(services, key, name, address, now).await?;
        let Some((key, (challenge, of_phone))) = key.zip(claimed) else {
            services.metrics.wrong_code();
            services.audit.note(event(Action::WrongCode, name).from(address).with("left", left), now);
            return Ok(Err(CodeRefused::Wrong { left }));
        };
        if let Some(accepted) = self.accepted(services, key, challenge, code) {
            return Ok(Ok(RightCode { attempt: self, key, accepted, of_phone }));
        }
        note_wrong(services, key, Guesser::address(address), left, &of_phone, now).await;
        Ok(Err(CodeRefused::Wrong { left }))
    }

    fn accepted(
        &self,
        services: &Services,
        key: ChallengeKey<'_>,
        challenge: Challenge,
        code: &OtpCode,
    ) -> Option<Accepted> {
        let claim = Claim::Taken(challenge);
        match judge(claim, code, key, &services.otp_keys, &services.otp, self.now) {
            Verdict::Accepted(accepted) => Some(accepted),
            Verdict::Wrong { .. } | Verdict::Expired | Verdict::Exhausted { .. } | Verdict::NoneRequested => {
                None
            }
        }
    }
}

impl RightCode<'_> {
    /// Uses up the code, and the row of the name, in the transaction of `work`, then settles the charges by the outcome. Like
    /// [`super::redeem`].
    pub(in super::super) async fn redeem<T, Work, Fut>(
        self,
        services: &Services,
        work: Work,
    ) -> Result<Result<T, CodeRefused>, Error>
    where
        Work: Fn(Txn, Consumed) -> Fut,
        Fut: Future<Output = Result<(T, GuessOutcome), Error>>,
    {
        let Self { attempt: Attempt { name, now, row, .. }, key, accepted, .. } = &self;
        let (result, outcome) = transaction(|| async {
            let txn = services.store.begin().await?;
            let Some(consumed) = store::otp::consume(&txn, *key, accepted, *now).await? else {
                txn.rollback().await?;
                return Ok((Err(CodeRefused::NoneRequested), GuessOutcome::Refund));
            };
            store::otp::close_name(&txn, name, *row, *now).await?;
            let (result, outcome) = work(txn, consumed).await?;
            Ok((Ok(result), outcome))
        })
        .await?;
        self.settle(services, outcome).await?;
        Ok(result)
    }

    /// The refusal of a right code that does not do what it is for: the client learns nothing more than from a wrong one.
    pub(in super::super) fn as_wrong(&self) -> CodeRefused {
        CodeRefused::Wrong { left: self.attempt.left }
    }

    async fn settle(self, services: &Services, outcome: GuessOutcome) -> Result<(), Error> {
        let Self { attempt, key, accepted, of_phone } = self;
        if outcome == GuessOutcome::RefundAndKeep {
            let (db, most) = (&services.store, services.otp.max_attempts);
            store::otp::set_last_attempt_unused(db, key, accepted.challenge_id(), most).await?;
            let row = ChallengeRow::Name(attempt.name);
            store::otp::set_last_attempt_unused(db, row, attempt.row, most).await?;
        }
        budget::settle_guess(services, of_phone, key.phone, outcome).await;
        if let Err(error) = budget::refund(services, &attempt.budget_claim).await {
            tracing::error!(%error, "the charges of a right code could not be returned");
        }
        Ok(())
    }
}

/// An audit entry about a name.
fn event(action: Action, name: &Pseudonym) -> Event {
    Event::by_stranger(action).with("name", name).with("purpose", Purpose::ResetPassword.as_str())
}
