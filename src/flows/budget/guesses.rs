//! Charging a guess, and settling the charges of one that was not wrong: what is returned, and what the sign-in is credited to.

use chrono::{DateTime, Utc};

use super::{
    super::{Error, Services, events, prefixes, transaction},
    BudgetClaim, Charged, Charging, claim, claim_by, kept,
};
use crate::{
    domain::{
        address::ClientAddress,
        budget::{BudgetExceeded, BudgetKey, BudgetRow, Change, Charge, ChargeId, Kind, Settlement, decide},
        otp::{Challenge, ChallengeKey, ChallengeRow},
        phone::PhoneNumber,
        pseudonym::Pseudonym,
    },
    store,
};

/// Charges a guess. A charge that locks the phone writes the event of it in the same moment; without a phone it costs as much.
pub(super) async fn charge(
    services: &Services,
    phone: Option<&PhoneNumber>,
    charges: Vec<Charge>,
    now: DateTime<Utc>,
) -> Result<Result<BudgetClaim, BudgetExceeded>, Error> {
    if services.events.is_none() || !services.budgets.is_on {
        return claim(services, charges, now).await;
    }
    let charged = claim_by(&WithEvent { services, phone }, services, charges, now).await?;
    Ok(charged.map(|(budget_claim, lock_event)| BudgetClaim { lock_event, ..budget_claim }))
}

/// Makes the charges of a guess, and writes that they lock the phone if they do.
struct WithEvent<'a> {
    services: &'a Services,
    phone: Option<&'a PhoneNumber>,
}

impl Charging for WithEvent<'_> {
    type Beside = Option<uuid::Uuid>;

    async fn run(&self, charges: &[Charge], id: ChargeId) -> Result<Charged<Self::Beside>, Error> {
        let Self { services, phone } = self;
        transaction(|| async {
            let txn = services.store.begin().await?;
            let charged = store::budgets::claim(&txn, charges, id, kept(services, charges)).await?;
            let Some(rows) = charged else {
                txn.rollback().await?;
                return Ok(None);
            };
            let lock = decide(charges, &rows, id.at).filter(|exceeded| exceeded.budget.kind() == Kind::Lock);
            let event = match lock.zip(*phone) {
                Some((lock, phone)) => events::hold_locked(services, &txn, phone, &lock, id.at).await?,
                None => None,
            };
            txn.commit().await?;
            Ok(Some((rows, event)))
        })
        .await
    }
}

/// The second part of a guess at the code of a name: takes an attempt of the code behind the name and charges it to its phone. `key`
/// is that of the code, if the name has one. Without it, or if no attempt is left or the phone is locked, the same statements run
/// on rows that belong to nobody.
pub(in super::super) async fn claim_guess_behind(
    services: &Services,
    key: Option<ChallengeKey<'_>>,
    name: &Pseudonym,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Option<(Challenge, BudgetClaim)>, Error> {
    let charges = |hash: &Pseudonym| {
        if services.budgets.is_on { services.budgets.guess_by_name(hash, address, now) } else { Vec::new() }
    };
    let nobody = services.pseudonyms.nobody(name);
    let (row, hash) = match key {
        Some(key) => (key.into(), services.pseudonyms.phone(key.phone)),
        None => (ChallengeRow::NoCode(name), nobody.clone()),
    };
    let (db, otp) = (&services.store.repeating(), &services.otp);
    let taken = store::otp::claim_attempt_by_name(db, row, otp, &charges(&hash), now).await?;
    let (Some(challenge), Some(key)) = (taken, key) else {
        let mut nobodys = charges(&nobody);
        for charge in &mut nobodys {
            charge.rules.clear();
        }
        let _kept = self::charge(services, None, nobodys, now).await?;
        return Ok(None);
    };
    let charged = charge(services, Some(key.phone), charges(&hash), now).await?;
    Ok(charged.ok().map(|budget_claim| (challenge, budget_claim)))
}

/// The outcome of a guess that was claimed and was not wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum GuessOutcome {
    /// Its charges are returned, and nothing else: it was not judged because its key is gone, or it was right but did not
    /// do what it was for.
    Refund,
    /// The same, and its code stays valid for another use case: the attempt is returned, too.
    RefundAndKeep,
    /// It was right and did what it was for. This also ends the row of failures.
    Used {
        /// Whether the message was charged as one to a known phone. If not, it is credited to the number's prefix.
        was_known: bool,
    },
    /// It was right for another service. The row of failures goes on: no user signed in.
    Checked {
        /// As [`Self::Used`].
        was_known: bool,
    },
}

impl GuessOutcome {
    /// Whether the code came back and did what it was for.
    fn has_answered(self) -> bool {
        match self {
            Self::Refund | Self::RefundAndKeep => false,
            Self::Used { .. } | Self::Checked { .. } => true,
        }
    }

    /// Whether the number's prefix is credited with an answered message.
    fn is_credited(self) -> bool {
        match self {
            Self::Refund | Self::RefundAndKeep => false,
            Self::Used { was_known } | Self::Checked { was_known } => !was_known,
        }
    }
}

/// Settles a guess that was not wrong. If the database fails here, the charges stay and the user is signed in anyway.
pub(in super::super) async fn settle_guess(
    services: &Services,
    budget_claim: BudgetClaim,
    phone: &PhoneNumber,
    outcome: GuessOutcome,
) {
    let settlements = settlements_of_guess(services, &budget_claim, phone, outcome);
    let settled = match budget_claim.lock_event {
        None => settle(services, &settlements, &budget_claim).await,
        Some(event) => unlock(services, &settlements, &budget_claim, event).await,
    };
    match settled {
        Ok(rows) => follow_settled_guess(services, &rows, outcome).await,
        Err(error) => note_unsettled(&error),
    }
}

async fn settle(
    services: &Services,
    settlements: &[Settlement],
    budget_claim: &BudgetClaim,
) -> Result<Vec<BudgetRow>, Error> {
    Ok(store::budgets::settle(&services.store, settlements, budget_claim.charge_id).await?)
}

/// Settles a guess whose charge locked the phone. The lock ends with the charge, and what would have told it goes in the same
/// transaction.
async fn unlock(
    services: &Services,
    settlements: &[Settlement],
    budget_claim: &BudgetClaim,
    event: uuid::Uuid,
) -> Result<Vec<BudgetRow>, Error> {
    let charge_id = budget_claim.charge_id;
    transaction(|| async {
        let txn = services.store.begin().await?;
        let rows = store::budgets::settle(&txn, settlements, charge_id).await?;
        store::outbox::purge_held(&txn, event, charge_id.at).await?;
        txn.commit().await?;
        Ok(rows)
    })
    .await
}

/// What the charges of a guess come to. Nothing where the limits are off.
pub(in super::super) fn settlements_of_guess(
    services: &Services,
    budget_claim: &BudgetClaim,
    phone: &PhoneNumber,
    outcome: GuessOutcome,
) -> Vec<Settlement> {
    if !services.budgets.is_on {
        return Vec::new();
    }
    let failures = BudgetKey::PhoneGuesses(services.pseudonyms.phone(phone));
    // If the count includes the right guess itself, the lock needs one more: otherwise the last allowed guess would lock
    // the user out even if it is right.
    let is_counted = budget_claim.rows.iter().any(|row| row.key == failures);
    let locked_at = services.budgets.failures_in_a_row + i64::from(is_counted);
    let is_used = matches!(outcome, GuessOutcome::Used { .. });
    let mut settlements: Vec<Settlement> = budget_claim
        .rows
        .iter()
        .filter(|row| !(is_used && row.key == failures))
        .map(|row| Settlement { key: row.key.clone(), change: Change::Refund })
        .collect();
    if is_used {
        let ends_at = budget_claim.charge_id.at + services.budgets.phone_guesses.per;
        settlements.push(Settlement { key: failures, change: Change::ResetFailures { locked_at, ends_at } });
    }
    if outcome.has_answered()
        && let Some(key) = BudgetKey::of_prefix(phone)
    {
        let forgiven = if outcome.is_credited() { services.budgets.prefix.forgiven } else { 0 };
        settlements.push(Settlement { key, change: Change::Answer { forgiven } });
    }
    settlements
}

/// Opens the prefix again, if these rows say that the guess did that. Called once the guess is settled.
pub(in super::super) async fn follow_settled_guess(
    services: &Services,
    rows: &[BudgetRow],
    outcome: GuessOutcome,
) {
    if outcome.is_credited()
        && let Err(error) = prefixes::open_if_closed(services, rows, services.clock.now()).await
    {
        note_unsettled(&error);
    }
}

fn note_unsettled(error: &Error) {
    tracing::error!(%error, "the charges of a right code could not be returned");
}
