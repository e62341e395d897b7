//! `verify-otp` and `verify-login`: a code comes back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Error, Services,
    budget::{self, BudgetClaim, GuessClaim, GuessOutcome, Requester},
    code::{DeliveryPreferences, SendRequest},
    device::{self, Caller},
    recycled, run_to_completion, session, transaction,
};
use crate::{
    domain::{
        access::{Client, OpenedBy, TokenPair},
        account::Account,
        address::ClientAddress,
        audit::{Action, Actor, Event},
        budget::{BudgetExceeded, Guess, Kind},
        device::Device,
        otp::{Accepted, ChallengeKey, Claim, OtpCode, Verdict, judge, judge_fixed},
        phone::PhoneNumber,
        review,
    },
    store::{
        self, Txn,
        accounts::{ByCode, NewIds},
    },
};

/// What became of a code at `verify-otp`.
#[derive(Debug)]
pub enum SignedUp {
    /// She is in.
    In(SignedIn),
    /// She is not.
    Refused(Refused),
}

/// What became of a code at `verify-login`.
#[derive(Debug)]
pub enum LoggedIn {
    /// She is in.
    In(SignedIn),
    /// She is not.
    Refused(Refused),
    /// The right code of a phone without an account. It can still be used at `verify-otp`.
    NoAccount,
}

/// What whoever is in gets.
#[derive(Debug)]
pub struct SignedIn {
    /// Her tokens.
    pub tokens: TokenPair,
    /// Her account.
    pub account: Box<Account>,
    /// What her device shows when she signs in again.
    pub device_token: SecretString,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The code is no good.
    Code(CodeRefused),
    /// The right code of a disabled account. It is used up.
    Disabled,
}

impl From<CodeRefused> for Refused {
    fn from(refused: CodeRefused) -> Self {
        Self::Code(refused)
    }
}

/// Why a code is no good, whatever it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeRefused {
    /// No code is waiting, or it was used.
    NoneRequested,
    /// The code is older than its life.
    Expired,
    /// All guesses were used.
    Exhausted {
        /// Seconds until the next code may be asked for, at least 1.
        retry_after: i64,
    },
    /// The wrong code.
    Wrong {
        /// Guesses left.
        left: i64,
    },
    /// A budget is spent, and the code was not looked at.
    Budget(BudgetExceeded),
}

/// Who guesses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guesser<'a> {
    pub(super) address: ClientAddress,
    /// The device, if she was signed in on it before.
    pub(super) device: Option<Uuid>,
    /// The right code, where it is a fixed one.
    pub(super) fixed: Option<&'a OtpCode>,
}

impl Guesser<'_> {
    /// Somebody who is signed in: her device has no say in it.
    pub(super) fn address(address: ClientAddress) -> Self {
        Self { address, device: None, fixed: None }
    }
}

/// A right code, and what was claimed to judge it.
pub(super) struct AcceptedGuess {
    pub(super) proof: Accepted,
    pub(super) budget_claim: BudgetClaim,
}

/// Takes a code and lets her in; an account is made when there is none.
///
/// # Errors
/// When the database does not answer: then nobody is let in.
pub async fn sign_up(
    services: &Arc<Services>,
    phone: PhoneNumber,
    code: OtpCode,
    requester: Requester,
    client: Client,
) -> Result<SignedUp, Error> {
    run_to_completion(services, |services| async move {
        let now = services.clock.now();
        let caller = device::bringing_a_code(&services, &phone, &requester, now).await?;
        let key = ChallengeKey::sign_in_by(&phone, caller.device);
        let by = Guesser { address: requester.address, device: caller.device, fixed: caller.fixed };
        let AcceptedGuess { proof, budget_claim } = match judge_guess(&services, key, &code, by, now).await? {
            Ok(accepted) => accepted,
            Err(refused) => return Ok(SignedUp::Refused(refused.into())),
        };
        let opened = transaction(|| async {
            let txn = services.store.begin().await?;
            if !store::otp::consume(&txn, key, &proof, now).await? {
                txn.rollback().await?;
                return Ok(None);
            }
            let Some(Opened { account, is_new, unlinked }) =
                open_account(&services, &txn, &phone, &caller, now).await?
            else {
                txn.rollback().await?;
                return Ok(None);
            };
            let id = account.id;
            let entered = enter(&services, txn, key, account, client.clone(), by, now).await?;
            Ok(Some((entered, id, is_new, unlinked)))
        });
        let Some((entered, id, is_new, unlinked)) = opened.await? else {
            budget::settle_guess(&services, budget_claim, &phone, GuessOutcome::Right).await;
            return Ok(SignedUp::Refused(CodeRefused::NoneRequested.into()));
        };
        let judge_guess = if entered.is_ok() { used(&services, by, is_new) } else { GuessOutcome::Right };
        budget::settle_guess(&services, budget_claim, &phone, judge_guess).await;
        if let Some(old) = unlinked {
            recycled::note(&services, &phone, (old, id), by.address, now);
        }
        Ok(match entered {
            Ok(signed_in) => SignedUp::In(signed_in),
            Err(refused) => SignedUp::Refused(refused),
        })
    })
    .await
}

/// An account that the right code opened.
struct Opened {
    account: Account,
    /// Whether there was none.
    is_new: bool,
    /// The one that had the phone before, and was not used for too long.
    unlinked: Option<Uuid>,
}

/// The account of the phone, or a new one. `None` where a fixed code may not open it: somebody made it meanwhile.
async fn open_account(
    services: &Services,
    txn: &Txn,
    phone: &PhoneNumber,
    caller: &Caller<'_>,
    now: DateTime<Utc>,
) -> Result<Option<Opened>, Error> {
    let by = ByCode {
        ids: NewIds { account: services.random.id(now), profile: services.random.id(now) },
        is_review: caller.fixed.is_some(),
        used_after: caller.used_after,
    };
    let mut unlinked = None;
    let mut found = store::accounts::open(txn, phone, by, now).await?;
    if found.is_none() {
        unlinked = recycled::unlink(services, txn, phone, now).await?;
        found = store::accounts::open(txn, phone, by, now).await?;
    }
    let account = found.ok_or(Error::Crowded)?;
    let is_new = account.id == by.ids.account;
    let may_open = caller.fixed.is_none() || review::may_open(&account);
    Ok(may_open.then_some(Opened { account, is_new, unlinked }))
}

/// Whether her message was charged as a stranger's or as one to somebody known. For a fixed code there was none, so it says
/// nothing of whether those of its prefix come back.
fn used(services: &Services, by: Guesser<'_>, is_new: bool) -> GuessOutcome {
    let was_known = by.device.is_some() || by.fixed.is_some() || !(is_new || services.hides_accounts);
    if was_known { GuessOutcome::UsedByKnown } else { GuessOutcome::Used }
}

/// Takes a code and lets her in, if she has an account.
///
/// # Errors
/// When the database does not answer: then nobody is let in.
pub async fn log_in(
    services: &Arc<Services>,
    phone: PhoneNumber,
    code: OtpCode,
    requester: Requester,
    client: Client,
) -> Result<LoggedIn, Error> {
    run_to_completion(services, |services| async move {
        let now = services.clock.now();
        let caller = device::bringing_a_code(&services, &phone, &requester, now).await?;
        let key = ChallengeKey::sign_in_by(&phone, caller.device);
        let by = Guesser { address: requester.address, device: caller.device, fixed: caller.fixed };
        let AcceptedGuess { proof, budget_claim } = match judge_guess(&services, key, &code, by, now).await? {
            Ok(accepted) => accepted,
            Err(refused) => return Ok(LoggedIn::Refused(refused.into())),
        };
        let entering = || enter_known(&services, key, &proof, &caller, client.clone(), by, now);
        let logged_in = transaction(entering).await?;
        let judge_guess = match &logged_in {
            LoggedIn::In(_) => used(&services, by, false),
            LoggedIn::NoAccount => {
                let most = services.otp.max_attempts;
                store::otp::set_last_attempt_unused(&services.store, key, &proof, most).await?;
                GuessOutcome::Right
            }
            LoggedIn::Refused(_) => GuessOutcome::Right,
        };
        budget::settle_guess(&services, budget_claim, &phone, judge_guess).await;
        Ok(logged_in)
    })
    .await
}

/// Uses the code up and lets her into the account that she has. The challenge before the account, here as everywhere: two
/// who hold one each and want the other's would wait for ever.
async fn enter_known(
    services: &Services,
    key: ChallengeKey<'_>,
    proof: &Accepted,
    caller: &Caller<'_>,
    client: Client,
    by: Guesser<'_>,
    now: DateTime<Utc>,
) -> Result<LoggedIn, Error> {
    let txn = services.store.begin().await?;
    if !store::otp::consume(&txn, key, proof, now).await? {
        txn.rollback().await?;
        return Ok(LoggedIn::Refused(CodeRefused::NoneRequested.into()));
    }
    let Some(account) = store::owners::claim_by_phone(&txn, key.phone, caller.used_after, now).await? else {
        txn.rollback().await?;
        return Ok(LoggedIn::NoAccount);
    };
    // Somebody made it meanwhile, in another way.
    if by.fixed.is_some() && !review::may_open(&account) {
        txn.rollback().await?;
        return Ok(LoggedIn::Refused(CodeRefused::NoneRequested.into()));
    }
    Ok(match enter(services, txn, key, account, client, by, now).await? {
        Ok(signed_in) => LoggedIn::In(signed_in),
        Err(refused) => LoggedIn::Refused(refused),
    })
}

/// Takes an attempt at a challenge of any kind and charges the budgets, and judges the code only then. Whoever uses the
/// proof up settles what was claimed.
pub(super) async fn judge_guess(
    services: &Services,
    key: ChallengeKey<'_>,
    code: &OtpCode,
    by: Guesser<'_>,
    now: DateTime<Utc>,
) -> Result<Result<AcceptedGuess, CodeRefused>, Error> {
    let phone_hash = services.pseudonyms.phone(key.phone);
    let guess = Guess { phone_hash: &phone_hash, address: by.address, device: by.device };
    let (claim, budget_claim) = match budget::claim_guess(services, key, guess, now).await? {
        GuessClaim::Refused(exceeded) => {
            budget::note_refusal(services, Action::GuessRefused, &exceeded, key, by.address, now);
            return Ok(Err(CodeRefused::Budget(exceeded)));
        }
        GuessClaim::NotWaiting(challenge) => (Claim::NotTaken(challenge), None),
        GuessClaim::Taken(challenge, budget_claim) => (Claim::Taken(challenge), Some(budget_claim)),
    };
    let verdict = match by.fixed {
        Some(fixed) => judge_fixed(claim, code, fixed, &services.otp, now),
        None => judge(claim, code, key, &services.otp_keys, &services.otp, now),
    };
    Ok(Err(match (verdict, budget_claim) {
        (Verdict::Accepted(proof), Some(budget_claim)) => {
            return Ok(Ok(AcceptedGuess { proof, budget_claim }));
        }
        (Verdict::Wrong { left }, Some(budget_claim)) => {
            note_wrong(services, key, by, left, &budget_claim, now);
            CodeRefused::Wrong { left }
        }
        (verdict, budget_claim) => {
            if let Some(budget_claim) = budget_claim {
                budget::settle_guess(services, budget_claim, key.phone, GuessOutcome::Not).await;
            }
            match verdict {
                Verdict::Expired => CodeRefused::Expired,
                // The next one may be asked for at once.
                Verdict::Exhausted { .. } if by.fixed.is_some() => CodeRefused::Exhausted { retry_after: 1 },
                Verdict::Exhausted { challenge } => {
                    let wait = wait_for_next(services, key, by, now).await?;
                    CodeRefused::Exhausted { retry_after: challenge.resend_in(&services.otp, now).max(wait) }
                }
                // Without a claim nothing is judged, so neither of the first two comes here.
                Verdict::Accepted(_) | Verdict::Wrong { .. } | Verdict::NoneRequested => {
                    CodeRefused::NoneRequested
                }
            }
        }
    }))
}

/// Seconds until the budgets allow this person the next code.
async fn wait_for_next(
    services: &Services,
    key: ChallengeKey<'_>,
    by: Guesser<'_>,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    if !services.budgets.is_on {
        return Ok(0);
    }
    let phone_hash = services.pseudonyms.phone(key.phone);
    let used_after = services.used_after(now);
    let is_known = by.device.is_some()
        || !services.hides_accounts
            && store::accounts::find_by_phone(&services.store, key.phone, used_after).await?.is_some();
    let preferences = DeliveryPreferences::default();
    let request = SendRequest {
        key,
        source: None,
        preferences: &preferences,
        address: by.address,
        device: by.device,
        is_known,
        is_review: false,
        proof: None,
    };
    budget::send_wait(services, &budget::send(services, &request, &phone_hash, now), key.purpose, now).await
}

/// Writes down a wrong code, and the lock that it was the last for.
fn note_wrong(
    services: &Services,
    key: ChallengeKey<'_>,
    by: Guesser<'_>,
    left: i64,
    budget_claim: &BudgetClaim,
    now: DateTime<Utc>,
) {
    services.metrics.wrong_code();
    let event = Event::by_stranger(Action::WrongCode).phone(key.phone).from(by.address);
    let event = event.with("purpose", key.purpose.as_str()).with("left", left);
    services.audit.note(event.with_known("device", by.device.map(|_| true)), now);
    if let Some(lock) = budget_claim.refuses(now).filter(|exceeded| exceeded.budget.kind() == Kind::Lock) {
        services.metrics.locked();
        tracing::warn!(phone = %key.phone, budget = lock.budget.as_str(), "phone locked");
        budget::note_refusal(services, Action::PhoneLocked, &lock, key, by.address, now);
    }
}

/// The code is used up, in the transaction that goes on here: the lead is converted and a session opened. If any of it
/// fails, none of it has happened, the code included, and only the attempt stays counted.
async fn enter(
    services: &Services,
    txn: Txn,
    key: ChallengeKey<'_>,
    account: Account,
    client: Client,
    by: Guesser<'_>,
    now: DateTime<Utc>,
) -> Result<Result<SignedIn, Refused>, Error> {
    let event = |action| {
        Event::new(action, Actor::Person(Some(account.id)))
            .about(account.id)
            .phone(key.phone)
            .from(by.address)
    };
    store::leads::set_converted(&txn, key.phone, now).await?;
    if !account.is_active {
        txn.commit().await?;
        let event = event(Action::SignInRefused).with("by", "code");
        services.audit.note(event.with("reason", "account_disabled"), now);
        return Ok(Err(Refused::Disabled));
    }
    let tokens = session::open(services, &txn, &account, OpenedBy::Code, client, now).await?;
    txn.commit().await?;
    services.metrics.sign_in("code");
    services.audit.note(
        match by.fixed {
            Some(_) => event(Action::ReviewSignIn).with("sid", tokens.sid),
            None => event(Action::SignedIn)
                .with("by", "code")
                .with("sid", tokens.sid)
                .with_known("device", by.device.map(|_| true)),
        },
        now,
    );
    // A device that shows its token keeps its name, and so its budgets.
    let id = by.device.unwrap_or_else(|| services.random.bits());
    let device = Device { id, account: account.id, epoch: account.device_epoch };
    let device_token = services.devices.issue(&device, now);
    Ok(Ok(SignedIn { tokens, account: Box::new(account), device_token }))
}
