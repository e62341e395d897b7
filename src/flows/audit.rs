//! Writing the audit log.
//!
//! What users do is queued and written a moment later, many entries at a time, so no request waits for it. What staff do is
//! written in the transaction of the change itself: either both happen or neither. A process that is killed loses the
//! entries of its last moment; one that is told to stop writes them first.
//!
//! Every function that writes fails when the database does not answer.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{sleep, timeout},
};
use uuid::{Builder, Uuid};

use super::{
    Error, Services,
    batches::{BATCH, RETRY_AFTER, Signals},
};
use crate::{
    domain::{
        audit::{Action, Actor, Dropping, Entry, Event, Fact, Month, NotYet, Settings},
        pseudonym::Pseudonyms,
    },
    random::Random,
    store::{self, Store, StoreError, Txn},
    telemetry::Metrics,
};

/// The maximum number of queued entries, some 25 MB. Nearly every request fails while the database is down, so this is
/// enough for hours of outage.
const MOST_WAITING: usize = 50_000;

/// The audit log. Clones share its queue.
#[derive(Debug, Clone)]
pub struct Audit {
    store: Store,
    random: Random,
    pseudonyms: Arc<Pseudonyms>,
    metrics: Metrics,
    queue: Arc<Mutex<Queue>>,
    /// The batch that is being written. The lock keeps entries in order. The batch stays here until the database has it,
    /// even if the task that writes it is cancelled.
    writing: Arc<AsyncMutex<Vec<Entry>>>,
    signals: Arc<Signals>,
    /// The maximum length of the queue.
    most_waiting: usize,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    last: LastId,
    /// How many entries were lost since the queue became full, and the time of the last of them.
    lost: Option<(u64, DateTime<Utc>)>,
    /// How many entries were lost since the start.
    lost_in_all: u64,
}

/// The parts of the last id.
#[derive(Debug, Clone, Copy, Default)]
struct LastId {
    millis: u64,
    count: u16,
}

impl LastId {
    /// The largest count: 12 bits, the `rand_a` of RFC 9562, section 5.7.
    const MOST: u16 = 0x0fff;

    /// An id that is larger than the last one: ids of the same millisecond are counted (RFC 9562, section 6.2, method 1).
    fn next(&mut self, random: &Random, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        *self = match self.count {
            _ if millis > self.millis => Self { millis, count: 0 },
            Self::MOST => Self { millis: self.millis + 1, count: 0 },
            count => Self { millis: self.millis, count: count + 1 },
        };
        let mut tail: [u8; 10] = random.bytes();
        for (target, byte) in tail.iter_mut().zip(self.count.to_be_bytes()) {
            *target = byte;
        }
        Builder::from_unix_timestamp_millis(self.millis, &tail).into_uuid()
    }
}

impl Audit {
    /// An audit log that is written to this database.
    #[must_use]
    pub fn new(store: Store, random: Random, pseudonyms: Arc<Pseudonyms>, metrics: Metrics) -> Self {
        Self {
            store,
            random,
            pseudonyms,
            metrics,
            queue: Arc::default(),
            writing: Arc::default(),
            signals: Arc::default(),
            most_waiting: MOST_WAITING,
        }
    }

    /// The same log. Entries that are noted here have these pseudonyms.
    #[must_use]
    pub fn with_pseudonyms(&self, pseudonyms: Arc<Pseudonyms>) -> Self {
        Self { pseudonyms, ..self.clone() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an entry. Never blocks; an entry is lost if the queue is full.
    pub fn note(&self, event: Event, now: DateTime<Utc>) {
        let mut queue = self.queue();
        if queue.entries.len() >= self.most_waiting {
            let lost = queue.lost.map_or(0, |(lost, _)| lost);
            queue.lost = Some((lost + 1, now));
            queue.lost_in_all += 1;
            self.metrics.audit_lost(1);
            return;
        }
        self.report_lost(&mut queue);
        self.push(&mut queue, event, now);
        let waiting = queue.entries.len();
        drop(queue);
        self.metrics.audit_queued(waiting);
        self.signals.queued(waiting);
    }

    fn push(&self, queue: &mut Queue, event: Event, now: DateTime<Utc>) {
        let id = queue.last.next(&self.random, now);
        queue.entries.push_back(event.entry(id, &self.pseudonyms, now));
    }

    /// Adds an entry that says how many were lost, now that there is room again. It comes after those that were queued
    /// before the loss.
    fn report_lost(&self, queue: &mut Queue) {
        if let Some((lost, at)) = queue.lost.take() {
            self.push(queue, Event::new(Action::AuditLost, Actor::System).with("entries", lost), at);
        }
    }

    /// Writes an entry in the transaction of the change that it records. If this fails, the transaction must not be
    /// committed.
    pub async fn write(&self, txn: &Txn, event: Event, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.write_all(txn, vec![event], now).await
    }

    /// Writes several entries in one statement; no statement for none. If this fails, the transaction must not be committed.
    pub async fn write_all(
        &self,
        txn: &Txn,
        events: Vec<Event>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let entries: Vec<Entry> = {
            let mut queue = self.queue();
            let entry = |event: Event| event.entry(queue.last.next(&self.random, now), &self.pseudonyms, now);
            events.into_iter().map(entry).collect()
        };
        store::audit::insert_many(txn, &entries).await
    }

    /// Writes everything that is queued. If this fails, the rest stays queued.
    pub async fn flush(&self) -> Result<(), StoreError> {
        while self.write_batch().await? {}
        Ok(())
    }

    /// Writes the oldest entries. False if there were none. If this fails, they stay queued.
    async fn write_batch(&self) -> Result<bool, StoreError> {
        let mut batch = self.writing.lock().await;
        if batch.is_empty() {
            let mut queue = self.queue();
            if queue.entries.is_empty() {
                self.report_lost(&mut queue);
            }
            let size = queue.entries.len().min(BATCH);
            batch.extend(queue.entries.drain(..size));
            self.metrics.audit_queued(queue.entries.len());
        }
        if batch.is_empty() {
            return Ok(false);
        }
        match store::audit::insert_many(&self.store, &batch).await {
            Ok(()) => batch.clear(),
            Err(StoreError::Unavailable(cause)) => return Err(StoreError::Unavailable(cause)),
            Err(_) => self.write_one_by_one(&mut batch).await?,
        }
        Ok(true)
    }

    /// Writes the entries of a refused batch one by one and drops those that are refused again. Otherwise the batch would
    /// be refused forever.
    async fn write_one_by_one(&self, batch: &mut Vec<Entry>) -> Result<(), StoreError> {
        while let Some(entry) = batch.first() {
            match store::audit::insert_many(&self.store, std::slice::from_ref(entry)).await {
                Ok(()) => {}
                Err(StoreError::Unavailable(cause)) => return Err(StoreError::Unavailable(cause)),
                Err(error) => {
                    tracing::error!(action = %entry.action, %error, "an entry of the audit log was refused and is lost");
                    self.queue().lost_in_all += 1;
                    self.metrics.audit_lost(1);
                }
            }
            batch.remove(0);
        }
        Ok(())
    }

    /// How many entries were lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue().lost_in_all
    }

    /// How many entries wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue().entries.len()
    }
}

/// Writes queued entries, for as long as the server runs. While the database does not answer it keeps trying, and new
/// entries stay queued.
pub async fn keep_writing(services: Arc<Services>) {
    let audit = &services.audit;
    loop {
        audit.signals.due(|| audit.waiting()).await;
        let mut is_failing = false;
        while let Err(error) = audit.write_batch().await {
            if !is_failing {
                tracing::warn!(waiting = audit.waiting(), %error, "the audit log cannot be written: trying again");
            }
            is_failing = true;
            sleep(RETRY_AFTER).await;
        }
        if is_failing {
            tracing::info!(lost = audit.lost(), "the audit log is written again");
        }
    }
}

/// Writes the remaining entries when the server stops, within this time.
pub async fn finish(services: &Services, limit: Duration) {
    let audit = &services.audit;
    match timeout(limit, audit.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the last entries of the audit log are lost"),
        Err(_) => tracing::error!(error = "it took too long", "the last entries of the audit log are lost"),
    }
}

/// Records that a server starts, and which settings differ from the last start.
pub async fn start(
    services: &Services,
    version: &'static str,
    environment: &'static str,
    settings: &Settings,
) -> Result<(), Error> {
    let (audit, now) = (&services.audit, services.clock.now());
    let started = Event::new(Action::ServerStarted, Actor::System);
    audit.note(started.with("version", version).with("environment", environment), now);
    note_settings(services, settings).await
}

/// Records what changed since the last time, and writes all entries that wait.
///
/// # Errors
/// When the database does not answer.
pub async fn note_settings(services: &Services, settings: &Settings) -> Result<(), Error> {
    let (audit, now) = (&services.audit, services.clock.now());
    let last = store::audit::find_last(&services.store, Action::SettingsChanged).await?;
    if let Some(changes) = settings.since(last.as_ref().map(|entry| &entry.detail), &services.pseudonyms) {
        let (changed, all) = changes.facts();
        let event = Event::new(Action::SettingsChanged, Actor::System);
        audit.note(event.with("changed", changed).with("settings", all), now);
    }
    Ok(audit.flush().await?)
}

/// The outcome of dropping old months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// This many entries were dropped.
    Entries(u64),
    /// The current month would have been among them.
    NotYet(NotYet),
    /// The database is not migrated.
    NoSchema,
}

/// Drops all months before this one, and records that.
///
/// # Errors
/// When the database does not answer, or its role does not own the table. Nothing is dropped.
pub async fn drop_before(services: &Services, month: Month, by: Actor) -> Result<Dropped, Error> {
    let now = services.clock.now();
    let dropping = match Dropping::before(month, now, services.zone) {
        Ok(dropping) => dropping,
        Err(not_yet) => return Ok(Dropped::NotYet(not_yet)),
    };
    if !services.store.find_migrations().await?.pending.is_empty() {
        return Ok(Dropped::NoSchema);
    }
    let txn = services.store.begin().await?;
    let dropped = store::audit::purge_before(&txn, dropping).await?;
    let event = Event::new(Action::AuditDropped, by);
    let event = event.with("before", Fact::shown(&month)).with("entries", dropped);
    services.audit.write(&txn, event, now).await?;
    txn.commit().await?;
    Ok(Dropped::Entries(dropped))
}

#[cfg(test)]
#[path = "audit/tests.rs"]
mod tests;
