//! Giving an account back the phone that it lost.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::by_staff;
use crate::{
    domain::{
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Actor, Event},
        events::{EndReason, Fact},
        roles::EditPermission,
        users::User,
    },
    flows::{Error, Services, events, run_to_completion, transaction},
    store::{self, Txn, sessions::Ending},
};

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
    let mut entries = Vec::new();
    if let Some(holder) = &holder {
        match may_lose(permission, holder, unlinked_at) {
            Ok(()) => entries.push(take_phone(services, &txn, permission, holder, from, now).await?),
            Err(refused) => return Ok(refused),
        }
    }
    if !store::owners::set_reunited(&txn, old.id, now).await? {
        return Ok(Reunited::Taken);
    }
    events::write_phone_changed(services, &txn, old.id, (None, Some(phone)), now).await?;
    let Some(user) = store::users::find(&txn, permission.read_permission()).await? else {
        return Ok(Reunited::NotFound);
    };
    let event = by_staff(Action::AccountReunited, permission, from).phone(phone);
    entries.push(event.with_known("from_user_id", holder.as_ref().map(|holder| holder.id)));
    services.audit.write_all(&txn, entries, now).await?;
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
    services: &Services,
    txn: &Txn,
    permission: EditPermission,
    holder: &Account,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Event, Error> {
    store::owners::unlink_one(txn, holder.id, now).await?;
    events::write_phone_changed(services, txn, holder.id, (holder.phone.as_ref(), None), now).await?;
    events::write_of(services, txn, holder.id, &[Fact::Deactivated], now).await?;
    let sessions = Ending::all(holder.id);
    let ended = events::close_sessions(services, txn, sessions, EndReason::RightsChanged, now).await?;
    let event =
        Event::new(Action::AccountDeactivated, Actor::Staff(permission.by())).about(holder.id).from(from);
    Ok(Event { phone: holder.phone.clone(), ..event }.with("ended", ended))
}
