//! The rows of every source, as its files or tables hold them. Nothing in them is checked.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::account::Role;

/// Where users are moved from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The database of the original Loopin backend.
    Loopin,
    /// Firebase Authentication.
    Firebase,
    /// Supabase Auth.
    Supabase,
    /// Auth0.
    Auth0,
    /// A user pool of Amazon Cognito.
    Cognito,
    /// A file with the columns of `docs/MOVING.md`.
    Csv,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 6] =
        [Self::Loopin, Self::Firebase, Self::Supabase, Self::Auth0, Self::Cognito, Self::Csv];

    /// The name on the command line, in reports and in the audit log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loopin => "loopin",
            Self::Firebase => "firebase",
            Self::Supabase => "supabase",
            Self::Auth0 => "auth0",
            Self::Cognito => "cognito",
            Self::Csv => "csv",
        }
    }
}

/// The text is not a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be loopin, firebase, supabase, auth0, cognito or csv")]
pub struct UnknownSource;

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(name: &str) -> Result<Self, UnknownSource> {
        Self::ALL.into_iter().find(|source| source.as_str() == name).ok_or(UnknownSource)
    }
}

/// A row of a source.
pub enum Row {
    /// A user.
    Person(Box<Person>),
    /// Someone who requested a code and never became a user.
    Lead(FormerLead),
    /// An interest that users could choose.
    Interest(FormerInterest),
    /// A row that could not be read, and its place.
    Unreadable(u64),
}

// Written by hand, here and below: what a source says about people must not get into logs.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Row(..)")
    }
}

/// A phone of a user.
#[derive(Clone, PartialEq, Eq)]
pub struct FormerPhone {
    /// As the source writes it.
    pub text: String,
    /// Whether the user proved there that the phone is theirs.
    pub is_proved: bool,
}

impl fmt::Debug for FormerPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormerPhone(..)")
    }
}

/// A user. An empty text counts as none.
#[derive(Clone, Default)]
pub struct Person {
    /// The line, or the number of the row or element, beginning with 1.
    pub place: u64,
    /// The id, by which other systems know the user.
    pub old_id: String,
    /// The phones. The first proved one that is a number counts.
    pub phones: Vec<FormerPhone>,
    /// The username.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// The birth date, `YYYY-MM-DD`.
    pub birth_date: Option<String>,
    /// The gender.
    pub gender: Option<String>,
    /// The text about the user.
    pub bio: Option<String>,
    /// The location.
    pub location: Option<String>,
    /// The names of the interests that the user chose.
    pub interests: Vec<String>,
    /// URLs of pictures.
    pub pictures: Vec<String>,
    /// The hash of the password, where it may come along.
    pub password: Option<String>,
    /// The role.
    pub role: Option<Role>,
    /// Whether the user may not sign in.
    pub is_disabled: bool,
    /// Until when the user may not sign in.
    pub disabled_until: Option<DateTime<Utc>>,
    /// Whether the user was deleted, and only the row is still there.
    pub is_deleted: bool,
    /// When the account was made.
    pub created_at: Option<DateTime<Utc>>,
    /// The last sign-in.
    pub last_sign_in: Option<DateTime<Utc>>,
    /// Fields that do not come: they point to nothing in the source, or were not proved there.
    pub left_out: Vec<&'static str>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Someone who requested a code.
#[derive(Clone)]
pub struct FormerLead {
    /// The number of the row.
    pub place: u64,
    /// The id of the row.
    pub old_id: String,
    /// The phone as the source writes it.
    pub phone: String,
    /// The first request.
    pub first_requested_at: Option<DateTime<Utc>>,
    /// The last request.
    pub last_requested_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for FormerLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormerLead").field("place", &self.place).finish_non_exhaustive()
    }
}

/// An interest.
#[derive(Debug, Clone)]
pub struct FormerInterest {
    /// The number of the row.
    pub place: u64,
    /// The id of the row.
    pub old_id: String,
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// Whether users could choose it.
    pub is_active: bool,
}
