//! Budgets, as the use cases need them: claimed before anything is done, settled when the outcome is known. The one place
//! that decides which budget stops a request.
//!
//! Every function fails when the database does not answer. Then nothing is claimed, so nothing may be sent or judged.

mod guesses;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

pub(super) use self::guesses::{
    GuessOutcome, claim_guess_behind, follow_settled_guess, settle_guess, settlements_of_guess,
};
use super::{Error, Services, asked_by::Service};
use crate::{
    domain::{
        address::ClientAddress,
        audit::Event,
        budget::{
            Budget, BudgetExceeded, BudgetKey, BudgetRow, Change, Charge, ChargeId, Kind, MessageCharge,
            Settlement, decide,
        },
        calendar::end_of_day,
        otp::{Challenge, ChallengeKey, ChallengeRow, Claim, Purpose, seconds_up},
        phone::PhoneNumber,
        profile::today_in,
        pseudonym::Pseudonym,
    },
    store,
};

/// How often a claim is tried when others change the same rows.
const TRIES: usize = 3;

/// How much of a budget is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetStatus {
    /// The name of the budget.
    pub budget: &'static str,
    /// How many uses it allows in a window.
    pub quota: usize,
    /// How many of them are left.
    pub left: usize,
    /// The length of the window in seconds.
    pub window: i64,
    /// Seconds until the next use is returned.
    pub reset: i64,
}

/// The count of a request of `signup` or `login`.
#[derive(Debug)]
pub struct CountedRequest {
    /// The client's address.
    pub address: ClientAddress,
    /// How much of the address's budget is left.
    pub status: Option<BudgetStatus>,
    /// Seconds until this address may send the next request; 0 when at once.
    pub(super) wait: i64,
    /// The budget that refuses the request, unless it comes from a device that was signed in before.
    pub(super) exceeded: Option<BudgetExceeded>,
}

/// Counts a request of `signup` or `login`, even if it is refused later.
pub async fn count_request(services: &Services, address: ClientAddress) -> Result<CountedRequest, Error> {
    let now = services.clock.now();
    let charges = services.budgets.request(address, now);
    let (status, exceeded) = match claim(services, charges, now).await? {
        Ok(budget_claim) => (budget_claim.status(Budget::AddressRequests), None),
        Err(exceeded) => (BudgetStatus::from_exceeded(exceeded), Some(exceeded)),
    };
    let wait = status.filter(|status| status.left == 0).map_or(0, |status| status.reset);
    Ok(CountedRequest { address, status, wait, exceeded })
}

impl BudgetStatus {
    /// The status of a budget that refused. `None` for a lock that does not end by itself.
    #[must_use]
    pub fn from_exceeded(exceeded: BudgetExceeded) -> Option<Self> {
        let ((quota, window), reset) = exceeded.quota.zip(exceeded.retry_after)?;
        Some(BudgetStatus { budget: exceeded.budget.as_str(), quota, left: 0, window, reset })
    }
}

/// What was claimed, until it is settled.
#[derive(Debug)]
#[must_use = "a claim that is not settled stays charged"]
pub(super) struct BudgetClaim {
    charges: Vec<Charge>,
    rows: Vec<BudgetRow>,
    charge_id: ChargeId,
    /// The event that says that this charge locks the phone. It is held until the code is judged.
    pub(super) lock_event: Option<Uuid>,
}

impl BudgetClaim {
    /// An empty claim, for when the limits are off.
    fn empty(now: DateTime<Utc>) -> Self {
        let charge_id = ChargeId { at: now, chance: 0 };
        Self { charges: Vec::new(), rows: Vec::new(), charge_id, lock_event: None }
    }

    /// The id of its charges.
    pub(super) fn charge_id(&self) -> ChargeId {
        self.charge_id
    }

    /// What would refuse the same claim again.
    pub(super) fn refuses(&self, now: DateTime<Utc>) -> Option<BudgetExceeded> {
        decide(&self.charges, &self.rows, now)
    }

    /// Seconds until the same could be claimed again; 0 when at once. A bot proof is spent for good and nothing to wait for:
    /// the next request needs another one, or none.
    pub(super) fn wait(&self, now: DateTime<Utc>) -> i64 {
        let is_proof = |charge: &&Charge| charge.rules.iter().any(|rule| rule.budget == Budget::Proof);
        let others: Vec<Charge> = self.charges.iter().filter(|charge| !is_proof(charge)).cloned().collect();
        decide(&others, &self.rows, now).and_then(|exceeded| exceeded.retry_after).unwrap_or(0)
    }

    /// How much of a budget is left after this claim.
    fn status(&self, budget: Budget) -> Option<BudgetStatus> {
        let (charge, limit) = self.charges.iter().find_map(|charge| {
            let rule = charge.rules.iter().find(|rule| rule.budget == budget)?;
            Some((charge, rule.limit()?))
        })?;
        let row = self.rows.iter().find(|row| row.key == charge.key)?;
        let used = row.within(limit.per, self.charge_id.at);
        let oldest = used.checked_sub(1).and_then(|nth| row.log.get(nth));
        Some(BudgetStatus {
            budget: budget.as_str(),
            quota: limit.most,
            left: limit.most.saturating_sub(used),
            window: limit.per.num_seconds(),
            reset: oldest
                .map_or(0, |at| seconds_up((*at).min(self.charge_id.at) + limit.per - self.charge_id.at)),
        })
    }
}

/// Claims these charges, all of them or none.
pub(super) async fn claim(
    services: &Services,
    charges: Vec<Charge>,
    now: DateTime<Utc>,
) -> Result<Result<BudgetClaim, BudgetExceeded>, Error> {
    if !services.budgets.is_on {
        return Ok(Ok(BudgetClaim::empty(now)));
    }
    Ok(claim_by(&Alone(services), services, charges, now).await?.map(|(budget_claim, ())| budget_claim))
}

/// A statement that makes charges, all of them or none, and may write more in the same moment.
pub(super) trait Charging {
    /// What it did beside the charges.
    type Beside;

    /// Makes the charges. `None` when a budget refuses: nothing was written then.
    fn run(
        &self,
        charges: &[Charge],
        id: ChargeId,
    ) -> impl Future<Output = Result<Charged<Self::Beside>, Error>> + Send;
}

/// The charged rows, and what was done beside.
pub(super) type Charged<T> = Option<(Vec<BudgetRow>, T)>;

/// Makes the charges and nothing else.
struct Alone<'a>(&'a Services);

impl Charging for Alone<'_> {
    type Beside = ();

    async fn run(&self, charges: &[Charge], id: ChargeId) -> Result<Charged<()>, Error> {
        let Self(services) = self;
        let charged = store::budgets::claim(&services.store, charges, id, kept(services, charges)).await?;
        Ok(charged.map(|rows| (rows, ())))
    }
}

/// How many entries the log of a budget keeps: as many as the settings and the limits of an API key need.
pub(super) fn kept(services: &Services, charges: &[Charge]) -> usize {
    charges.iter().map(Charge::kept).max().unwrap_or_default().max(services.budgets.kept())
}

/// Claims these charges by this statement. If it refuses, the budget is found that does; if none does any more, the statement is
/// run again.
pub(super) async fn claim_by<C: Charging>(
    statement: &C,
    services: &Services,
    charges: Vec<Charge>,
    now: DateTime<Utc>,
) -> Result<Result<(BudgetClaim, C::Beside), BudgetExceeded>, Error> {
    for _ in 0..TRIES {
        let charge_id = charge_id(services, now);
        if let Some((rows, beside)) = statement.run(&charges, charge_id).await? {
            correct_future_times(services, &rows, now).await?;
            super::prefixes::watch(services, &rows, now).await;
            return Ok(Ok((BudgetClaim { charges, rows, charge_id, lock_event: None }, beside)));
        }
        let found = store::budgets::list(&services.store, &charges).await?;
        correct_future_times(services, &found, now).await?;
        if let Some(exceeded) = decide(&charges, &found, now) {
            services.metrics.refused(exceeded.budget.as_str());
            return Ok(Err(close_if_prefix(services, &charges, exceeded, now).await?));
        }
    }
    Ok(Err(crowded(&charges)))
}

/// Corrects charges from the future, which a wrong clock wrote: they count as charged now. Otherwise a client that waits
/// for `retry_after` would be refused again.
async fn correct_future_times(
    services: &Services,
    rows: &[BudgetRow],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let policy = &services.budgets.prefix;
    for row in rows.iter().filter(|row| row.is_ahead(policy, now)) {
        tracing::warn!(ahead = "budget", "a stored time is in the future: it counts as now");
        store::budgets::correct_future_times(&services.store, &row.key, policy, now).await?;
    }
    Ok(())
}

/// The outcome of the claim of a guess.
#[derive(Debug)]
#[must_use = "a guess that was taken must be judged and settled"]
pub(super) enum GuessClaim {
    /// An attempt was taken and charged: the code is to be judged.
    Taken(Challenge, BudgetClaim),
    /// A budget refuses it.
    Refused(BudgetExceeded),
    /// No challenge is pending. This is the old one, if there is one.
    NotWaiting(Option<Challenge>),
}

/// Takes an attempt, if the challenge is pending and no budget is used up, and charges the guess. The attempt comes first:
/// so parallel guesses never charge more than one challenge allows, and do not lock out others even for a moment. An
/// attempt that cannot be charged is not judged, and stays taken.
pub(super) async fn claim_guess(
    services: &Services,
    key: ChallengeKey<'_>,
    charges: Vec<Charge>,
    now: DateTime<Utc>,
) -> Result<GuessClaim, Error> {
    let charges = if services.budgets.is_on { charges } else { Vec::new() };
    // Wrong codes lock the checks of a service, and not the phone: its user can sign in.
    let locked = (key.purpose != Purpose::Verification).then_some(key.phone);
    claim_attempt(services, key.into(), locked, charges, now).await
}

/// The same for the row of a name, whether an account has the name or not.
pub(super) async fn claim_name_guess(
    services: &Services,
    name: &Pseudonym,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> Result<GuessClaim, Error> {
    let is_on = services.budgets.is_on;
    let charges = if is_on { services.budgets.name_guess(name, address, now) } else { Vec::new() };
    claim_attempt(services, ChallengeRow::Name(name), None, charges, now).await
}

async fn claim_attempt(
    services: &Services,
    row: ChallengeRow<'_>,
    phone: Option<&PhoneNumber>,
    charges: Vec<Charge>,
    now: DateTime<Utc>,
) -> Result<GuessClaim, Error> {
    let db = &services.store;
    for _ in 0..TRIES {
        // If the database's answer is lost, an attempt may be counted twice, but never less than once.
        match store::otp::claim_attempt(&db.repeating(), row, &services.otp, &charges, now).await? {
            Claim::Taken(challenge) => {
                return Ok(match guesses::charge(services, phone, charges, now).await? {
                    Ok(budget_claim) => GuessClaim::Taken(challenge, budget_claim),
                    Err(exceeded) => GuessClaim::Refused(exceeded),
                });
            }
            Claim::NotTaken(challenge) => {
                let found = store::budgets::list(db, &charges).await?;
                correct_future_times(services, &found, now).await?;
                if let Some(exceeded) = decide(&charges, &found, now) {
                    services.metrics.refused(exceeded.budget.as_str());
                    return Ok(GuessClaim::Refused(exceeded));
                }
                if !challenge.as_ref().is_some_and(|challenge| challenge.accepts_guess(&services.otp, now)) {
                    return Ok(GuessClaim::NotWaiting(challenge));
                }
            }
        }
    }
    Ok(GuessClaim::Refused(crowded(&charges)))
}

/// Returns everything that was claimed. If this fails, the charges stay.
pub(super) async fn refund(services: &Services, budget_claim: &BudgetClaim) -> Result<(), Error> {
    settle_all(services, budget_claim, Change::Refund).await
}

/// Claims a message that no request asks for: the same code by the next channel.
pub(super) async fn claim_message(
    services: &Services,
    phone: &PhoneNumber,
    is_known: bool,
    now: DateTime<Utc>,
) -> Result<Result<BudgetClaim, BudgetExceeded>, Error> {
    let charges = services.budgets.message(phone, is_known, day(services, now), now);
    claim(services, charges, now).await
}

/// Counts a notice, which is sent even if the caps are used up. There is at most one per code that was used.
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

/// Ends the cooldown that was claimed, and leaves the charges. If this fails, the cooldown stays.
pub(super) async fn clear_cooldown(services: &Services, budget_claim: &BudgetClaim) -> Result<(), Error> {
    settle_all(services, budget_claim, Change::ClearCooldown).await
}

async fn settle_all(services: &Services, budget_claim: &BudgetClaim, change: Change) -> Result<(), Error> {
    let all = budget_claim.rows.iter().map(|row| Settlement { key: row.key.clone(), change });
    let all: Vec<Settlement> = all.collect();
    store::budgets::settle(&services.store, &all, budget_claim.charge_id).await?;
    Ok(())
}

/// What a code is charged to, which a user or a service asks for.
pub(super) fn of_send(
    services: &Services,
    send: &MessageCharge<'_>,
    service: Option<Service<'_>>,
    now: DateTime<Utc>,
) -> Vec<Charge> {
    match service {
        None => services.budgets.send(send, now),
        Some(service) => services.budgets.service_send(send, service.charge(), now),
    }
}

/// Seconds until the budgets allow the next code.
pub(super) async fn send_wait(
    services: &Services,
    send: &MessageCharge<'_>,
    (purpose, service): (Purpose, Option<Service<'_>>),
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    if !services.budgets.is_on {
        return Ok(0);
    }
    let mut charges = of_send(services, send, service, now);
    if let Some(address) = send.address.filter(|_| purpose == Purpose::SignIn && send.device.is_none()) {
        charges.extend(services.budgets.request(address, now));
    }
    let found = store::budgets::list(&services.store, &charges).await?;
    Ok(decide(&charges, &found, now).and_then(|exceeded| exceeded.retry_after).unwrap_or(0))
}

/// Seconds until a new password may be requested again by this name from this address.
pub(super) async fn name_wait(
    services: &Services,
    name: &Pseudonym,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    if !services.budgets.is_on {
        return Ok(0);
    }
    let mut charges = services.budgets.name_request(name, address, None, now);
    charges.extend(services.budgets.request(address, now));
    let found = store::budgets::list(&services.store, &charges).await?;
    Ok(decide(&charges, &found, now).and_then(|exceeded| exceeded.retry_after).unwrap_or(0))
}

/// The row of a number's prefix.
pub(super) async fn prefix_of(services: &Services, phone: &PhoneNumber) -> Result<Option<BudgetRow>, Error> {
    let Some(key) = BudgetKey::of_prefix(phone) else {
        return Ok(None);
    };
    Ok(store::budgets::find(&services.store, &key).await?)
}

/// The current day in the configured time zone, and when it ends.
pub(super) fn day(services: &Services, now: DateTime<Utc>) -> (NaiveDate, DateTime<Utc>) {
    (today_in(now, services.zone), end_of_day(now, services.zone))
}

/// Records that a budget refused a message or a guess.
pub(super) fn note_refusal(
    services: &Services,
    event: Event,
    exceeded: &BudgetExceeded,
    key: ChallengeKey<'_>,
    now: DateTime<Utc>,
) {
    let event = event.phone(key.phone).with("budget", exceeded.budget.as_str());
    let event = event.with("purpose", key.purpose.as_str());
    services.audit.note(event.with_known("retry_after", exceeded.retry_after), now);
}

/// The first refusal by a prefix whose codes do not come back closes the prefix for the full time.
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

/// The refusal when other requests kept changing the same rows, so that it is not known which budget is used up.
fn crowded(charges: &[Charge]) -> BudgetExceeded {
    let rules = charges.iter().flat_map(|charge| &charge.rules);
    let budget = rules.map(|rule| rule.budget).find(|budget| budget.kind() == Kind::Rate);
    BudgetExceeded { budget: budget.unwrap_or(Budget::AddressRequests), retry_after: Some(1), quota: None }
}
