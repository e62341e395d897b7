//! Removing old rows, as the retention settings say, and guests who do not come back. Other accounts and leads stay.

use std::future::Future;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{
    Error, Services,
    audit::{self, Dropped},
    personal_data, statistics,
};
use crate::{
    domain::{
        account_merge::UNDO_FOR,
        audit::{Actor, Filter, Month},
        events::{DEAD_KEPT_FOR, RETRIED_FOR},
        retention::{GUESTS_KEPT_FOR, Retention},
    },
    store::{self, StoreError},
};

/// How many rows one statement removes, so that none holds locks for long.
const BATCH: u64 = 1000;

/// How long a used token is kept after it has expired. Another server's clock may be behind, and would still take the token.
const USED_TOKENS_KEPT_FOR: Duration = Duration::hours(1);

/// How many rows were removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Purged {
    /// Challenges that expired.
    pub challenges: u64,
    /// Messages.
    pub messages: u64,
    /// Sessions that expired or ended.
    pub sessions: u64,
    /// Budgets whose charges no longer count.
    pub budgets: u64,
    /// Blocks that ended.
    pub blocks: u64,
    /// Invitations that were ended, ran out or were used up.
    pub invitations: u64,
    /// Entries of the audit log.
    pub audit: u64,
    /// Events that were given up, and those that are not sent any more.
    pub events: u64,
    /// Tokens of other systems that have expired.
    pub used_tokens: u64,
    /// What was kept to undo merges of accounts.
    pub merges: u64,
    /// Guests who did not come back.
    pub guests: u64,
}

/// Removes rows that are older than the retention settings allow. Rows that are locked at the moment are left for the next
/// time, so several servers may do this at once.
///
/// # Errors
/// When the database does not answer: some rows may be removed, the rest is removed the next time.
pub async fn purge(services: &Services, retention: &Retention, by: Actor) -> Result<Purged, Error> {
    let (db, now) = (&services.store, services.clock.now());
    let before = |kept_for: Option<Duration>| kept_for.map(|kept_for| now - kept_for);
    let mut purged = Purged::default();
    in_batches(|| store::budgets::set_longest_life(db, now, BATCH)).await?;
    purged.budgets = in_batches(|| store::budgets::purge(db, now, BATCH)).await?;
    purged.events = purge_events(services, now).await?;
    let expired_before = now - USED_TOKENS_KEPT_FOR;
    purged.used_tokens = in_batches(|| store::used_tokens::purge(db, expired_before, BATCH)).await?;
    purged.merges = in_batches(|| store::merges::purge_snapshots(db, now - UNDO_FOR, BATCH)).await?;
    purged.guests = purge_guests(services, now).await?;
    if let Some(before) = before(retention.challenges) {
        purged.challenges = in_batches(|| store::otp::purge(db, before, BATCH)).await?;
    }
    if let Some(before) = before(retention.messages) {
        keep_counts(services, before).await?;
        purged.messages = in_batches(|| store::messages::purge(db, before, BATCH)).await?;
    }
    if let Some(before) = before(retention.sessions) {
        purged.sessions = in_batches(|| store::sessions::purge(db, before, BATCH)).await?;
    }
    if let Some(before) = before(retention.audit) {
        purged.blocks = in_batches(|| store::blocks::purge(db, before, BATCH)).await?;
        purged.invitations = in_batches(|| store::invitations::purge(db, before, BATCH)).await?;
        purged.audit = drop_months(services, before, by).await?;
    }
    Ok(purged)
}

/// Deletes guests who did not come back, each in a transaction of its own, as other accounts are deleted: so everything that belongs
/// to them goes, and receivers of events learn of it.
async fn purge_guests(services: &Services, now: DateTime<Utc>) -> Result<u64, Error> {
    let since = now - GUESTS_KEPT_FOR;
    let (mut deleted, mut after) = (0, Uuid::nil());
    loop {
        let unused = store::guests::list_unused(&services.store, since, after, BATCH).await?;
        let Some(last) = unused.last() else { return Ok(deleted) };
        after = last.id;
        for guest in &unused {
            deleted += u64::from(personal_data::delete_unused_guest(services, guest, since, now).await?);
        }
    }
}

/// Removes events that were given up long ago. Where no events are sent any more, also those that would have been given up by now.
async fn purge_events(services: &Services, now: DateTime<Utc>) -> Result<u64, Error> {
    let db = &services.store;
    let dead = in_batches(|| store::outbox::purge_dead(db, now - DEAD_KEPT_FOR, BATCH)).await?;
    if services.events.is_some() {
        return Ok(dead);
    }
    Ok(dead + in_batches(|| purge_old_events(services, now)).await?)
}

async fn purge_old_events(services: &Services, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let txn = services.store.begin().await?;
    let removed = store::outbox::purge_old(&txn, now - RETRIED_FOR, BATCH, now).await?;
    txn.commit().await?;
    Ok(removed)
}

/// Counts the messages that are about to be removed, and closes their days. What was counted must not depend on how long
/// messages are kept. Removing them does not depend on the counts either: privacy comes first.
async fn keep_counts(services: &Services, begins_before: DateTime<Utc>) -> Result<(), Error> {
    if let Err(error) = statistics::count_due(services).await {
        tracing::warn!(%error, "the messages of a day could not be counted");
    }
    Ok(store::statistics::close(&services.store, begins_before).await?)
}

/// Repeats a statement until it finds less than a full batch. Returns the number of all rows.
async fn in_batches<F, Fut>(batch: F) -> Result<u64, Error>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<u64, StoreError>>,
{
    let mut total = 0;
    loop {
        let removed = batch().await?;
        total += removed;
        if removed < BATCH {
            return Ok(total);
        }
    }
}

/// Drops the months of the audit log that ended before this time, if there are any.
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
