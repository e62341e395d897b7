//! Changes of accounts: by staff, and of names and address by the users themselves.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, run_to_completion, second_factor, transaction};
use crate::{
    domain::{
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Actor, Event},
        credentials::{Email, Password, Username},
        roles::EditPermission,
        second_factor::EnrolmentToken,
        users::{Edit, User},
    },
    store::{
        self, Txn,
        accounts::{Inserted, NewAccount, NewIds},
        users::Updated,
    },
};

/// The outcome of a change.
#[derive(Debug)]
pub enum Changed {
    /// The account as it is now.
    Done(Box<User>),
    /// There is no such account.
    NotFound,
    /// The account belongs to staff, whom only admins may change.
    Forbidden,
    /// It is the last active admin, and there must be one.
    LastAdmin,
    /// Another account has this e-mail address.
    EmailTaken,
}

/// Changes an account and returns it. A change of the role, like a deactivation, ends all sessions of the account in the
/// same transaction.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn change(
    services: &Arc<Services>,
    permission: EditPermission,
    edit: Edit,
    from: ClientAddress,
) -> Result<Changed, Error> {
    run_to_completion(services, move |services| async move {
        if edit.is_about_rights() {
            transaction(|| change_rights(&services, permission, &edit, from)).await
        } else if permission.by() != permission.target() {
            transaction(|| change_names_of_another(&services, permission, &edit, from)).await
        } else {
            change_names(&services, permission, &edit).await
        }
    })
    .await
}

async fn change_names(
    services: &Services,
    permission: EditPermission,
    edit: &Edit,
) -> Result<Changed, Error> {
    let updated = store::users::update(&services.store, permission, edit, services.clock.now()).await?;
    let found = store::users::find(&services.store, permission.read_permission()).await?;
    Ok(match (updated, found) {
        (_, None) => Changed::NotFound,
        (Updated::EmailTaken, Some(_)) => Changed::EmailTaken,
        (Updated::Guarded, Some(_)) => Changed::Forbidden,
        (Updated::Done, Some(user)) => Changed::Done(Box::new(user)),
    })
}

/// Changes the names of another account: the audit entry is written in the same transaction.
async fn change_names_of_another(
    services: &Services,
    permission: EditPermission,
    edit: &Edit,
    from: ClientAddress,
) -> Result<Changed, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    let refused = match store::users::update(&txn, permission, edit, now).await? {
        Updated::Done => None,
        Updated::EmailTaken => Some(Changed::EmailTaken),
        Updated::Guarded => Some(Changed::Forbidden),
    };
    if let Some(refused) = refused {
        txn.rollback().await?;
        let found = store::users::find(&services.store, permission.read_permission()).await?;
        return Ok(found.map_or(Changed::NotFound, |_| refused));
    }
    let Some(user) = store::users::find(&txn, permission.read_permission()).await? else {
        txn.rollback().await?;
        return Ok(Changed::NotFound);
    };
    services.audit.write_all(&txn, edited(permission, edit, from).into_iter().collect(), now).await?;
    txn.commit().await?;
    Ok(Changed::Done(Box::new(user)))
}

/// The outcome of a change of names that was made on a page.
#[derive(Debug)]
pub enum NamesEdited {
    /// The account was changed.
    Done,
    /// There is no such account.
    NotFound,
    /// The account belongs to staff, whom only admins may change.
    Forbidden,
    /// Another account has this e-mail address.
    EmailTaken,
    /// The account was changed since the page was opened. This is the account as it is now.
    Stale(Box<User>),
}

/// Changes names or the e-mail address, unless the account was changed since `seen`. The caller of the console shows what others
/// did instead of overwriting it. The audit entry is written in the same transaction, unless it is the own account.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn edit_names(
    services: &Arc<Services>,
    permission: EditPermission,
    edit: Edit,
    seen: DateTime<Utc>,
    from: ClientAddress,
) -> Result<NamesEdited, Error> {
    let edit = Edit { role: None, is_active: None, if_changed_at: Some(seen), ..edit };
    run_to_completion(services, move |services| async move {
        transaction(|| edit_names_in_transaction(&services, permission, &edit, from)).await
    })
    .await
}

async fn edit_names_in_transaction(
    services: &Services,
    permission: EditPermission,
    edit: &Edit,
    from: ClientAddress,
) -> Result<NamesEdited, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    let updated = store::users::update(&txn, permission, edit, now).await?;
    if updated == Updated::Done {
        let is_own = permission.by() == permission.target();
        let events = edited(permission, edit, from).into_iter().filter(|_| !is_own).collect();
        services.audit.write_all(&txn, events, now).await?;
        txn.commit().await?;
        return Ok(NamesEdited::Done);
    }
    txn.rollback().await?;
    let Some(user) = store::users::find(&services.store, permission.read_permission()).await? else {
        return Ok(NamesEdited::NotFound);
    };
    Ok(match updated {
        Updated::EmailTaken => NamesEdited::EmailTaken,
        Updated::Guarded | Updated::Done if !permission.over().contains(&user.account.role) => {
            NamesEdited::Forbidden
        }
        Updated::Guarded | Updated::Done => NamesEdited::Stale(Box::new(user)),
    })
}

fn by_staff(action: Action, permission: EditPermission, from: ClientAddress) -> Event {
    Event::new(action, Actor::Staff(permission.by())).about(permission.target()).from(from)
}

/// The audit entry of a change of names or address. It holds the names of the fields, never their values.
fn edited(permission: EditPermission, edit: &Edit, from: ClientAddress) -> Option<Event> {
    let set = [
        ("first_name", edit.first_name.is_some()),
        ("last_name", edit.last_name.is_some()),
        ("email", edit.email.is_some()),
    ];
    let fields: Vec<&'static str> =
        set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    (!fields.is_empty())
        .then(|| by_staff(Action::AccountEdited, permission, from).with("fields", fields.as_slice()))
}

/// The audit entries of a change of rights, one for each change.
fn rights_events(
    permission: EditPermission,
    edit: &Edit,
    before: &Account,
    ended: u64,
    from: ClientAddress,
) -> Vec<Event> {
    let role = edit.role.filter(|role| *role != before.role).map(|role| {
        let event = by_staff(Action::RoleChanged, permission, from).with("from", before.role.as_str());
        event.with("to", role.as_str()).with("ended", ended)
    });
    let activation = edit.is_active.filter(|is_active| *is_active != before.is_active).map(|is_active| {
        if is_active {
            by_staff(Action::AccountActivated, permission, from)
        } else {
            by_staff(Action::AccountDeactivated, permission, from).with("ended", ended)
        }
    });
    let mut events: Vec<Event> =
        role.into_iter().chain(activation).chain(edited(permission, edit, from)).collect();
    for event in &mut events {
        event.phone.clone_from(&before.phone);
    }
    events
}

async fn change_rights(
    services: &Services,
    permission: EditPermission,
    edit: &Edit,
    from: ClientAddress,
) -> Result<Changed, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    if edit.takes_an_admin_away() && permission.over().contains(&Role::Admin) {
        store::owners::claim_admins(&txn).await?;
    }
    let Some(before) = store::owners::claim(&txn, permission.target()).await? else {
        txn.rollback().await?;
        return Ok(Changed::NotFound);
    };
    let refused = match store::users::update(&txn, permission, edit, now).await? {
        Updated::Done => None,
        Updated::EmailTaken => Some(Changed::EmailTaken),
        // An account that the fixed code of a review number created never gets more rights than a user.
        Updated::Guarded if before.is_review && edit.role.is_some_and(|role| role > Role::User) => {
            Some(Changed::Forbidden)
        }
        Updated::Guarded if permission.over().contains(&before.role) => Some(Changed::LastAdmin),
        Updated::Guarded => Some(Changed::Forbidden),
    };
    if let Some(refused) = refused {
        txn.rollback().await?;
        return Ok(refused);
    }
    let is_off = edit.is_active == Some(false);
    let is_another_role = edit.role.is_some_and(|role| role != before.role);
    let ended = if is_off || is_another_role {
        store::sessions::close_all(&txn, permission.target(), None, now).await?
    } else {
        0
    };
    let Some(user) = store::users::find(&txn, permission.read_permission()).await? else {
        txn.rollback().await?;
        return Ok(Changed::NotFound);
    };
    services.audit.write_all(&txn, rights_events(permission, edit, &before, ended, from), now).await?;
    txn.commit().await?;
    let (by, user_id, role, is_active) =
        (permission.by(), permission.target(), user.account.role.as_str(), user.account.is_active);
    tracing::info!(%by, %user_id, role, is_active, ended, "the rights of an account were set");
    Ok(Changed::Done(Box::new(user)))
}

/// The outcome of giving an account its phone back.
#[derive(Debug)]
pub enum Reunited {
    /// The account has the phone. It may have had it before.
    Done(Box<User>),
    /// There is no such account.
    NotFound,
    /// The caller may not change this account, or the one that has the phone now.
    Forbidden,
    /// The account lost no phone.
    NothingLost,
    /// Another account has the phone, and it is older than the loss: it got the phone in another way.
    Taken,
}

/// Gives an account back the phone that it lost because it was not used for too long. The account that was created with the
/// phone since then loses the phone and is deactivated, and its sessions end.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn reunite(
    services: &Arc<Services>,
    permission: EditPermission,
    from: ClientAddress,
) -> Result<Reunited, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| return_phone(&services, permission, from)).await
    })
    .await
}

async fn return_phone(
    services: &Services,
    permission: EditPermission,
    from: ClientAddress,
) -> Result<Reunited, Error> {
    let now = services.clock.now();
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let claimed = store::owners::claim_with_successor(&txn, permission.target()).await?;
    let (mut old, mut others): (Vec<Account>, Vec<Account>) =
        claimed.into_iter().partition(|account| account.id == permission.target());
    let Some(old) = old.pop() else {
        return Ok(Reunited::NotFound);
    };
    if !permission.over().contains(&old.role) {
        return Ok(Reunited::Forbidden);
    }
    let (None, Some(phone), Some(unlinked_at)) = (&old.phone, &old.former_phone, old.unlinked_at) else {
        return Ok(match store::users::find(&txn, permission.read_permission()).await? {
            Some(user) if user.account.phone.is_some() => Reunited::Done(Box::new(user)),
            Some(_) => Reunited::NothingLost,
            None => Reunited::NotFound,
        });
    };
    let holder = others.pop();
    let mut events = Vec::new();
    if let Some(holder) = &holder {
        match may_lose(permission, holder, unlinked_at) {
            Ok(()) => events.push(take_phone(&txn, permission, holder, from, now).await?),
            Err(refused) => return Ok(refused),
        }
    }
    if !store::owners::set_reunited(&txn, old.id, now).await? {
        return Ok(Reunited::Taken);
    }
    let Some(user) = store::users::find(&txn, permission.read_permission()).await? else {
        return Ok(Reunited::NotFound);
    };
    let event = by_staff(Action::AccountReunited, permission, from).phone(phone);
    events.push(event.with_known("from_user_id", holder.as_ref().map(|holder| holder.id)));
    services.audit.write_all(&txn, events, now).await?;
    txn.commit().await?;
    tracing::info!(by = %permission.by(), user_id = %old.id, %phone, "an account has its number back");
    Ok(Reunited::Done(Box::new(user)))
}

/// Whether the account that has the phone now may lose it to the one that had it before.
fn may_lose(
    permission: EditPermission,
    holder: &Account,
    unlinked_at: DateTime<Utc>,
) -> Result<(), Reunited> {
    if holder.created_at < unlinked_at {
        Err(Reunited::Taken)
    } else if holder.id == permission.by() || holder.role != Role::User {
        // Staff do not change their own account this way, and staff accounts are never changed as a side effect.
        Err(Reunited::Forbidden)
    } else {
        Ok(())
    }
}

/// Takes the phone from the account that has it now, and deactivates that account.
async fn take_phone(
    txn: &Txn,
    permission: EditPermission,
    holder: &Account,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Event, Error> {
    store::owners::unlink_one(txn, holder.id, now).await?;
    let ended = store::sessions::close_all(txn, holder.id, None, now).await?;
    let event =
        Event::new(Action::AccountDeactivated, Actor::Staff(permission.by())).about(holder.id).from(from);
    Ok(Event { phone: holder.phone.clone(), ..event }.with("ended", ended))
}

/// The outcome of creating an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminMade {
    /// The admin was created.
    Made {
        /// The account.
        id: Uuid,
        /// The link that sets up its second factor.
        link: EnrolmentToken,
    },
    /// Another account has this username.
    UsernameTaken,
    /// Another account has this e-mail address.
    EmailTaken,
    /// The database is not migrated.
    NoSchema,
}

/// Creates an admin, for the operator's command line. It never turns an existing account into an admin.
///
/// # Errors
/// When the database does not answer: no admin is created.
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
    let txn = services.store.begin().await?;
    let id = match store::accounts::insert(&txn, new, now).await? {
        Inserted::Account(account) => account.id,
        Inserted::UsernameTaken => {
            txn.rollback().await?;
            return Ok(AdminMade::UsernameTaken);
        }
        Inserted::EmailTaken => {
            txn.rollback().await?;
            return Ok(AdminMade::EmailTaken);
        }
    };
    let event = Event::new(Action::Registered, Actor::Command).about(id);
    let event = event.with("by", "password").with("role", Role::Admin.as_str());
    services.audit.write(&txn, event, now).await?;
    let link = second_factor::insert_link(services, &txn, id, now).await?;
    txn.commit().await?;
    Ok(AdminMade::Made { id, link })
}
