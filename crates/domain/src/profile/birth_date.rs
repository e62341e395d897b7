//! The birth date, and the current local day.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;

use super::{FieldErrors, ok_unless};

/// The minimum age, from the contract.
const MIN_YEARS: i32 = 18;

/// The maximum age, from the contract.
const MAX_YEARS: i32 = 120;

/// A birth date, 18 to 120 years ago (the contract's limits).
///
/// A birthday on 29 February is on that day in leap years and on 1 March in others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BirthDate(NaiveDate);

personal!(BirthDate);

impl BirthDate {
    /// Reads `YYYY-MM-DD`, exactly four, two and two ASCII digits, and checks the age on the local day `today` (see
    /// [`today_in`]).
    ///
    /// # Errors
    ///
    /// One sentence, because the errors exclude each other.
    pub fn parse(raw: &str, today: NaiveDate) -> Result<Self, FieldErrors> {
        if !is_iso_date(raw) {
            return Err(vec!["Birth date must have the form YYYY-MM-DD".into()]);
        }
        let Ok(date) = raw.parse::<NaiveDate>() else {
            return Err(vec!["Birth date must be a day of the calendar".into()]);
        };

        let mut errors = FieldErrors::new();
        if date > today {
            errors.push("Birth date must not be in the future".into());
        } else if birthday(date, MIN_YEARS).is_none_or(|day| day > today) {
            errors.push(format!("You must be at least {MIN_YEARS} years old"));
        } else if birthday(date, MAX_YEARS).is_none_or(|day| day < today) {
            errors.push(format!("Birth date must not be more than {MAX_YEARS} years ago"));
        }
        ok_unless(errors, Self(date))
    }

    /// A birth date from the database. It is not checked again: a stored profile stays valid at any age.
    #[must_use]
    pub fn stored(date: NaiveDate) -> Self {
        Self(date)
    }

    /// The day.
    #[must_use]
    pub fn date(self) -> NaiveDate {
        self.0
    }
}

/// The day at `now` in `zone` (the setting `TIME_ZONE`).
#[must_use]
pub fn today_in(now: DateTime<Utc>, zone: Tz) -> NaiveDate {
    now.with_timezone(&zone).date_naive()
}

/// Chrono alone would also accept `1995-1-1`, `+1995-01-01` and a date with spaces in it.
fn is_iso_date(text: &str) -> bool {
    text.len() == "YYYY-MM-DD".len()
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// The day on which a person born on `date` turns `years`. `None` is beyond the calendar.
fn birthday(date: NaiveDate, years: i32) -> Option<NaiveDate> {
    let year = date.year().checked_add(years)?;
    // Only 29 February is missing from some years.
    date.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 3, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Option<&str> = Some("Birth date must have the form YYYY-MM-DD");
    const CALENDAR: Option<&str> = Some("Birth date must be a day of the calendar");
    const FUTURE: Option<&str> = Some("Birth date must not be in the future");
    const YOUNG: Option<&str> = Some("You must be at least 18 years old");
    const OLD: Option<&str> = Some("Birth date must not be more than 120 years ago");

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_form_is_strict() {
        for (input, why) in [
            ("1995-01-01", None),
            ("2000-02-29", None),
            ("1995-1-1", FORM),
            ("95-01-01", FORM),
            ("1995-01-1", FORM),
            ("01995-01-1", FORM),
            ("+1995-01-1", FORM),
            ("-995-01-01", FORM),
            ("1995/01/01", FORM),
            ("1995-01-01T00:00:00Z", FORM),
            (" 1995-01-01", FORM),
            ("1995-01-01 ", FORM),
            ("1995-01-01\n", FORM),
            ("1995- 1- 1", FORM),
            ("1995-01-0\0", FORM),
            ("01-01-1995", FORM),
            ("", FORM),
            ("١٩٩٥-٠١-٠١", FORM), // digits of another script
            ("१9-01-01", FORM),   // ten bytes
            ("1995–01-01", FORM), // a dash
            ("1995-02-29", CALENDAR),
            ("1900-02-29", CALENDAR),
            ("1995-04-31", CALENDAR),
            ("1995-13-01", CALENDAR),
            ("1995-00-01", CALENDAR),
            ("1995-01-00", CALENDAR),
            ("0000-01-01", OLD),
            ("0001-01-01", OLD),
            ("9999-12-31", FUTURE),
        ] {
            let errors = BirthDate::parse(input, day("2025-10-03")).err();
            assert_eq!(errors, why.map(|s| vec![s.to_owned()]), "{input:?}");
        }
    }

    #[test]
    fn eighteen_to_a_hundred_and_twenty() {
        for (born, today, why) in [
            ("2007-10-03", "2025-10-03", None), // eighteen today
            ("2007-10-04", "2025-10-03", YOUNG),
            ("2025-10-03", "2025-10-03", YOUNG), // born today
            ("2025-10-04", "2025-10-03", FUTURE),
            ("1905-10-03", "2025-10-03", None), // 120 today
            ("1905-10-02", "2025-10-03", OLD),
            ("2007-12-31", "2025-12-31", None),
            ("2008-01-01", "2025-12-31", YOUNG),
            // 29 February: the birthday is on 1 March, because 18 years later is never a leap year.
            ("2008-02-29", "2026-02-28", YOUNG),
            ("2008-02-29", "2026-03-01", None),
            // Today is 29 February.
            ("2006-02-28", "2024-02-29", None),
            ("2006-03-01", "2024-02-29", YOUNG),
            // The upper limit: 1904 and 2024 are leap years, 1900 is not.
            ("1904-02-29", "2024-02-29", None),
            ("1904-02-29", "2024-03-01", OLD),
            ("1900-03-01", "2020-02-29", None),
            ("1900-02-28", "2020-02-29", OLD),
            ("1980-02-29", "2100-03-01", None),
            ("1980-02-29", "2100-03-02", OLD),
        ] {
            let errors = BirthDate::parse(born, day(today)).err();
            assert_eq!(errors, why.map(|s| vec![s.to_owned()]), "born {born}, today {today}");
        }
    }

    #[test]
    fn a_birthday_on_29_february() {
        for (years, expected) in
            [(4, "2012-02-29"), (18, "2026-03-01"), (20, "2028-02-29"), (92, "2100-03-01")]
        {
            assert_eq!(birthday(day("2008-02-29"), years), Some(day(expected)));
        }
    }

    #[test]
    fn the_day_is_that_of_the_zone() {
        for (now, zone, expected) in [
            ("2025-10-03T18:29:59Z", Tz::Asia__Kolkata, "2025-10-03"),
            ("2025-10-03T18:30:00Z", Tz::Asia__Kolkata, "2025-10-04"), // midnight in Kolkata
            ("2025-10-03T18:30:00Z", Tz::UTC, "2025-10-03"),
            ("2025-10-03T03:59:59Z", Tz::America__New_York, "2025-10-02"),
        ] {
            assert_eq!(today_in(now.parse().unwrap(), zone), day(expected));
        }
    }

    #[test]
    fn what_was_stored_is_not_judged_again() {
        let date = BirthDate::stored(day("1800-01-01"));
        assert_eq!(date.date(), day("1800-01-01"));
        assert_eq!(format!("{date:?}"), "BirthDate(..)");
    }
}
