//! Blocks: phones, prefixes, countries and networks that an admin shut out, and which of them applies.
//!
//! A blocked phone gets no code, is not let in, and its sessions end. A blocked prefix or country gets no code and no code of
//! it is accepted; sessions go on, so that one mistake does not sign out a nation. A blocked network may not request a code,
//! send one back, sign in by password or register.

mod target;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

pub use self::target::{Kind, Network, Target, UnknownKind};
use super::{
    address::ClientAddress,
    phone::{PhoneNumber, Region},
    profile::{FieldErrors, one_line},
};

/// The longest reason, in characters.
const REASON_MAX_CHARS: u64 = 500;

/// The longest reference, in characters.
const REFERENCE_MAX_CHARS: u64 = 100;

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its id (UUID version 7): a newer block has a larger one.
    pub id: Uuid,
    /// What is blocked.
    pub target: Target,
    /// Why, for other admins.
    pub reason: String,
    /// The number of an order or a ticket.
    pub reference: Option<String>,
    /// The admin who made it; `None` for the command line.
    pub made_by: Option<Uuid>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When it ends by itself.
    pub ends_at: Option<DateTime<Utc>>,
    /// When it was ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The admin who ended it; `None` if it ended by itself.
    pub ended_by: Option<Uuid>,
}

impl Block {
    /// Whether it applies now.
    #[must_use]
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && self.ends_at.is_none_or(|end| end > now)
    }

    /// When it ended, if it has.
    #[must_use]
    pub fn ended(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.ended_at.or(self.ends_at.filter(|end| *end <= now))
    }
}

/// A filter for blocks by their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Those that apply now.
    Live,
    /// Those that ended.
    Ended,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 2] = [Self::Live, Self::Ended];

    /// The word in queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ended => "ended",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// With a sentence for any other word.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or("State must be live or ended")
    }
}

/// A filter for blocks. A block must satisfy every given field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// In this state.
    pub state: Option<State>,
    /// Of this value, as it is stored.
    pub value: Option<String>,
}

/// The value that an admin searches for, as it is stored: a phone, a network or a prefix in any spelling, or a country.
#[must_use]
pub fn search_value(text: &str, region: Region) -> String {
    known_value(text, region).unwrap_or_else(|| text.trim().to_owned())
}

/// The same, but `None` for a text that is no value of a block.
#[must_use]
pub fn known_value(text: &str, region: Region) -> Option<String> {
    let spelt = [Kind::Phone, Kind::Address, Kind::Prefix, Kind::Country];
    let mut targets = spelt.into_iter().filter_map(|kind| Target::parse(kind, text.trim(), region).ok());
    targets.next().map(|target| target.value())
}

/// Why a block is made: the texts for other admins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Reads a reason, which is required.
    ///
    /// # Errors
    /// All errors: missing, too long, a character that is not allowed.
    pub fn parse(raw: &str) -> Result<Self, FieldErrors> {
        let text = one_line("Reason", raw, REASON_MAX_CHARS)?;
        text.map(Self).ok_or_else(|| vec!["Reason is required".to_owned()])
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a reference; a blank one is none.
///
/// # Errors
/// All errors: too long, a character that is not allowed.
pub fn parse_reference(raw: &str) -> Result<Option<String>, FieldErrors> {
    one_line("Reference", raw, REFERENCE_MAX_CHARS)
}

/// The longest time until the end of a block.
const LONGEST: Duration = Duration::days(36_500);

/// Checks the end of a new block.
///
/// # Errors
/// With a sentence if it has passed.
pub fn check_end(ends_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<DateTime<Utc>, &'static str> {
    if ends_at <= now {
        Err("The end must be in the future")
    } else if ends_at - now > LONGEST {
        // Rows compare years of four digits.
        Err("The end must be within 100 years; leave it out for a block without an end")
    } else {
        Ok(ends_at)
    }
}

/// The live blocks, in the form in which every request looks at them.
#[derive(Debug, Default)]
pub struct Blocks {
    phones: HashMap<PhoneNumber, Block>,
    /// The longest first.
    prefixes: Vec<Block>,
    countries: HashMap<String, Block>,
    /// The smallest first.
    networks: Vec<Block>,
}

impl Blocks {
    /// Sorts blocks for looking them up.
    #[must_use]
    pub fn new(blocks: Vec<Block>) -> Self {
        let mut sorted = Self::default();
        for block in blocks {
            match &block.target {
                Target::Phone(phone) => drop(sorted.phones.insert(phone.clone(), block)),
                Target::Country(country) => drop(sorted.countries.insert(country.to_string(), block)),
                Target::Prefix(_) => sorted.prefixes.push(block),
                Target::Address(_) => sorted.networks.push(block),
            }
        }
        sorted.prefixes.sort_by_key(|block| std::cmp::Reverse(block.target.width()));
        sorted.networks.sort_by_key(|block| std::cmp::Reverse(block.target.width()));
        sorted
    }

    /// The block because of which this phone gets no code: of itself, of its longest blocked prefix, or of its country.
    #[must_use]
    pub fn of_phone(&self, phone: &PhoneNumber, now: DateTime<Utc>) -> Option<&Block> {
        let of_prefix = || {
            let matches = |block: &&Block| block.is_live(now) && block.target.has_phone(phone);
            self.prefixes.iter().find(matches)
        };
        let of_country = || {
            // The numbering plan is only searched if there is a blocked country.
            let countries = Some(&self.countries).filter(|countries| !countries.is_empty())?;
            countries.get(&phone.region()?.to_string()).filter(|block| block.is_live(now))
        };
        self.of_owner(phone, now).or_else(of_prefix).or_else(of_country)
    }

    /// The block because of which the owner of this phone is not let in: only one of the phone itself.
    #[must_use]
    pub fn of_owner(&self, phone: &PhoneNumber, now: DateTime<Utc>) -> Option<&Block> {
        self.phones.get(phone).filter(|block| block.is_live(now))
    }

    /// The block of the smallest network that this address is in.
    #[must_use]
    pub fn of_address(&self, address: ClientAddress, now: DateTime<Utc>) -> Option<&Block> {
        let matches = |block: &&Block| block.is_live(now) && block.target.has_address(address);
        self.networks.iter().find(matches)
    }
}
