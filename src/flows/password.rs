//! Registering with a password, signing in with one, and changing it.
//!
//! Hashing comes first and waits its turn: a request that is given up meanwhile has done nothing. Only what follows runs
//! to its end.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{Error, Services, session, to_its_end};
use crate::{
    domain::{
        access::{Client, OpenedBy, SignedIn, TokenPair},
        account::{Account, Role},
        credentials::{
            ClaimedPhone, Email, Login, Password, PasswordHash, PersonName, SignIn, Username, judge,
        },
    },
    store::{
        self,
        accounts::{Inserted, NewAccount, NewIds},
    },
};

/// What somebody says of herself who registers.
#[derive(Debug)]
pub struct Registration {
    /// The name that she signs in with.
    pub username: Username,
    /// Nobody proved it.
    pub email: Option<Email>,
    /// As she gave it.
    pub first_name: Option<PersonName>,
    /// As she gave it.
    pub last_name: Option<PersonName>,
    /// Nobody proved it.
    pub phone: Option<ClaimedPhone>,
    /// What she signs in with.
    pub password: Password,
}

/// What became of a registration.
#[derive(Debug)]
pub enum Registered<T> {
    /// She has an account.
    Made(T),
    /// The username is another account's.
    UsernameTaken,
    /// The e-mail address is another account's.
    EmailTaken,
}

/// Makes an account.
///
/// # Errors
/// When the database does not answer: then there is none.
pub async fn register(
    services: &Arc<Services>,
    new: Registration,
) -> Result<Registered<Box<Account>>, Error> {
    let hash = hash(services, &new.password).await?;
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let inserted =
            store::accounts::insert(&services.store, row(&services, &new, &hash, now), now).await?;
        Ok(match inserted {
            Inserted::Account(account) => {
                tracing::info!(user_id = %account.id, "registered");
                Registered::Made(account)
            }
            Inserted::UsernameTaken => Registered::UsernameTaken,
            Inserted::EmailTaken => Registered::EmailTaken,
        })
    })
    .await
}

/// Makes an account and lets its owner in.
///
/// # Errors
/// When the database does not answer: then there is none.
pub async fn register_and_enter(
    services: &Arc<Services>,
    new: Registration,
    client: Client,
) -> Result<Registered<TokenPair>, Error> {
    let hash = hash(services, &new.password).await?;
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let txn = services.store.begin().await?;
        let account = match store::accounts::insert(&txn, row(&services, &new, &hash, now), now).await? {
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
        let tokens = session::open(&services, &txn, &account, OpenedBy::Password, client, now).await?;
        txn.commit().await?;
        tracing::info!(user_id = %account.id, "registered");
        Ok(Registered::Made(tokens))
    })
    .await
}

fn row<'a>(
    services: &Services,
    new: &'a Registration,
    password: &'a PasswordHash,
    now: DateTime<Utc>,
) -> NewAccount<'a> {
    NewAccount {
        ids: NewIds { account: services.random.id(now), profile: services.random.id(now) },
        username: &new.username,
        email: new.email.as_ref(),
        first_name: new.first_name.as_ref(),
        last_name: new.last_name.as_ref(),
        claimed_phone: new.phone.as_ref(),
        password,
        role: Role::User,
    }
}

/// What became of a name and a password.
#[derive(Debug)]
pub enum Entered {
    /// She is in.
    In(TokenPair),
    /// One of them is wrong.
    Wrong,
    /// Both are right, and the account was disabled.
    Disabled,
}

/// Lets somebody in who knows her password. A name that nobody has costs what a wrong password costs: one statement and
/// one hash.
///
/// # Errors
/// When the database does not answer: then nobody is let in.
pub async fn sign_in(
    services: &Arc<Services>,
    login: Login,
    typed: SecretString,
    client: Client,
) -> Result<Entered, Error> {
    // Whoever loses to a change of the password is judged by the new one, so this ends.
    loop {
        let (found, hash) = match store::accounts::find_credentials(&services.store, &login).await? {
            Some((account, hash)) => (Some(account), hash),
            None => (None, None),
        };
        let is_right = services.hasher.verify(hash.as_ref(), &typed).await;
        let (account, hash) = match (judge(found, is_right), hash) {
            (SignIn::Right(account), Some(hash)) => (account, hash),
            (SignIn::Disabled, _) => return Ok(Entered::Disabled),
            (SignIn::Right(_) | SignIn::Wrong, _) => return Ok(Entered::Wrong),
        };
        let renewed = if hash.is_current() {
            None
        } else {
            Some(self::hash(services, &Password::known(&typed)).await?)
        };
        if let Some(entered) = enter(services, account.id, hash, renewed, client.clone()).await? {
            return Ok(entered);
        }
    }
}

/// Opens a session for somebody whose password was right, if its hash still is this one: what was right a moment ago may
/// have been changed since, by somebody who shuts others out.
async fn enter(
    services: &Arc<Services>,
    id: Uuid,
    hash: PasswordHash,
    renewed: Option<PasswordHash>,
    client: Client,
) -> Result<Option<Entered>, Error> {
    to_its_end(services, move |services| async move {
        let now = services.clock.now();
        let txn = services.store.begin().await?;
        let Some(account) = store::accounts::claim_with_hash(&txn, id, Some(&hash)).await? else {
            txn.rollback().await?;
            return Ok(None);
        };
        if !account.is_active {
            txn.rollback().await?;
            return Ok(Some(Entered::Disabled));
        }
        if let Some(renewed) = &renewed {
            store::accounts::mark_password(&txn, id, renewed, account.updated_at).await?;
        }
        let tokens = session::open(&services, &txn, &account, OpenedBy::Password, client, now).await?;
        txn.commit().await?;
        Ok(Some(Entered::In(tokens)))
    })
    .await
}

/// What became of a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It holds, and the other sessions are ended.
    Done,
    /// The old one was not given.
    OldMissing,
    /// The old one is another.
    OldWrong,
    /// It would be the first one, and who holds the session was not proved lately.
    NotProved,
    /// It would be the first one of staff: who can read their messages would have their rights by it.
    Staff,
}

/// Sets the first password, or another one, and ends the other sessions. Whoever has a password shows the old one; a
/// first one needs a fresh proof of who holds the session.
///
/// # Errors
/// When the database does not answer: then the old one holds.
pub async fn change(
    services: &Arc<Services>,
    who: SignedIn,
    old: Option<SecretString>,
    new: Password,
) -> Result<Changed, Error> {
    let now = services.clock.now();
    let id = who.account().id;
    let old_hash = if who.account().has_password {
        let Some(old) = old else {
            return Ok(Changed::OldMissing);
        };
        let found = store::accounts::find_with_hash(&services.store, id).await?;
        let hash = found.and_then(|(_, hash)| hash);
        if !services.hasher.verify(hash.as_ref(), &old).await {
            return Ok(Changed::OldWrong);
        }
        hash
    } else if who.account().role > Role::User {
        return Ok(Changed::Staff);
    } else if who.session().is_proved(now) {
        None
    } else {
        return Ok(Changed::NotProved);
    };
    let hash = hash(services, &new).await?;
    to_its_end(services, |services| async move {
        let txn = services.store.begin().await?;
        // Of two who change it at once the second one's old password is wrong by now.
        let Some(account) = store::accounts::claim_with_hash(&txn, id, old_hash.as_ref()).await? else {
            txn.rollback().await?;
            return Ok(Changed::OldWrong);
        };
        // She may have become staff since the gate let her in.
        if old_hash.is_none() && account.role > Role::User {
            txn.rollback().await?;
            return Ok(Changed::Staff);
        }
        store::accounts::mark_password(&txn, id, &hash, now).await?;
        let ended = store::sessions::close_all(&txn, id, Some(who.session().id), now).await?;
        txn.commit().await?;
        tracing::info!(user_id = %id, ended, "password changed");
        Ok(Changed::Done)
    })
    .await
}

async fn hash(services: &Services, password: &Password) -> Result<PasswordHash, Error> {
    services.hasher.hash(password, services.random.bytes()).await
}
