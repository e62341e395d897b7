//! What a server does for as long as it runs, whether anybody asks or not.

use chrono::Duration;

use super::{
    Error, Services,
    purge::{Purged, purge},
};
use crate::{domain::audit::Actor, store};

/// How often what is over is removed, by all servers together.
pub const PURGE_EVERY: Duration = Duration::hours(1);

const PURGING: &str = "purge";

/// Removes what is over, if no server did within the last hour. The lease is not given back: it also says when it was done.
/// `None` when it is not time yet.
///
/// # Errors
/// When the database does not answer: then the rest is there for the next time.
pub async fn tend(services: &Services) -> Result<Option<Purged>, Error> {
    let now = services.clock.now();
    if !store::leases::claim(&services.store, PURGING, now + PURGE_EVERY, now).await? {
        return Ok(None);
    }
    let purged = purge(services, &services.retention, Actor::System).await?;
    let Purged { challenges, messages, sessions, budgets, audit } = purged;
    tracing::info!(challenges, messages, sessions, budgets, audit, "what was over was removed");
    Ok(Some(purged))
}
