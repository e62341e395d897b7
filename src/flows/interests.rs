//! Event interests. Every client requests them and they rarely change, so they are cached.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Duration, Utc};

use super::{Error, Services};
use crate::{domain::interests::Interest, store};

/// How long the interests are cached: a change in the database shows within this time on every server.
pub const CACHED_FOR: Duration = Duration::seconds(60);

type Cached = Option<(DateTime<Utc>, Arc<[Interest]>)>;

/// The cached interests, and when they were read.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Cached>);

/// Every interest by name, including those that can no longer be chosen.
///
/// # Errors
/// When the database does not answer and nothing is cached yet. An old list is better than none.
pub async fn list(services: &Services) -> Result<Arc<[Interest]>, Error> {
    let now = services.clock.now();
    let cache = &services.interests.0;
    let cached = cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((at, list)) = &cached
        && *at <= now
        && now - at < CACHED_FOR
    {
        return Ok(Arc::clone(list));
    }
    match store::interests::list(&services.store).await {
        Ok(list) => {
            let list: Arc<[Interest]> = list.into();
            *cache.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&list)));
            Ok(list)
        }
        Err(error) => match cached {
            Some((_, list)) => {
                tracing::warn!(%error, "event interests could not be read again: an older list is used");
                Ok(list)
            }
            None => Err(error.into()),
        },
    }
}
