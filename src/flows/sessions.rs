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

/// Ends a live session of hers, be it the one that she asks by. False when she has none of this id.
///
/// # Errors
/// When the database does not answer: then it may go on.
pub async fn end_one(services: &Arc<Services>, who: &SignedIn, id: Uuid) -> Result<bool, Error> {
    let account_id = who.account().id;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        Ok(store::sessions::close_own(&services.store, account_id, id, now).await?)
    })
    .await
}

/// Ends all of her sessions but the one that she asks by, and says how many they were.
///
/// # Errors
/// When the database does not answer: then they may go on.
pub async fn end_others(services: &Arc<Services>, who: &SignedIn, from: ClientAddress) -> Result<u64, Error> {
    end_all_but(services, who, Some(who.session().id), from).await
}

/// Ends all of her sessions, and says how many they were.
///
/// # Errors
/// When the database does not answer: then they may go on.
pub async fn end_all(services: &Arc<Services>, who: &SignedIn, from: ClientAddress) -> Result<u64, Error> {
    end_all_but(services, who, None, from).await
}

/// Whoever ends all of them trusts none of her devices any more. The account first, so that whoever signs in at this moment
/// is either before both or after both.
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
