//! Event interests. Everybody asks for them and they hardly ever change, so they are remembered for a while.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Duration, Utc};

use super::{Error, Services};
use crate::{domain::interests::Interest, store};

/// For how long the interests are remembered: a change in the database shows within this time on every server.
pub const REMEMBERED_FOR: Duration = Duration::seconds(60);

type Remembered = Option<(DateTime<Utc>, Arc<[Interest]>)>;

/// The interests, as they were a moment ago.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Remembered>);

/// Every interest by name, those that cannot be chosen any more included.
///
/// # Errors
/// When the database does not answer and nothing is remembered yet. An old list is better than none.
pub async fn list(services: &Services) -> Result<Arc<[Interest]>, Error> {
    let now = services.clock.now();
    let cache = &services.interests.0;
    let remembered = cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((at, list)) = &remembered
        && *at <= now
        && now - at < REMEMBERED_FOR
    {
        return Ok(Arc::clone(list));
    }
    match store::interests::list(&services.store).await {
        Ok(list) => {
            let list: Arc<[Interest]> = list.into();
            *cache.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&list)));
            Ok(list)
        }
        Err(error) => match remembered {
            Some((_, list)) => {
                tracing::warn!(%error, "event interests could not be read again: an older list is used");
                Ok(list)
            }
            None => Err(error.into()),
        },
    }
}
