//! Registering with a username and a password.
//!
//! A registration is charged before its password is hashed, because hashing is expensive. Only what follows the hashing
//! runs to completion if the client disconnects.

use std::sync::Arc;

use chrono::{DateTime, Utc};

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
        invitation::InvitationCode,
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
    /// The invitation that the user shows. `None` also for what no invitation looks like.
    pub invitation: Option<InvitationCode>,
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
    /// Nobody signs up, or nobody without a valid invitation.
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
    let Ok(entry) = find_entry(services, &new, from).await? else {
        return Ok(Registered::SignupClosed);
    };
    let hash = hash(services, &new.password).await?;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let registered = insert_alone(&services, &new, (&entry, &hash), now).await?;
        match &registered {
            Registered::Made(account) => note_registered(&services, account, from, now),
            Registered::SignupClosed => note_closed(&services, from),
            Registered::UsernameTaken | Registered::EmailTaken | Registered::Refused(_) => {}
        }
        Ok(registered)
    })
    .await
}

/// Inserts an account. If there is more to write with it, in a transaction.
async fn insert_alone(
    services: &Services,
    new: &Registration,
    (entry, hash): (&Entry, &PasswordHash),
    now: DateTime<Utc>,
) -> Result<Registered<Box<Account>>, Error> {
    if let Entry::Free(admission) = entry
        && services.events.is_none()
    {
        let row = row(services, new, (*admission, hash), now);
        return Ok(made(store::accounts::insert(&services.store, row, now).await?));
    }
    transaction(|| async {
        let txn = services.store.begin().await?;
        let registered = insert(services, &txn, new, (entry, hash), now).await?;
        // A use of the invitation is rolled back too.
        match &registered {
            Registered::Made(_) => txn.commit().await?,
            Registered::UsernameTaken
            | Registered::EmailTaken
            | Registered::Refused(_)
            | Registered::SignupClosed => txn.rollback().await?,
        }
        Ok(registered)
    })
    .await
}

/// Takes a use of the invitation if one is needed, and inserts the account with its event. The transaction must be rolled back
/// unless the account is made.
async fn insert(
    services: &Services,
    txn: &Txn,
    new: &Registration,
    (entry, hash): (&Entry, &PasswordHash),
    now: DateTime<Utc>,
) -> Result<Registered<Box<Account>>, Error> {
    let admitted = match entry {
        Entry::Free(admission) => Ok(*admission),
        Entry::Invited(code) => {
            let used = store::invitations::claim(txn, code, now).await?;
            services.signups.admit(used.as_ref())
        }
    };
    let Ok(admission) = admitted else {
        return Ok(Registered::SignupClosed);
    };
    let row = row(services, new, (admission, hash), now);
    let registered = made(store::accounts::insert(txn, row, now).await?);
    if let Registered::Made(account) = &registered {
        write_created(services, txn, account, now).await?;
    }
    Ok(registered)
}

fn made(inserted: Inserted) -> Registered<Box<Account>> {
    match inserted {
        Inserted::Account(account) => Registered::Made(account),
        Inserted::UsernameTaken => Registered::UsernameTaken,
        Inserted::EmailTaken => Registered::EmailTaken,
    }
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
    let Ok(entry) = find_entry(services, &new, from).await? else {
        return Ok(Registered::SignupClosed);
    };
    let hash = hash(services, &new.password).await?;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        transaction(|| insert_and_enter(&services, &new, (&entry, &hash), &client, (from, now))).await
    })
    .await
}

async fn insert_and_enter(
    services: &Services,
    new: &Registration,
    (entry, hash): (&Entry, &PasswordHash),
    client: &Client,
    (from, now): (ClientAddress, DateTime<Utc>),
) -> Result<Registered<TokenPair>, Error> {
    let txn = services.store.begin().await?;
    let account = match insert(services, &txn, new, (entry, hash), now).await? {
        Registered::Made(account) => account,
        Registered::UsernameTaken => {
            txn.rollback().await?;
            return Ok(Registered::UsernameTaken);
        }
        Registered::EmailTaken => {
            txn.rollback().await?;
            return Ok(Registered::EmailTaken);
        }
        Registered::Refused(exceeded) => {
            txn.rollback().await?;
            return Ok(Registered::Refused(exceeded));
        }
        Registered::SignupClosed => {
            txn.rollback().await?;
            note_closed(services, from);
            return Ok(Registered::SignupClosed);
        }
    };
    let rights = Rights::of_user();
    let tokens = session::open_by_password(services, &txn, &account, rights, client.clone(), now).await?;
    txn.commit().await?;
    services.metrics.sign_in("password");
    note_registered(services, &account, from, now);
    services.audit.note(signed_in(account.id, &tokens, from), now);
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

/// How a person who registers gets an account.
#[derive(Debug)]
enum Entry {
    /// Without an invitation.
    Free(Admission),
    /// With this invitation, of which no use is taken yet.
    Invited(InvitationCode),
}

/// Looks, before the password is hashed, whether a person who registers may get an account. Registering proves no phone, so an
/// invitation for one phone admits nobody here.
async fn find_entry(
    services: &Services,
    new: &Registration,
    from: ClientAddress,
) -> Result<Result<Entry, SignupClosed>, Error> {
    if let Ok(admission) = services.signups.admit(None) {
        return Ok(Ok(Entry::Free(admission)));
    }
    if let Some(code) = new.invitation.as_ref().filter(|_| services.signups.takes_invitations()) {
        let found = store::invitations::find_by_code(&services.store, code).await?;
        if found.is_some_and(|invitation| invitation.admits(None, services.clock.now())) {
            return Ok(Ok(Entry::Invited(code.clone())));
        }
    }
    note_closed(services, from);
    Ok(Err(SignupClosed))
}

fn note_closed(services: &Services, from: ClientAddress) {
    let event = Event::by_stranger(Action::RegistrationRefused).from(from);
    services.audit.note(event.with("reason", "signup_closed"), services.clock.now());
}

/// Records a registration that was committed.
fn note_registered(services: &Services, account: &Account, from: ClientAddress, now: DateTime<Utc>) {
    services
        .audit
        .note(Event::by_owner(Action::Registered, account.id).from(from).with("by", "password"), now);
    if let Some(invitation) = account.invitation_id {
        let event = Event::by_owner(Action::InvitationUsed, account.id).from(from);
        services.audit.note(event.with("invitation", invitation), now);
    }
    tracing::info!(user_id = %account.id, "registered");
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
