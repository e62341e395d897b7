//! When a day begins in the product's time zone (`TIME_ZONE`). Budgets, the months of the audit log and review
//! numbers use it.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveTime, TimeZone, Utc, offset::LocalResult};
use chrono_tz::Tz;

/// The first moment after which the local date is never earlier than `day`. If clocks go forward at midnight, the day
/// begins later. In some zones clocks go back across midnight, so the previous day returns for a while. A zone that
/// crosses the date line may skip a whole day; that day begins when the next one does.
#[must_use]
pub fn start_of_day(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    match zone.from_local_datetime(&midnight) {
        LocalResult::Single(time) => time.to_utc(),
        LocalResult::Ambiguous(first, second) => {
            let before = second.to_utc() - Duration::seconds(1);
            if has_begun(day, before, zone) { first.to_utc() } else { second.to_utc() }
        }
        LocalResult::None => first_moment_after_gap(day, zone),
    }
}

/// The last year that both databases store, with a day after it.
pub const LAST_YEAR: i32 = 9_998;

/// Reads a day, `YYYY-MM-DD`. Only years that both databases store and compare, with a day before and after: `NaiveDate` itself
/// reads years of any length.
#[must_use]
pub fn read_day(text: &str) -> Option<NaiveDate> {
    let day = text.parse::<NaiveDate>().ok().filter(|_| text.len() == "2026-03-14".len());
    day.filter(|day| (1..=LAST_YEAR).contains(&day.year()))
}

/// The end of the local day at this time.
#[must_use]
pub fn end_of_day(now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let today = now.with_timezone(&zone).date_naive();
    today.succ_opt().map_or(DateTime::<Utc>::MAX_UTC, |tomorrow| start_of_day(tomorrow, zone))
}

fn has_begun(day: NaiveDate, time: DateTime<Utc>, zone: Tz) -> bool {
    time.with_timezone(&zone).date_naive() >= day
}

/// The first second of that day, or of a later one, if its midnight does not exist. No UTC offset exceeds 16 hours,
/// and clocks do not change twice within this range.
fn first_moment_after_gap(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let utc = day.and_time(NaiveTime::MIN).and_utc();
    let most = Duration::hours(16);
    let mut before = utc.checked_sub_signed(most).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let mut after = utc.checked_add_signed(most).unwrap_or(DateTime::<Utc>::MAX_UTC);
    while after - before > Duration::seconds(1) {
        let middle = before + Duration::seconds((after - before).num_seconds() / 2);
        if has_begun(day, middle, zone) { after = middle } else { before = middle }
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_of_a_year_that_databases_compare() {
        for good in ["2026-03-14", "0001-01-01", "9998-12-31"] {
            assert_eq!(read_day(good).map(|day| day.to_string()).as_deref(), Some(good));
        }
        for bad in [
            "",
            "14.3.2026",
            "2026-3-14",
            "2026-02-30",
            "0000-12-31",
            "9999-01-01",
            "+12026-03-14",
            "-2026-3-14",
        ] {
            assert_eq!(read_day(bad), None, "{bad}");
        }
    }

    fn time(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    const DAYS: [(&str, &str, &str, &str); 17] = [
        ("Asia/Kolkata", "2027-04-30", "2027-04-29T18:30:00Z", "an ordinary day"),
        ("UTC", "2027-02-01", "2027-02-01T00:00:00Z", "an ordinary day"),
        ("Africa/Cairo", "2027-04-30", "2027-04-29T22:00:00Z", "clocks go from 0:00 to 1:00"),
        ("Africa/Cairo", "2027-10-29", "2027-10-28T22:00:00Z", "clocks go from 24:00 back to 23:00"),
        ("Asia/Beirut", "2027-03-28", "2027-03-27T22:00:00Z", "clocks go from 0:00 to 1:00"),
        ("Asia/Beirut", "2027-10-31", "2027-10-30T22:00:00Z", "clocks go from 24:00 back to 23:00"),
        ("America/Havana", "2027-03-14", "2027-03-14T05:00:00Z", "clocks go from 0:00 to 1:00"),
        (
            "America/Havana",
            "2027-11-07",
            "2027-11-07T04:00:00Z",
            "clocks go from 1:00 back to 0:00, which comes twice",
        ),
        ("America/Asuncion", "2023-10-01", "2023-10-01T04:00:00Z", "clocks go from 0:00 to 1:00"),
        ("America/Asuncion", "2024-03-24", "2024-03-24T04:00:00Z", "clocks go from 24:00 back to 23:00"),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", "clocks go from 0:00 to 1:00"),
        ("America/St_Johns", "2010-11-07", "2010-11-07T03:30:00Z", "clocks go from 0:01 back to 23:01"),
        ("Australia/Lord_Howe", "2027-04-04", "2027-04-03T13:00:00Z", "clocks go back half an hour, at 2:00"),
        (
            "Australia/Lord_Howe",
            "2027-10-03",
            "2027-10-02T13:30:00Z",
            "clocks go forward half an hour, at 2:00",
        ),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", "a skipped day"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", "the day after it"),
        ("Pacific/Kwajalein", "1969-10-01", "1969-10-01T12:00:00Z", "the day before has 47 hours"),
    ];

    #[test]
    fn a_day_begins_when_it_is_never_an_earlier_one_again() {
        for (zone, day, expected, why) in DAYS {
            let (zone, day): (Tz, NaiveDate) = (zone.parse().unwrap(), day.parse().unwrap());
            assert_eq!(start_of_day(day, zone), time(expected), "{zone} {day}: {why}");
        }
    }

    #[test]
    fn whoever_waits_until_the_end_of_a_day_meets_another_one() {
        for (zone, day, ..) in DAYS {
            let (zone, day): (Tz, NaiveDate) = (zone.parse().unwrap(), day.parse().unwrap());
            let first = day.and_time(NaiveTime::MIN).and_utc() - Duration::hours(60);
            for minute in 0..(5 * 24 * 60) {
                let now = first + Duration::minutes(minute);
                let (today, end) = (now.with_timezone(&zone).date_naive(), end_of_day(now, zone));
                assert!(end > now, "{zone} {now}");
                assert!(end - now <= Duration::hours(48), "{zone} {now}: {end}");
                for later in [end, end + Duration::minutes(1), end + Duration::hours(1)] {
                    assert!(later.with_timezone(&zone).date_naive() > today, "{zone} {now}: {end}");
                }
            }
        }
    }

    #[test]
    fn a_skipped_midnight_is_waited_for_as_long_as_it_takes() {
        let now = time("2027-04-29T21:50:00Z");
        assert_eq!((end_of_day(now, Tz::Africa__Cairo) - now).num_seconds(), 600);
    }
}
