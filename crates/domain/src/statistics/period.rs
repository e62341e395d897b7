//! What the pages compare: a period with the one before, one share with another.

use std::str::FromStr;

use chrono::{Days, Duration, NaiveDate};

/// The days that a page sums up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Today, compared with the seven days before it.
    Today,
    /// The last seven days with today, compared with the seven before.
    Week,
    /// The last thirty days with today, compared with the thirty before.
    Month,
}

/// The text is not a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be today, 7 or 30")]
pub struct UnknownPeriod;

impl Period {
    /// Every period, the shortest first.
    pub const ALL: [Self; 3] = [Self::Today, Self::Week, Self::Month];

    /// The word in addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Week => "7",
            Self::Month => "30",
        }
    }

    fn days(self) -> u64 {
        match self {
            Self::Today => 1,
            Self::Week => 7,
            Self::Month => 30,
        }
    }

    fn days_before(self) -> u64 {
        match self {
            Self::Today | Self::Week => 7,
            Self::Month => 30,
        }
    }

    /// Its first day.
    #[must_use]
    pub fn begins(self, today: NaiveDate) -> NaiveDate {
        today.checked_sub_days(Days::new(self.days() - 1)).unwrap_or(today)
    }

    /// The first day of the time that it is compared with, which ends the day before it begins.
    #[must_use]
    pub fn compared_from(self, today: NaiveDate) -> NaiveDate {
        self.begins(today).checked_sub_days(Days::new(self.days_before())).unwrap_or(today)
    }
}

impl FromStr for Period {
    type Err = UnknownPeriod;

    fn from_str(text: &str) -> Result<Self, UnknownPeriod> {
        Self::ALL.into_iter().find(|period| period.as_str() == text).ok_or(UnknownPeriod)
    }
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    part: i64,
    whole: i64,
}

impl Share {
    /// A part of a whole; `None` when the whole is nothing.
    #[must_use]
    pub fn new(part: i64, whole: i64) -> Option<Self> {
        (whole > 0).then_some(Self { part, whole })
    }

    /// In tenths of a percent, rounded. All is only said of all, and none of none.
    #[must_use]
    pub fn permille(self) -> i64 {
        let rounded = (self.part * 2_000 + self.whole) / (self.whole * 2);
        match rounded {
            1_000 if self.part < self.whole => 999,
            0 if self.part > 0 => 1,
            rounded => rounded,
        }
    }

    /// How it differs from the share of another time.
    #[must_use]
    pub fn since(self, before: Self) -> Difference {
        Difference::from_change(self.permille() - before.permille())
    }
}

/// How a number has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It is higher by so much.
    Higher(i64),
    /// It is the same.
    Same,
    /// It is lower by so much.
    Lower(i64),
}

impl Difference {
    /// From a signed change.
    #[must_use]
    pub fn from_change(change: i64) -> Self {
        match change {
            0 => Self::Same,
            change if change > 0 => Self::Higher(change),
            change => Self::Lower(change.saturating_neg()),
        }
    }
}

/// How a time from a histogram has changed, in milliseconds. Both can be five percent off, so a change below a tenth is none.
#[must_use]
pub fn change_of(now: Duration, before: Duration) -> Difference {
    let (now, before) = (now.num_milliseconds(), before.num_milliseconds());
    let is_more_than_error = (now - before).abs() * 10 > now.max(before);
    Difference::from_change(if is_more_than_error { now - before } else { 0 })
}
