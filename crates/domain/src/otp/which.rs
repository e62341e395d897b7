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
    /// The verification of another service. No other service, and no other check of the same one, can use its code.
    Verification(Uuid),
}

impl Holder {
    /// The prefix of a device's text in rows.
    pub const DEVICE: &'static str = "device:";

    /// The prefix of a verification's text in rows.
    pub const VERIFICATION: &'static str = "verification:";

    /// Reads the text from a row.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(id) = text.strip_prefix(Self::DEVICE) {
            return id.parse().ok().map(Self::Device);
        }
        match text.strip_prefix(Self::VERIFICATION) {
            Some(id) => id.parse().ok().map(Self::Verification),
            None => text.parse().ok().map(Self::Account),
        }
    }

    /// The account, if the holder is one.
    #[must_use]
    pub fn account(self) -> Option<Uuid> {
        match self {
            Self::Account(id) => Some(id),
            Self::Device(_) | Self::Verification(_) => None,
        }
    }

    /// The device, if the holder is one.
    #[must_use]
    pub fn device(self) -> Option<Uuid> {
        match self {
            Self::Device(id) => Some(id),
            Self::Account(_) | Self::Verification(_) => None,
        }
    }

    /// Whether the phone has proved itself to get this holder: it has an account, or a device was signed in.
    #[must_use]
    pub fn is_proved(self) -> bool {
        match self {
            Self::Account(_) | Self::Device(_) => true,
            Self::Verification(_) => false,
        }
    }

    /// The bytes for deriving a code. The kinds have different lengths, so no two of them collide.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Account(id) => id.as_bytes().to_vec(),
            Self::Device(id) => [Self::DEVICE.as_bytes(), id.as_bytes()].concat(),
            Self::Verification(id) => [Self::VERIFICATION.as_bytes(), id.as_bytes()].concat(),
        }
    }
}

/// The text in rows. It must never change.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => fmt::Display::fmt(id, f),
            Self::Device(id) => write!(f, "{}{id}", Self::DEVICE),
            Self::Verification(id) => write!(f, "{}{id}", Self::VERIFICATION),
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
    /// What the challenge is bound to, if anything.
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

    /// The challenge of a verification that another service asked for.
    #[must_use]
    pub fn verification(phone: &'a PhoneNumber, id: Uuid) -> Self {
        Self { phone, purpose: Purpose::Verification, holder: Some(Holder::Verification(id)) }
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
    /// the guesses at this name, and its count is the one in the answer.
    Name(&'a Pseudonym),
    /// Of a name that has no code at the moment. There is never such a row, so a guess costs the same statements as one at a code.
    NoCode(&'a Pseudonym),
}

impl<'a> From<ChallengeKey<'a>> for ChallengeRow<'a> {
    fn from(key: ChallengeKey<'a>) -> Self {
        Self::Code(key)
    }
}
