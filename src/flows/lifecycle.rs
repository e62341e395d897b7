//! The end of a server: it says first that it takes no more work, and waits for the work that it has.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Whether the server stops, and what it still does.
#[derive(Debug)]
pub struct Lifecycle {
    is_stopping: AtomicBool,
    tasks: watch::Sender<()>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { is_stopping: AtomicBool::new(false), tasks: watch::Sender::new(()) }
    }
}

/// A use case that runs. It has ended when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    _receiver: watch::Receiver<()>,
}

impl Lifecycle {
    /// From now on the server is not ready, so that load balancers send their requests to another one.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the server was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) -> Running {
        Running { _receiver: self.tasks.subscribe() }
    }

    /// How many use cases run that complete without their client.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tasks.receiver_count()
    }

    /// Waits until no use case runs. Their clients may have gone, and what they send must be written down.
    pub async fn all_done(&self) {
        self.tasks.closed().await;
    }
}
