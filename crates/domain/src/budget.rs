//! Budgets: how often something may happen, by phone, address, device, prefix and day.
//!
//! A budget is a [`BudgetRow`], one row of the database. A request charges rows ([`Charge`]), and one guarded statement of the
//! store takes all charges or none. That statement and [`decide`] are the same rule: the statement decides races, and
//! [`decide`] explains a refusal. Windows slide: a row keeps the time of each charge, so "10 in 24 hours" holds for any 24
//! hours.

mod charges;
mod key;
mod limits;
mod odds;
mod prefix;
mod row;
mod service;
mod spent;

#[cfg(test)]
mod tests;

pub use self::{
    charges::{Guess, MessageCharge, REMEMBERED, SMS_ALARM_PERCENT, alarm_at},
    key::{BudgetKey, CountryPrefix, Network, NetworkError},
    limits::{BudgetPolicy, Limit, LimitError, MOST_OF_A_LIMIT, Passwords, PrefixPolicy},
    odds::{ACCEPTED, Odds, OneIn},
    prefix::{Country, LONGEST_HOLD, Prefix, PrefixError, PrefixName, PrefixState, Wanted},
    row::{Bound, BudgetExceeded, BudgetRow, Change, Charge, ChargeId, Rule, Settlement, decide},
    service::ServiceCharge,
    spent::Spent,
};

/// A budget. Its name is in response headers, the log, metrics and the audit log, and must never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Budget {
    /// Wrong guesses at one phone from one address.
    PhoneGuessesFromAddress,
    /// Wrong guesses at one phone.
    PhoneGuesses,
    /// Wrong guesses at one phone in a row.
    PhoneFailures,
    /// Wrong guesses from one address.
    AddressGuesses,
    /// The cooldown between two sends to one phone.
    Cooldown,
    /// Sends to one phone.
    PhoneSends,
    /// Sends to one phone that one address requests.
    PhoneSendsFromAddress,
    /// `signup` and `login` requests of one address.
    AddressRequests,
    /// Wrong guesses of a device that was signed in before.
    DeviceGuesses,
    /// Sends that such a device requests.
    DeviceSends,
    /// Messages to a prefix whose codes are not verified.
    Prefix,
    /// All sends of a day.
    Day,
    /// Sends of a day to a country.
    Country,
    /// Wrong passwords for one name from one address.
    NamePasswordsFromAddress,
    /// Wrong passwords for one name.
    NamePasswords,
    /// Wrong passwords from one address.
    AddressPasswords,
    /// Registrations from one address.
    Registrations,
    /// New guests from one address.
    Guests,
    /// A proof of work, which can be spent once.
    Proof,
    /// Unknown API keys from one address.
    AddressKeys,
    /// Codes that an API key has sent.
    ServiceSends,
    /// Wrong codes at the checks of an API key.
    ServiceGuesses,
    /// Wrong codes at the checks of one phone by one API key.
    ServicePhoneGuesses,
    /// Codes and wrong codes that an API key reports from one address of its users.
    ServiceAddress,
}

/// What a spent budget means for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wrong guesses lock the phone.
    Lock,
    /// A code was sent a moment ago.
    Cooldown,
    /// Any other limit.
    Rate,
}

impl Budget {
    /// Every budget.
    pub const ALL: [Self; 24] = [
        Self::PhoneGuessesFromAddress,
        Self::PhoneGuesses,
        Self::PhoneFailures,
        Self::AddressGuesses,
        Self::Cooldown,
        Self::PhoneSends,
        Self::PhoneSendsFromAddress,
        Self::AddressRequests,
        Self::DeviceGuesses,
        Self::DeviceSends,
        Self::Prefix,
        Self::Day,
        Self::Country,
        Self::NamePasswordsFromAddress,
        Self::NamePasswords,
        Self::AddressPasswords,
        Self::Registrations,
        Self::Guests,
        Self::Proof,
        Self::AddressKeys,
        Self::ServiceSends,
        Self::ServiceGuesses,
        Self::ServicePhoneGuesses,
        Self::ServiceAddress,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PhoneGuessesFromAddress => "phone-guesses-from-address",
            Self::PhoneGuesses => "phone-guesses",
            Self::PhoneFailures => "phone-failures-in-a-row",
            Self::AddressGuesses => "address-guesses",
            Self::Cooldown => "cooldown",
            Self::PhoneSends => "phone-sends",
            Self::PhoneSendsFromAddress => "phone-sends-from-address",
            Self::AddressRequests => "address-requests",
            Self::DeviceGuesses => "device-guesses",
            Self::DeviceSends => "device-sends",
            Self::Prefix => "prefix",
            Self::Day => "day",
            Self::Country => "country",
            Self::NamePasswordsFromAddress => "name-passwords-from-address",
            Self::NamePasswords => "name-passwords",
            Self::AddressPasswords => "address-passwords",
            Self::Registrations => "registrations",
            Self::Guests => "guests",
            Self::Proof => "proof",
            Self::AddressKeys => "address-api-keys",
            Self::ServiceSends => "service-sends",
            Self::ServiceGuesses => "service-guesses",
            Self::ServicePhoneGuesses => "service-phone-guesses",
            Self::ServiceAddress => "service-address",
        }
    }

    /// What it means for the client that it is spent.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::PhoneGuessesFromAddress
            | Self::PhoneGuesses
            | Self::PhoneFailures
            | Self::DeviceGuesses
            | Self::ServicePhoneGuesses => Kind::Lock,
            Self::Cooldown => Kind::Cooldown,
            Self::AddressGuesses
            | Self::PhoneSends
            | Self::PhoneSendsFromAddress
            | Self::AddressRequests
            | Self::DeviceSends
            | Self::Prefix
            | Self::Day
            | Self::Country
            | Self::NamePasswordsFromAddress
            | Self::NamePasswords
            | Self::AddressPasswords
            | Self::Registrations
            | Self::Guests
            | Self::Proof
            | Self::AddressKeys
            | Self::ServiceSends
            | Self::ServiceGuesses
            | Self::ServiceAddress => Kind::Rate,
        }
    }
}
