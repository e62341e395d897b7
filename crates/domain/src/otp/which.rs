//! Which challenge is meant: of which phone, for what, and whose.

use std::fmt;

use uuid::Uuid;

use super::Purpose;
use crate::phone::PhoneNumber;

/// Whom a challenge is bound to, beside the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The account that asked for it, signed in.
    Account(Uuid),
    /// A device that was signed in before: strangers can neither see nor use up its guesses.
    Device(Uuid),
}

impl Holder {
    /// How the text of a device's begins, in rows.
    pub const DEVICE: &'static str = "device:";

    /// Reads the text of a row.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(Self::DEVICE) {
            Some(id) => id.parse().ok().map(Self::Device),
            None => text.parse().ok().map(Self::Account),
        }
    }

    /// The account, where it is one.
    #[must_use]
    pub fn account(self) -> Option<Uuid> {
        match self {
            Self::Account(id) => Some(id),
            Self::Device(_) => None,
        }
    }

    /// What codes are derived from. A device's is longer than an account's, so neither is ever the other.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Account(id) => id.as_bytes().to_vec(),
            Self::Device(id) => [Self::DEVICE.as_bytes(), id.as_bytes()].concat(),
        }
    }
}

/// The text in the row. It must never change.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => fmt::Display::fmt(id, f),
            Self::Device(id) => write!(f, "{}{id}", Self::DEVICE),
        }
    }
}

/// Which challenge is meant: one kind of challenge never disturbs or opens another.
#[derive(Debug, Clone, Copy)]
pub struct ChallengeKey<'a> {
    /// The phone that gets the code.
    pub phone: &'a PhoneNumber,
    /// What the code is for.
    pub purpose: Purpose,
    /// The account or device that the challenge is bound to, where there is one.
    pub holder: Option<Holder>,
}

impl<'a> ChallengeKey<'a> {
    /// The challenge that `signup` and `login` share.
    #[must_use]
    pub fn sign_in(phone: &'a PhoneNumber) -> Self {
        Self { phone, purpose: Purpose::SignIn, holder: None }
    }

    /// The challenge of the same purpose that belongs to a device which was signed in before.
    #[must_use]
    pub fn sign_in_by(phone: &'a PhoneNumber, device: Option<Uuid>) -> Self {
        Self { holder: device.map(Holder::Device), ..Self::sign_in(phone) }
    }

    /// The challenge that proves again who holds a session of this account. Its phone gets the code.
    #[must_use]
    pub fn confirm(phone: &'a PhoneNumber, account: Uuid) -> Self {
        Self { phone, purpose: Purpose::Confirm, holder: Some(Holder::Account(account)) }
    }

    /// The challenge that proves that this account may have this number.
    #[must_use]
    pub fn change_phone(phone: &'a PhoneNumber, account: Uuid) -> Self {
        Self { phone, purpose: Purpose::ChangePhone, holder: Some(Holder::Account(account)) }
    }
}
