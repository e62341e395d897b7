//! Changes of accounts: by staff, and of names and address by the users themselves.

mod create;
mod reunite;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use self::{
    create::{NewPerson, NotCreated, create},
    reunite::{Reunited, reunite},
};
use super::{Error, Services, events, run_to_completion, second_factor, transaction};
use crate::{
    domain::{
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Actor, Event},
        credentials::{Email, Password, Username},
        events::{CreatedBy, EndReason, Fact},
        roles::EditPermission,
        second_factor::EnrolmentToken,
        signups::Admission,
        users::{Edit, User},
    },
    store::{
        self, Txn,
        accounts::{Inserted, NewAccount, NewIds},
        sessions::Ending,
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
    let updated = if services.events.is_some() {
        transaction(|| update_alone(services, permission, edit)).await?
    } else {
        store::users::update(&services.store, permission, edit, services.clock.now()).await?
    };
    let found = store::users::find(&services.store, permission.read_permission()).await?;
    Ok(match (updated, found) {
        (_, None) => Changed::NotFound,
        (Updated::EmailTaken, Some(_)) => Changed::EmailTaken,
        (Updated::Guarded, Some(_)) => Changed::Forbidden,
        (Updated::Done, Some(user)) => Changed::Done(Box::new(user)),
    })
}

/// Changes an account together with its event.
async fn update_alone(
    services: &Services,
    permission: EditPermission,
    edit: &Edit,
) -> Result<Updated, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    let updated = store::users::update(&txn, permission, edit, now).await?;
    if updated == Updated::Done {
        tell_edited(services, &txn, permission, edit, now).await?;
        txn.commit().await?;
    } else {
        txn.rollback().await?;
    }
    Ok(updated)
}

/// Writes the event of a change of names or address.
async fn tell_edited(
    services: &Services,
    txn: &Txn,
    permission: EditPermission,
    edit: &Edit,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let fields = edited_fields(edit);
    if fields.is_empty() {
        return Ok(());
    }
    let updated = Fact::UserUpdated { fields: &fields };
    events::write_of(services, txn, permission.target(), &[updated], now).await
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
    tell_edited(services, &txn, permission, edit, now).await?;
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
        tell_edited(services, &txn, permission, edit, now).await?;
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
    let fields = edited_fields(edit);
    (!fields.is_empty())
        .then(|| by_staff(Action::AccountEdited, permission, from).with("fields", fields.as_slice()))
}

/// The names of the fields with names or the address that a change sets.
fn edited_fields(edit: &Edit) -> Vec<&'static str> {
    let set = [
        ("first_name", edit.first_name.is_some()),
        ("last_name", edit.last_name.is_some()),
        ("email", edit.email.is_some()),
    ];
    set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect()
}

/// Writes the events of a change of rights.
async fn tell_rights(
    services: &Services,
    txn: &Txn,
    edit: &Edit,
    before: &Account,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let is_another_role = edit.role.is_some_and(|role| role != before.role);
    let is_activated = edit.is_active == Some(true) && !before.is_active;
    let mut fields = edited_fields(edit);
    fields.extend(is_another_role.then_some("role"));
    fields.extend(is_activated.then_some("is_active"));
    let is_off = edit.is_active == Some(false) && before.is_active;
    let updated = (!fields.is_empty()).then_some(Fact::UserUpdated { fields: &fields });
    let facts: Vec<Fact<'_>> = updated.into_iter().chain(is_off.then_some(Fact::Deactivated)).collect();
    events::write_of(services, txn, before.id, &facts, now).await
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
    tell_rights(services, &txn, edit, &before, now).await?;
    let ended = if is_off || is_another_role {
        let sessions = Ending::all(permission.target());
        events::close_sessions(services, &txn, sessions, EndReason::RightsChanged, now).await?
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
        ids: NewIds {
            admission: Admission::by_createsuperuser(),
            account: services.random.id(now),
            profile: services.random.id(now),
        },
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
    let created = Fact::UserCreated { by: CreatedBy::Command, role: Role::Admin, phone: None };
    events::write_of(services, &txn, id, &[created], now).await?;
    let event = Event::new(Action::Registered, Actor::Command).about(id);
    let event = event.with("by", "password").with("role", Role::Admin.as_str());
    services.audit.write(&txn, event, now).await?;
    let link = second_factor::insert_link(services, &txn, id, now).await?;
    txn.commit().await?;
    Ok(AdminMade::Made { id, link })
}
