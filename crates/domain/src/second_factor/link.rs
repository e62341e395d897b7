//! Enrolment links: a link sets up one second factor, once.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The path of the page, without the token.
const PATH: &str = "/admin/enroll/";

/// The random part of a link: 256 bits. Who has it can set up the factor, so it is shown once and only its hash is stored.
/// `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentToken([u8; 32]);

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolmentToken(..)")
    }
}

impl EnrolmentToken {
    /// A token from random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads the token in the path of a link.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The path of the link. The origin of the server comes before it.
    #[must_use]
    pub fn path(&self) -> SecretString {
        format!("{PATH}{}", URL_SAFE_NO_PAD.encode(self.0)).into()
    }

    /// What the row holds. The token is random, so the hash needs no key.
    #[must_use]
    pub fn hash(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(self.0).into();
        let half = |bytes: Option<&[u8; 16]>| u128::from_be_bytes(bytes.copied().unwrap_or_default());
        format!("{:032x}{:032x}", half(digest.first_chunk()), half(digest.last_chunk()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The row of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolmentLink {
    /// The account whose factor it sets up.
    pub account_id: Uuid,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// When it was used.
    pub used_at: Option<DateTime<Utc>>,
}

/// Whether a link works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It works.
    Live,
    /// It was used.
    Used,
    /// Its time is over.
    Expired,
}

impl EnrolmentLink {
    /// Whether it works now.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> LinkState {
        if self.used_at.is_some() {
            LinkState::Used
        } else if self.expires_at <= now {
            LinkState::Expired
        } else {
            LinkState::Live
        }
    }
}
