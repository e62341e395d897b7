//! Removing what was over long ago. Accounts and leads stay.

use std::future::Future;

use chrono::{DateTime, Duration, Utc};

use super::{
    Error, Services,
    audit::{self, Dropped},
};
use crate::{
    domain::{
        audit::{Actor, Filter, Month},
        retention::Retention,
    },
    store::{self, StoreError},
};

/// How many rows one statement removes, so that none holds locks for long.
const BATCH: u64 = 1000;

/// How many rows went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Purged {
    /// Challenges that were opened, and died, before.
    pub challenges: u64,
    /// Messages that were made before.
    pub messages: u64,
    /// Sessions that died or were ended before.
    pub sessions: u64,
    /// Budgets of which nothing matters any more.
    pub budgets: u64,
    /// Entries of the audit log.
    pub audit: u64,
}

/// Removes what was over longer ago than it is kept. Rows that others hold at the moment are left for the next time, so
/// several may do it at once.
///
/// # Errors
/// When the database does not answer: then some may be gone and the rest is there for the next time.
pub async fn purge(services: &Services, retention: &Retention, by: Actor) -> Result<Purged, Error> {
    let (db, now) = (&services.store, services.clock.now());
    let before = |kept: Option<Duration>| kept.map(|kept| now - kept);
    let mut purged = Purged::default();
    in_batches(|| store::budgets::mark_remembered(db, now, BATCH)).await?;
    purged.budgets = in_batches(|| store::budgets::purge(db, now, BATCH)).await?;
    if let Some(before) = before(retention.challenges) {
        purged.challenges = in_batches(|| store::otp::purge(db, before, BATCH)).await?;
    }
    if let Some(before) = before(retention.messages) {
        purged.messages = in_batches(|| store::messages::purge(db, before, BATCH)).await?;
    }
    if let Some(before) = before(retention.sessions) {
        purged.sessions = in_batches(|| store::sessions::purge(db, before, BATCH)).await?;
    }
    if let Some(before) = before(retention.audit) {
        purged.audit = drop_months(services, before, by).await?;
    }
    Ok(purged)
}

/// Until a statement finds less than it may take.
async fn in_batches<F, Fut>(batch: F) -> Result<u64, Error>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<u64, StoreError>>,
{
    let mut all = 0;
    loop {
        let some = batch().await?;
        all += some;
        if some < BATCH {
            return Ok(all);
        }
    }
}

/// Drops the months of the audit log that were over then, if there are any.
async fn drop_months(services: &Services, before: DateTime<Utc>, by: Actor) -> Result<u64, Error> {
    let month = Month::from_time(before, services.zone);
    let oldest = store::audit::list_after(&services.store, &Filter::default(), None, 1).await?;
    if oldest.first().is_none_or(|entry| entry.at >= month.begins(services.zone)) {
        return Ok(0);
    }
    match audit::drop_before(services, month, by).await? {
        Dropped::Entries(entries) => Ok(entries),
        Dropped::NotYet(_) | Dropped::NoSchema => Ok(0),
    }
}
