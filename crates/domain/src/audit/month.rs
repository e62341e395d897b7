//! Months of the audit log, which is dropped by whole months.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use thiserror::Error;

use crate::calendar::start_of_day;

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(NaiveDate);

/// The text is not a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a month such as 2026-05")]
pub struct MonthError;

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let (year, month) = text.split_once('-').ok_or(MonthError)?;
        let whole = |digits: &str, length: usize| {
            (digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| digits.parse().ok())
                .flatten()
        };
        let (year, month) = whole(year, 4).zip(whole(month, 2)).ok_or(MonthError)?;
        NaiveDate::from_ymd_opt(i32::try_from(year).map_err(|_| MonthError)?, month, 1)
            .map(Self)
            .ok_or(MonthError)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}

impl Month {
    /// The local month at this time.
    #[must_use]
    pub fn from_time(now: DateTime<Utc>, zone: chrono_tz::Tz) -> Self {
        let today = now.with_timezone(&zone).date_naive();
        Self(today.with_day(1).unwrap_or(today))
    }

    /// When it begins in this time zone.
    #[must_use]
    pub fn begins(self, zone: chrono_tz::Tz) -> DateTime<Utc> {
        start_of_day(self.0, zone)
    }
}

/// Permission to drop the months before one. Only [`Dropping::before`] creates it.
#[derive(Debug, Clone, Copy)]
pub struct Dropping(DateTime<Utc>);

/// The month has not ended yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("only months that are over can be dropped: before {current} at most")]
pub struct NotYet {
    /// The current month.
    pub current: Month,
}

impl Dropping {
    /// Permits dropping all months before this one, if they are over.
    ///
    /// # Errors
    /// [`NotYet`] if the current month would be dropped.
    pub fn before(month: Month, now: DateTime<Utc>, zone: chrono_tz::Tz) -> Result<Self, NotYet> {
        let current = Month::from_time(now, zone);
        if month > current { Err(NotYet { current }) } else { Ok(Self(month.begins(zone))) }
    }

    /// The first moment that is kept.
    #[must_use]
    pub fn begins(self) -> DateTime<Utc> {
        self.0
    }
}
