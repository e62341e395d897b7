//! The limits, as the settings give them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::Duration;

/// The most that a limit can allow in its window: a row keeps the time of each charge.
pub const MOST_OF_A_LIMIT: usize = 1000;

/// The longest window.
const LONGEST: Duration = Duration::days(30);

/// At most so many charges in any span of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many charges, 1 to [`MOST_OF_A_LIMIT`].
    pub most: usize,
    /// The length of the sliding window.
    pub per: Duration,
}

impl Limit {
    const fn new(most: usize, per: Duration) -> Self {
        Self { most, per }
    }
}

/// The text is not a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a number from 1 to {MOST_OF_A_LIMIT}, a slash and a time of at most 30 days in s, m, h or d, such as 10/24h"
)]
pub struct LimitError;

/// `10/24h`: a number, a slash, a time in seconds, minutes, hours or days.
impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (most, per) = text.trim().split_once('/').ok_or(LimitError)?;
        let most: usize = most.trim().parse().map_err(|_| LimitError)?;
        let per = per.trim();
        let digits = per.len().checked_sub(1).filter(|cut| per.is_char_boundary(*cut)).ok_or(LimitError)?;
        let (number, unit) = per.split_at(digits);
        let number: i64 =
            number.parse().ok().filter(|number| (1..=2_592_000).contains(number)).ok_or(LimitError)?;
        let per = match unit {
            "s" => Duration::seconds(number),
            "m" => Duration::minutes(number),
            "h" => Duration::hours(number),
            "d" => Duration::days(number),
            _ => return Err(LimitError),
        };
        let fits = (1..=MOST_OF_A_LIMIT).contains(&most) && per <= LONGEST;
        fits.then_some(Self { most, per }).ok_or(LimitError)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.per.num_seconds();
        let (number, unit) = match seconds {
            _ if seconds % 3600 == 0 => (seconds / 3600, "h"),
            _ if seconds % 60 == 0 => (seconds / 60, "m"),
            _ => (seconds, "s"),
        };
        write!(f, "{}/{number}{unit}", self.most)
    }
}

/// When a prefix closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixPolicy {
    /// So many messages without a verified code close it.
    pub unanswered: Limit,
    /// Each verified code lets it forget so many of them: a prefix where more than one message in so many is verified stays
    /// open.
    pub forgiven: usize,
    /// For how long it is closed.
    pub closed_for: Duration,
    /// How many trial messages are sent after that. A verified one opens it; otherwise it closes again.
    pub probes: usize,
}

/// The limits of wrong passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passwords {
    /// For one name from one address.
    pub name_from_address: Limit,
    /// For one name.
    pub name: Limit,
    /// From one address.
    pub address: Limit,
}

/// Every budget's limit. The defaults are those of the security rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// `RATE_LIMITS_ENABLED`: false switches all limits off, for load tests.
    pub is_on: bool,
    /// Wrong guesses at one phone from one address.
    pub phone_guesses_from_address: Limit,
    /// Wrong guesses at one phone.
    pub phone_guesses: Limit,
    /// Wrong guesses at one phone in a row, without a success in between (NIST SP 800-63B, section 3.2.2: at most 100).
    pub failures_in_a_row: i64,
    /// Wrong guesses from one address.
    pub address_guesses: Limit,
    /// Sends to one phone; all of these limits apply.
    pub phone_sends: Vec<Limit>,
    /// Sends to one phone that one address requests; all of these limits apply.
    pub phone_sends_from_address: Vec<Limit>,
    /// `signup` and `login` requests of one address, whatever their result.
    pub address_requests: Limit,
    /// Wrong guesses of a device that was signed in before.
    pub device_guesses: Limit,
    /// Sends that such a device requests.
    pub device_sends: Limit,
    /// When a prefix closes.
    pub prefix: PrefixPolicy,
    /// Sends of a day, in all.
    pub day: Option<i64>,
    /// Sends of a day by country, by its two letters.
    pub countries: BTreeMap<String, i64>,
    /// Wrong passwords.
    pub passwords: Passwords,
    /// Registrations from one address.
    pub registrations: Limit,
    /// New guests from one address.
    pub guests: Limit,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        const QUARTER: Duration = Duration::minutes(15);
        const HOUR: Duration = Duration::hours(1);
        const DAY: Duration = Duration::hours(24);
        Self {
            is_on: true,
            phone_guesses_from_address: Limit::new(10, DAY),
            phone_guesses: Limit::new(30, DAY),
            failures_in_a_row: 100,
            address_guesses: Limit::new(30, HOUR),
            phone_sends: vec![Limit::new(5, HOUR), Limit::new(10, DAY)],
            phone_sends_from_address: vec![Limit::new(3, HOUR), Limit::new(5, DAY)],
            address_requests: Limit::new(20, HOUR),
            device_guesses: Limit::new(10, DAY),
            device_sends: Limit::new(3, DAY),
            prefix: PrefixPolicy {
                unanswered: Limit::new(50, HOUR),
                forgiven: 20,
                closed_for: HOUR,
                probes: 5,
            },
            day: None,
            countries: BTreeMap::new(),
            passwords: Passwords {
                name_from_address: Limit::new(10, QUARTER),
                name: Limit::new(100, QUARTER),
                address: Limit::new(50, QUARTER),
            },
            registrations: Limit::new(20, HOUR),
            guests: Limit::new(20, HOUR),
        }
    }
}

impl BudgetPolicy {
    /// How many entries a log keeps: as many as the largest limit needs, so that no statement cuts off what another one needs.
    #[must_use]
    pub fn kept(&self) -> usize {
        let Self { prefix, passwords, .. } = self;
        let single = [
            self.phone_guesses_from_address,
            self.phone_guesses,
            self.address_guesses,
            self.address_requests,
            self.device_guesses,
            self.device_sends,
            prefix.unanswered,
            passwords.name_from_address,
            passwords.name,
            passwords.address,
            self.registrations,
            self.guests,
        ];
        let several = self.phone_sends.iter().chain(&self.phone_sends_from_address);
        let most = single.iter().chain(several).map(|limit| limit.most).max();
        most.unwrap_or_default().max(prefix.probes)
    }
}
