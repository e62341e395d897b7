//! Leads: everyone who asked for a code, for the sales team to follow up.

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
