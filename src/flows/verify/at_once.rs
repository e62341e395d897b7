//! The usual sign-in by a code: one statement settles the guess, consumes the challenge, and opens a session.

use super::{
    super::{
        Error,
        budget::{self, BudgetClaim, GuessOutcome},
        events,
        guess::{AtOnce, DoneAtOnce},
        session,
    },
    LoggedIn, SignIn, SignedIn, SignedUp,
};
use crate::{
    domain::otp::Accepted,
    store::{
        accounts::NewIds,
        sign_ins::{self, NewSignIn},
    },
};

/// Signs in to the account of the phone. Creates it if there is none.
pub(super) struct ToAnyAccount<'a>(pub(super) &'a SignIn<'a>);

/// Signs in to the account of the phone, if it has one.
pub(super) struct ToExistingAccount<'a>(pub(super) &'a SignIn<'a>);

impl AtOnce for ToAnyAccount<'_> {
    type Done = SignedUp;

    async fn run(
        &self,
        accepted: &Accepted,
        budget_claim: &BudgetClaim,
    ) -> Result<Option<DoneAtOnce<SignedUp>>, Error> {
        let Self(sign_in) = *self;
        let (random, now) = (&sign_in.services.random, sign_in.now);
        // Where it needs more than that to get an account, the transaction decides.
        let admitted = sign_in.services.signups.admit(None).ok();
        let may_create =
            admitted.map(|admission| NewIds { admission, account: random.id(now), profile: random.id(now) });
        match sign_in.at_once(accepted, budget_claim, may_create).await? {
            Outcome::In(done) => Ok(Some(done.map(SignedUp::In))),
            Outcome::NoAccount | Outcome::Undecided => Ok(None),
        }
    }
}

impl AtOnce for ToExistingAccount<'_> {
    type Done = LoggedIn;

    async fn run(
        &self,
        accepted: &Accepted,
        budget_claim: &BudgetClaim,
    ) -> Result<Option<DoneAtOnce<LoggedIn>>, Error> {
        let Self(sign_in) = *self;
        match sign_in.at_once(accepted, budget_claim, None).await? {
            Outcome::In(done) => Ok(Some(done.map(LoggedIn::In))),
            Outcome::NoAccount => {
                let (done, outcome) = (sign_in.no_account(), GuessOutcome::RefundAndKeep);
                Ok(Some(DoneAtOnce { done, outcome, settled: None }))
            }
            Outcome::Undecided => Ok(None),
        }
    }
}

enum Outcome {
    In(DoneAtOnce<SignedIn>),
    /// Nothing was written.
    NoAccount,
    /// Nothing was written: the transaction decides.
    Undecided,
}

impl SignIn<'_> {
    async fn at_once(
        &self,
        accepted: &Accepted,
        budget_claim: &BudgetClaim,
        may_create: Option<NewIds>,
    ) -> Result<Outcome, Error> {
        let Self { services, key, caller, now, .. } = self;
        let most_sessions = services.tokens.policy().most_sessions;
        // With one session most sign-ins end another one, which the statement cannot do: it would fail, and PostgreSQL log it.
        if caller.fixed.is_some() || most_sessions == 1 {
            return Ok(Outcome::Undecided);
        }
        // Whether the account is new is known only afterwards. Where that decides, the statement settles by what it finds.
        let (if_known, if_new) = (self.used(false), self.used(may_create.is_some()));
        let session = session::new_by_code(services, self.client.clone(), *now);
        let events = events::of_sign_in(services, key.phone, &session, *now);
        let sign_in = NewSignIn {
            key: *key,
            accepted,
            may_create,
            used_after: caller.used_after,
            session: &session,
            most_sessions,
            settlements: &budget::settlements_of_guess(services, budget_claim, key.phone, if_new),
            charge_id: budget_claim.charge_id(),
            new_forgives: if_known != if_new,
            events: events.as_ref(),
        };
        let (account, consumed, settled) = match sign_ins::open(&services.store, sign_in, *now).await? {
            sign_ins::AtOnce::In { account, consumed, settled } => (*account, consumed, settled),
            sign_ins::AtOnce::NoAccount => return Ok(Outcome::NoAccount),
            sign_ins::AtOnce::Unusual => return Ok(Outcome::Undecided),
        };
        let is_new = may_create.is_some_and(|ids| ids.account == account.id);
        let tokens = session::tokens_by_code(services, &consumed, session, &account, *now)?;
        let done = self.signed_in(account, tokens);
        Ok(Outcome::In(DoneAtOnce { done, outcome: self.used(is_new), settled: Some(settled) }))
    }
}
