//! Taking a code of any purpose: an attempt is claimed and charged, the code is judged, and the challenge of a right code
//! is consumed in the transaction that the code is for. [`redeem`], [`redeem_at_once`] and, for a code that was sent to the owner of
//! a name, [`Attempt`] are the only ways through, so that no use case can skip a step or forget to settle the charges.

mod by_name;

use std::{future::Future, marker::PhantomData};

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(super) use self::by_name::Attempt;
use super::{
    Error, Services,
    asked_by::{GuessedBy, Service},
    blocks,
    budget::{self, BudgetClaim, GuessClaim, GuessOutcome},
    events, transaction,
};
use crate::{
    domain::{
        address::ClientAddress,
        audit::Action,
        budget::{BudgetExceeded, BudgetRow, Charge, Guess, Kind, MessageCharge},
        otp::{Accepted, ChallengeKey, Claim, OtpCode, Verdict, judge, judge_fixed},
        pseudonym::Pseudonym,
    },
    store::{self, Txn, otp::Consumed},
};

/// Why a code is refused, whatever its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeRefused {
    /// No code is pending, or it was used.
    NoneRequested,
    /// The code has expired.
    Expired,
    /// All guesses were used.
    Exhausted {
        /// Seconds until the next code may be requested, at least 1.
        retry_after: i64,
    },
    /// The wrong code.
    Wrong {
        /// Guesses left.
        left: i64,
    },
    /// A budget is used up. The code was not judged.
    Budget(BudgetExceeded),
}

/// Who guesses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guesser<'a> {
    pub(super) by: GuessedBy<'a>,
    /// The device, if the account was signed in on it before.
    pub(super) device: Option<Uuid>,
    /// The fixed code of a review number. It takes the place of the derived code.
    pub(super) fixed: Option<&'a OtpCode>,
}

impl<'a> Guesser<'a> {
    /// A user who is signed in: the device token plays no role.
    pub(super) fn address(address: ClientAddress) -> Self {
        Self { by: GuessedBy::Client(address), device: None, fixed: None }
    }

    /// What a guess is charged to.
    fn charges(&self, services: &Services, phone_hash: &Pseudonym, now: DateTime<Utc>) -> Vec<Charge> {
        match self.by {
            GuessedBy::Client(address) => {
                services.budgets.guess(Guess { phone_hash, address, device: self.device }, now)
            }
            GuessedBy::Service(service) => services.budgets.service_guess(phone_hash, service.charge(), now),
        }
    }

    fn service(&self) -> Option<Service<'a>> {
        match self.by {
            GuessedBy::Client(_) => None,
            GuessedBy::Service(service) => Some(service),
        }
    }
}

/// A right code, and what was claimed to judge it.
#[must_use = "the claim of a right guess must be settled"]
struct AcceptedGuess {
    accepted: Accepted,
    budget_claim: BudgetClaim,
}

/// Does at once what a right code is for, and settles its charges in the same moment.
pub(super) trait AtOnce {
    /// What it does.
    type Done;

    /// `None` when nothing was done: the same is then done step by step, in a transaction.
    fn run(
        &self,
        accepted: &Accepted,
        budget_claim: &BudgetClaim,
    ) -> impl Future<Output = Result<Option<DoneAtOnce<Self::Done>>, Error>> + Send;
}

/// What was done at once.
pub(super) struct DoneAtOnce<T> {
    pub(super) done: T,
    pub(super) outcome: GuessOutcome,
    /// The rows that were settled. `None` when the charges are still to be settled.
    pub(super) settled: Option<Vec<BudgetRow>>,
}

impl<T> DoneAtOnce<T> {
    pub(super) fn map<U>(self, into: impl FnOnce(T) -> U) -> DoneAtOnce<U> {
        DoneAtOnce { done: into(self.done), outcome: self.outcome, settled: self.settled }
    }
}

/// Nothing is done at once.
struct StepByStep<T>(PhantomData<fn() -> T>);

impl<T> AtOnce for StepByStep<T> {
    type Done = T;

    async fn run(&self, _: &Accepted, _: &BudgetClaim) -> Result<Option<DoneAtOnce<T>>, Error> {
        Ok(None)
    }
}

/// Judges a code. If it is right, consumes its challenge and runs `work` in the same transaction, then settles the charges
/// by the outcome. `work` commits, or rolls back: then the code is not consumed, and only the attempt stays counted.
///
/// The challenge is consumed before any account is locked, as in all transactions, so that no two wait for each other.
///
/// # Errors
/// [`Error::Blocked`] when the phone or the address is blocked: nothing was charged or judged.
pub(super) async fn redeem<T, Work, Fut>(
    services: &Services,
    key: ChallengeKey<'_>,
    code: &OtpCode,
    guesser: Guesser<'_>,
    now: DateTime<Utc>,
    work: Work,
) -> Result<Result<T, CodeRefused>, Error>
where
    Work: Fn(Txn, Consumed) -> Fut,
    Fut: Future<Output = Result<(T, GuessOutcome), Error>>,
{
    redeem_at_once(services, key, code, guesser, now, (&StepByStep(PhantomData), work)).await
}

/// The same, but what the code is for is first tried at once.
///
/// # Errors
/// As [`redeem`].
#[tracing::instrument(target = "otel", name = "redeem code", skip_all, fields(loopin.purpose = key.purpose.as_str()))]
pub(super) async fn redeem_at_once<T, Once, Work, Fut>(
    services: &Services,
    key: ChallengeKey<'_>,
    code: &OtpCode,
    guesser: Guesser<'_>,
    now: DateTime<Utc>,
    (at_once, work): (&Once, Work),
) -> Result<Result<T, CodeRefused>, Error>
where
    Once: AtOnce<Done = T>,
    Work: Fn(Txn, Consumed) -> Fut,
    Fut: Future<Output = Result<(T, GuessOutcome), Error>>,
{
    blocks::check_guess(services, key, guesser.by, now).await?;
    let AcceptedGuess { accepted, budget_claim } =
        match judge_guess(services, key, code, guesser, now).await? {
            Ok(accepted) => accepted,
            Err(refused) => return Ok(Err(refused)),
        };
    // The statement that does it at once knows no event of a lock, which a right code takes back.
    let is_usual = budget_claim.lock_event.is_none();
    if is_usual
        && let Some(DoneAtOnce { done, outcome, settled }) = at_once.run(&accepted, &budget_claim).await?
    {
        match settled {
            Some(rows) => budget::follow_settled_guess(services, &rows, outcome).await,
            None => settle(services, key, &accepted, budget_claim, outcome).await?,
        }
        return Ok(Ok(done));
    }
    let taken = transaction(|| async {
        let txn = services.store.begin().await?;
        let Some(consumed) = store::otp::consume(&txn, key, &accepted, now).await? else {
            txn.rollback().await?;
            return Ok((Err(CodeRefused::NoneRequested), GuessOutcome::Refund));
        };
        let (result, outcome) = work(txn, consumed).await?;
        Ok((Ok(result), outcome))
    })
    .await;
    if let Err(Error::Blocked) = taken {
        // The phone was blocked since the code was taken.
        budget::settle_guess(services, budget_claim, key.phone, GuessOutcome::Refund).await;
        let event = guesser.by.event(Action::GuessRefused).phone(key.phone);
        services.audit.note(event.with("purpose", key.purpose.as_str()).with("reason", "blocked"), now);
        return Err(Error::Blocked);
    }
    let (result, outcome) = taken?;
    settle(services, key, &accepted, budget_claim, outcome).await?;
    Ok(result)
}

/// Settles the charges of a right code, and returns its attempt where the code stays valid.
async fn settle(
    services: &Services,
    key: ChallengeKey<'_>,
    accepted: &Accepted,
    budget_claim: BudgetClaim,
    outcome: GuessOutcome,
) -> Result<(), Error> {
    if outcome == GuessOutcome::RefundAndKeep {
        let most = services.otp.max_attempts;
        store::otp::set_last_attempt_unused(&services.store, key, accepted.challenge_id(), most).await?;
    }
    budget::settle_guess(services, budget_claim, key.phone, outcome).await;
    Ok(())
}

/// Takes an attempt and charges the budgets. Only then is the code judged.
async fn judge_guess(
    services: &Services,
    key: ChallengeKey<'_>,
    code: &OtpCode,
    guesser: Guesser<'_>,
    now: DateTime<Utc>,
) -> Result<Result<AcceptedGuess, CodeRefused>, Error> {
    let phone_hash = services.pseudonyms.phone(key.phone);
    let charges = guesser.charges(services, &phone_hash, now);
    let (claim, budget_claim) = match budget::claim_guess(services, key, charges, now).await? {
        GuessClaim::Refused(exceeded) => {
            let event = guesser.by.event(Action::GuessRefused);
            budget::note_refusal(services, event, &exceeded, key, now);
            return Ok(Err(CodeRefused::Budget(exceeded)));
        }
        GuessClaim::NotWaiting(challenge) => (Claim::NotTaken(challenge), None),
        GuessClaim::Taken(challenge, budget_claim) => (Claim::Taken(challenge), Some(budget_claim)),
    };
    let verdict = match guesser.fixed {
        Some(fixed) => judge_fixed(claim, code, fixed, &services.otp, now),
        None => judge(claim, code, key, &services.otp_keys, &services.otp, now),
    };
    Ok(Err(match (verdict, budget_claim) {
        (Verdict::Accepted(accepted), Some(budget_claim)) => {
            return Ok(Ok(AcceptedGuess { accepted, budget_claim }));
        }
        (Verdict::Wrong { left }, Some(budget_claim)) => {
            note_wrong(services, key, guesser, left, &budget_claim, now).await;
            CodeRefused::Wrong { left }
        }
        (verdict, budget_claim) => {
            if let Some(budget_claim) = budget_claim {
                budget::settle_guess(services, budget_claim, key.phone, GuessOutcome::Refund).await;
            }
            match verdict {
                Verdict::Expired => CodeRefused::Expired,
                // The next code of a review number may be requested at once.
                Verdict::Exhausted { .. } if guesser.fixed.is_some() => {
                    CodeRefused::Exhausted { retry_after: 1 }
                }
                Verdict::Exhausted { challenge } => {
                    let wait = wait_for_next(services, key, guesser, now).await?;
                    CodeRefused::Exhausted { retry_after: challenge.resend_in(&services.otp, now).max(wait) }
                }
                // Nothing is judged without a claim, so neither of the first two comes here.
                Verdict::Accepted(_) | Verdict::Wrong { .. } | Verdict::NoneRequested => {
                    CodeRefused::NoneRequested
                }
            }
        }
    }))
}

/// Seconds until the budgets allow this caller the next code.
async fn wait_for_next(
    services: &Services,
    key: ChallengeKey<'_>,
    guesser: Guesser<'_>,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    if !services.budgets.is_on {
        return Ok(0);
    }
    let phone_hash = services.pseudonyms.phone(key.phone);
    let used_after = services.used_after(now);
    let is_known = guesser.device.is_some()
        || !services.hides_accounts
            && store::accounts::find_by_phone(&services.store, key.phone, used_after).await?.is_some();
    let send = MessageCharge {
        phone: key.phone,
        phone_hash: &phone_hash,
        address: guesser.by.address(),
        device: guesser.device,
        is_known,
        resend_after: services.otp.resend_after,
        day: budget::day(services, now),
        proof: None,
    };
    budget::send_wait(services, &send, (key.purpose, guesser.service()), now).await
}

/// Records a wrong code, and the lock if this guess caused one.
async fn note_wrong(
    services: &Services,
    key: ChallengeKey<'_>,
    guesser: Guesser<'_>,
    left: i64,
    budget_claim: &BudgetClaim,
    now: DateTime<Utc>,
) {
    services.metrics.wrong_code();
    let event = guesser.by.event(Action::WrongCode).phone(key.phone);
    let event = event.with("purpose", key.purpose.as_str()).with("left", left);
    services.audit.note(event.with_known("device", guesser.device.map(|_| true)), now);
    if let Some(lock) = budget_claim.refuses(now).filter(|exceeded| exceeded.budget.kind() == Kind::Lock) {
        services.metrics.locked();
        tracing::warn!(phone = %key.phone, budget = lock.budget.as_str(), "phone locked");
        events::release_locked(services, budget_claim.lock_event, now).await;
        let event = guesser.by.event(Action::PhoneLocked);
        budget::note_refusal(services, event, &lock, key, now);
    }
}
