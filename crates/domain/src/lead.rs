//! Leads: everyone who asked for a code, for the sales team to follow up.

use chrono::{DateTime, Utc};

/// What the person asked for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `POST /api/auth/signup`
    Signup,
    /// `POST /api/auth/login`
    Login,
}

impl Source {
    /// The name in the row.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Login => "login",
        }
    }
}

/// Where a lead stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Asked for a code and has not come back.
    New,
    /// Somebody of the sales team spoke to her.
    Contacted,
    /// The code came back: she has an account.
    Converted,
    /// Given up.
    Lost,
}

impl State {
    /// The name in the row.
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

/// A lead, as its row says.
#[derive(Clone)]
pub struct Lead {
    /// What the person asked for first: the name of a [`Source`].
    pub source: String,
    /// Where it stands: the name of a [`State`].
    pub state: String,
    /// How often a code was asked for.
    pub requests: i64,
    /// When that was first.
    pub first_requested_at: DateTime<Utc>,
    /// When that was last.
    pub last_requested_at: DateTime<Utc>,
    /// When the code came back.
    pub converted_at: Option<DateTime<Utc>>,
    /// What the sales team wrote down.
    pub notes: String,
}

// By hand, because what is written down of a person is no business of a log.
impl std::fmt::Debug for Lead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lead").field("state", &self.state).finish_non_exhaustive()
    }
}
