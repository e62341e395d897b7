//! Guests: accounts without a phone and without a name, for apps that let people look around first.
//!
//! A guest becomes a user by verifying a phone (`flows/change_phone.rs`), and keeps the account. Nothing else leads back to it than
//! its session, so a guest who does not come back is deleted (`flows/purge.rs`).

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Error, Services, blocks, budget, events, run_to_completion, session, transaction};
use crate::{
    domain::{
        access::{Client, TokenPair},
        account::Account,
        address::ClientAddress,
        audit::{Action, Event},
        budget::BudgetExceeded,
        events::{CreatedBy, Fact},
        signups::Admission,
    },
    store::{self, accounts::NewIds},
};

const BY: &str = "guest";

/// The outcome of `guest`.
#[derive(Debug)]
pub enum Entered {
    /// The guest is in.
    In(Box<Guest>),
    /// There are no guests here.
    Off,
    /// Nobody gets an account, or nobody without an invitation.
    SignupClosed,
    /// Too many guests came from this address.
    Refused(BudgetExceeded),
}

/// A new guest.
#[derive(Debug)]
pub struct Guest {
    /// The tokens of the session.
    pub tokens: TokenPair,
    /// The account.
    pub account: Account,
}

/// Creates the account of a guest, and opens its session.
///
/// # Errors
/// When the database does not answer: no account is created. When the client's network is blocked.
pub async fn enter(services: &Arc<Services>, client: Client, from: ClientAddress) -> Result<Entered, Error> {
    if !services.has_guests {
        return Ok(Entered::Off);
    }
    let now = services.clock.now();
    let refused = || Event::by_stranger(Action::RegistrationRefused);
    blocks::check_address(services, from, refused, now).await?;
    if let Err(exceeded) = budget::claim(services, services.budgets.guest(from, now), now).await? {
        let event = refused().from(from).with("by", BY).with("budget", exceeded.budget.as_str());
        services.audit.note(event.with_known("retry_after", exceeded.retry_after), now);
        return Ok(Entered::Refused(exceeded));
    }
    let Ok(admission) = services.signups.admit(None) else {
        services.audit.note(refused().from(from).with("by", BY).with("reason", "signup_closed"), now);
        return Ok(Entered::SignupClosed);
    };
    run_to_completion(services, move |services| async move {
        let guest = transaction(|| insert(&services, admission, client.clone(), now)).await?;
        let (id, sid) = (guest.account.id, guest.tokens.sid);
        services.metrics.sign_in(BY);
        let event = Event::by_owner(Action::Registered, id).from(from).with("by", BY).with("sid", sid);
        services.audit.note(event, now);
        tracing::info!(user_id = %id, "a guest came");
        Ok(Entered::In(Box::new(guest)))
    })
    .await
}

async fn insert(
    services: &Services,
    admission: Admission,
    client: Client,
    now: DateTime<Utc>,
) -> Result<Guest, Error> {
    let txn = services.store.begin().await?;
    let ids = NewIds { admission, account: services.random.id(now), profile: services.random.id(now) };
    let account = store::guests::insert(&txn, ids, now).await?;
    let created = Fact::UserCreated { by: CreatedBy::Guest, role: account.role, phone: None };
    events::write_of(services, &txn, account.id, &[created], now).await?;
    let tokens = session::open_for_guest(services, &txn, &account, client, now).await?;
    txn.commit().await?;
    Ok(Guest { tokens, account })
}
