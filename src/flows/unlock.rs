//! What stands between a phone and its code, for whoever is asked; and lifting its locks.

use std::sync::Arc;

use super::{Error, Services, run_to_completion, transaction};
use crate::{
    domain::{
        audit::{Action, Event},
        budget::{Charge, Prefix, Spent},
        delivery::UnreachableReason,
        phone::PhoneNumber,
        pseudonym::Pseudonym,
        roles::AbusePermission,
    },
    store,
};

/// How a phone stands.
#[derive(Debug)]
pub struct PhoneStatus {
    /// Why the settings leave it out, if they do.
    pub not_served: Option<UnreachableReason>,
    /// Its budgets, as far as something of them is used.
    pub spent: Vec<Spent>,
    /// What is known of its prefix.
    pub prefix: Option<Prefix>,
}

/// Looks at a phone.
///
/// # Errors
/// When the database does not answer.
pub async fn look(services: &Services, phone: &PhoneNumber) -> Result<PhoneStatus, Error> {
    let now = services.clock.now();
    let phone_hash = services.pseudonyms.phone(phone);
    let rows =
        store::budgets::list_under(&services.store, &format!("phone/{}/", phone_hash.as_str())).await?;
    let key = Charge::prefix_key(phone);
    let prefix = match &key {
        Some(key) => store::budgets::find(&services.store, key).await?,
        None => None,
    };
    Ok(PhoneStatus {
        not_served: services.destinations.refuses(phone),
        spent: services.budgets.spent(&phone_hash, &rows, services.otp.resend_after, now),
        prefix: prefix.and_then(|row| Prefix::from_prefix(&row, &services.budgets.prefix, now)),
    })
}

/// What a phone was locked by, by name, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlocked(pub Vec<&'static str>);

/// Lifts every lock of a phone: wrong guesses at it are forgotten, from whatever address they came, and so are failures in
/// a row. What was sent to it is not.
///
/// # Errors
/// When the database does not answer: then nothing is changed.
pub async fn unlock(
    services: &Arc<Services>,
    phone: PhoneNumber,
    delete_account: AbusePermission,
) -> Result<Unlocked, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| clear_cooldown(&services, &phone, delete_account)).await
    })
    .await
}

async fn clear_cooldown(
    services: &Services,
    phone: &PhoneNumber,
    delete_account: AbusePermission,
) -> Result<Unlocked, Error> {
    let now = services.clock.now();
    let phone_hash = services.pseudonyms.phone(phone);
    let txn = services.store.begin().await?;
    let gone = store::budgets::purge_under(&txn, &guesses(&phone_hash)).await?;
    let spent = services.budgets.spent(&phone_hash, &gone, services.otp.resend_after, now);
    let mut budgets: Vec<&'static str> =
        spent.iter().filter(|spent| spent.is_lock()).map(|spent| spent.budget.as_str()).collect();
    budgets.sort_unstable();
    budgets.dedup();
    let event =
        Event::new(Action::PhoneUnlocked, delete_account.actor()).phone(phone).from(delete_account.from());
    services.audit.write(&txn, event.with("budget", budgets.as_slice()), now).await?;
    txn.commit().await?;
    Ok(Unlocked(budgets))
}

/// Where the rows of guesses at a phone begin.
fn guesses(phone_hash: &Pseudonym) -> String {
    format!("phone/{}/guesses", phone_hash.as_str())
}
