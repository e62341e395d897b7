//! Forgetting what does not count any more, for as long as the server runs. Whatever has no end of its own stays: accounts,
//! leads, and what `loopin-auth purge` removes when it is told to.

use super::{Error, Services};
use crate::store;

/// Removes the budgets of which nothing matters any more, and says how many rows they were. Several servers may do it at
/// once: a row that is charged meanwhile stays.
///
/// # Errors
/// When the database does not answer: then the rest is there for the next time.
pub async fn sweep(services: &Services) -> Result<u64, Error> {
    let gone = store::budgets::purge(&services.store, services.clock.now()).await?;
    if gone > 0 {
        tracing::debug!(budgets = gone, "budgets that were over were removed");
    }
    Ok(gone)
}
