//! The state of a sent code, for the test inbox.

use chrono::{DateTime, Utc};

use super::{Challenge, OtpPolicy};

/// Whether a sent code is still valid, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeState {
    /// It is valid.
    Live,
    /// It was used.
    Used,
    /// It has expired.
    Expired,
    /// All guesses were used.
    Exhausted,
    /// A newer code replaced it, or its challenge was deleted.
    Replaced,
}

impl CodeState {
    /// The state of a challenge's code. `None` means that another challenge has replaced it.
    #[must_use]
    pub fn from_challenge(challenge: Option<&Challenge>, policy: &OtpPolicy, now: DateTime<Utc>) -> Self {
        match challenge {
            None => Self::Replaced,
            Some(challenge) if challenge.consumed_at.is_some() => Self::Used,
            Some(challenge) if challenge.accepts_guess(policy, now) => Self::Live,
            Some(challenge) if challenge.expires_at < now => Self::Expired,
            Some(_) => Self::Exhausted,
        }
    }

    /// The word in the test inbox.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Exhausted => "exhausted",
            Self::Replaced => "replaced",
        }
    }
}
