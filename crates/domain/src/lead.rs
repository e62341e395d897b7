//! Leads: every phone that requested a code, for the sales team to follow up.

use chrono::{DateTime, Utc};

/// The endpoint of the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `POST /api/auth/signup`
    Signup,
    /// `POST /api/auth/login`
    Login,
}

impl Source {
    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Login => "login",
        }
    }
}

/// The state of a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A code was requested but not used yet.
    New,
    /// The sales team contacted the user.
    Contacted,
    /// The user verified the code and has an account.
    Converted,
    /// The sales team gave up.
    Lost,
}

impl State {
    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Contacted => "contacted",
            Self::Converted => "converted",
            Self::Lost => "lost",
        }
    }
}

/// A lead as stored.
#[derive(Clone)]
pub struct Lead {
    /// The endpoint of the first request: the name of a [`Source`].
    pub source: String,
    /// The state: the name of a [`State`].
    pub state: String,
    /// How many codes were requested.
    pub requests: i64,
    /// The time of the first request.
    pub first_requested_at: DateTime<Utc>,
    /// The time of the last request.
    pub last_requested_at: DateTime<Utc>,
    /// When the user verified a code.
    pub converted_at: Option<DateTime<Utc>>,
    /// The notes of the sales team.
    pub notes: String,
}

// Written by hand: notes about a person must not get into logs.
impl std::fmt::Debug for Lead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lead").field("state", &self.state).finish_non_exhaustive()
    }
}
