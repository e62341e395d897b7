//! Ending sessions: one, the others, all.

use std::sync::Arc;

use uuid::Uuid;

use super::{Error, Services, to_its_end};
use crate::{domain::access::SignedIn, store};

/// Ends a live session of hers, be it the one that she asks by. False when she has none of this id.
///
/// # Errors
/// When the database does not answer: then it may go on.
pub async fn end_one(services: &Arc<Services>, who: &SignedIn, id: Uuid) -> Result<bool, Error> {
    let account_id = who.account().id;
    to_its_end(services, move |services| async move {
        let now = services.clock.now();
        Ok(store::sessions::close_own(&services.store, account_id, id, now).await?)
    })
    .await
}

/// Ends all of her sessions but the one that she asks by, and says how many they were.
///
/// # Errors
/// When the database does not answer: then they may go on.
pub async fn end_others(services: &Arc<Services>, who: &SignedIn) -> Result<u64, Error> {
    let (account_id, except) = (who.account().id, Some(who.session().id));
    end_all_but(services, account_id, except).await
}

/// Ends all of her sessions, and says how many they were.
///
/// # Errors
/// When the database does not answer: then they may go on.
pub async fn end_all(services: &Arc<Services>, who: &SignedIn) -> Result<u64, Error> {
    end_all_but(services, who.account().id, None).await
}

async fn end_all_but(services: &Arc<Services>, account_id: Uuid, except: Option<Uuid>) -> Result<u64, Error> {
    to_its_end(services, move |services| async move {
        let now = services.clock.now();
        let ended = store::sessions::close_all(&services.store, account_id, except, now).await?;
        tracing::info!(user_id = %account_id, ended, "sessions ended by their owner");
        Ok(ended)
    })
    .await
}
