//! The clock and the counters of a measurement. They run only while the load does.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::process;

/// How often the memory is looked at.
const EVERY: Duration = Duration::from_millis(100);

/// CPU seconds. `None` where they cannot be known, as of a PostgreSQL on another machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    /// Of the server.
    pub server: Option<f64>,
    /// Of PostgreSQL with its backends.
    pub database: Option<f64>,
    /// Of PgBouncer. `None` without one.
    pub pooler: Option<f64>,
    /// Of this program.
    pub loadtest: Option<f64>,
}

/// Measures what a server uses.
#[derive(Debug)]
pub struct Meter {
    server: Option<u32>,
    postmaster: Option<u32>,
    pooler: Option<u32>,
    elapsed: Duration,
    used: Used,
    running: Option<(Instant, Used)>,
}

impl Meter {
    /// A meter that stands still. The processes are those of the server, of PostgreSQL and of PgBouncer.
    #[must_use]
    pub fn new(server: Option<u32>, postmaster: Option<u32>, pooler: Option<u32>) -> Self {
        let nothing = |process: Option<u32>| process.map(|_| 0.0);
        let none = Used {
            server: nothing(server),
            database: nothing(postmaster),
            pooler: nothing(pooler),
            loadtest: Some(0.0),
        };
        Self { server, postmaster, pooler, elapsed: Duration::ZERO, used: none, running: None }
    }

    fn read(&self) -> Used {
        Used {
            server: self.server.and_then(process::cpu),
            database: self.postmaster.and_then(process::cpu_with_children),
            pooler: self.pooler.and_then(process::cpu),
            loadtest: process::cpu(std::process::id()),
        }
    }

    /// Starts, or goes on.
    pub fn start(&mut self) {
        self.running = Some((Instant::now(), self.read()));
    }

    /// Stops, if it runs.
    pub fn stop(&mut self) {
        if let Some((began, before)) = self.running.take() {
            self.elapsed += began.elapsed();
            let after = self.read();
            let add =
                |sum: Option<f64>, before: Option<f64>, after: Option<f64>| Some(sum? + after? - before?);
            self.used = Used {
                server: add(self.used.server, before.server, after.server),
                database: add(self.used.database, before.database, after.database),
                pooler: add(self.used.pooler, before.pooler, after.pooler),
                loadtest: add(self.used.loadtest, before.loadtest, after.loadtest),
            };
        }
    }

    /// For how long it ran.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The CPU time that was used meanwhile.
    #[must_use]
    pub fn used(&self) -> Used {
        self.used
    }
}

/// Looks at the memory of a process until it is dropped.
#[derive(Debug)]
pub struct PeakMemory {
    peak: Arc<Mutex<f64>>,
    task: JoinHandle<()>,
}

impl PeakMemory {
    /// Begins to look.
    #[must_use]
    pub fn of(process: u32) -> Self {
        let peak = Arc::new(Mutex::new(0.0));
        let shared = Arc::clone(&peak);
        let task = tokio::spawn(async move {
            loop {
                raise(&shared, process::memory(process).unwrap_or_default());
                sleep(EVERY).await;
            }
        });
        Self { peak, task }
    }

    /// The most so far, in MiB. `None` if nothing could be read.
    #[must_use]
    pub fn mebibytes(&self) -> Option<f64> {
        Some(*self.peak.lock().unwrap_or_else(PoisonError::into_inner)).filter(|peak| *peak > 0.0)
    }
}

fn raise(peak: &Mutex<f64>, now: f64) {
    let mut peak = peak.lock().unwrap_or_else(PoisonError::into_inner);
    *peak = now.max(*peak);
}

impl Drop for PeakMemory {
    fn drop(&mut self) {
        self.task.abort();
    }
}
