//! For staff: why a phone gets no code, and lifting its locks.
//!
//! Both fail, and change nothing, when the database does not answer.

use std::sync::Arc;

use super::{Error, Services, run_to_completion, transaction};
use crate::{
    domain::{
        audit::{Action, Event},
        budget::{BudgetKey, Prefix, Spent},
        delivery::UnreachableReason,
        phone::PhoneNumber,
        roles::StaffPermission,
    },
    store,
};

/// What stops messages to a phone, and guesses at it.
#[derive(Debug)]
pub struct PhoneStatus {
    /// Why the settings exclude it, if they do.
    pub not_served: Option<UnreachableReason>,
    /// Its budgets of which a part is used.
    pub spent: Vec<Spent>,
    /// Its prefix, if a message was ever sent to it.
    pub prefix: Option<Prefix>,
}

/// Looks up a phone.
pub async fn look(services: &Services, phone: &PhoneNumber) -> Result<PhoneStatus, Error> {
    let now = services.clock.now();
    let phone_hash = services.pseudonyms.phone(phone);
    let rows = store::budgets::list_of_phone(&services.store, &phone_hash).await?;
    let prefix = match BudgetKey::of_prefix(phone) {
        Some(key) => store::budgets::find(&services.store, &key).await?,
        None => None,
    };
    Ok(PhoneStatus {
        not_served: services.destinations.refuses(phone),
        spent: services.budgets.spent(&phone_hash, &rows, services.otp.resend_after, now),
        prefix: prefix.and_then(|row| Prefix::from_prefix(&row, &services.budgets.prefix, now)),
    })
}

/// The names of the budgets that locked a phone, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlocked(pub Vec<&'static str>);

/// Lifts every lock of a phone: forgets wrong guesses at it from all addresses, and failures in a row. Sends to it still
/// count.
pub async fn unlock(
    services: &Arc<Services>,
    phone: PhoneNumber,
    permission: StaffPermission,
) -> Result<Unlocked, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| unlock_in_transaction(&services, &phone, permission)).await
    })
    .await
}

async fn unlock_in_transaction(
    services: &Services,
    phone: &PhoneNumber,
    permission: StaffPermission,
) -> Result<Unlocked, Error> {
    let now = services.clock.now();
    let phone_hash = services.pseudonyms.phone(phone);
    let txn = services.store.begin().await?;
    let removed = store::budgets::purge_phone_guesses(&txn, &phone_hash).await?;
    let spent = services.budgets.spent(&phone_hash, &removed, services.otp.resend_after, now);
    let mut budgets: Vec<&'static str> =
        spent.iter().filter(|spent| spent.is_lock()).map(|spent| spent.budget.as_str()).collect();
    budgets.sort_unstable();
    budgets.dedup();
    let event = Event::new(Action::PhoneUnlocked, permission.actor()).phone(phone).from(permission.from());
    services.audit.write(&txn, event.with("budget", budgets.as_slice()), now).await?;
    txn.commit().await?;
    Ok(Unlocked(budgets))
}
