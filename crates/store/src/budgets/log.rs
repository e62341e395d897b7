//! The log of a budget's row: one text with an entry per charge, the newest first. An entry is the time in microseconds, 16
//! digits, and the charge's random number, 8 hexadecimal digits. It is a text and not an array, so that one statement on
//! both databases can read the nth entry and add another.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func, SimpleExpr};

use crate::entities::budget::{Column, Entity};
use domain::budget::ChargeId;

/// The length of an entry in bytes.
const ENTRY: usize = TIME + 8;

/// The length of its time.
const TIME: usize = 16;

/// The entry of a charge.
pub(super) fn entry(id: ChargeId) -> String {
    format!("{}{:08x}", time(id.at), id.chance)
}

/// A time as it stands in a log. The order of these texts is the order of their times.
pub(super) fn time(at: DateTime<Utc>) -> String {
    format!("{:016}", at.timestamp_micros().max(0))
}

/// The times of a log, the newest first.
pub(super) fn times(log: &str) -> Vec<DateTime<Utc>> {
    let time_of = |entry: &[u8]| {
        let micros = std::str::from_utf8(entry.get(..TIME)?).ok()?.parse().ok()?;
        DateTime::from_timestamp_micros(micros)
    };
    log.as_bytes().chunks(ENTRY).filter_map(time_of).collect()
}

/// The same log with times in the future replaced by `now`.
pub(super) fn without_future(log: &str, now: DateTime<Utc>) -> String {
    let (now, mut past) = (time(now), String::with_capacity(log.len()));
    let mut rest = log;
    while let Some((entry, others)) = rest.split_at_checked(ENTRY) {
        let (at, chance) = entry.split_at_checked(TIME).unwrap_or((entry, ""));
        past.push_str(at.min(now.as_str()));
        past.push_str(chance);
        rest = others;
    }
    past
}

/// The length of so many entries.
pub(super) fn length(entries: usize) -> i32 {
    i32::try_from(entries * ENTRY).unwrap_or(i32::MAX)
}

/// Where the nth entry begins; the first is 1. SQL counts characters from 1.
pub(super) fn position(nth: usize) -> i32 {
    length(nth.saturating_sub(1)) + 1
}

/// In SQL: the time of the entry at this position. It is empty where there is none, and so before all times.
pub(super) fn time_at(position: impl Into<SimpleExpr>) -> SimpleExpr {
    let time = i32::try_from(TIME).unwrap_or(i32::MAX);
    Func::cust("substr").arg(Expr::col((Entity, Column::Log))).arg(position.into()).arg(time).into()
}

#[cfg(test)]
mod tests {
    use chrono::{Duration, TimeZone as _};

    use super::*;

    #[test]
    fn an_entry_is_read_back_and_ordered_as_its_time() {
        let at = Utc.with_ymd_and_hms(2026, 11, 21, 6, 0, 0).unwrap() + Duration::microseconds(7);
        let (one, other) = (ChargeId { at, chance: 1 }, ChargeId { at, chance: u32::MAX });
        assert_eq!(entry(one), "179524080000000700000001");
        assert_eq!(entry(other), "1795240800000007ffffffff");
        assert_eq!(times(&format!("{}{}", entry(other), entry(one))), [at, at]);
        assert!(time(at) < time(at + Duration::microseconds(1)));
        assert!(times("").is_empty());
    }

    #[test]
    fn a_time_in_the_future_becomes_now() {
        let now = Utc.with_ymd_and_hms(2026, 11, 21, 6, 0, 0).unwrap();
        let log = |seconds: i64| {
            let at = |at| entry(ChargeId { at, chance: 5 });
            format!("{}{}", at(now + Duration::seconds(seconds)), at(now - Duration::seconds(1)))
        };
        assert_eq!(without_future(&log(10), now), log(0));
        assert_eq!(without_future(&log(0), now), log(0));
    }

    #[test]
    fn positions_count_characters_from_one() {
        assert_eq!((position(1), position(2), length(2)), (1, 25, 48));
    }
}
