//! Forgetting what nobody needs any more. Accounts and leads stay.

use chrono::Duration;

use super::{Error, Services};
use crate::store;

/// How many rows went.
#[derive(Debug, Clone, Copy)]
pub struct Purged {
    /// Challenges that died before.
    pub challenges: u64,
    /// Messages that were made before.
    pub messages: u64,
    /// Sessions that died or were ended before.
    pub sessions: u64,
}

/// Removes the challenges, messages and sessions that were over this long ago.
///
/// # Errors
/// When the database does not answer: then some may be gone and the rest is there for the next time.
pub async fn purge(services: &Services, older_than: Duration) -> Result<Purged, Error> {
    let before = services.clock.now() - older_than;
    Ok(Purged {
        challenges: store::otp::purge(&services.store, before).await?,
        messages: store::messages::purge(&services.store, before).await?,
        sessions: store::sessions::purge(&services.store, before).await?,
    })
}
