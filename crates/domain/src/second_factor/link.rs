//! Enrolment links: a link sets up one second factor, once.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    account::{Account, Role},
    derived::half_hex,
    rights::FactorPolicy,
};

/// The path of the page, without the token.
const PATH: &str = "/admin/enroll/";

/// The beginning of a token that a user made for their own account.
const OWN: &str = "own-";

/// How many characters 256 bits have in base64 without padding (RFC 4648, section 5).
const TOKEN_CHARACTERS: usize = 43;

/// Who made a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMaker {
    /// An admin, or the command line.
    Operator,
    /// The owner of the account, with the password.
    Owner,
}

/// The random part of a link, 256 bits, and who made the link. Who has it can set up the factor, so it is shown once and only its
/// hash is stored. The hash covers the maker, so that no owner can pass for an admin. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    random: [u8; 32],
    maker: LinkMaker,
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolmentToken(..)")
    }
}

impl EnrolmentToken {
    /// A token from random bytes, made by an admin or the command line.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self { random, maker: LinkMaker::Operator }
    }

    /// A token from random bytes, made by the owner of the account.
    #[must_use]
    pub fn own(random: [u8; 32]) -> Self {
        Self { random, maker: LinkMaker::Owner }
    }

    /// Reads the token in the path of a link.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (maker, text) = match text.strip_prefix(OWN).filter(|rest| rest.len() == TOKEN_CHARACTERS) {
            Some(rest) => (LinkMaker::Owner, rest),
            None => (LinkMaker::Operator, text),
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self { random: bytes.try_into().ok()?, maker })
    }

    /// The path of the link. The origin of the server comes before it.
    #[must_use]
    pub fn path(&self) -> SecretString {
        let prefix = match self.maker {
            LinkMaker::Operator => "",
            LinkMaker::Owner => OWN,
        };
        format!("{PATH}{prefix}{}", URL_SAFE_NO_PAD.encode(self.random)).into()
    }

    /// What the row holds. The token is random, so the hash needs no key.
    #[must_use]
    pub fn hash(&self) -> String {
        let hash = match self.maker {
            LinkMaker::Operator => Sha256::new(),
            LinkMaker::Owner => Sha256::new_with_prefix(OWN),
        };
        let digest: [u8; 32] = hash.chain_update(self.random).finalize().into();
        format!("{}{}", half_hex(digest.first_chunk()), half_hex(digest.last_chunk()))
    }

    /// Whether it may set up the factor of this account now. The account can have lost its role since the link was made, and the
    /// factor can have become required: then the password alone, with which owners make a link, must not set one up.
    #[must_use]
    pub fn may_enrol(&self, account: &Account, policy: FactorPolicy) -> bool {
        let is_maker_allowed = match (self.maker, policy) {
            (LinkMaker::Operator, _) | (LinkMaker::Owner, FactorPolicy::Optional) => true,
            (LinkMaker::Owner, FactorPolicy::Required) => false,
        };
        account.is_active && account.role > Role::User && is_maker_allowed
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.random
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
