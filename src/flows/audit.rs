//! Writing the audit log.
//!
//! What happens to people is noted and written a moment later, many entries at a time: a request waits for none of it. What
//! staff do is written in the transaction of the act: it has happened and is written down, or neither. A process that is
//! killed takes the entries of its last moment with it; one that is told to stop writes them first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{Mutex as Turn, Notify},
    time::{sleep, timeout},
};
use uuid::{Builder, Uuid};

use super::{Error, Services};
use crate::{
    domain::{
        audit::{Action, Actor, Dropping, Entry, Event, Fact, Month, NotYet, Settings},
        pseudonym::Pseudonyms,
    },
    random::Random,
    store::{self, Store, StoreError, Txn},
    telemetry::Metrics,
};

/// How many entries one statement writes: enough that a busy server writes a few times a second.
const BATCH: usize = 200;

/// How long an entry waits for others. It is what a killed process may lose.
const GATHERING: Duration = Duration::from_millis(200);

/// How long a database that is away is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// How many entries wait at most, which is some 25 MB. A database that is away refuses nearly every request, so this
/// many are hours of outage.
const MOST_WAITING: usize = 50_000;

/// The audit log.
#[derive(Debug)]
pub struct Audit {
    store: Store,
    random: Random,
    pseudonyms: Pseudonyms,
    metrics: Metrics,
    queue: Mutex<Queue>,
    /// Held by whoever writes, so that entries keep their order; and the batch that is being written. It stays here until
    /// the database has it, whoever gave up waiting.
    writing: Turn<Vec<Entry>>,
    /// There is something to write.
    some: Notify,
    /// There is enough for a batch.
    enough: Notify,
    /// How many entries may wait.
    most_waiting: usize,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    last: LastId,
    /// Those that found no place since there last was one, and when the last of them was noted.
    lost: Option<(u64, DateTime<Utc>)>,
    lost_in_all: u64,
}

/// What the last id was made of.
#[derive(Debug, Clone, Copy, Default)]
struct LastId {
    millis: u64,
    count: u16,
}

impl LastId {
    /// The largest count: 12 bits, the `rand_a` of RFC 9562, section 5.7.
    const MOST: u16 = 0x0fff;

    /// An id that is larger than the last one: of one millisecond they are counted (RFC 9562, section 6.2, method 1).
    fn next(&mut self, random: &Random, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        *self = match self.count {
            _ if millis > self.millis => Self { millis, count: 0 },
            Self::MOST => Self { millis: self.millis + 1, count: 0 },
            count => Self { millis: self.millis, count: count + 1 },
        };
        let mut cooldown: [u8; 10] = random.bytes();
        for (place, byte) in cooldown.iter_mut().zip(self.count.to_be_bytes()) {
            *place = byte;
        }
        Builder::from_unix_timestamp_millis(self.millis, &cooldown).into_uuid()
    }
}

impl Audit {
    /// An audit log in this database.
    #[must_use]
    pub fn new(store: Store, random: Random, pseudonyms: Pseudonyms, metrics: Metrics) -> Self {
        Self {
            store,
            random,
            pseudonyms,
            metrics,
            queue: Mutex::default(),
            writing: Turn::default(),
            some: Notify::new(),
            enough: Notify::new(),
            most_waiting: MOST_WAITING,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happened, to be written a moment later. Waits for nothing.
    pub fn note(&self, event: Event, now: DateTime<Utc>) {
        let mut queue = self.queue();
        if queue.entries.len() >= self.most_waiting {
            let lost = queue.lost.map_or(0, |(lost, _)| lost);
            queue.lost = Some((lost + 1, now));
            queue.lost_in_all += 1;
            self.metrics.audit_lost(1);
            return;
        }
        self.own_up(&mut queue);
        self.push(&mut queue, event, now);
        let waiting = queue.entries.len();
        drop(queue);
        self.metrics.audit_queued(waiting);
        self.some.notify_one();
        if waiting >= BATCH {
            self.enough.notify_one();
        }
    }

    fn push(&self, queue: &mut Queue, event: Event, now: DateTime<Utc>) {
        let id = queue.last.next(&self.random, now);
        queue.entries.push_back(event.entry(id, &self.pseudonyms, now));
    }

    /// Says how many entries were lost, now that there is room again: behind those that waited before them.
    fn own_up(&self, queue: &mut Queue) {
        if let Some((lost, at)) = queue.lost.take() {
            self.push(queue, Event::new(Action::AuditLost, Actor::System).with("entries", lost), at);
        }
    }

    /// Writes what happened in the transaction in which it happens.
    ///
    /// # Errors
    /// When the database does not answer: then the transaction must not be committed.
    pub async fn write(&self, txn: &Txn, event: Event, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.write_all(txn, vec![event], now).await
    }

    /// Writes several at once, in one statement; none takes none.
    ///
    /// # Errors
    /// When the database does not answer: then the transaction must not be committed.
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

    /// Writes everything that was noted so far.
    ///
    /// # Errors
    /// When the database does not answer: then the rest waits for the next time.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let mut batch = self.writing.lock().await;
        loop {
            if batch.is_empty() {
                let mut queue = self.queue();
                if queue.entries.is_empty() {
                    self.own_up(&mut queue);
                }
                let size = queue.entries.len().min(BATCH);
                batch.extend(queue.entries.drain(..size));
                self.metrics.audit_queued(queue.entries.len());
            }
            if batch.is_empty() {
                return Ok(());
            }
            match store::audit::insert_many(&self.store, &batch).await {
                Ok(()) => batch.clear(),
                Err(StoreError::Unavailable(cause)) => return Err(StoreError::Unavailable(cause)),
                Err(_) => self.write_one_by_one(&mut batch).await?,
            }
        }
    }

    /// A batch that the database refuses would be refused for ever: the entries that are to blame are left out.
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

/// Writes what is noted, for as long as the server runs. A database that is away is asked again and again; what was noted
/// meanwhile waits.
pub async fn keep_writing(services: Arc<Services>) {
    let audit = &services.audit;
    loop {
        audit.some.notified().await;
        // Until there is a batch, or it has been long enough.
        let _ = timeout(GATHERING, audit.enough.notified()).await;
        let mut is_away = false;
        while let Err(error) = audit.flush().await {
            if !is_away {
                tracing::warn!(waiting = audit.waiting(), %error, "the audit log cannot be written: it is tried again");
            }
            is_away = true;
            sleep(PAUSE).await;
        }
        if is_away {
            tracing::info!(lost = audit.lost(), "the audit log is written again");
        }
    }
}

/// Writes what is left at the end, within this time.
pub async fn finish(services: &Services, patience: Duration) {
    let audit = &services.audit;
    match timeout(patience, audit.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the last entries of the audit log are lost"),
        Err(_) => tracing::error!(error = "it took too long", "the last entries of the audit log are lost"),
    }
}

/// Writes down that a server starts, and which of its settings are other ones than at the last start.
///
/// # Errors
/// When the database does not answer.
pub async fn start(
    services: &Services,
    version: &'static str,
    environment: &'static str,
    settings: &Settings,
) -> Result<(), Error> {
    let (audit, now) = (&services.audit, services.clock.now());
    let started = Event::new(Action::ServerStarted, Actor::System);
    audit.note(started.with("version", version).with("environment", environment), now);
    let last = store::audit::find_last(&services.store, Action::SettingsChanged).await?;
    if let Some(changes) = settings.since(last.as_ref().map(|entry| &entry.detail), &services.pseudonyms) {
        let (changed, all) = changes.facts();
        let event = Event::new(Action::SettingsChanged, Actor::System);
        audit.note(event.with("changed", changed).with("settings", all), now);
    }
    Ok(audit.flush().await?)
}

/// What became of the wish to drop old months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// So many entries are gone.
    Entries(u64),
    /// The month that goes on would have been among them.
    NotYet(NotYet),
    /// The database is not migrated.
    NoSchema,
}

/// Drops all months before one, and writes that down.
///
/// # Errors
/// When the database does not answer, or its role does not own the table: then nothing is dropped.
pub async fn drop_before(services: &Services, month: Month, by: Actor) -> Result<Dropped, Error> {
    let now = services.clock.now();
    let delete_account = match Dropping::before(month, now, services.zone) {
        Ok(delete_account) => delete_account,
        Err(not_yet) => return Ok(Dropped::NotYet(not_yet)),
    };
    if !services.store.find_migrations().await?.pending.is_empty() {
        return Ok(Dropped::NoSchema);
    }
    let txn = services.store.begin().await?;
    let gone = store::audit::purge_before(&txn, delete_account).await?;
    let event = Event::new(Action::AuditDropped, by);
    let event = event.with("before", Fact::shown(&month)).with("entries", gone);
    services.audit.write(&txn, event, now).await?;
    txn.commit().await?;
    Ok(Dropped::Entries(gone))
}

#[cfg(test)]
#[path = "audit/tests.rs"]
mod tests;
