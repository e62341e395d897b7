//! Budgets, as the verbs use them: claimed before anything is done, settled when it is known what became of it. The one
//! place that says which budget stopped a request.
//!
//! While the database does not answer nothing is claimed, and so nothing is sent and nothing is judged.

use chrono::{DateTime, NaiveDate, Utc};
use secrecy::SecretString;

use super::{Error, Services, bot_check::ChallengeResponse, code::SendRequest};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Event},
        budget::{
            Budget, BudgetExceeded, BudgetKey, BudgetRow, Change, Charge, ChargeId, Guess, Kind, Send,
            Settlement, decide,
        },
        calendar::end_of_day,
        otp::{Challenge, ChallengeKey, Claim, Purpose, seconds_up},
        phone::PhoneNumber,
        profile::today_in,
        pseudonym::Pseudonym,
    },
    store,
};

/// How often a claim is tried that met others at the very same rows.
const TRIES: usize = 3;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Requester {
    /// From where.
    pub address: ClientAddress,
    /// What her device was given when she was last signed in on it, if it says so.
    pub device_token: Option<SecretString>,
    /// Her answer to a challenge, if she was asked for one.
    pub challenge_response: Option<ChallengeResponse>,
}

/// How somebody stands with a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetStatus {
    /// Which.
    pub budget: &'static str,
    /// How many it allows in a window.
    pub quota: usize,
    /// How many of them are left.
    pub left: usize,
    /// How long the window is, in seconds.
    pub window: i64,
    /// Seconds until there is more again.
    pub reset: i64,
}

/// A request of `signup` or `login`, counted.
#[derive(Debug)]
pub struct CountedRequest {
    /// Who asks.
    pub requester: Requester,
    /// How her address stands.
    pub status: Option<BudgetStatus>,
    /// Seconds until her address may ask again; none when at once.
    pub(super) wait: i64,
    /// What refuses her, unless she asks from a device that was signed in before.
    pub(super) exceeded: Option<BudgetExceeded>,
}

/// Counts a request of `signup` or `login`, whatever becomes of it.
///
/// # Errors
/// When the database does not answer: then nothing may be sent.
pub async fn admit(services: &Services, requester: Requester) -> Result<CountedRequest, Error> {
    let now = services.clock.now();
    let charges = services.budgets.request(requester.address, now);
    let (status, exceeded) = match claim(services, charges, now).await? {
        Ok(budget_claim) => (budget_claim.status(Budget::AddressRequests), None),
        Err(exceeded) => (BudgetStatus::from_exceeded(exceeded), Some(exceeded)),
    };
    let wait = status.filter(|status| status.left == 0).map_or(0, |status| status.reset);
    Ok(CountedRequest { requester, status, wait, exceeded })
}

impl BudgetStatus {
    /// How a budget stands that refused, if there is an end to it.
    #[must_use]
    pub fn from_exceeded(exceeded: BudgetExceeded) -> Option<Self> {
        let ((quota, window), reset) = exceeded.quota.zip(exceeded.retry_after)?;
        Some(BudgetStatus { budget: exceeded.budget.as_str(), quota, left: 0, window, reset })
    }
}

/// What was claimed, until it is settled.
#[derive(Debug)]
pub(super) struct BudgetClaim {
    charges: Vec<Charge>,
    rows: Vec<BudgetRow>,
    charge_id: ChargeId,
    at: DateTime<Utc>,
}

impl BudgetClaim {
    /// Nothing: the limits are off.
    fn nothing(now: DateTime<Utc>) -> Self {
        Self { charges: Vec::new(), rows: Vec::new(), charge_id: ChargeId { at: now, chance: 0 }, at: now }
    }

    /// What would stop the same from being claimed once more.
    pub(super) fn refuses(&self, now: DateTime<Utc>) -> Option<BudgetExceeded> {
        decide(&self.charges, &self.rows, now)
    }

    /// Seconds until the same could be claimed again; none when at once. A proof is spent for good and nothing to wait for: who
    /// asks again is asked for another one, or for none.
    pub(super) fn wait(&self, now: DateTime<Utc>) -> i64 {
        let is_proof = |charge: &&Charge| charge.rules.iter().any(|rule| rule.budget == Budget::Proof);
        let others: Vec<Charge> = self.charges.iter().filter(|charge| !is_proof(charge)).cloned().collect();
        decide(&others, &self.rows, now).and_then(|exceeded| exceeded.retry_after).unwrap_or(0)
    }

    /// How a window stands after this claim.
    fn status(&self, budget: Budget) -> Option<BudgetStatus> {
        let (charge, limit) = self.charges.iter().find_map(|charge| {
            let rule = charge.rules.iter().find(|rule| rule.budget == budget)?;
            Some((charge, rule.limit()?))
        })?;
        let row = self.rows.iter().find(|row| row.key == charge.key)?;
        let used = row.within(limit.per, self.at);
        let oldest = used.checked_sub(1).and_then(|nth| row.log.get(nth));
        Some(BudgetStatus {
            budget: budget.as_str(),
            quota: limit.most,
            left: limit.most.saturating_sub(used),
            window: limit.per.num_seconds(),
            reset: oldest.map_or(0, |at| seconds_up((*at).min(self.at) + limit.per - self.at)),
        })
    }
}

/// Claims these charges, all of them or none.
///
/// # Errors
/// When the database does not answer: then what was to be claimed must not happen.
pub(super) async fn claim(
    services: &Services,
    charges: Vec<Charge>,
    now: DateTime<Utc>,
) -> Result<Result<BudgetClaim, BudgetExceeded>, Error> {
    if !services.budgets.is_on {
        return Ok(Ok(BudgetClaim::nothing(now)));
    }
    for _ in 0..TRIES {
        let charge_id = charge_id(services, now);
        let kept = services.budgets.kept();
        if let Some(rows) = store::budgets::claim(&services.store, &charges, charge_id, kept).await? {
            mend(services, &rows, now).await?;
            super::prefixes::watch(services, &rows, now).await;
            return Ok(Ok(BudgetClaim { charges, rows, charge_id, at: now }));
        }
        let found = store::budgets::list(&services.store, &charges).await?;
        mend(services, &found, now).await?;
        if let Some(exceeded) = decide(&charges, &found, now) {
            services.metrics.refused(exceeded.budget.as_str());
            return Ok(Err(close_if_prefix(services, &charges, exceeded, now).await?));
        }
    }
    Ok(Err(crowded(&charges)))
}

/// Lets what a clock wrote that was wrong count as charged now, so that whoever waits as told is not refused again.
async fn mend(services: &Services, rows: &[BudgetRow], now: DateTime<Utc>) -> Result<(), Error> {
    let policy = &services.budgets.prefix;
    for row in rows.iter().filter(|row| row.is_ahead(policy, now)) {
        tracing::warn!(ahead = "budget", "a stored time is in the future: it counts as now");
        store::budgets::mark_past(&services.store, &row.key, policy, now).await?;
    }
    Ok(())
}

/// What became of the claim of a guess.
#[derive(Debug)]
pub(super) enum GuessClaim {
    /// An attempt was taken and charged: it is to be judged.
    Taken(Challenge, BudgetClaim),
    /// A budget stops it.
    Refused(BudgetExceeded),
    /// There is nothing to guess at: the challenge, if there is one, is this.
    NotWaiting(Option<Challenge>),
}

/// Takes an attempt, if the challenge waits for one and no budget is spent, and charges the guess. The attempt comes first:
/// so no more are charged at once than a challenge bears, and whoever guesses in a crowd keeps nobody else out, not even
/// for a moment. An attempt that cannot be charged is not judged, and stays taken.
///
/// # Errors
/// When the database does not answer: then nothing may be judged.
pub(super) async fn claim_guess(
    services: &Services,
    key: ChallengeKey<'_>,
    guess: Guess<'_>,
    now: DateTime<Utc>,
) -> Result<GuessClaim, Error> {
    let db = &services.store;
    let charges = if services.budgets.is_on { services.budgets.guess(guess, now) } else { Vec::new() };
    for _ in 0..TRIES {
        // An attempt may be counted twice where the answer was lost, and never less than once.
        match store::otp::claim_attempt(&db.repeating(), key, &services.otp, &charges, now).await? {
            Claim::Taken(challenge) => {
                return Ok(match claim(services, charges, now).await? {
                    Ok(budget_claim) => GuessClaim::Taken(challenge, budget_claim),
                    Err(exceeded) => GuessClaim::Refused(exceeded),
                });
            }
            Claim::NotTaken(challenge) => {
                let found = store::budgets::list(db, &charges).await?;
                mend(services, &found, now).await?;
                if let Some(exceeded) = decide(&charges, &found, now) {
                    services.metrics.refused(exceeded.budget.as_str());
                    return Ok(GuessClaim::Refused(exceeded));
                }
                if !challenge.as_ref().is_some_and(|challenge| challenge.waits(&services.otp, now)) {
                    return Ok(GuessClaim::NotWaiting(challenge));
                }
            }
        }
    }
    Ok(GuessClaim::Refused(crowded(&charges)))
}

/// What became of a guess that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GuessOutcome {
    /// It was never judged: its key is not listed any more.
    Not,
    /// It was right, and is still to be used.
    Right,
    /// It was right, and did what it was for, at a phone that had no account when it was sent.
    Used,
    /// The same, at a phone that had one.
    UsedByKnown,
}

/// Settles a guess that was not a wrong one. A database that goes away here takes nothing from whoever was let in: her
/// charges stay.
pub(super) async fn settle_guess(
    services: &Services,
    budget_claim: BudgetClaim,
    phone: &PhoneNumber,
    judge_guess: GuessOutcome,
) {
    if !services.budgets.is_on {
        return;
    }
    let failures = BudgetKey::PhoneGuesses(services.pseudonyms.phone(phone));
    // Where the right guess is in the count itself, one more is no lock: else the last one allowed would lock her out.
    let is_counted = budget_claim.rows.iter().any(|row| row.key == failures);
    let locked_at = services.budgets.failures_in_a_row + i64::from(is_counted);
    let is_used = matches!(judge_guess, GuessOutcome::Used | GuessOutcome::UsedByKnown);
    let mut settlements: Vec<Settlement> = budget_claim
        .rows
        .iter()
        .filter(|row| !(is_used && row.key == failures))
        .map(|row| Settlement { key: row.key.clone(), change: Change::Refund })
        .collect();
    if is_used {
        let ends_at = budget_claim.at + services.budgets.phone_guesses.per;
        settlements.push(Settlement { key: failures, change: Change::ResetFailures { locked_at, ends_at } });
        if let Some(key) = BudgetKey::of_prefix(phone) {
            let forgiven =
                if judge_guess == GuessOutcome::Used { services.budgets.prefix.forgiven } else { 0 };
            settlements.push(Settlement { key, change: Change::Answer { forgiven } });
        }
    }
    let settled = match store::budgets::settle(&services.store, &settlements, budget_claim.charge_id).await {
        Ok(rows) if judge_guess == GuessOutcome::Used => {
            super::prefixes::open_if_closed(services, &rows, services.clock.now()).await
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = settled {
        tracing::error!(%error, "the charges of a right code could not be given back");
    }
}

/// Gives everything back that was claimed.
///
/// # Errors
/// When the database does not answer: then the charges stay.
pub(super) async fn refund(services: &Services, budget_claim: &BudgetClaim) -> Result<(), Error> {
    settle_all(services, budget_claim, Change::Refund).await
}

/// Claims a message that nobody asks for just now: the next channel of a code that came back.
///
/// # Errors
/// When the database does not answer: then nothing may be sent.
pub(super) async fn claim_message(
    services: &Services,
    phone: &PhoneNumber,
    is_known: bool,
    now: DateTime<Utc>,
) -> Result<Result<BudgetClaim, BudgetExceeded>, Error> {
    let charges = services.budgets.message(phone, is_known, day(services, now), now);
    claim(services, charges, now).await
}

/// Counts a message that goes out whatever the day's count is: a notice that is owed to a person. There are no more of
/// them than codes that came back.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn count_notice(
    services: &Services,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Result<BudgetClaim, BudgetExceeded>, Error> {
    let mut charges = services.budgets.message(phone, true, day(services, now), now);
    for charge in &mut charges {
        charge.rules.clear();
    }
    claim(services, charges, now).await
}

/// Lifts the cooldown that was claimed, and leaves the charges.
///
/// # Errors
/// When the database does not answer: then it stays.
pub(super) async fn clear_cooldown(services: &Services, budget_claim: &BudgetClaim) -> Result<(), Error> {
    settle_all(services, budget_claim, Change::ClearCooldown).await
}

async fn settle_all(services: &Services, budget_claim: &BudgetClaim, change: Change) -> Result<(), Error> {
    let all = budget_claim.rows.iter().map(|row| Settlement { key: row.key.clone(), change });
    let all: Vec<Settlement> = all.collect();
    store::budgets::settle(&services.store, &all, budget_claim.charge_id).await?;
    Ok(())
}

/// Seconds until a code may be asked for again, as the budgets have it.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn send_wait(
    services: &Services,
    send: &Send<'_>,
    purpose: Purpose,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    if !services.budgets.is_on {
        return Ok(0);
    }
    let mut charges = services.budgets.send(send, now);
    if purpose == Purpose::SignIn && send.device.is_none() {
        charges.extend(services.budgets.request(send.address, now));
    }
    let found = store::budgets::list(&services.store, &charges).await?;
    Ok(decide(&charges, &found, now).and_then(|exceeded| exceeded.retry_after).unwrap_or(0))
}

/// The row of a number's prefix.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn prefix_of(services: &Services, phone: &PhoneNumber) -> Result<Option<BudgetRow>, Error> {
    let Some(key) = BudgetKey::of_prefix(phone) else {
        return Ok(None);
    };
    Ok(store::budgets::find(&services.store, &key).await?)
}

/// Which day it is where the product lives, and when that ends.
pub(super) fn day(services: &Services, now: DateTime<Utc>) -> (NaiveDate, DateTime<Utc>) {
    (today_in(now, services.zone), end_of_day(now, services.zone))
}

/// A wish as budgets see it.
pub(super) fn send<'a>(
    services: &Services,
    request: &SendRequest<'a>,
    phone_hash: &'a Pseudonym,
    now: DateTime<Utc>,
) -> Send<'a> {
    Send {
        phone: request.key.phone,
        phone_hash,
        address: request.address,
        device: request.device,
        is_known: request.is_known,
        resend_after: services.otp.resend_after,
        day: day(services, now),
        proof: request.proof,
    }
}

/// Writes down that a budget stopped a send or a guess.
pub(super) fn note_refusal(
    services: &Services,
    action: Action,
    exceeded: &BudgetExceeded,
    key: ChallengeKey<'_>,
    address: ClientAddress,
    now: DateTime<Utc>,
) {
    let event = Event::by_stranger(action).phone(key.phone).from(address);
    let event = event.with("budget", exceeded.budget.as_str()).with("purpose", key.purpose.as_str());
    services.audit.note(event.with_known("retry_after", exceeded.retry_after), now);
}

/// The first refusal by a prefix whose codes do not come back closes it for a whole time.
async fn close_if_prefix(
    services: &Services,
    charges: &[Charge],
    exceeded: BudgetExceeded,
    now: DateTime<Utc>,
) -> Result<BudgetExceeded, Error> {
    let is_prefix = |charge: &&Charge| charge.rules.iter().any(|rule| rule.budget == Budget::Prefix);
    if let Some(charge) = charges.iter().find(is_prefix).filter(|_| exceeded.budget == Budget::Prefix) {
        super::prefixes::close(services, &charge.key, now).await?;
    }
    Ok(exceeded)
}

fn charge_id(services: &Services, now: DateTime<Utc>) -> ChargeId {
    let (chance, ..) = services.random.bits().as_fields();
    ChargeId { at: now, chance }
}

/// Others are charged and given back at this very moment, so that nobody can say which budget it was.
fn crowded(charges: &[Charge]) -> BudgetExceeded {
    let rules = charges.iter().flat_map(|charge| &charge.rules);
    let budget = rules.map(|rule| rule.budget).find(|budget| budget.kind() == Kind::Rate);
    BudgetExceeded { budget: budget.unwrap_or(Budget::AddressRequests), retry_after: Some(1), quota: None }
}
