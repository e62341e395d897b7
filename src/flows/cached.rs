//! A copy of rows that every request looks at, kept in memory.
//!
//! The copy follows a version that the database counts: when it was not compared for some seconds, the version is read, and the rows
//! only if it is another one. A running server compares every few seconds, so that requests rarely wait for it. The server that changes
//! the rows forgets its copy, and a reading that began before does not bring the old rows back.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Duration, Utc};
use tokio::sync::Mutex as AsyncMutex;

use crate::store::{self, Store, StoreError, versions::Copied};

/// A copy, if there is one.
#[derive(Debug)]
pub(super) struct Cached<T> {
    /// The table whose version is compared. Without one the rows are always read.
    of: Option<Copied>,
    state: Mutex<State<T>>,
    /// One reading at a time: the others wait for it and use its result.
    reading: AsyncMutex<()>,
}

#[derive(Debug)]
struct State<T> {
    copy: Option<Kept<T>>,
    /// How often the copy was forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Kept<T> {
    rows: Arc<T>,
    /// The version that was read before the rows. Without one the rows are always read.
    version: Option<i64>,
    read_at: DateTime<Utc>,
    /// When the version was read last.
    compared_at: DateTime<Utc>,
}

impl<T> Cached<T> {
    /// No copy yet of this table.
    pub(super) fn new(of: Copied) -> Self {
        Self { of: Some(of), ..Self::without_version() }
    }

    /// No copy yet of what is read by one short statement, so that a version would save nothing.
    pub(super) fn without_version() -> Self {
        Self {
            of: None,
            state: Mutex::new(State { copy: None, forgotten: 0 }),
            reading: AsyncMutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copy, if it was compared within this time. A comparison in the future was made with a wrong clock and does not count.
    pub(super) fn within(&self, age: Duration, now: DateTime<Utc>) -> Option<Arc<T>> {
        let state = self.state();
        let copy = state.copy.as_ref()?;
        (copy.compared_at <= now && now - copy.compared_at < age).then(|| Arc::clone(&copy.rows))
    }

    /// The copy, if it was compared within this time; else it is compared, and read again if it is not the newest.
    pub(super) async fn get<F, Fut>(
        &self,
        db: &Store,
        age: Duration,
        now: DateTime<Utc>,
        read: F,
    ) -> Result<Arc<T>, StoreError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        if let Some(rows) = self.within(age, now) {
            return Ok(rows);
        }
        let _reading = self.reading.lock().await;
        if let Some(rows) = self.within(age, now) {
            return Ok(rows);
        }
        let forgotten = self.state().forgotten;
        // Before the rows: a change in between then shows as another version the next time.
        let version = match self.of {
            Some(of) => store::versions::find(db, of).await?,
            None => None,
        };
        let (rows, read_at) = match self.unchanged(version, now) {
            Some(unchanged) => unchanged,
            None => (Arc::new(read().await?), now),
        };
        let mut state = self.state();
        if state.forgotten == forgotten {
            let rows = Arc::clone(&rows);
            state.copy = Some(Kept { rows, version, read_at, compared_at: now });
        }
        Ok(rows)
    }

    /// The copy and when it was read, if it has this version. Rows that were read in the future were chosen by a wrong clock.
    fn unchanged(&self, version: Option<i64>, now: DateTime<Utc>) -> Option<(Arc<T>, DateTime<Utc>)> {
        let state = self.state();
        let copy = state.copy.as_ref()?;
        let is_newest = version.is_some() && copy.version == version && copy.read_at <= now;
        is_newest.then(|| (Arc::clone(&copy.rows), copy.read_at))
    }

    /// The copy, whatever its age.
    pub(super) fn any(&self) -> Option<Arc<T>> {
        self.state().copy.as_ref().map(|copy| Arc::clone(&copy.rows))
    }

    /// Forgets the copy: the next request reads it again.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.copy = None;
        state.forgotten += 1;
    }
}

#[cfg(test)]
mod tests;
