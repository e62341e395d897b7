//! Writing the log of SQLite back into the file of the database, beside the writer.
//!
//! By default the commit that fills the log does this, and all writers wait while it writes and syncs. Here a connection of its
//! own does the most while others write. The writer waits only for what they wrote in the meantime, because SQLite begins the
//! log anew when all of it was written back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use sea_orm::{DbBackend, DbErr, Statement};

use super::connections::{Connections, Lease};

/// After so many commits the log is written back: about a thousand pages, as by default. More would be lost in a power cut.
pub(super) const EVERY: u32 = 200;

/// At this size of the log, in pages, a commit writes it back after all: the commits were large.
pub(super) const MOST_PAGES: u32 = 4000;

/// How often the log is written back before the writer has to wait.
const ROUNDS: u32 = 3;

/// The writer waits if no more pages than these came in meanwhile.
const FEW_PAGES: i64 = 50;

/// So long it may wait for readers of the log, so that the log can begin anew.
pub(super) const WAIT_FOR_READERS: Duration = Duration::from_millis(100);

/// Writes back what is there, and waits for nothing.
const WRITE_BACK: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Writes back all, and lets the next writer begin the log anew.
const BEGIN_ANEW: &str = "PRAGMA wal_checkpoint(RESTART)";

#[derive(Clone)]
pub(super) struct Checkpoints(Arc<Inner>);

struct Inner {
    own: Connections,
    writer: Connections,
    every: u32,
    commits: AtomicU32,
    is_running: AtomicBool,
}

impl Checkpoints {
    pub(super) fn new(own: Connections, writer: Connections, every: u32) -> Self {
        let (commits, is_running) = (AtomicU32::default(), AtomicBool::default());
        Self(Arc::new(Inner { own, writer, every, commits, is_running }))
    }

    /// Counts a commit. Writes the log back in a task of its own if it is time.
    pub(super) fn count_commit(&self) {
        let commits = self.0.commits.fetch_add(1, Ordering::Relaxed) + 1;
        if commits < self.0.every || self.0.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        self.0.commits.store(0, Ordering::Relaxed);
        let this = self.clone();
        tokio::spawn(async move {
            match this.write_back().await {
                // The server is stopping.
                Ok(()) | Err(DbErr::ConnectionAcquire(_)) => {}
                Err(error) => tracing::warn!(%error, "the log of SQLite was not written back"),
            }
            this.0.is_running.store(false, Ordering::Release);
        });
    }

    async fn write_back(&self) -> Result<(), DbErr> {
        let mut own = self.0.own.lease().await?;
        let mut before = 0;
        for _ in 0..ROUNDS {
            let pages = run(&mut own, WRITE_BACK).await?;
            if pages - before <= FEW_PAGES {
                break;
            }
            before = pages;
        }
        let _writer = self.0.writer.lease().await?;
        run(&mut own, BEGIN_ANEW).await.map(drop)
    }

    pub(super) async fn close(&self) {
        self.0.own.close().await;
    }
}

/// Returns how many pages of the log are written back by now.
async fn run(connection: &mut Lease, checkpoint: &'static str) -> Result<i64, DbErr> {
    let answer = connection.run(&Statement::from_string(DbBackend::Sqlite, checkpoint)).await?;
    let Some(row) = answer.first_row() else { return Ok(0) };
    row.try_get_by_index(2)
}
