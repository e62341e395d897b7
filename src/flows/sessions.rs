//! Ending sessions: one, the others, all.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, run_to_completion, transaction};
use crate::{
    domain::{
        access::SignedIn,
        address::ClientAddress,
        audit::{Action, Event},
    },
    store,
};

/// Ends one of the user's live sessions, which may be the current one. False when there is none with this id.
///
/// # Errors
/// When the database does not answer: the session may stay alive.
pub async fn end_one(services: &Arc<Services>, who: &SignedIn, id: Uuid) -> Result<bool, Error> {
    let account_id = who.account().id;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        Ok(store::sessions::close_own(&services.store, account_id, id, now).await?)
    })
    .await
}

/// Ends all of the user's sessions except the current one. Returns their number.
///
/// # Errors
/// When the database does not answer: the sessions may stay alive.
pub async fn end_others(services: &Arc<Services>, who: &SignedIn, from: ClientAddress) -> Result<u64, Error> {
    end_all_but(services, who, Some(who.session().id), from).await
}

/// Ends all of the user's sessions. Returns their number.
///
/// # Errors
/// When the database does not answer: the sessions may stay alive.
pub async fn end_all(services: &Arc<Services>, who: &SignedIn, from: ClientAddress) -> Result<u64, Error> {
    end_all_but(services, who, None, from).await
}

/// Ends all sessions and invalidates all device tokens, because the user trusts none of the devices any more. The account
/// comes first, so that a parallel sign-in is either before both or after both.
async fn close_all_with_devices(services: &Services, id: Uuid, now: DateTime<Utc>) -> Result<u64, Error> {
    let txn = services.store.begin().await?;
    store::owners::end_devices(&txn, id).await?;
    let ended = store::sessions::close_all(&txn, id, None, now).await?;
    txn.commit().await?;
    Ok(ended)
}

async fn end_all_but(
    services: &Arc<Services>,
    who: &SignedIn,
    except: Option<Uuid>,
    from: ClientAddress,
) -> Result<u64, Error> {
    let account_id = who.account().id;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let ended = match except {
            Some(_) => store::sessions::close_all(&services.store, account_id, except, now).await?,
            None => transaction(|| close_all_with_devices(&services, account_id, now)).await?,
        };
        let event = Event::by_owner(Action::LoggedOutEverywhere, account_id).from(from);
        services.audit.note(event.with("ended", ended).with_known("kept", except), now);
        tracing::info!(user_id = %account_id, ended, "sessions ended by their owner");
        Ok(ended)
    })
    .await
}
