//! The claims that an operator can add to access tokens (`JWT_CLAIMS`). The list is fixed: a claim tells something to every service
//! that gets the token, so each is a decision.

use std::{fmt, str::FromStr};

/// A claim that is not in every access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionalClaim {
    /// The name of the profile, if it has one.
    Name,
    /// The language that the client asked for when it signed in, if it asked for one.
    Locale,
    /// The id in the system that the account was moved from, if it has one.
    ExternalId,
    /// Whether the account has a verified phone.
    PhoneVerified,
    /// Always false, also without an address: this server never verifies addresses.
    EmailVerified,
    /// Whether the profile still lacks something.
    NeedsProfileCompletion,
}

impl OptionalClaim {
    /// Every claim, in the order in which problems and documents list them.
    pub const ALL: [Self; 6] = [
        Self::Name,
        Self::Locale,
        Self::ExternalId,
        Self::PhoneVerified,
        Self::EmailVerified,
        Self::NeedsProfileCompletion,
    ];

    /// The name in tokens and in the setting.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Locale => "locale",
            Self::ExternalId => "external_id",
            Self::PhoneVerified => "phone_verified",
            Self::EmailVerified => "email_verified",
            Self::NeedsProfileCompletion => "needs_profile_completion",
        }
    }
}

impl fmt::Display for OptionalClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no claim of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownClaim;

impl FromStr for OptionalClaim {
    type Err = UnknownClaim;

    fn from_str(name: &str) -> Result<Self, UnknownClaim> {
        Self::ALL.into_iter().find(|claim| claim.as_str() == name).ok_or(UnknownClaim)
    }
}
