//! Texts of other systems: digits of other scripts, line ends inside of names, times in several spellings.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::calendar::LAST_YEAR;

/// The fewest digits of a text that is meant as a phone.
const FEWEST_DIGITS: usize = 5;

/// Milliseconds since 1970 have more digits than seconds until the year 5138.
const MOST_SECONDS: f64 = 100_000_000_000.0;

/// The years of times that are taken.
const YEARS: RangeInclusive<i32> = 1900..=LAST_YEAR;

/// The value of a decimal digit of any script. Unicode has them in runs of ten, from zero to nine.
fn digit(character: char) -> Option<char> {
    let is_digit = |c: char| c.general_category() == GeneralCategory::DecimalNumber;
    if !is_digit(character) {
        return None;
    }
    let before = (0..u32::from(character)).rev().map_while(char::from_u32).take_while(|c| is_digit(*c));
    // 50 digits in a row are the longest run, five times ten of mathematics.
    let place = u32::try_from(before.take(50).count() % 10).ok()?;
    char::from_digit(place, 10)
}

/// The text with digits of other scripts as 0-9.
pub(super) fn with_ascii_digits(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { digit(c).unwrap_or(c) }).collect()
}

/// Whether a name is meant as a phone: the original's usernames are phones.
#[must_use]
pub fn is_like_a_phone(text: &str) -> bool {
    let digits = text.chars().filter(|c| c.is_ascii_digit() || digit(*c).is_some()).count();
    digits >= FEWEST_DIGITS && !text.chars().any(char::is_alphabetic) && !text.contains('@')
}

/// The text on one line: line ends and other control characters become single spaces.
pub(super) fn on_one_line(text: &str) -> String {
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.split(is_break).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Reads a time: RFC 3339, the spelling of PostgreSQL and of Django on SQLite, a day, or seconds or milliseconds since 1970.
#[must_use]
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    // The databases have other bounds than chrono, and no user had an account before.
    read_time(text.trim()).filter(|time| YEARS.contains(&time.year()))
}

fn read_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(number) = text.parse::<f64>() {
        if !number.is_finite() || number < 0.0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a time in the far future is refused below")]
        let number = (if number < MOST_SECONDS { number * 1_000.0 } else { number }) as i64;
        return DateTime::from_timestamp_millis(number);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    for form in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %Z"] {
        if let Ok(time) = DateTime::parse_from_str(text, form) {
            return Some(time.to_utc());
        }
    }
    for form in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text.trim_end_matches(" UTC"), form) {
            return Some(time.and_utc());
        }
    }
    let day: NaiveDate = text.parse().ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}
