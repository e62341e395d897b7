//! The periodic work of a running server.

use chrono::Duration;

use super::{
    Error, Services, leads,
    purge::{Purged, purge},
};
use crate::{domain::audit::Actor, store};

/// How often old rows are removed, by all servers together.
pub const PURGE_EVERY: Duration = Duration::hours(1);

/// The name of the lease.
const PURGE_LEASE: &str = "purge";

/// Fills in what an earlier version did not write. It costs one statement when nothing is missing, so it needs no lease.
async fn fill_in(services: &Services) -> Result<(), Error> {
    let filled = leads::fill_in_countries(services).await?;
    if filled > 0 {
        tracing::info!(leads = filled, "the countries of leads were filled in");
    }
    Ok(())
}

/// Fills in missing values, and removes old rows, if no server did within the last hour; `None` if one did. The lease is not
/// released early, because it also records when this was last done.
///
/// # Errors
/// When the database does not answer: the rest is removed the next time.
pub async fn purge_if_due(services: &Services) -> Result<Option<Purged>, Error> {
    fill_in(services).await?;
    let now = services.clock.now();
    if !store::leases::claim(&services.store, PURGE_LEASE, now + PURGE_EVERY, now).await? {
        return Ok(None);
    }
    let purged = purge(services, &services.retention, Actor::System).await?;
    let Purged { challenges, messages, sessions, budgets, audit } = purged;
    tracing::info!(challenges, messages, sessions, budgets, audit, "old rows were removed");
    Ok(Some(purged))
}
