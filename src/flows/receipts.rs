//! What the provider confirmed about messages, written a moment later.
//!
//! The row of a message is written before the message is sent. That the provider accepted it, and by which id, is queued and
//! written with others, so no request waits for it. A refusal or an unknown outcome is not queued: what it gives back must be
//! there before the answer.
//!
//! A process that is killed loses the receipts of its last moment. Those messages stay "pending" until their first report, which
//! finds them by its address. At SIGTERM a process writes its receipts first.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex as AsyncMutex, time::timeout};
use uuid::Uuid;

use super::batches::{BATCH, Signals};
use crate::{
    domain::delivery::Delivery,
    store::{self, Store, StoreError, messages::Receipt},
    telemetry::Metrics,
};

/// The maximum number of queued receipts, some two megabytes. Few messages leave while the database is down, so only a database
/// that is too slow fills the queue.
const MOST_WAITING: usize = 5_000;

/// How long a read of messages waits until receipts are written. While the database is away, reads must not wait for each other.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// A receipt that is not written yet.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    /// The delivery that the message belongs to.
    pub(super) delivery_id: Uuid,
    /// The receipt.
    pub(super) receipt: Receipt,
}

/// The receipts that are not written yet.
#[derive(Debug)]
pub struct Receipts {
    store: Store,
    metrics: Metrics,
    /// Oldest first. A receipt stays here until the database has it, even if the task that writes it is cancelled.
    queue: Mutex<VecDeque<Queued>>,
    /// Messages that were accepted, but that a report had called lost before that was written.
    lost: Mutex<Vec<Delivery>>,
    /// Only its holder takes receipts from the queue.
    writing: AsyncMutex<()>,
    signals: Signals,
    /// The maximum length of the queue.
    most_waiting: usize,
}

impl Receipts {
    /// Receipts that are written to this database.
    #[must_use]
    pub fn new(store: Store, metrics: Metrics) -> Self {
        Self {
            store,
            metrics,
            queue: Mutex::default(),
            lost: Mutex::default(),
            writing: AsyncMutex::default(),
            signals: Signals::default(),
            most_waiting: MOST_WAITING,
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Queued>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages that were accepted, but that a report had called lost before that was written.
    pub(super) fn lost(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a receipt, or writes it now if the queue is full.
    pub(super) async fn record(&self, queued: Queued) -> Result<(), StoreError> {
        match self.push(queued) {
            None => Ok(()),
            Some(receipt) => self.write(&[receipt]).await,
        }
    }

    /// Queues a receipt, or returns it if the queue is full.
    fn push(&self, queued: Queued) -> Option<Receipt> {
        let mut queue = self.queue();
        if queue.len() >= self.most_waiting {
            return Some(queued.receipt);
        }
        queue.push_back(queued);
        let waiting = queue.len();
        drop(queue);
        self.metrics.receipts_queued(waiting);
        self.signals.queued(waiting);
        None
    }

    async fn write(&self, receipts: &[Receipt]) -> Result<(), StoreError> {
        let lost = store::messages::update_many(&self.store, receipts).await?;
        if !lost.is_empty() {
            self.lost().extend(lost);
            self.signals.queued(0);
        }
        Ok(())
    }

    /// Writes the oldest receipts. If this fails, they stay queued.
    pub(super) async fn write_batch(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        let batch = self.batch();
        match self.write(&batch).await {
            Err(StoreError::Unavailable(cause)) => return Err(StoreError::Unavailable(cause)),
            Err(_) => self.write_one_by_one(&batch).await?,
            Ok(()) => {}
        }
        self.remove(batch.len());
        Ok(())
    }

    /// The oldest receipts. Each is about another message, as one statement needs it.
    fn batch(&self) -> Vec<Receipt> {
        let mut messages = HashSet::new();
        let queue = self.queue();
        let different = queue.iter().take(BATCH).take_while(|it| messages.insert(it.receipt.message_id));
        different.map(|it| it.receipt.clone()).collect()
    }

    fn remove(&self, count: usize) {
        let mut queue = self.queue();
        let count = count.min(queue.len());
        queue.drain(..count);
        self.metrics.receipts_queued(queue.len());
    }

    /// Writes the receipts of a refused batch one by one and drops those that are refused again. Otherwise the batch would be
    /// refused forever.
    async fn write_one_by_one(&self, batch: &[Receipt]) -> Result<(), StoreError> {
        for receipt in batch {
            match self.write(std::slice::from_ref(receipt)).await {
                Err(StoreError::Unavailable(cause)) => return Err(StoreError::Unavailable(cause)),
                Err(error) => {
                    let message_id = receipt.message_id;
                    tracing::error!(%message_id, %error, "a receipt of the provider was refused and is lost");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Writes everything that is queued. If this fails, the rest stays queued.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let mut left = self.waiting();
        while left > 0 {
            self.write_batch().await?;
            // What is queued meanwhile may wait.
            left = self.waiting().min(left - 1);
        }
        Ok(())
    }

    /// Before rows of messages are read: writes what is queued. A failure is not reported, because the rows can be read all the
    /// same: they are a moment old then.
    pub async fn settle(&self) {
        let settled = timeout(SETTLE_LIMIT, self.flush()).await;
        if !matches!(settled, Ok(Ok(()))) {
            tracing::debug!("the receipts of the provider could not be written before a read");
        }
    }

    /// As [`Self::settle`], but only if a receipt of such a message is queued.
    pub(super) async fn settle_if(&self, is_wanted: impl Fn(&Queued) -> bool) {
        if self.queue().iter().any(is_wanted) {
            self.settle().await;
        }
    }

    /// How many receipts wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue().len()
    }

    /// Waits until there is something to do.
    pub(super) async fn due(&self) {
        self.signals.due(|| self.waiting().max(if self.lost().is_empty() { 0 } else { BATCH })).await;
    }
}

#[cfg(test)]
#[path = "receipts/tests.rs"]
mod tests;
