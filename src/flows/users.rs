//! What staff do to accounts, and what people change of their own.

use std::sync::Arc;

use uuid::Uuid;

use super::{Error, Services, to_its_end};
use crate::{
    domain::{
        account::Role,
        credentials::{Email, Password, Username},
        roles::Acting,
        users::{Edit, User},
    },
    store::{
        self,
        accounts::{Inserted, NewAccount, NewIds},
        users::Marked,
    },
};

/// What became of a change.
#[derive(Debug)]
pub enum Changed {
    /// The account is as it should be.
    Done(Box<User>),
    /// There is no such account.
    NotFound,
    /// It is one of staff, whom only admins change.
    Forbidden,
    /// It is the last active admin's: somebody has to be left who can say who is staff.
    LastAdmin,
    /// The address is another account's.
    EmailTaken,
}

/// Changes an account, and answers it as it is then. A change of the role, like a deactivation, ends all sessions of the
/// account in the same transaction.
///
/// # Errors
/// When the database does not answer: then nothing is changed.
pub async fn change(services: &Arc<Services>, leave: Acting, edit: Edit) -> Result<Changed, Error> {
    to_its_end(services, move |services| async move {
        if edit.is_about_rights() {
            change_rights(&services, leave, &edit).await
        } else {
            change_names(&services, leave, &edit).await
        }
    })
    .await
}

async fn change_names(services: &Services, leave: Acting, edit: &Edit) -> Result<Changed, Error> {
    let marked = store::users::mark(&services.store, leave, edit, services.clock.now()).await?;
    let found = store::users::find(&services.store, leave.reading()).await?;
    Ok(match (marked, found) {
        (_, None) => Changed::NotFound,
        (Marked::EmailTaken, Some(_)) => Changed::EmailTaken,
        (Marked::Guarded, Some(_)) => Changed::Forbidden,
        (Marked::Done, Some(user)) => Changed::Done(Box::new(user)),
    })
}

async fn change_rights(services: &Services, leave: Acting, edit: &Edit) -> Result<Changed, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    if edit.takes_an_admin_away() && leave.over().contains(&Role::Admin) {
        store::owners::claim_admins(&txn).await?;
    }
    let Some(before) = store::owners::claim(&txn, leave.target()).await? else {
        txn.rollback().await?;
        return Ok(Changed::NotFound);
    };
    let refused = match store::users::mark(&txn, leave, edit, now).await? {
        Marked::Done => None,
        Marked::EmailTaken => Some(Changed::EmailTaken),
        Marked::Guarded if leave.over().contains(&before.role) => Some(Changed::LastAdmin),
        Marked::Guarded => Some(Changed::Forbidden),
    };
    if let Some(refused) = refused {
        txn.rollback().await?;
        return Ok(refused);
    }
    let is_off = edit.is_active == Some(false);
    let is_another_role = edit.role.is_some_and(|role| role != before.role);
    let ended = if is_off || is_another_role {
        store::sessions::close_all(&txn, leave.target(), None, now).await?
    } else {
        0
    };
    let Some(user) = store::users::find(&txn, leave.reading()).await? else {
        txn.rollback().await?;
        return Ok(Changed::NotFound);
    };
    txn.commit().await?;
    let (by, user_id, role, is_active) =
        (leave.by(), leave.target(), user.account.role.as_str(), user.account.is_active);
    tracing::info!(%by, %user_id, role, is_active, ended, "the rights of an account were set");
    Ok(Changed::Done(Box::new(user)))
}

/// What became of the wish for an admin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminMade {
    /// She is there.
    Made(Uuid),
    /// The username is another account's.
    UsernameTaken,
    /// The address is another account's.
    EmailTaken,
    /// The database is not migrated.
    NoSchema,
}

/// Makes an admin, because whoever runs the server wants one. An account that exists is never made one by this.
///
/// # Errors
/// When the database does not answer: then there is none.
pub async fn create_admin(
    services: &Services,
    username: &Username,
    email: Option<&Email>,
    password: &Password,
) -> Result<AdminMade, Error> {
    if !services.store.find_migrations().await?.pending.is_empty() {
        return Ok(AdminMade::NoSchema);
    }
    let hash = services.hasher.hash(password, services.random.bytes()).await?;
    let now = services.clock.now();
    let new = NewAccount {
        ids: NewIds { account: services.random.id(now), profile: services.random.id(now) },
        username,
        email,
        first_name: None,
        last_name: None,
        claimed_phone: None,
        password: &hash,
        role: Role::Admin,
    };
    Ok(match store::accounts::insert(&services.store, new, now).await? {
        Inserted::Account(account) => AdminMade::Made(account.id),
        Inserted::UsernameTaken => AdminMade::UsernameTaken,
        Inserted::EmailTaken => AdminMade::EmailTaken,
    })
}
