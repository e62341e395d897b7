//! The names that an account is found by, and what else a person says of herself at registration.

use std::fmt;

use thiserror::Error;
use validator::ValidateEmail;

use crate::{
    fold::fold,
    phone::{PhoneNumber, Region},
};

/// The longest username and the longest first or last name, in characters: Django's.
pub const LONGEST_NAME: usize = 150;

/// The longest e-mail address, in characters: what fits into the path of SMTP (RFC 5321, section 4.5.3.1.3).
pub const LONGEST_EMAIL: usize = 254;

/// The longest phone that nobody proved, in characters.
pub const LONGEST_PHONE: usize = 32;

/// What is wrong with a name; `Display` is a sentence for the person who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// There is none.
    #[error("Username is required")]
    NoUsername,
    /// More than 150 characters.
    #[error("Username must be at most 150 characters long")]
    LongUsername,
    /// Another character.
    #[error("Username may hold only the letters a-z, digits and . _ + -")]
    UsernameCharacter,
    /// Password sign-in takes a phone too, and no name may be taken for one.
    #[error("Username must not look like a phone number: it needs a letter")]
    LikeAPhone,
    /// No address.
    #[error("Enter a valid e-mail address")]
    Email,
    /// More than 254 characters.
    #[error("E-mail address must be at most {LONGEST_EMAIL} characters long")]
    LongEmail,
    /// More than 150 characters.
    #[error("Must be at most 150 characters long")]
    LongName,
    /// A control character.
    #[error("Control characters are not allowed")]
    Control,
    /// More than 32 characters.
    #[error("Phone must be at most {LONGEST_PHONE} characters long")]
    LongPhone,
    /// Not even like a phone.
    #[error("Phone may hold only digits, a plus in front, and spaces, dashes, dots and parentheses between")]
    Phone,
}

/// A username. Two that differ in case only are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Reads a username: up to 150 of the letters a-z in either case, digits and `. _ + -`, at least one of them a
    /// letter or `_`. Without one it could be a phone; with one it is none in any region, so no change of
    /// `PHONE_DEFAULT_REGION` makes one of it.
    ///
    /// # Errors
    /// What is wrong with it.
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

    /// As its owner wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What usernames are compared by.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// An e-mail address. Nobody proved it.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

// By hand, because an address in a log is a leak.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

impl Email {
    /// Reads an address of up to 254 characters.
    ///
    /// # Errors
    /// When it is none.
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

    /// As its owner wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What addresses are compared by.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// A first or a last name as its owner gave it. Nobody is found by it.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(..)")
    }
}

impl PersonName {
    /// Reads a name; an empty one is none.
    ///
    /// # Errors
    /// When it is longer than 150 characters, or holds a control character.
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

/// A phone that somebody says is hers. It is shown to her and used for nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimedPhone(String);

impl fmt::Debug for ClaimedPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimedPhone(..)")
    }
}

impl ClaimedPhone {
    /// Reads a phone: in E.164 if it is one that text messages reach, else as it was written, if it looks like a phone.
    /// An empty one is none.
    ///
    /// # Errors
    /// When it is longer than 32 characters, or does not look like a phone.
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

/// Whom somebody says she is when she signs in with a password. Each account is found by at most one of the three, as
/// an address has an `@`, a phone has digits only, and a username has neither.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// The account with this username's key.
    Username(String),
    /// The account with this address's key.
    Email(String),
    /// The account that this phone is verified for.
    Phone(PhoneNumber),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

impl Login {
    /// Reads what was typed. There is nothing that it cannot be: what no account can have is looked for like the rest.
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
