//! The audit log: who did what, to which account, from which address and when.
//!
//! An entry outlives the account, so it contains no personal data that a deletion would have to erase: a phone is
//! stored as an HMAC ([`Pseudonyms`]) and masked, and there are no names, no e-mail addresses and no texts that a
//! user typed. The constructors of [`Fact`] prevent adding them by accident.
//!
//! To add an action: a variant, its name, the facts of its entries, and its row in `docs/AUDIT.md` (a test compares
//! them).

mod action;
mod month;
mod settings;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use self::{
    action::{Action, UnknownAction},
    month::{Dropping, Month, MonthError, NotYet},
    settings::{Setting, Settings, Shown},
};
use super::{
    address::ClientAddress,
    phone::PhoneNumber,
    pseudonym::{Pseudonym, Pseudonyms},
};

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A client of the API: the owner of this account, or an unknown client.
    Person(Option<Uuid>),
    /// Staff, acting on another's account or on limits.
    Staff(Uuid),
    /// The server itself.
    System,
    /// An operator on the command line.
    Command,
    /// Another service, by its API key. The fact `service` names it.
    Service,
}

/// The kind of staff.
const STAFF: &str = "staff";

impl Actor {
    /// Every kind.
    pub const KINDS: [&str; 5] = ["person", STAFF, "system", "command", "service"];

    /// The name of the kind in the row. It must never change.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Staff(_) => STAFF,
            Self::System => "system",
            Self::Command => "command",
            Self::Service => "service",
        }
    }

    /// The account that acted.
    #[must_use]
    pub fn id(self) -> Option<Uuid> {
        match self {
            Self::Person(id) => id,
            Self::Staff(id) => Some(id),
            Self::System | Self::Command | Self::Service => None,
        }
    }
}

/// Something that happened. Build it as a sentence:
///
/// ```ignore
/// Event::new(Action::PhoneChanged, Actor::Person(Some(id))).about(id).phone(&new).from(address).with("ended", ended)
/// ```
#[derive(Debug, Clone)]
pub struct Event {
    /// The action.
    pub action: Action,
    /// Who did it.
    pub actor: Actor,
    /// The account it is about.
    pub user_id: Option<Uuid>,
    /// The phone it is about.
    pub phone: Option<PhoneNumber>,
    /// The client's address.
    pub address: Option<ClientAddress>,
    /// Further facts.
    pub detail: Detail,
}

impl Event {
    /// An event without further facts.
    #[must_use]
    pub fn new(action: Action, actor: Actor) -> Self {
        Self { action, actor, user_id: None, phone: None, address: None, detail: Detail::default() }
    }

    /// An event caused by a client that is not signed in.
    #[must_use]
    pub fn by_stranger(action: Action) -> Self {
        Self::new(action, Actor::Person(None))
    }

    /// An event caused by a user on their own account.
    #[must_use]
    pub fn by_owner(action: Action, id: Uuid) -> Self {
        Self::new(action, Actor::Person(Some(id))).about(id)
    }

    /// Sets the account it is about.
    #[must_use]
    pub fn about(self, id: Uuid) -> Self {
        Self { user_id: Some(id), ..self }
    }

    /// Sets the phone it is about.
    #[must_use]
    pub fn phone(self, phone: &PhoneNumber) -> Self {
        Self { phone: Some(phone.clone()), ..self }
    }

    /// Sets the client's address, if known.
    #[must_use]
    pub fn from(self, address: impl Into<Option<ClientAddress>>) -> Self {
        Self { address: address.into(), ..self }
    }

    /// Adds a fact. The name must be one of [`Action::facts`].
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl Into<Fact>) -> Self {
        debug_assert!(self.action.facts().contains(&name), "{name} is no fact of {}", self.action);
        self.detail.0.insert(name.to_owned(), fact.into().0);
        self
    }

    /// Adds a fact if it is known.
    #[must_use]
    pub fn with_known(self, name: &'static str, fact: Option<impl Into<Fact>>) -> Self {
        match fact {
            Some(fact) => self.with(name, fact),
            None => self,
        }
    }

    /// The entry for the log.
    #[must_use]
    pub fn entry(self, id: Uuid, pseudonyms: &Pseudonyms, at: DateTime<Utc>) -> Entry {
        Entry {
            id,
            at,
            action: self.action.as_str().into(),
            actor_kind: self.actor.kind().into(),
            actor_id: self.actor.id(),
            user_id: self.user_id,
            phone_mark: self.phone.as_ref().map(|phone| pseudonyms.phone(phone).as_str().to_owned()),
            phone_masked: self.phone.as_ref().map(ToString::to_string),
            address: self.address.map(|address| address.to_string()),
            detail: self.detail,
        }
    }
}

/// The facts of an event, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail(Map<String, Value>);

impl Detail {
    /// Reads the JSON of a row.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// The fact of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All facts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// The JSON for a row.
impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.json(), f)
    }
}

/// The value of a fact: a fixed word, a number, an id or an HMAC. A text can only become a fact by [`Fact::shown`],
/// where the author must think about personal data.
#[derive(Debug, Clone)]
pub struct Fact(Value);

impl Fact {
    /// A text without personal data: a number prefix, a version, a month.
    #[must_use]
    pub fn shown(text: &impl fmt::Display) -> Self {
        Self(text.to_string().into())
    }
}

impl From<&'static str> for Fact {
    fn from(word: &'static str) -> Self {
        Self(word.into())
    }
}

impl From<&[&'static str]> for Fact {
    fn from(words: &[&'static str]) -> Self {
        Self(words.into())
    }
}

impl From<bool> for Fact {
    fn from(flag: bool) -> Self {
        Self(flag.into())
    }
}

impl From<i64> for Fact {
    fn from(number: i64) -> Self {
        Self(number.into())
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl From<Uuid> for Fact {
    fn from(id: Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl From<DateTime<Utc>> for Fact {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.to_rfc3339().into())
    }
}

impl From<&Pseudonym> for Fact {
    fn from(phone_hash: &Pseudonym) -> Self {
        Self(phone_hash.as_str().into())
    }
}

/// Masked.
impl From<&PhoneNumber> for Fact {
    fn from(phone: &PhoneNumber) -> Self {
        Self(phone.to_string().into())
    }
}

/// An entry as stored. A later version may know more actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The id (UUID version 7). Ids from one server increase.
    pub id: Uuid,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The name of an [`Action`].
    pub action: Cow<'static, str>,
    /// Who did it: one of [`Actor::KINDS`].
    pub actor_kind: Cow<'static, str>,
    /// The account that acted.
    pub actor_id: Option<Uuid>,
    /// The account it is about.
    pub user_id: Option<Uuid>,
    /// The HMAC of the phone.
    pub phone_mark: Option<String>,
    /// The phone, masked.
    pub phone_masked: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// Further facts.
    pub detail: Detail,
}

/// A filter for entries. An entry must satisfy every given field.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// At this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// With this action.
    pub action: Option<Action>,
    /// By one of [`Actor::KINDS`].
    pub actor_kind: Option<&'static str>,
    /// By this account.
    pub actor_id: Option<Uuid>,
    /// About this account.
    pub about: Option<Uuid>,
    /// About this account, or by it.
    pub user_id: Option<Uuid>,
    /// About one of these phones.
    pub phones: Option<Vec<Pseudonym>>,
    /// From this address.
    pub address: Option<ClientAddress>,
}

/// The position of an entry in the log: ordered by time, then by id for entries of the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub DateTime<Utc>, pub Uuid);

impl Entry {
    /// Whether staff did it.
    #[must_use]
    pub fn is_by_staff(&self) -> bool {
        self.actor_kind == STAFF
    }

    /// Its position.
    #[must_use]
    pub fn place(&self) -> Place {
        Place(self.at, self.id)
    }
}
