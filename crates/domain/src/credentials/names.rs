//! The names that identify an account, and the other names given at registration.

use std::fmt;

use thiserror::Error;
use validator::ValidateEmail;

use crate::{
    fold::fold,
    phone::{PhoneNumber, Region},
};

/// The longest username, first name and last name, in characters (Django's limit).
pub const LONGEST_NAME: usize = 150;

/// The longest e-mail address, in characters: the limit of a path in SMTP (RFC 5321, section 4.5.3.1.3).
pub const LONGEST_EMAIL: usize = 254;

/// The longest unverified phone, in characters.
pub const LONGEST_PHONE: usize = 32;

/// Why a name is invalid; `Display` is a sentence for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// The username is empty.
    #[error("Username is required")]
    NoUsername,
    /// The username has more than 150 characters.
    #[error("Username must be at most 150 characters long")]
    LongUsername,
    /// The username has another character than those allowed.
    #[error("Username may hold only the letters a-z, digits and . _ + -")]
    UsernameCharacter,
    /// The username could be read as a phone, which password sign-in also accepts.
    #[error("Username must not look like a phone number: it needs a letter")]
    LikeAPhone,
    /// Not an e-mail address.
    #[error("Enter a valid e-mail address")]
    Email,
    /// The e-mail address has more than 254 characters.
    #[error("E-mail address must be at most {LONGEST_EMAIL} characters long")]
    LongEmail,
    /// The first or last name has more than 150 characters.
    #[error("Must be at most 150 characters long")]
    LongName,
    /// The first or last name has a control character.
    #[error("Control characters are not allowed")]
    Control,
    /// The phone has more than 32 characters.
    #[error("Phone must be at most {LONGEST_PHONE} characters long")]
    LongPhone,
    /// The text does not look like a phone.
    #[error("Phone may hold only digits, a plus in front, and spaces, dashes, dots and parentheses between")]
    Phone,
}

/// A username. Names that differ only in case are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Reads a username: up to 150 ASCII letters, digits and `. _ + -`, at least one of them a letter or `_`. Without
    /// one it could be a phone number; with one it is a phone number in no region, whatever `PHONE_DEFAULT_REGION`
    /// is.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.is_empty() {
            Err(NameError::NoUsername)
        } else if text.chars().nth(LONGEST_NAME).is_some() {
            Err(NameError::LongUsername)
        } else if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte)) {
            Err(NameError::UsernameCharacter)
        } else if !text.bytes().any(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
            Err(NameError::LikeAPhone)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The username as the user typed it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folded form, for comparison.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// An e-mail address. It is never verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

// Written by hand: addresses must not get into logs.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

impl Email {
    /// Reads an address of up to 254 characters.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.len() > LONGEST_EMAIL {
            Err(NameError::LongEmail)
        } else if text.validate_email() {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Email)
        }
    }

    /// The address as the user typed it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folded form, for comparison.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// A first or last name as the user typed it. No lookup uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(..)")
    }
}

impl PersonName {
    /// Reads a name of up to 150 characters without control characters; an empty one is `None`.
    pub fn parse(text: &str) -> Result<Option<Self>, NameError> {
        let text = text.trim();
        if text.chars().nth(LONGEST_NAME).is_some() {
            Err(NameError::LongName)
        } else if text.contains(char::is_control) {
            Err(NameError::Control)
        } else {
            Ok((!text.is_empty()).then(|| Self(text.to_owned())))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An unverified phone. Only its user sees it, and nothing uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimedPhone(String);

impl fmt::Debug for ClaimedPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimedPhone(..)")
    }
}

impl ClaimedPhone {
    /// Reads a phone of up to 32 characters: in E.164 if it is a number that can get text messages, else as typed if
    /// it looks like a phone. An empty text is `None`.
    pub fn parse(text: &str, region: Region) -> Result<Option<Self>, NameError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if text.chars().nth(LONGEST_PHONE).is_some() {
            return Err(NameError::LongPhone);
        }
        if let Ok(phone) = PhoneNumber::parse(text, region) {
            return Ok(Some(Self(phone.full().to_owned())));
        }
        let digits = text.strip_prefix('+').unwrap_or(text);
        let looks_like_one = digits.bytes().all(|byte| byte.is_ascii_digit() || b" -.()".contains(&byte))
            && digits.bytes().any(|byte| byte.is_ascii_digit());
        if looks_like_one { Ok(Some(Self(text.to_owned()))) } else { Err(NameError::Phone) }
    }

    /// The phone.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name in a password sign-in. The three kinds never overlap: an e-mail address has an `@`, a phone has digits
/// only, and a username has neither, so it matches at most one account.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// The key of a username.
    Username(String),
    /// The key of an e-mail address.
    Email(String),
    /// A verified phone.
    Phone(PhoneNumber),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

impl Login {
    /// Reads the typed name. This never fails: a name that no account can have is looked up like any other.
    #[must_use]
    pub fn parse(text: &str, region: Region) -> Self {
        let text = text.trim();
        if text.contains('@') {
            Self::Email(fold(text))
        } else if let Ok(phone) = PhoneNumber::parse(text, region) {
            Self::Phone(phone)
        } else {
            Self::Username(fold(text))
        }
    }
}
