//! Leads: every phone that requested a code, for the sales team to follow up.
//!
//! Staff move a lead between [`State::New`], [`State::Waiting`], [`State::Contacted`] and [`State::Lost`] ([`State::step_to`]). No
//! change makes it [`State::Converted`]: only a code does, or staff who verify the phone by hand, and then the lead stays so.
//! A new lead waits when its owner may not sign up.

mod text;
mod wanted;

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use thiserror::Error;
use uuid::Uuid;

pub use self::{
    text::{LONGEST_NAME, LONGEST_NOTE, LeadName, NoteText, TextError},
    wanted::{FieldProblem, Filter, Sort, Wanted},
};
use super::{
    keyset::{Cursor, InvalidCursor},
    phone::PhoneNumber,
};

/// The most leads that one act on a selection takes.
pub const MOST_SELECTED: usize = 200;

/// Stands for the country of a number that no country has, such as a satellite phone.
pub const NO_COUNTRY: &str = "--";

/// The endpoint of the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `POST /api/auth/signup`
    Signup,
    /// `POST /api/auth/login`
    Login,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 2] = [Self::Signup, Self::Login];

    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Login => "login",
        }
    }
}

/// The text is not a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be signup or login")]
pub struct UnknownSource;

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(name: &str) -> Result<Self, UnknownSource> {
        Self::ALL.into_iter().find(|source| source.as_str() == name).ok_or(UnknownSource)
    }
}

/// The state of a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A code was requested but not used yet.
    New,
    /// The user wanted to sign up and was refused: sign-ups are closed, or need an invitation.
    Waiting,
    /// The sales team contacted the user.
    Contacted,
    /// The phone is verified and has an account.
    Converted,
    /// The sales team gave up.
    Lost,
}

/// What a change to another state comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The lead moves to the other state.
    Moves,
    /// It is in this state already.
    Stays,
    /// It is converted, and stays so.
    IsConverted,
    /// Only a code or a verification by hand converts a lead.
    NeedsProof,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::New, Self::Waiting, Self::Contacted, Self::Converted, Self::Lost];

    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Waiting => "waiting",
            Self::Contacted => "contacted",
            Self::Converted => "converted",
            Self::Lost => "lost",
        }
    }

    /// What happens when staff give a lead in this state another one.
    #[must_use]
    pub fn step_to(self, next: Self) -> Step {
        match (self, next) {
            (Self::Converted, Self::Converted) => Step::Stays,
            (Self::Converted, Self::New | Self::Waiting | Self::Contacted | Self::Lost) => Step::IsConverted,
            (Self::New | Self::Waiting | Self::Contacted | Self::Lost, Self::Converted) => Step::NeedsProof,
            (from, to) if from == to => Step::Stays,
            (
                Self::New | Self::Waiting | Self::Contacted | Self::Lost,
                Self::New | Self::Waiting | Self::Contacted | Self::Lost,
            ) => Step::Moves,
        }
    }
}

/// The text is not a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be new, waiting, contacted, converted or lost")]
pub struct UnknownState;

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or(UnknownState)
    }
}

/// A lead as stored.
#[derive(Clone, PartialEq)]
pub struct Lead {
    /// The id, which is also in addresses of pages.
    pub id: Uuid,
    /// The phone.
    pub phone: PhoneNumber,
    /// The two letters of the number's country, or [`NO_COUNTRY`].
    pub country: String,
    /// The name that the user gave on the phone.
    pub name: Option<String>,
    /// The endpoint of the first request.
    pub source: Source,
    /// The state.
    pub state: State,
    /// How many codes were requested.
    pub requests: i64,
    /// The time of the first request.
    pub first_requested_at: DateTime<Utc>,
    /// The time of the last request.
    pub last_requested_at: DateTime<Utc>,
    /// When the phone was verified.
    pub converted_at: Option<DateTime<Utc>>,
    /// When state, name or notes last changed.
    pub changed_at: Option<DateTime<Utc>>,
    /// The staff member who did that. None if it was a code.
    pub changed_by: Option<Uuid>,
    /// Counts these changes: a change that was made for another version is stale.
    pub version: i64,
}

impl Lead {
    /// Whether the user requested another code after the sales team last worked on the lead, and is not verified yet.
    #[must_use]
    pub fn asks_again(&self) -> bool {
        match self.state {
            State::Contacted | State::Lost => {
                self.changed_at.is_some_and(|changed_at| self.last_requested_at > changed_at)
            }
            State::New | State::Waiting | State::Converted => false,
        }
    }
}

// Written by hand: what the sales team knows about a person must not get into logs.
impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// A position in a list of leads: the time that the list is sorted by, then the id for leads of the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub DateTime<Utc>, pub Uuid);

impl Place {
    /// Reads the text of a cursor.
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        let cursor = Cursor::parse(text)?;
        Ok(Self(cursor.time()?, cursor.id))
    }

    /// The cursor of a page that begins after it.
    #[must_use]
    pub fn cursor(self) -> Cursor {
        Cursor::at(self.0, self.1)
    }
}

impl Lead {
    /// Its position in a list with this order.
    #[must_use]
    pub fn place(&self, sort: Sort) -> Place {
        match sort {
            Sort::LastNewest | Sort::LastOldest => Place(self.last_requested_at, self.id),
            Sort::FirstNewest | Sort::FirstOldest => Place(self.first_requested_at, self.id),
        }
    }
}

/// A note about a lead.
#[derive(Clone, PartialEq, Eq)]
pub struct Note {
    /// The id.
    pub id: Uuid,
    /// The account of the author. None for a note from before notes had authors.
    pub author_id: Option<Uuid>,
    /// The author's name at that time; empty if it is not known.
    pub author_name: String,
    /// The text.
    pub text: String,
    /// When it was written. For a note from before notes had times, when the user first requested a code.
    pub at: DateTime<Utc>,
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Note").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What the export of users' data says about a lead.
#[derive(Debug, Clone)]
pub struct LeadAndNotes {
    /// The lead.
    pub lead: Lead,
    /// Its notes, oldest first.
    pub notes: Vec<Note>,
}

/// A change of a lead by staff. What is `None` stays; an inner `None` removes the name.
#[derive(Clone, Default)]
pub struct Change {
    /// Another state.
    pub state: Option<State>,
    /// Another name.
    pub name: Option<Option<LeadName>>,
    /// A further note.
    pub note: Option<NoteText>,
    /// The version that the staff member saw. `None` takes any.
    pub version: Option<i64>,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Change {
    /// A change of the state alone, whatever the version.
    #[must_use]
    pub fn to_state(state: State) -> Self {
        Self { state: Some(state), ..Self::default() }
    }
}

/// The number's country, as it is stored with a lead.
#[must_use]
pub fn country_of(phone: &PhoneNumber) -> String {
    phone.region().map_or_else(|| NO_COUNTRY.to_owned(), |region| region.to_string())
}
