//! Times in sentences, in the product's time zone.

use chrono::{DateTime, Datelike, Duration, Timelike, Utc};
use chrono_tz::Tz;

/// The time of a sentence, and its time zone.
#[derive(Debug, Clone, Copy)]
pub struct Local {
    now: DateTime<Utc>,
    zone: Tz,
}

impl Local {
    /// Sentences that are said now, in this zone.
    #[must_use]
    pub fn new(now: DateTime<Utc>, zone: Tz) -> Self {
        Self { now, zone }
    }

    /// `at 10:02:09`, or on another day `on 13 March at 10:02:09`.
    #[must_use]
    pub fn at(&self, time: DateTime<Utc>) -> String {
        let clock = time.with_timezone(&self.zone).format("%H:%M:%S");
        self.date(time).map_or_else(|| format!("at {clock}"), |date| format!("on {date} at {clock}"))
    }

    /// `10:02:09`, or on another day `13 March at 10:02:09`.
    #[must_use]
    pub fn plain(&self, time: DateTime<Utc>) -> String {
        let clock = time.with_timezone(&self.zone).format("%H:%M:%S");
        self.date(time).map_or_else(|| clock.to_string(), |date| format!("{date} at {clock}"))
    }

    /// `until 10:40`, or on another day `until 10:40 on 14 March`. With seconds if it is soon; never too early.
    #[must_use]
    pub fn until(&self, time: DateTime<Utc>) -> String {
        let is_soon = time - self.now < Duration::minutes(10);
        let rounded = if is_soon { up_to_second(time) } else { up_to_minute(time) };
        let local = rounded.with_timezone(&self.zone);
        let clock = if is_soon { local.format("%H:%M:%S") } else { local.format("%H:%M") };
        self.date(rounded).map_or_else(|| format!("until {clock}"), |date| format!("until {clock} on {date}"))
    }

    /// The date, if it is not today's. The year, if it is not this one.
    fn date(&self, time: DateTime<Utc>) -> Option<String> {
        let (day, today) = (time.with_timezone(&self.zone), self.now.with_timezone(&self.zone));
        let format = if day.year() == today.year() { "%-d %B" } else { "%-d %B %Y" };
        (day.date_naive() != today.date_naive()).then(|| day.format(format).to_string())
    }
}

fn up_to_second(time: DateTime<Utc>) -> DateTime<Utc> {
    let whole = time.with_nanosecond(0).unwrap_or(time);
    if whole < time { whole + Duration::seconds(1) } else { whole }
}

fn up_to_minute(time: DateTime<Utc>) -> DateTime<Utc> {
    let second = up_to_second(time);
    let past = i64::from(second.second());
    if past > 0 { second + Duration::seconds(60 - past) } else { second }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn a_time_is_local_and_has_a_date_only_if_it_needs_one() {
        let local = Local::new(time("2026-03-14T09:26:53.5Z"), Tz::Asia__Kolkata);
        for (at, text) in [
            ("2026-03-14T09:26:53.589Z", "at 14:56:53"),
            ("2026-03-13T18:30:00Z", "at 00:00:00"),
            ("2026-03-13T18:29:59Z", "on 13 March at 23:59:59"),
            ("2025-12-01T00:00:00Z", "on 1 December 2025 at 05:30:00"),
        ] {
            assert_eq!(local.at(time(at)), text, "{at}");
        }
        for (until, text) in [
            ("2026-03-14T09:27:23.1Z", "until 14:57:24"),
            ("2026-03-14T10:00:00Z", "until 15:30"),
            ("2026-03-14T10:00:00.1Z", "until 15:31"),
            ("2026-03-15T09:26:53.5Z", "until 14:57 on 15 March"),
            // The minute that it is rounded up to begins another day.
            ("2026-03-14T18:29:30Z", "until 00:00 on 15 March"),
            ("2027-01-31T18:30:00Z", "until 00:00 on 1 February 2027"),
        ] {
            assert_eq!(local.until(time(until)), text, "{until}");
        }
    }
}
