//! The time of day. Everything that needs it is handed a [`Clock`] or, better, a time.

use std::{
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration as StdDuration, Instant, SystemTime},
};

use chrono::{DateTime, Duration, DurationRound, Utc};

/// From when [`Clock::steady`] counts.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
static FIRST_ASKED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Where the time comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that only moves when it is told to, for tests.
    Fixed(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// A clock that stands still at this time.
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self::Fixed(Arc::new(Mutex::new(at)))
    }

    /// The time, in whole microseconds: PostgreSQL keeps no more, and a time must equal itself when it is read back.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
            Self::System => DateTime::from(SystemTime::now()),
            Self::Fixed(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        };
        now.duration_trunc(Duration::microseconds(1)).unwrap_or(now)
    }

    /// The time since some moment in the past. Unlike [`Clock::now`] it does not jump when somebody sets the machine's
    /// clock, and means nothing to another process. It is for what is counted in this one.
    #[must_use]
    pub fn steady(&self) -> StdDuration {
        match self {
            Self::System => FIRST_ASKED.elapsed(),
            Self::Fixed(_) => (self.now() - DateTime::UNIX_EPOCH).to_std().unwrap_or_default(),
        }
    }

    /// Moves a fixed clock; the machine's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Self::Fixed(at) = self {
            *at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}
