//! Prefixes of numbers: their states and statistics.
//!
//! A prefix is open until too many of its codes are not verified. Then it is closed for a while, then half open: a few trial
//! messages are sent. The first verified code opens it again; without one it closes again. Only phones without an account
//! count. Phones with an account always get messages, and their codes open nothing: otherwise an attacker with one account
//! could open the prefix for ten thousand messages.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Duration, Utc};
use thiserror::Error;

use super::{BudgetKey, BudgetRow, CountryPrefix, PrefixPolicy};

/// The longest time for which staff can hold a prefix open.
pub const LONGEST_HOLD: Duration = Duration::hours(720);

/// The state of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixState {
    /// Messages are sent.
    Open,
    /// No messages are sent.
    Closed,
    /// A few trial messages are sent.
    HalfOpen,
    /// Messages are sent even if codes are not verified: staff hold it open.
    HeldOpen,
}

impl PrefixState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Open, Self::Closed, Self::HalfOpen, Self::HeldOpen];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::HeldOpen => "held_open",
        }
    }
}

impl BudgetRow {
    /// The state of this row's prefix.
    #[must_use]
    pub fn prefix_state(&self, now: DateTime<Utc>) -> PrefixState {
        match (self.closed_until, self.held_until.is_some_and(|until| until > now)) {
            (Some(until), _) if until > now => PrefixState::Closed,
            (_, true) => PrefixState::HeldOpen,
            (Some(_), false) => PrefixState::HalfOpen,
            (None, false) => PrefixState::Open,
        }
    }
}

/// A country code and up to four digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrefixName(String);

/// The text is not a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Prefix must be a country code and up to four digits, such as +916205")]
pub struct PrefixError;

/// Accepts it with and without a plus, because a plus in a path is easily lost.
impl FromStr for PrefixName {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let digits = text.trim().trim_start_matches('+');
        let fits = (2..=7).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        fits.then(|| Self(format!("+{digits}"))).ok_or(PrefixError)
    }
}

impl PrefixName {
    /// The plus and the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrefixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The state and the statistics of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// The country, by its two letters; `--` for none.
    pub country: String,
    /// A plus, the country code and four digits.
    pub prefix: String,
    /// Its state.
    pub state: PrefixState,
    /// All messages since its row exists.
    pub sent: i64,
    /// How many of them were verified.
    pub verified: i64,
    /// Messages to phones without an account that count against it now.
    pub unanswered: usize,
    /// Until when it is closed, if it is.
    pub closed_until: Option<DateTime<Utc>>,
    /// Until when staff hold it open, if they do.
    pub held_until: Option<DateTime<Utc>>,
}

impl Prefix {
    /// Reads a row; `None` when it does not belong to a prefix.
    #[must_use]
    pub fn from_prefix(row: &BudgetRow, policy: &PrefixPolicy, now: DateTime<Utc>) -> Option<Self> {
        let BudgetKey::Prefix(CountryPrefix { country, prefix }) = &row.key else {
            return None;
        };
        let state = row.prefix_state(now);
        Some(Self {
            country: country.clone(),
            prefix: prefix.to_string(),
            state,
            sent: row.count,
            verified: row.answered,
            unanswered: row.within(policy.unanswered.per, now),
            closed_until: row
                .closed_until
                .filter(|_| state == PrefixState::Closed)
                .map(|until| until.min(now + policy.closed_for)),
            held_until: row
                .held_until
                .filter(|_| state == PrefixState::HeldOpen)
                .map(|until| until.min(now + LONGEST_HOLD)),
        })
    }
}

/// The sums of a country's prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Country {
    /// Its two letters; `--` for none.
    pub country: String,
    /// How many prefixes it has.
    pub prefixes: i64,
    /// How many of them are closed.
    pub closed: i64,
    /// All messages.
    pub sent: i64,
    /// How many of them were verified.
    pub verified: i64,
}

/// A filter for the list of prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    All,
    /// Prefixes that get no messages now.
    Closed,
    /// All others, half open ones included.
    Open,
}

impl Wanted {
    /// Reads `closed` or `open`; no text means all.
    ///
    /// # Errors
    /// With a sentence for any other word.
    pub fn parse(text: Option<&str>) -> Result<Self, &'static str> {
        match text {
            None => Ok(Self::All),
            Some("closed") => Ok(Self::Closed),
            Some("open") => Ok(Self::Open),
            Some(_) => Err("State must be closed or open"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_named_with_its_plus_or_without() {
        for (text, name) in [("+916205", "+916205"), ("916205", "+916205"), (" +12025 ", "+12025")] {
            assert_eq!(text.parse::<PrefixName>().unwrap().to_string(), name);
        }
        for bad in ["", "+", "+9", "+0916", "+12345678", "+91a", "+91/6", "%", "+91_205"] {
            assert_eq!(bad.parse::<PrefixName>(), Err(PrefixError), "{bad}");
        }
    }
}
