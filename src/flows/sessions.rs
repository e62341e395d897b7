//! Ending sessions: one, the others, all.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, events, run_to_completion, transaction};
use crate::{
    domain::{
        access::SignedIn,
        address::ClientAddress,
        audit::{Action, Actor, Event},
        events::EndReason,
        roles::{EditPermission, Forbidden, may_control_own},
    },
    store::{self, sessions::Ending},
};

/// Ends one of the user's live sessions, which may be the current one. False when there is none with this id. [`Forbidden`] for
/// another session than the current one when the account has more rights than this session.
///
/// # Errors
/// When the database does not answer: the session may stay alive.
pub async fn end_one(
    services: &Arc<Services>,
    who: &SignedIn,
    id: Uuid,
) -> Result<Result<bool, Forbidden>, Error> {
    if id != who.session().id && may_control_own(who.session(), who.account()).is_err() {
        return Ok(Err(Forbidden));
    }
    let account_id = who.account().id;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let own = Ending::Own { account_id, id };
        Ok(Ok(events::close_sessions_alone(&services, own, EndReason::LoggedOut, now).await? == 1))
    })
    .await
}

/// The outcome of ending a session of another account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnded {
    /// The session is ended.
    Done,
    /// There is no such account, or it has no live session with this id.
    NotFound,
    /// The account belongs to staff, whom only admins may change.
    Forbidden,
}

/// Ends a live session of another account. The audit entry is written in the same transaction.
///
/// # Errors
/// When the database does not answer: the session stays alive.
pub async fn end_one_of_another(
    services: &Arc<Services>,
    permission: EditPermission,
    id: Uuid,
    from: ClientAddress,
) -> Result<SessionEnded, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| close_one(&services, permission, id, from)).await
    })
    .await
}

async fn close_one(
    services: &Services,
    permission: EditPermission,
    id: Uuid,
    from: ClientAddress,
) -> Result<SessionEnded, Error> {
    let (now, target) = (services.clock.now(), permission.target());
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let Some(account) = store::owners::claim(&txn, target).await? else {
        return Ok(SessionEnded::NotFound);
    };
    if !permission.over().contains(&account.role) {
        return Ok(SessionEnded::Forbidden);
    }
    let own = Ending::Own { account_id: target, id };
    if events::close_sessions(services, &txn, own, EndReason::Staff, now).await? == 0 {
        return Ok(SessionEnded::NotFound);
    }
    let event = Event::new(Action::SessionEnded, Actor::Staff(permission.by())).about(target).from(from);
    let event = Event { phone: account.phone, ..event }.with("sid", id);
    services.audit.write(&txn, event, now).await?;
    txn.commit().await?;
    Ok(SessionEnded::Done)
}

/// Ends all of the user's sessions except the current one. Returns their number. [`Forbidden`] when the account has more rights
/// than this session.
///
/// # Errors
/// When the database does not answer: the sessions may stay alive.
pub async fn end_others(
    services: &Arc<Services>,
    who: &SignedIn,
    from: ClientAddress,
) -> Result<Result<u64, Forbidden>, Error> {
    end_all_but(services, who, Some(who.session().id), from).await
}

/// Ends all of the user's sessions, and the device tokens. Returns the number of sessions. [`Forbidden`] as for [`end_others`].
///
/// # Errors
/// When the database does not answer: the sessions may stay alive.
pub async fn end_all(
    services: &Arc<Services>,
    who: &SignedIn,
    from: ClientAddress,
) -> Result<Result<u64, Forbidden>, Error> {
    end_all_but(services, who, None, from).await
}

/// Ends all sessions and invalidates all device tokens, because the user trusts none of the devices any more. The account
/// comes first, so that a parallel sign-in is either before both or after both.
async fn close_all_with_devices(services: &Services, id: Uuid, now: DateTime<Utc>) -> Result<u64, Error> {
    let txn = services.store.begin().await?;
    store::owners::end_devices(&txn, id).await?;
    let ended = events::close_sessions(services, &txn, Ending::all(id), EndReason::LoggedOut, now).await?;
    txn.commit().await?;
    Ok(ended)
}

async fn end_all_but(
    services: &Arc<Services>,
    who: &SignedIn,
    except: Option<Uuid>,
    from: ClientAddress,
) -> Result<Result<u64, Forbidden>, Error> {
    // A change of the role ends all sessions, so this one needs no second look.
    if may_control_own(who.session(), who.account()).is_err() {
        return Ok(Err(Forbidden));
    }
    let account_id = who.account().id;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let ended = match except {
            Some(_) => {
                let others = Ending::All { account_id, except };
                events::close_sessions_alone(&services, others, EndReason::LoggedOut, now).await?
            }
            None => transaction(|| close_all_with_devices(&services, account_id, now)).await?,
        };
        let event = Event::by_owner(Action::LoggedOutEverywhere, account_id).from(from);
        services.audit.note(event.with("ended", ended).with_known("kept", except), now);
        tracing::info!(user_id = %account_id, ended, "sessions ended by their owner");
        Ok(Ok(ended))
    })
    .await
}
