//! A copy of rows that every request looks at, kept in memory for some seconds.
//!
//! A request that needs it reads it again when it is too old. The server that changes the rows forgets its copy, and a reading
//! that began before does not bring the old rows back.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Duration, Utc};
use tokio::sync::Mutex as AsyncMutex;

use crate::store::StoreError;

/// A copy, if there is one.
#[derive(Debug)]
pub(super) struct Cached<T> {
    state: Mutex<State<T>>,
    /// One reading at a time: the others wait for it and use its result.
    reading: AsyncMutex<()>,
}

#[derive(Debug)]
struct State<T> {
    copy: Option<(DateTime<Utc>, Arc<T>)>,
    /// How often the copy was forgotten.
    forgotten: u64,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        let state = Mutex::new(State { copy: None, forgotten: 0 });
        Self { state, reading: AsyncMutex::default() }
    }
}

impl<T> Cached<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copy, if it was read within this time. One from the future was read with a wrong clock and does not count.
    pub(super) fn within(&self, age: Duration, now: DateTime<Utc>) -> Option<Arc<T>> {
        let state = self.state();
        let (at, copy) = state.copy.as_ref()?;
        (*at <= now && now - *at < age).then(|| Arc::clone(copy))
    }

    /// The copy, if it was read within this time; else it is read again.
    pub(super) async fn get<F, Fut>(
        &self,
        age: Duration,
        now: DateTime<Utc>,
        read: F,
    ) -> Result<Arc<T>, StoreError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        if let Some(copy) = self.within(age, now) {
            return Ok(copy);
        }
        let _reading = self.reading.lock().await;
        if let Some(copy) = self.within(age, now) {
            return Ok(copy);
        }
        let forgotten = self.state().forgotten;
        let copy = Arc::new(read().await?);
        let mut state = self.state();
        if state.forgotten == forgotten {
            state.copy = Some((now, Arc::clone(&copy)));
        }
        Ok(copy)
    }

    /// The copy, whatever its age.
    pub(super) fn any(&self) -> Option<Arc<T>> {
        self.state().copy.as_ref().map(|(_, copy)| Arc::clone(copy))
    }

    /// Forgets the copy: the next request reads it again.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.copy = None;
        state.forgotten += 1;
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    const AGE: Duration = Duration::seconds(5);

    fn start() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap()
    }

    async fn value(cached: &Cached<u8>, now: DateTime<Utc>, read: u8) -> u8 {
        *cached.get(AGE, now, async || Ok(read)).await.unwrap()
    }

    #[tokio::test]
    async fn a_copy_is_used_until_it_is_too_old_or_forgotten() {
        let cached = Cached::default();
        for (seconds, read, used) in [(0, 1, 1), (4, 2, 1), (5, 3, 3), (9, 4, 3), (8, 5, 3), (4, 6, 6)] {
            assert_eq!(value(&cached, start() + Duration::seconds(seconds), read).await, used, "{seconds}");
        }
        cached.forget();
        assert_eq!(value(&cached, start() + Duration::seconds(4), 7).await, 7);
    }

    #[tokio::test]
    async fn a_reading_that_began_before_a_change_is_not_kept() {
        let cached = Cached::default();
        let read = cached.get(AGE, start(), async || {
            cached.forget();
            Ok(1)
        });
        assert_eq!(*read.await.unwrap(), 1);
        assert_eq!(value(&cached, start(), 2).await, 2);
    }
}
