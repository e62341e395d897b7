//! API keys: by which the operator's other services prove who they are.
//!
//! The server keeps a SHA-256 hash of a key. A key is 192 random bits, which nobody can find by trying, so a slow hash as for passwords
//! would only cost time at every request. The checksum at its end tells a misspelt or cut key from an unknown one without the database;
//! it is no secret.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

use super::{
    budget::{Limit, MOST_OF_A_LIMIT},
    fold::fold,
    phone::{PhoneNumber, Region},
};

/// What every key begins with, so that it is recognised in a log or a repository.
const PREFIX: &str = "lak_";

/// How many random bytes a key has.
pub const RANDOM_BYTES: usize = 24;

/// How many characters of the checksum a key ends with.
const CHECKSUM_CHARS: usize = 8;

/// The longest name.
const MAX_NAME_CHARS: usize = 50;

/// How often the last use of a key is written at most.
pub const USE_WRITTEN_EVERY: Duration = Duration::minutes(1);

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Checks of phones: `/api/verifications`.
    Verifications,
    /// Checks of tokens: `/api/auth/introspect`.
    Introspect,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 2] = [Self::Verifications, Self::Introspect];

    /// Its name, in rows too. It must never change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verifications => "verifications",
            Self::Introspect => "introspect",
        }
    }

    /// The scope with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// A key, as a service sends it. It is shown once, when it is created.
#[derive(Clone)]
pub struct ApiSecret(SecretString);

impl ApiSecret {
    /// A new key of these random bytes.
    #[must_use]
    pub fn new(random: [u8; RANDOM_BYTES]) -> Self {
        let random = format!("{PREFIX}{}", hex(&random));
        Self(format!("{random}{}", checksum(&random)).into())
    }

    /// Reads a key. `None` for a text that is none, or that was misspelt or cut.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let (random, check) = text.split_at_checked(PREFIX.len() + 2 * RANDOM_BYTES)?;
        let digits = random.strip_prefix(PREFIX)?;
        (digits.bytes().all(is_hex) && check == checksum(random)).then(|| Self(text.into()))
    }

    /// The text, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &SecretString {
        &self.0
    }

    /// What the server keeps of it.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.expose_secret().as_bytes()))
    }
}

impl fmt::Debug for ApiSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiSecret(****)")
    }
}

fn checksum(text: &str) -> String {
    let mut digest = hex(&Sha256::digest(text.as_bytes()));
    digest.truncate(CHECKSUM_CHARS);
    digest
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The name of a key: that of the service. Staff see it beside what the service asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

/// The text is no name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be 1 to {MAX_NAME_CHARS} letters, digits, spaces, dots, hyphens or underscores, and begin with a letter or a digit"
)]
pub struct KeyNameError;

impl KeyName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, KeyNameError> {
        let text = text.trim();
        let fits = (1..=MAX_NAME_CHARS).contains(&text.chars().count())
            && text.starts_with(char::is_alphanumeric)
            && text.chars().all(|c| c.is_alphanumeric() || " .-_".contains(c));
        fits.then(|| Self(text.to_owned())).ok_or(KeyNameError)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without regard to case: two live keys with one would be taken for each other.
    #[must_use]
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key may use up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLimits {
    /// Codes that it has sent in an hour.
    pub sends_per_hour: i64,
    /// Wrong codes at all phones in an hour.
    pub wrong_codes_per_hour: i64,
    /// Codes that it has sent in a day.
    pub sends_per_day: i64,
    /// The countries that it may send to, each as two letters. Empty: all that the server sends to.
    pub countries: Vec<Region>,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self { sends_per_hour: 100, wrong_codes_per_hour: 100, sends_per_day: 1000, countries: Vec::new() }
    }
}

impl KeyLimits {
    /// The limit of codes in an hour.
    #[must_use]
    pub fn sends(&self) -> Limit {
        in_an_hour(self.sends_per_hour)
    }

    /// The limit of wrong codes in an hour.
    #[must_use]
    pub fn wrong_codes(&self) -> Limit {
        in_an_hour(self.wrong_codes_per_hour)
    }

    /// Whether the key may send to this phone.
    #[must_use]
    pub fn serve(&self, phone: &PhoneNumber) -> bool {
        self.countries.is_empty() || phone.region().is_some_and(|region| self.countries.contains(&region))
    }
}

fn in_an_hour(most: i64) -> Limit {
    let most = usize::try_from(most).unwrap_or(1).clamp(1, MOST_OF_A_LIMIT);
    Limit { most, per: Duration::hours(1) }
}

/// A key, as the server knows it.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: KeyName,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// What it may use up.
    pub limits: KeyLimits,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last used, give or take [`USE_WRITTEN_EVERY`].
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Whether the key allows this.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether its use at this time must be written. A time in the future is of a wrong clock.
    #[must_use]
    pub fn is_use_due(&self, now: DateTime<Utc>) -> bool {
        self.last_used_at.is_none_or(|at| now - at >= USE_WRITTEN_EVERY || at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_shows_nothing() {
        let key = ApiSecret::new([0xab; RANDOM_BYTES]);
        let text = key.expose().expose_secret().to_owned();
        assert_eq!(text.len(), 4 + 48 + 8);
        assert_eq!(ApiSecret::parse(&text).unwrap().hash(), key.hash());
        assert_eq!(key.hash().len(), 64);
        assert_ne!(key.hash(), ApiSecret::new([0xac; RANDOM_BYTES]).hash());
        assert_eq!(format!("{key:?}"), "ApiSecret(****)");
    }

    #[test]
    fn what_is_no_key_is_told_without_the_database() {
        let text = ApiSecret::new([7; RANDOM_BYTES]).expose().expose_secret().to_owned();
        let other = ApiSecret::new([8; RANDOM_BYTES]).expose().expose_secret().to_owned();
        let misspelt = text.replacen('7', "8", 1);
        let foreign_end = format!("{}{}", &text[..52], &other[52..]);
        for bad in [
            "",
            "lak_",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            &text[..59],
            &format!("{text}0"),
            &misspelt,
            &foreign_end,
        ] {
            assert!(ApiSecret::parse(bad).is_none(), "{bad}");
        }
        assert!(ApiSecret::parse(&text.to_uppercase()).is_none());
        assert!(ApiSecret::parse(&"é".repeat(30)).is_none());
    }

    #[test]
    fn a_name_is_one_that_staff_can_read() {
        for good in ["shop", "Order service 2", "गौरव", "a.b-c_d"] {
            assert_eq!(KeyName::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(KeyName::parse(" Shop ").unwrap().folded(), "shop");
        for bad in ["", "  ", "-shop", "a/b", "a\nb", "“shop”", &"x".repeat(51)] {
            assert_eq!(KeyName::parse(bad), Err(KeyNameError), "{bad}");
        }
    }

    #[test]
    fn a_key_serves_its_countries() {
        let phone = PhoneNumber::from_e164("+916205829376").unwrap();
        let to = |countries: &[&str]| KeyLimits {
            countries: countries.iter().map(|region| region.parse().unwrap()).collect(),
            ..KeyLimits::default()
        };
        assert!(to(&[]).serve(&phone));
        assert!(to(&["BR", "IN"]).serve(&phone));
        assert!(!to(&["BR"]).serve(&phone));
    }
}
