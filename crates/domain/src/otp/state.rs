//! What has become of a code that was sent.

use chrono::{DateTime, Utc};

use super::{Challenge, OtpPolicy};

/// Whether a code that was sent is still taken, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeState {
    /// It is taken.
    Live,
    /// It was taken.
    Used,
    /// Its time is over.
    Expired,
    /// Too many wrong codes came.
    Exhausted,
    /// Another code took its place, or nobody waits for it any more.
    Replaced,
}

impl CodeState {
    /// The state of the code of a challenge, which is not there any more once another one took its place.
    #[must_use]
    pub fn from_challenge(challenge: Option<&Challenge>, policy: &OtpPolicy, now: DateTime<Utc>) -> Self {
        match challenge {
            None => Self::Replaced,
            Some(challenge) if challenge.consumed_at.is_some() => Self::Used,
            Some(challenge) if challenge.waits(policy, now) => Self::Live,
            Some(challenge) if challenge.expires_at < now => Self::Expired,
            Some(_) => Self::Exhausted,
        }
    }

    /// The word for it.
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
