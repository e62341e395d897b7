//! When the writer of a queue writes: a short time after the first entry, or as soon as there is a full batch. It waits again
//! after every batch, so a busy server sends a few large statements a second.

use std::time::Duration;

use tokio::{sync::Notify, time::timeout};

/// How many entries a batch has at most: enough that a busy server writes a few times a second.
pub(super) const BATCH: usize = 500;

/// How long an entry waits for others: also the time whose entries a killed process may lose.
const GATHERING: Duration = Duration::from_millis(200);

/// How long to wait before the next try when the database does not answer.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Wakes the writer of a queue.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// The queue is not empty.
    some: Notify,
    /// The queue has a full batch.
    enough: Notify,
}

impl Signals {
    /// The queue has so many entries now.
    pub(super) fn queued(&self, waiting: usize) {
        self.some.notify_one();
        if waiting >= BATCH {
            self.enough.notify_one();
        }
    }

    /// Waits until a batch is due. `waiting` counts the entries of the queue.
    pub(super) async fn due(&self, waiting: impl Fn() -> usize) {
        while waiting() == 0 {
            self.some.notified().await;
        }
        let full = async {
            while waiting() < BATCH {
                self.enough.notified().await;
            }
        };
        // Either way a batch is due.
        let _ = timeout(GATHERING, full).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_due_after_a_short_time_or_when_it_is_full() {
        let (signals, waiting) = (Signals::default(), AtomicUsize::new(0));
        let due = || signals.due(|| waiting.load(Ordering::Relaxed));
        let queue = |count| {
            waiting.store(count, Ordering::Relaxed);
            signals.queued(count);
        };
        assert!(timeout(GATHERING * 10, due()).await.is_err(), "nothing is queued");
        queue(1);
        assert!(timeout(GATHERING / 2, due()).await.is_err(), "it waits for others");
        assert!(timeout(GATHERING, due()).await.is_ok());
        // The rest of a batch waits again, although a full one was announced before.
        queue(BATCH);
        assert!(timeout(Duration::ZERO, due()).await.is_ok(), "a full batch waits for nothing");
        queue(3);
        assert!(timeout(GATHERING / 2, due()).await.is_err());
    }
}
