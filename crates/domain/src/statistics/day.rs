//! The days that are counted: when each begins and ends, and which are due.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use chrono_tz::Tz;

use super::MessageCounts;
use crate::{calendar::start_of_day, clocks::is_ahead};

/// How long after its end a day is still counted again: reports about its last messages arrive later.
const LATE: Duration = Duration::hours(24);

/// How often a day that has ended is counted again during that time. Few of its messages change.
const AGAIN: Duration = Duration::hours(1);

/// How many days back messages are counted when the counts are empty or the time zone has changed.
pub const LONGEST_BACK: u64 = 400;

/// How many days are counted in one run, so that a run never takes long. The newest come first; the others follow in the
/// next runs.
pub const MOST_DAYS: usize = 31;

/// A day in the product's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Its date.
    pub date: NaiveDate,
    /// When it begins.
    pub begins_at: DateTime<Utc>,
    /// When the next one begins.
    pub ends_at: DateTime<Utc>,
}

impl Day {
    /// The day of this date.
    #[must_use]
    pub fn from_date(date: NaiveDate, zone: Tz) -> Self {
        let next = date.succ_opt().unwrap_or(date);
        Self { date, begins_at: start_of_day(date, zone), ends_at: start_of_day(next, zone) }
    }

    /// The day that this time belongs to. Where clocks go back across midnight, the local date can be one that has not
    /// begun for good.
    #[must_use]
    pub fn at(time: DateTime<Utc>, zone: Tz) -> Self {
        let local = Self::from_date(time.with_timezone(&zone).date_naive(), zone);
        match local.date.pred_opt() {
            Some(yesterday) if time < local.begins_at => Self::from_date(yesterday, zone),
            _ => local,
        }
    }
}

/// A day that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The day, with the ends that it had then.
    pub day: Day,
    /// When it was counted.
    pub at: DateTime<Utc>,
    /// Whether its messages are purged in part. It is not counted again.
    pub is_closed: bool,
}

impl Counted {
    fn is_due(&self, day: Day, now: DateTime<Utc>) -> bool {
        if self.is_closed {
            return false;
        }
        // The time zone has changed, or a wrong clock counted it.
        if self.day != day || is_ahead(self.at, now) {
            return true;
        }
        let late = day.ends_at + LATE;
        let is_today = now < day.ends_at;
        is_today || self.at < day.ends_at || self.at < late && (now >= late || now - self.at >= AGAIN)
    }
}

/// The days that are to be counted now, newest first: today, yesterday while reports still come, days that were not counted
/// yet, and those whose ends have moved. `first` is the time of the oldest message.
#[must_use]
pub fn due(counted: &[Counted], first: Option<DateTime<Utc>>, zone: Tz, now: DateTime<Utc>) -> Vec<Day> {
    let counted: BTreeMap<NaiveDate, &Counted> = counted.iter().map(|day| (day.day.date, day)).collect();
    let today = Day::at(now, zone).date;
    let oldest = first.map_or(today, |first| Day::at(first.min(now), zone).date);
    let earliest = today.checked_sub_days(chrono::Days::new(LONGEST_BACK)).unwrap_or(today);
    let dates = std::iter::successors(Some(today), NaiveDate::pred_opt);
    dates
        .take_while(|date| *date >= oldest.max(earliest))
        .map(|date| Day::from_date(date, zone))
        .filter(|day| counted.get(&day.date).is_none_or(|counted| counted.is_due(*day, now)))
        .take(MOST_DAYS)
        .collect()
}

/// How far the phones of a day came. Each step counts the phones that did all steps before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Funnel {
    /// Phones to which a code was sent.
    pub asked: i64,
    /// Those that received one, or typed one: not every provider reports that a message arrived.
    pub delivered: i64,
    /// Those that typed the right code.
    pub verified: i64,
    /// Those whose account has a complete profile by now.
    pub completed: i64,
}

/// Everything that is counted of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayCounts {
    /// The phones.
    pub funnel: Funnel,
    /// How often a phone was locked by wrong guesses.
    pub locks: i64,
    /// How many requests for a code were refused, by the name of the budget, or by the reason where it was no budget.
    pub refusals: BTreeMap<String, i64>,
    /// The messages.
    pub messages: MessageCounts,
}
