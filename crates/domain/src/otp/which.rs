//! The key of a challenge: phone, purpose and holder.

use std::fmt;

use uuid::Uuid;

use super::Purpose;
use crate::{phone::PhoneNumber, pseudonym::Pseudonym};

/// What a challenge is bound to besides the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The signed-in account that requested it.
    Account(Uuid),
    /// A known device. Clients without this device can neither see its challenge nor use up its guesses.
    Device(Uuid),
}

impl Holder {
    /// The prefix of a device's text in rows.
    pub const DEVICE: &'static str = "device:";

    /// Reads the text from a row.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(Self::DEVICE) {
            Some(id) => id.parse().ok().map(Self::Device),
            None => text.parse().ok().map(Self::Account),
        }
    }

    /// The account, unless the holder is a device.
    #[must_use]
    pub fn account(self) -> Option<Uuid> {
        match self {
            Self::Account(id) => Some(id),
            Self::Device(_) => None,
        }
    }

    /// The bytes for deriving a code. A device's bytes are longer than an account's, so the two never collide.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Account(id) => id.as_bytes().to_vec(),
            Self::Device(id) => [Self::DEVICE.as_bytes(), id.as_bytes()].concat(),
        }
    }
}

/// The text in rows. It must never change.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => fmt::Display::fmt(id, f),
            Self::Device(id) => write!(f, "{}{id}", Self::DEVICE),
        }
    }
}

/// The key of a challenge. Challenges with different keys never affect each other.
#[derive(Debug, Clone, Copy)]
pub struct ChallengeKey<'a> {
    /// The phone that receives the code.
    pub phone: &'a PhoneNumber,
    /// The purpose of the code.
    pub purpose: Purpose,
    /// The account or device that the challenge is bound to, if any.
    pub holder: Option<Holder>,
}

impl<'a> ChallengeKey<'a> {
    /// The challenge that `signup` and `login` share.
    #[must_use]
    pub fn sign_in(phone: &'a PhoneNumber) -> Self {
        Self { phone, purpose: Purpose::SignIn, holder: None }
    }

    /// The sign-in challenge of a known device, or the shared one without a device.
    #[must_use]
    pub fn sign_in_by(phone: &'a PhoneNumber, device: Option<Uuid>) -> Self {
        Self { holder: device.map(Holder::Device), ..Self::sign_in(phone) }
    }

    /// The challenge that verifies again who holds a session of this account. The account's phone receives the code.
    #[must_use]
    pub fn confirm(phone: &'a PhoneNumber, account: Uuid) -> Self {
        Self { phone, purpose: Purpose::Confirm, holder: Some(Holder::Account(account)) }
    }

    /// The challenge that verifies the new phone of an account that an admin moves.
    #[must_use]
    pub fn move_phone(phone: &'a PhoneNumber, account: Uuid) -> Self {
        Self { phone, purpose: Purpose::MovePhone, holder: Some(Holder::Account(account)) }
    }

    /// The challenge that verifies the phone of another account that is joined with this one.
    #[must_use]
    pub fn merge(phone: &'a PhoneNumber, account: Uuid) -> Self {
        Self { phone, purpose: Purpose::Merge, holder: Some(Holder::Account(account)) }
    }

    /// The challenge of an account whose password was forgotten. The account's phone receives the code.
    #[must_use]
    pub fn reset_password(phone: &'a PhoneNumber, account: Uuid) -> Self {
        Self { phone, purpose: Purpose::ResetPassword, holder: Some(Holder::Account(account)) }
    }

    /// The challenge that verifies a new phone for this account.
    #[must_use]
    pub fn change_phone(phone: &'a PhoneNumber, account: Uuid) -> Self {
        Self { phone, purpose: Purpose::ChangePhone, holder: Some(Holder::Account(account)) }
    }
}

/// A row that counts guesses.
#[derive(Debug, Clone, Copy)]
pub enum ChallengeRow<'a> {
    /// Of a code.
    Code(ChallengeKey<'a>),
    /// Of a name for which a new password was requested, whether an account has the name or not. The row has no code: it counts
    /// the guesses at this name, and its count is the one that the client is told.
    Name(&'a Pseudonym),
    /// Of a name that has no code at the moment. There is never such a row, so a guess costs the same statements as one at a code.
    NoCode(&'a Pseudonym),
}

impl<'a> From<ChallengeKey<'a>> for ChallengeRow<'a> {
    fn from(key: ChallengeKey<'a>) -> Self {
        Self::Code(key)
    }
}
