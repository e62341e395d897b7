//! Registering with a username and a password.
//!
//! A registration is charged before its password is hashed, because hashing is expensive. Only what follows the hashing
//! runs to completion if the client disconnects.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Error, Services, blocks, budget, events,
    password::{hash, signed_in},
    run_to_completion, session, transaction,
};
use crate::{
    domain::{
        access::{Client, TokenPair},
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event},
        budget::BudgetExceeded,
        credentials::{ClaimedPhone, Email, Password, PasswordHash, PersonName, Username},
        events::{CreatedBy, Fact},
        second_factor::Rights,
        signups::{Admission, SignupClosed},
    },
    store::{
        self, Txn,
        accounts::{Inserted, NewAccount, NewIds},
    },
};

/// The fields of a registration.
#[derive(Debug)]
pub struct Registration {
    /// The name to sign in with.
    pub username: Username,
    /// The e-mail address, not verified.
    pub email: Option<Email>,
    /// As the user gave it.
    pub first_name: Option<PersonName>,
    /// As the user gave it.
    pub last_name: Option<PersonName>,
    /// A phone, not verified.
    pub phone: Option<ClaimedPhone>,
    /// The password to sign in with.
    pub password: Password,
}

/// The outcome of a registration.
#[derive(Debug)]
pub enum Registered<T> {
    /// The account was created.
    Made(T),
    /// The username is another account's.
    UsernameTaken,
    /// The e-mail address is another account's.
    EmailTaken,
    /// Too many registrations came from this address.
    Refused(BudgetExceeded),
    /// Nobody signs up.
    SignupClosed,
}

/// Creates an account.
///
/// # Errors
/// When the database does not answer: no account is created.
pub async fn register(
    services: &Arc<Services>,
    new: Registration,
    from: ClientAddress,
) -> Result<Registered<Box<Account>>, Error> {
    if let Some(exceeded) = count_registration(services, from).await? {
        return Ok(Registered::Refused(exceeded));
    }
    let Ok(admission) = admit(services, from) else {
        return Ok(Registered::SignupClosed);
    };
    let hash = hash(services, &new.password).await?;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        Ok(match insert_alone(&services, &new, (admission, &hash), now).await? {
            Inserted::Account(account) => {
                services.audit.note(registered(account.id, from), now);
                tracing::info!(user_id = %account.id, "registered");
                Registered::Made(account)
            }
            Inserted::UsernameTaken => Registered::UsernameTaken,
            Inserted::EmailTaken => Registered::EmailTaken,
        })
    })
    .await
}

/// Inserts an account. If there are events to write with it, in a transaction.
async fn insert_alone(
    services: &Services,
    new: &Registration,
    (admission, hash): (Admission, &PasswordHash),
    now: DateTime<Utc>,
) -> Result<Inserted, Error> {
    if services.events.is_none() {
        return Ok(store::accounts::insert(&services.store, row(services, new, (admission, hash), now), now).await?);
    }
    transaction(|| async {
        let txn = services.store.begin().await?;
        let inserted = store::accounts::insert(&txn, row(services, new, (admission, hash), now), now).await?;
        if let Inserted::Account(account) = &inserted {
            write_created(services, &txn, account, now).await?;
        }
        txn.commit().await?;
        Ok(inserted)
    })
    .await
}

async fn write_created(
    services: &Services,
    txn: &Txn,
    account: &Account,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let created = Fact::UserCreated { by: CreatedBy::Password, role: account.role, phone: None };
    events::write_of(services, txn, account.id, &[created], now).await
}

/// Creates an account and signs its owner in.
///
/// # Errors
/// When the database does not answer: no account is created.
pub async fn register_and_enter(
    services: &Arc<Services>,
    new: Registration,
    client: Client,
    from: ClientAddress,
) -> Result<Registered<TokenPair>, Error> {
    if let Some(exceeded) = count_registration(services, from).await? {
        return Ok(Registered::Refused(exceeded));
    }
    let Ok(admission) = admit(services, from) else {
        return Ok(Registered::SignupClosed);
    };
    let hash = hash(services, &new.password).await?;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        transaction(|| insert_and_enter(&services, &new, (admission, &hash), &client, (from, now))).await
    })
    .await
}

async fn insert_and_enter(
    services: &Services,
    new: &Registration,
    (admission, hash): (Admission, &PasswordHash),
    client: &Client,
    (from, now): (ClientAddress, DateTime<Utc>),
) -> Result<Registered<TokenPair>, Error> {
    let txn = services.store.begin().await?;
    let account = match store::accounts::insert(&txn, row(services, new, (admission, hash), now), now).await? {
        Inserted::Account(account) => account,
        Inserted::UsernameTaken => {
            txn.rollback().await?;
            return Ok(Registered::UsernameTaken);
        }
        Inserted::EmailTaken => {
            txn.rollback().await?;
            return Ok(Registered::EmailTaken);
        }
    };
    write_created(services, &txn, &account, now).await?;
    let rights = Rights::of_user();
    let tokens = session::open_by_password(services, &txn, &account, rights, client.clone(), now).await?;
    txn.commit().await?;
    services.metrics.sign_in("password");
    services.audit.note(registered(account.id, from), now);
    services.audit.note(signed_in(account.id, &tokens, from), now);
    tracing::info!(user_id = %account.id, "registered");
    Ok(Registered::Made(tokens))
}

/// Counts a registration, even if it fails later. Returns the budget that refuses it, if one does.
async fn count_registration(
    services: &Services,
    from: ClientAddress,
) -> Result<Option<BudgetExceeded>, Error> {
    let now = services.clock.now();
    blocks::check_address(services, from, || Event::by_stranger(Action::RegistrationRefused), now).await?;
    let charges = services.budgets.registration(from, now);
    let exceeded = budget::claim(services, charges, now).await?.err();
    if let Some(exceeded) = &exceeded {
        let event = Event::by_stranger(Action::RegistrationRefused).from(from);
        let event = event.with("budget", exceeded.budget.as_str());
        services.audit.note(event.with_known("retry_after", exceeded.retry_after), now);
    }
    Ok(exceeded)
}

/// Whether somebody gets an account by registering.
fn admit(services: &Services, from: ClientAddress) -> Result<Admission, SignupClosed> {
    services.signups.admit(None).inspect_err(|SignupClosed| {
        let event = Event::by_stranger(Action::RegistrationRefused).from(from);
        services.audit.note(event.with("reason", "signup_closed"), services.clock.now());
    })
}

fn registered(id: Uuid, from: ClientAddress) -> Event {
    Event::by_owner(Action::Registered, id).from(from).with("by", "password")
}

fn row<'a>(
    services: &Services,
    new: &'a Registration,
    (admission, password): (Admission, &'a PasswordHash),
    now: DateTime<Utc>,
) -> NewAccount<'a> {
    NewAccount {
        ids: NewIds { admission, account: services.random.id(now), profile: services.random.id(now) },
        username: &new.username,
        email: new.email.as_ref(),
        first_name: new.first_name.as_ref(),
        last_name: new.last_name.as_ref(),
        claimed_phone: new.phone.as_ref(),
        password,
        role: Role::User,
    }
}
