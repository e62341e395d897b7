//! Settling the charges of a guess that was not wrong: what is returned, and what the sign-in is credited to.

use super::{
    super::{Error, Services, prefixes},
    BudgetClaim,
};
use crate::{
    domain::{
        budget::{BudgetKey, BudgetRow, Change, Settlement},
        phone::PhoneNumber,
    },
    store,
};

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
}

impl GuessOutcome {
    /// Whether the number's prefix is credited with an answered message.
    fn is_credited(self) -> bool {
        match self {
            Self::Refund | Self::RefundAndKeep => false,
            Self::Used { was_known } => !was_known,
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
    match store::budgets::settle(&services.store, &settlements, budget_claim.charge_id).await {
        Ok(rows) => follow_settled_guess(services, &rows, outcome).await,
        Err(error) => note_unsettled(&error.into()),
    }
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
        if let Some(key) = BudgetKey::of_prefix(phone) {
            let forgiven = if outcome.is_credited() { services.budgets.prefix.forgiven } else { 0 };
            settlements.push(Settlement { key, change: Change::Answer { forgiven } });
        }
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
