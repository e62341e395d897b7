//! The periodic work of a running server.

use chrono::Duration;

use super::{
    Error, Services, leads,
    purge::{Purged, purge},
    statistics,
};
use crate::{domain::audit::Actor, store};

/// How often old rows are removed, by all servers together.
pub const PURGE_EVERY: Duration = Duration::hours(1);

/// How often the messages of the last days are counted, by all servers together.
pub const COUNT_EVERY: Duration = Duration::minutes(5);

/// The names of the leases.
const PURGE_LEASE: &str = "purge";
const COUNT_LEASE: &str = "count";

/// Fills in what an earlier version did not write. It costs one statement when nothing is missing.
async fn fill_in(services: &Services) -> Result<(), Error> {
    let filled = leads::fill_in_countries(services).await?;
    if filled > 0 {
        tracing::info!(leads = filled, "the countries of leads were filled in");
    }
    Ok(())
}

/// Removes old rows, if no server did within the last hour; `None` if one did. The lease is not released early, because it also
/// records when this was last done.
///
/// # Errors
/// When the database does not answer: the rest is removed the next time.
pub async fn purge_if_due(services: &Services) -> Result<Option<Purged>, Error> {
    let now = services.clock.now();
    if !store::leases::claim(&services.store, PURGE_LEASE, now + PURGE_EVERY, now).await? {
        return Ok(None);
    }
    let purged = purge(services, &services.retention, Actor::System).await?;
    let Purged {
        challenges,
        messages,
        sessions,
        budgets,
        blocks,
        invitations,
        audit,
        events,
        used_tokens,
        merges,
        guests,
    } = purged;
    tracing::info!(
        challenges,
        messages,
        sessions,
        budgets,
        blocks,
        invitations,
        audit,
        events,
        used_tokens,
        merges,
        guests,
        "old rows were removed"
    );
    Ok(Some(purged))
}

/// Fills in missing values, and counts the messages of the days that are due, if no server did within the last minutes; `None` if
/// one did. Returns how many days were counted.
///
/// # Errors
/// When the database does not answer: the rest is counted the next time.
pub async fn count_if_due(services: &Services) -> Result<Option<usize>, Error> {
    let now = services.clock.now();
    if !store::leases::claim(&services.store, COUNT_LEASE, now + COUNT_EVERY, now).await? {
        return Ok(None);
    }
    fill_in(services).await?;
    statistics::fill_countries(services).await?;
    let days = statistics::count_due(services).await?;
    tracing::debug!(days, "the messages of days were counted");
    Ok(Some(days))
}
