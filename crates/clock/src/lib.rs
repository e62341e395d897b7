//! The clock. Code that needs the time takes a [`Clock`] or, better, a time as an argument.

use std::{
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration as StdDuration, Instant, SystemTime},
};

use chrono::{DateTime, Duration, DurationRound, Utc};

/// The zero point of [`Clock::steady`].
#[expect(clippy::disallowed_methods, reason = "the only place that reads the system's clock")]
static FIRST_USE: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The source of the time.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that moves only by [`Clock::advance`], for tests.
    Fixed(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// A fixed clock at this time.
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self::Fixed(Arc::new(Mutex::new(at)))
    }

    /// The time in whole microseconds, the precision of PostgreSQL, so that a stored time equals the one that is read back.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self {
            #[expect(clippy::disallowed_methods, reason = "the only place that reads the system's clock")]
            Self::System => DateTime::from(SystemTime::now()),
            Self::Fixed(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        };
        now.duration_trunc(Duration::microseconds(1)).unwrap_or(now)
    }

    /// The time since an arbitrary moment in the past. Unlike [`Clock::now`] it does not jump when the system's clock is set.
    /// It is only meaningful within this process.
    #[must_use]
    pub fn steady(&self) -> StdDuration {
        match self {
            Self::System => FIRST_USE.elapsed(),
            Self::Fixed(_) => (self.now() - DateTime::UNIX_EPOCH).to_std().unwrap_or_default(),
        }
    }

    /// Moves a fixed clock; does nothing to the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Self::Fixed(at) = self {
            *at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}
