//! What staff do to accounts, and what people change of their own.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, run_to_completion, transaction};
use crate::{
    domain::{
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Actor, Event},
        credentials::{Email, Password, Username},
        roles::EditPermission,
        users::{Edit, User},
    },
    store::{
        self, Txn,
        accounts::{Inserted, NewAccount, NewIds},
        users::Updated,
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
pub async fn change(
    services: &Arc<Services>,
    delete_account: EditPermission,
    edit: Edit,
    from: ClientAddress,
) -> Result<Changed, Error> {
    run_to_completion(services, move |services| async move {
        if edit.is_about_rights() {
            transaction(|| change_rights(&services, delete_account, &edit, from)).await
        } else if delete_account.by() != delete_account.target() {
            transaction(|| change_names_of_another(&services, delete_account, &edit, from)).await
        } else {
            change_names(&services, delete_account, &edit).await
        }
    })
    .await
}

async fn change_names(
    services: &Services,
    delete_account: EditPermission,
    edit: &Edit,
) -> Result<Changed, Error> {
    let marked = store::users::update(&services.store, delete_account, edit, services.clock.now()).await?;
    let found = store::users::find(&services.store, delete_account.read_permission()).await?;
    Ok(match (marked, found) {
        (_, None) => Changed::NotFound,
        (Updated::EmailTaken, Some(_)) => Changed::EmailTaken,
        (Updated::Guarded, Some(_)) => Changed::Forbidden,
        (Updated::Done, Some(user)) => Changed::Done(Box::new(user)),
    })
}

/// What staff do is written down with it.
async fn change_names_of_another(
    services: &Services,
    delete_account: EditPermission,
    edit: &Edit,
    from: ClientAddress,
) -> Result<Changed, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    let refused = match store::users::update(&txn, delete_account, edit, now).await? {
        Updated::Done => None,
        Updated::EmailTaken => Some(Changed::EmailTaken),
        Updated::Guarded => Some(Changed::Forbidden),
    };
    if let Some(refused) = refused {
        txn.rollback().await?;
        let found = store::users::find(&services.store, delete_account.read_permission()).await?;
        return Ok(found.map_or(Changed::NotFound, |_| refused));
    }
    let Some(user) = store::users::find(&txn, delete_account.read_permission()).await? else {
        txn.rollback().await?;
        return Ok(Changed::NotFound);
    };
    services.audit.write_all(&txn, edited(delete_account, edit, from).into_iter().collect(), now).await?;
    txn.commit().await?;
    Ok(Changed::Done(Box::new(user)))
}

fn by_staff(action: Action, delete_account: EditPermission, from: ClientAddress) -> Event {
    Event::new(action, Actor::Staff(delete_account.by())).about(delete_account.target()).from(from)
}

/// What of the names and the address was set: which, never to what.
fn edited(delete_account: EditPermission, edit: &Edit, from: ClientAddress) -> Option<Event> {
    let set = [
        ("first_name", edit.first_name.is_some()),
        ("last_name", edit.last_name.is_some()),
        ("email", edit.email.is_some()),
    ];
    let fields: Vec<&'static str> =
        set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    (!fields.is_empty())
        .then(|| by_staff(Action::AccountEdited, delete_account, from).with("fields", fields.as_slice()))
}

/// What a change of somebody's rights was, an entry for each.
fn acts(
    delete_account: EditPermission,
    edit: &Edit,
    before: &Account,
    ended: u64,
    from: ClientAddress,
) -> Vec<Event> {
    let role = edit.role.filter(|role| *role != before.role).map(|role| {
        let event = by_staff(Action::RoleChanged, delete_account, from).with("from", before.role.as_str());
        event.with("to", role.as_str()).with("ended", ended)
    });
    let switch = edit.is_active.filter(|is_active| *is_active != before.is_active).map(|is_active| {
        if is_active {
            by_staff(Action::AccountActivated, delete_account, from)
        } else {
            by_staff(Action::AccountDeactivated, delete_account, from).with("ended", ended)
        }
    });
    let mut acts: Vec<Event> =
        role.into_iter().chain(switch).chain(edited(delete_account, edit, from)).collect();
    for act in &mut acts {
        act.phone.clone_from(&before.phone);
    }
    acts
}

async fn change_rights(
    services: &Services,
    delete_account: EditPermission,
    edit: &Edit,
    from: ClientAddress,
) -> Result<Changed, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    if edit.takes_an_admin_away() && delete_account.over().contains(&Role::Admin) {
        store::owners::claim_admins(&txn).await?;
    }
    let Some(before) = store::owners::claim(&txn, delete_account.target()).await? else {
        txn.rollback().await?;
        return Ok(Changed::NotFound);
    };
    let refused = match store::users::update(&txn, delete_account, edit, now).await? {
        Updated::Done => None,
        Updated::EmailTaken => Some(Changed::EmailTaken),
        // The fixed code of a review number made it: it never does more than a user.
        Updated::Guarded if before.is_review && edit.role.is_some_and(|role| role > Role::User) => {
            Some(Changed::Forbidden)
        }
        Updated::Guarded if delete_account.over().contains(&before.role) => Some(Changed::LastAdmin),
        Updated::Guarded => Some(Changed::Forbidden),
    };
    if let Some(refused) = refused {
        txn.rollback().await?;
        return Ok(refused);
    }
    let is_off = edit.is_active == Some(false);
    let is_another_role = edit.role.is_some_and(|role| role != before.role);
    let ended = if is_off || is_another_role {
        store::sessions::close_all(&txn, delete_account.target(), None, now).await?
    } else {
        0
    };
    let Some(user) = store::users::find(&txn, delete_account.read_permission()).await? else {
        txn.rollback().await?;
        return Ok(Changed::NotFound);
    };
    services.audit.write_all(&txn, acts(delete_account, edit, &before, ended, from), now).await?;
    txn.commit().await?;
    let (by, user_id, role, is_active) =
        (delete_account.by(), delete_account.target(), user.account.role.as_str(), user.account.is_active);
    tracing::info!(%by, %user_id, role, is_active, ended, "the rights of an account were set");
    Ok(Changed::Done(Box::new(user)))
}

/// What became of the wish to give an account its phone back.
#[derive(Debug)]
pub enum Reunited {
    /// The phone is its own; it may have been before.
    Done(Box<User>),
    /// There is no such account.
    NotFound,
    /// It, or the one that has the phone now, is not one that whoever asks may act on.
    Forbidden,
    /// It lost no phone.
    NothingLost,
    /// The phone is that of an account which is older than the loss: whoever has it did not come by it through that.
    Taken,
}

/// Gives an account the phone back that it lost because it was not used for too long. The account that was opened with
/// the phone since is deactivated and loses it in its turn, and its sessions end.
///
/// # Errors
/// When the database does not answer: then nothing is changed.
pub async fn reunite(
    services: &Arc<Services>,
    delete_account: EditPermission,
    from: ClientAddress,
) -> Result<Reunited, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| refund_send(&services, delete_account, from)).await
    })
    .await
}

async fn refund_send(
    services: &Services,
    delete_account: EditPermission,
    from: ClientAddress,
) -> Result<Reunited, Error> {
    let now = services.clock.now();
    // Dropping the transaction undoes it.
    let txn = services.store.begin().await?;
    let claimed = store::owners::claim_with_successor(&txn, delete_account.target()).await?;
    let (mut old, mut others): (Vec<Account>, Vec<Account>) =
        claimed.into_iter().partition(|account| account.id == delete_account.target());
    let Some(old) = old.pop() else {
        return Ok(Reunited::NotFound);
    };
    if !delete_account.over().contains(&old.role) {
        return Ok(Reunited::Forbidden);
    }
    let (None, Some(phone), Some(unlinked_at)) = (&old.phone, &old.former_phone, old.unlinked_at) else {
        return Ok(match store::users::find(&txn, delete_account.read_permission()).await? {
            Some(user) if user.account.phone.is_some() => Reunited::Done(Box::new(user)),
            Some(_) => Reunited::NothingLost,
            None => Reunited::NotFound,
        });
    };
    let holder = others.pop();
    let mut acts = Vec::new();
    if let Some(holder) = &holder {
        match may_lose(delete_account, holder, unlinked_at) {
            Ok(()) => acts.push(take_phone(&txn, delete_account, holder, from, now).await?),
            Err(refused) => return Ok(refused),
        }
    }
    if !store::owners::set_reunited(&txn, old.id, now).await? {
        return Ok(Reunited::Taken);
    }
    let Some(user) = store::users::find(&txn, delete_account.read_permission()).await? else {
        return Ok(Reunited::NotFound);
    };
    let event = by_staff(Action::AccountReunited, delete_account, from).phone(phone);
    acts.push(event.with_known("from_user_id", holder.as_ref().map(|holder| holder.id)));
    services.audit.write_all(&txn, acts, now).await?;
    txn.commit().await?;
    tracing::info!(by = %delete_account.by(), user_id = %old.id, %phone, "an account has its number back");
    Ok(Reunited::Done(Box::new(user)))
}

/// Whether the account that has a phone now may lose it to the one that had it before.
fn may_lose(
    delete_account: EditPermission,
    holder: &Account,
    unlinked_at: DateTime<Utc>,
) -> Result<(), Reunited> {
    if holder.created_at < unlinked_at {
        Err(Reunited::Taken)
    } else if holder.id == delete_account.by() || holder.role != Role::User {
        // Nobody acts on herself, and no act on staff is a mere consequence of another.
        Err(Reunited::Forbidden)
    } else {
        Ok(())
    }
}

/// Deactivates the account that has a phone now, and takes it from it.
async fn take_phone(
    txn: &Txn,
    delete_account: EditPermission,
    holder: &Account,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Event, Error> {
    store::owners::unlink_one(txn, holder.id, now).await?;
    let ended = store::sessions::close_all(txn, holder.id, None, now).await?;
    let event =
        Event::new(Action::AccountDeactivated, Actor::Staff(delete_account.by())).about(holder.id).from(from);
    Ok(Event { phone: holder.phone.clone(), ..event }.with("ended", ended))
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
    txn.commit().await?;
    Ok(AdminMade::Made(id))
}
