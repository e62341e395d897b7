//! Budgets: how often something may happen, by phone, address, device, prefix and day.
//!
//! A budget is kept in a [`BudgetRow`], one row of the database. A request names what it wants as [`Charge`]s, and one guarded
//! statement of the store takes all of them or none; that statement and [`decide`] are the same rule, once for the race and
//! once for the answer. Windows slide: what is kept is the time of each charge, so "10 in 24 hours" holds for any 24 hours,
//! not just for those of a calendar.

mod charges;
mod key;
mod limits;
mod odds;
mod prefix;
mod row;
mod spent;

#[cfg(test)]
mod tests;

pub use self::{
    charges::{Guess, REMEMBERED, SMS_ALARM_PERCENT, Send, alarm_at},
    key::{BudgetKey, CountryPrefix, Network, NetworkError},
    limits::{BudgetPolicy, Limit, LimitError, MOST_OF_A_LIMIT, Passwords, PrefixPolicy},
    odds::{ACCEPTED, Odds},
    prefix::{Country, LONGEST_HOLD, Prefix, PrefixError, PrefixName, PrefixState, Wanted},
    row::{Bound, BudgetExceeded, BudgetRow, Change, Charge, ChargeId, Rule, Settlement, decide},
    spent::Spent,
};

/// Which budget: the name in answers' headers, the log, metrics and the audit log. It must never change.
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
    /// The wait between two sends to one phone.
    Cooldown,
    /// Sends to one phone.
    PhoneSends,
    /// Sends to one phone that one address asked for.
    PhoneSendsFromAddress,
    /// `signup` and `login` requests of one address.
    AddressRequests,
    /// Wrong guesses of a device that was signed in before.
    DeviceGuesses,
    /// Sends to it.
    DeviceSends,
    /// Messages to a prefix whose codes do not come back.
    Prefix,
    /// Sends of a day, in all.
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
    /// A proof that was spent already.
    Proof,
}

/// What a spent budget means for whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wrong guesses lock the phone.
    Lock,
    /// A code was sent a moment ago.
    Cooldown,
    /// Everything else.
    Rate,
}

impl Budget {
    /// Every budget.
    pub const ALL: [Self; 18] = [
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
        Self::Proof,
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
            Self::Proof => "proof",
        }
    }

    /// What it means to whoever asks that it is spent.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::PhoneGuessesFromAddress
            | Self::PhoneGuesses
            | Self::PhoneFailures
            | Self::DeviceGuesses => Kind::Lock,
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
            | Self::Proof => Kind::Rate,
        }
    }
}
