//! What a budget's row is kept for. How a key is spelled in the database is known to the store alone.

use std::{fmt, str::FromStr};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{PrefixError, PrefixName};
use crate::{address::ClientAddress, phone::PhoneNumber, pseudonym::Pseudonym};

/// The key of a budget's row. Phones and names are in it as HMACs only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetKey {
    /// `signup` and `login` requests of one network.
    AddressRequests(Network),
    /// Wrong guesses from one network.
    AddressGuesses(Network),
    /// Wrong passwords from one network.
    AddressPasswords(Network),
    /// Registrations from one network.
    Registrations(Network),
    /// New guests from one network.
    Guests(Network),
    /// Wrong guesses at one phone, by its hash. The row also counts failures in a row.
    PhoneGuesses(Pseudonym),
    /// Wrong guesses at one phone from one network.
    PhoneGuessesFromAddress(Pseudonym, Network),
    /// Sends to one phone, and the cooldown between two of them.
    PhoneSends(Pseudonym),
    /// Sends to one phone that one network asked for.
    PhoneSendsFromAddress(Pseudonym, Network),
    /// Wrong guesses of a device that was signed in before.
    DeviceGuesses(Uuid),
    /// Sends that such a device asked for, and the cooldown between two of them.
    DeviceSends(Uuid),
    /// Messages to a prefix of numbers.
    Prefix(CountryPrefix),
    /// Sends of one day.
    Day(NaiveDate),
    /// Sends of one day to a country, by its two letters.
    Country(NaiveDate, String),
    /// Wrong passwords for one name, by its hash.
    NamePasswords(Pseudonym),
    /// Wrong passwords for one name from one network.
    NamePasswordsFromAddress(Pseudonym, Network),
    /// A proof of work.
    Proof(Uuid),
    /// Unknown API keys from one network.
    AddressKeys(Network),
    /// Codes that an API key has sent.
    ServiceSends(Uuid),
    /// Codes that an API key has sent on one day.
    ServiceDay(Uuid, NaiveDate),
    /// Codes that an API key has sent for users of one network.
    ServiceSendsFromAddress(Uuid, Network),
    /// Wrong codes at the checks of an API key.
    ServiceGuesses(Uuid),
    /// Wrong codes at the checks of an API key from users of one network.
    ServiceGuessesFromAddress(Uuid, Network),
    /// Wrong codes at the checks of one phone by one API key.
    ServicePhoneGuesses(Pseudonym, Uuid),
}

impl BudgetKey {
    /// The row of a number's prefix. `None` when the numbering plans no longer have its country code.
    #[must_use]
    pub fn of_prefix(phone: &PhoneNumber) -> Option<Self> {
        let prefix = phone.prefix()?.parse().ok()?;
        let country = phone.region().map_or_else(|| NO_COUNTRY.to_owned(), |region| region.to_string());
        Some(Self::Prefix(CountryPrefix { country, prefix }))
    }
}

/// Stands for the country of a prefix that no country has.
const NO_COUNTRY: &str = "--";

/// A prefix in one country. Countries that share a country code can share a prefix, and each has a row of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountryPrefix {
    /// The two letters of the country; `--` for none.
    pub country: String,
    /// The country code and four digits.
    pub prefix: PrefixName,
}

impl CountryPrefix {
    /// Reads both parts.
    ///
    /// # Errors
    /// When the prefix is not a country code with up to four digits.
    pub fn new(country: &str, prefix: &str) -> Result<Self, PrefixError> {
        Ok(Self { country: country.to_owned(), prefix: prefix.parse()? })
    }
}

/// A network whose clients share budgets: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network(String);

/// The text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an IPv4 address or the /64 of an IPv6 address")]
pub struct NetworkError;

impl From<ClientAddress> for Network {
    fn from(address: ClientAddress) -> Self {
        Self(address.network())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let address = text.split_once('/').map_or(text, |(address, _)| address);
        let network = Self::from(ClientAddress::new(address.parse().map_err(|_| NetworkError)?));
        if network.0 == text { Ok(network) } else { Err(NetworkError) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
