//! What the audit log keeps: who did what, to whom, from where and when.
//!
//! An entry outlives whom it is about, so it says nothing of a person that erasing her would have to undo: a phone is a
//! mark ([`Pseudonyms`]) and masked, and there is no name, no address of mail and no text that somebody typed. The values
//! of [`Fact`] are made so that none gets in by accident.
//!
//! To add an action: a variant, its name, the facts that its entries may have, and its row in `docs/AUDIT.md` (a test
//! compares).

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

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Somebody at the front door: the owner of this account, or a stranger.
    Person(Option<Uuid>),
    /// Somebody of the staff, acting on what is another's.
    Staff(Uuid),
    /// The server itself.
    System,
    /// Whoever may run the program's commands.
    Command,
}

impl Actor {
    /// Every kind.
    pub const KINDS: [&str; 4] = ["person", "staff", "system", "command"];

    /// The name of the kind in the row. It must never change.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Staff(_) => "staff",
            Self::System => "system",
            Self::Command => "command",
        }
    }

    /// Whose account acted.
    #[must_use]
    pub fn id(self) -> Option<Uuid> {
        match self {
            Self::Person(id) => id,
            Self::Staff(id) => Some(id),
            Self::System | Self::Command => None,
        }
    }
}

/// Something that happened. Say it as a sentence:
///
/// ```ignore
/// Event::new(Action::PhoneChanged, Actor::Person(Some(id))).about(id).phone(&new).from(address).with("ended", ended)
/// ```
#[derive(Debug, Clone)]
pub struct Event {
    /// What.
    pub action: Action,
    /// By whom.
    pub actor: Actor,
    /// Whose account it is about.
    pub user_id: Option<Uuid>,
    /// Which phone it is about.
    pub phone: Option<PhoneNumber>,
    /// From where.
    pub address: Option<ClientAddress>,
    /// What else there is to know.
    pub detail: Detail,
}

impl Event {
    /// An event of which nothing else is known yet.
    #[must_use]
    pub fn new(action: Action, actor: Actor) -> Self {
        Self { action, actor, user_id: None, phone: None, address: None, detail: Detail::default() }
    }

    /// What a stranger did, or somebody of whom it is not known who she is.
    #[must_use]
    pub fn by_stranger(action: Action) -> Self {
        Self::new(action, Actor::Person(None))
    }

    /// What somebody did with her own account.
    #[must_use]
    pub fn by_owner(action: Action, id: Uuid) -> Self {
        Self::new(action, Actor::Person(Some(id))).about(id)
    }

    /// Whose account it is about.
    #[must_use]
    pub fn about(self, id: Uuid) -> Self {
        Self { user_id: Some(id), ..self }
    }

    /// Which phone it is about.
    #[must_use]
    pub fn phone(self, phone: &PhoneNumber) -> Self {
        Self { phone: Some(phone.clone()), ..self }
    }

    /// From where, as far as that is known.
    #[must_use]
    pub fn from(self, address: impl Into<Option<ClientAddress>>) -> Self {
        Self { address: address.into(), ..self }
    }

    /// What else there is to know. The name is one of [`Action::facts`].
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl Into<Fact>) -> Self {
        debug_assert!(self.action.facts().contains(&name), "{name} is no fact of {}", self.action);
        self.detail.0.insert(name.to_owned(), fact.into().0);
        self
    }

    /// The same, where it is known.
    #[must_use]
    pub fn with_known(self, name: &'static str, fact: Option<impl Into<Fact>>) -> Self {
        match fact {
            Some(fact) => self.with(name, fact),
            None => self,
        }
    }

    /// The entry that says so.
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

/// What else there is to know of an event, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail(Map<String, Value>);

impl Detail {
    /// Reads what a row holds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// One fact.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// As a row holds it.
impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.json(), f)
    }
}

/// A value of a detail: a word of the program's own, a number, an id or a mark. There is no way from a text that
/// somebody typed to here but [`Fact::shown`], which asks whoever writes it to think.
#[derive(Debug, Clone)]
pub struct Fact(Value);

impl Fact {
    /// A text that says nothing of a person: a prefix of numbers, a version, a month.
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

/// An entry, as it is written and read. A later version may know further words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id (UUID version 7). Of entries of one server it grows.
    pub id: Uuid,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What: the name of an [`Action`].
    pub action: Cow<'static, str>,
    /// By whom: one of [`Actor::KINDS`].
    pub actor_kind: Cow<'static, str>,
    /// Whose account that is.
    pub actor_id: Option<Uuid>,
    /// Whose account it is about.
    pub user_id: Option<Uuid>,
    /// What stands for the phone.
    pub phone_mark: Option<String>,
    /// The phone, masked.
    pub phone_masked: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// What else there is to know.
    pub detail: Detail,
}

/// Which entries are wanted: all that fit everything that is said.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// From this time on.
    pub since: Option<DateTime<Utc>>,
    /// Of this kind.
    pub action: Option<Action>,
    /// About this account, or by it.
    pub user_id: Option<Uuid>,
    /// About one of these phones.
    pub phones: Option<Vec<Pseudonym>>,
    /// From this address.
    pub address: Option<ClientAddress>,
}

/// The place of an entry in the order of all: by time, and entries of one moment as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub DateTime<Utc>, pub Uuid);

impl Entry {
    /// Its place.
    #[must_use]
    pub fn place(&self) -> Place {
        Place(self.at, self.id)
    }
}
