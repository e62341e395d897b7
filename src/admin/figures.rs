//! Numbers, shares, times and amounts as pages write them.

use chrono::Duration;

use crate::domain::statistics::{Difference, Share, change_of};

/// `1,234,567`.
pub fn grouped(number: impl TryInto<i64>) -> String {
    let number = number.try_into().unwrap_or(i64::MAX);
    let text = grouped_digits(&number.unsigned_abs().to_string());
    if number < 0 { format!("−{text}") } else { text }
}

fn grouped_digits(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The same of the last number of a text without decimals: `1 in 33,334`.
pub fn with_grouped_end(text: &str) -> String {
    let rest = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = text.strip_prefix(rest).unwrap_or_default();
    if rest.ends_with('.') { text.to_owned() } else { format!("{rest}{}", grouped_digits(digits)) }
}

/// `94.3%`.
pub fn percent(share: Share) -> String {
    let permille = share.permille();
    format!("{}.{}%", permille / 10, permille % 10)
}

/// `0.4 s`, `35 s`, `2 min 10 s`, `1 h 5 min`.
pub fn time_taken(duration: Duration) -> String {
    let millis = duration.num_milliseconds().max(0);
    let seconds = (millis + 500) / 1_000;
    match seconds {
        _ if millis < 9_950 => {
            let tenths = (millis + 50) / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// An amount in millionths: `12.34 USD`, and `0.0075 USD` below one.
pub fn money(micros: i64, currency: &str) -> String {
    let decimals = if micros.abs() < 1_000_000 { 4 } else { 2 };
    let unit = 10_i64.pow(6 - decimals);
    let rounded = (micros.abs() + unit / 2) / unit;
    let one = 10_i64.pow(decimals);
    let sign = if micros < 0 { "−" } else { "" };
    let width = usize::try_from(decimals).unwrap_or(2);
    format!("{sign}{}.{:0width$} {currency}", grouped(rounded / one), rounded % one)
}

/// A number and what became of it since the time before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The number.
    pub value: String,
    /// The difference in words and with its sign.
    pub change: String,
    /// The class of the words. It only repeats them.
    pub class: &'static str,
}

const SAME: &str = "soft";
const BETTER: &str = "better";
const WORSE: &str = "worse";

impl Compared {
    fn without_value() -> Self {
        Self { value: "–".to_owned(), change: String::new(), class: SAME }
    }

    /// A share, of which more is better.
    pub fn share(now: Option<Share>, before: Option<Share>) -> Self {
        let Some(now) = now else { return Self::without_value() };
        let value = percent(now);
        let Some(before) = before else { return Self::first(value) };
        let points = |permille: i64| format!("{}.{} points", permille / 10, permille % 10);
        let was = percent(before);
        let (change, class) = match now.since(before) {
            Difference::Higher(by) => (format!("+{}: better (was {was})", points(by)), BETTER),
            Difference::Same => (format!("same (was {was})"), SAME),
            Difference::Lower(by) => (format!("−{}: worse (was {was})", points(by)), WORSE),
        };
        Self { value, change, class }
    }

    /// A time, of which less is better.
    pub fn time(now: Option<Duration>, before: Option<Duration>) -> Self {
        let Some(now) = now else { return Self::without_value() };
        let value = time_taken(now);
        let Some(before) = before else { return Self::first(value) };
        let millis = |millis| time_taken(Duration::milliseconds(millis));
        let was = time_taken(before);
        let (change, class) = match change_of(now, before) {
            Difference::Higher(by) => (format!("+{}: slower (was {was})", millis(by)), WORSE),
            Difference::Same => (format!("about the same (was {was})"), SAME),
            Difference::Lower(by) => (format!("−{}: faster (was {was})", millis(by)), BETTER),
        };
        Self { value, change, class }
    }

    fn first(value: String) -> Self {
        Self { value, change: "new".to_owned(), class: SAME }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"), (-1_000, "−1,000")]
        {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(u64::MAX), "9,223,372,036,854,775,807");
        for (text, expected) in [
            ("1 in 33334", "1 in 33,334"),
            ("1 in 8.1234", "1 in 8.1234"),
            ("none", "none"),
            ("100000", "100,000"),
        ] {
            assert_eq!(with_grouped_end(text), expected);
        }
    }

    #[test]
    fn times_are_as_exact_as_they_are_useful() {
        for (millis, text) in [
            (-5, "0.0 s"),
            (440, "0.4 s"),
            (9_949, "9.9 s"),
            (9_950, "10 s"),
            (59_499, "59 s"),
            (59_500, "1 min 0 s"),
            (130_000, "2 min 10 s"),
            (3_599_499, "59 min 59 s"),
            (3_900_000, "1 h 5 min"),
        ] {
            assert_eq!(time_taken(Duration::milliseconds(millis)), text);
        }
    }

    #[test]
    fn amounts_have_enough_decimals() {
        for (micros, text) in [
            (7_500, "0.0075 USD"),
            (0, "0.0000 USD"),
            (999_999, "1.0000 USD"),
            (1_000_000, "1.00 USD"),
            (1_234_567_890, "1,234.57 USD"),
            (-2_500_000, "−2.50 USD"),
        ] {
            assert_eq!(money(micros, "USD"), text);
        }
    }

    #[test]
    fn a_difference_is_said_in_words_and_by_its_sign() {
        let share = |part| Share::new(part, 1_000);
        for (now, before, change, class) in [
            (share(943), share(920), "+2.3 points: better (was 92.0%)", BETTER),
            (share(920), share(943), "−2.3 points: worse (was 94.3%)", WORSE),
            (share(920), share(920), "same (was 92.0%)", SAME),
            (share(920), None, "new", SAME),
            (None, share(920), "", SAME),
        ] {
            let compared = Compared::share(now, before);
            assert_eq!((compared.change.as_str(), compared.class), (change, class));
        }
        let seconds = |seconds| Some(Duration::seconds(seconds));
        for (now, before, change, class) in [
            (seconds(6), seconds(4), "+2.0 s: slower (was 4.0 s)", WORSE),
            (seconds(4), seconds(6), "−2.0 s: faster (was 6.0 s)", BETTER),
            (seconds(20), seconds(19), "about the same (was 19 s)", SAME),
            (seconds(20), None, "new", SAME),
        ] {
            let compared = Compared::time(now, before);
            assert_eq!((compared.change.as_str(), compared.class), (change, class));
        }
    }
}
