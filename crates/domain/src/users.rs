//! Input rules for the list of users (paging and search) and for changes by staff.

use std::fmt;

use chrono::{DateTime, Utc};
use thiserror::Error;

pub use super::fold::fold;
use super::{
    account::{Account, Role},
    credentials::{Email, PersonName},
    former_id::FormerId,
    phone::{PhoneNumber, Region},
};

/// The default page size.
pub const USUAL_PER_PAGE: u64 = 20;

/// The largest page size.
pub const MOST_PER_PAGE: u64 = 100;

/// The longest search text, in characters.
pub const LONGEST_SEARCH: usize = 100;

/// A user as staff see it.
#[derive(Debug, Clone)]
pub struct User {
    /// The account.
    pub account: Account,
    /// The last sign-in among the sessions that are still kept.
    pub last_login: Option<DateTime<Utc>>,
}

/// A page of the list: its number and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOf {
    number: u64,
    size: u64,
}

/// Why a page number or size is invalid; `Display` is a sentence for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PageError {
    /// Not a whole number from 1.
    #[error("Page must be a whole number from 1")]
    Number,
    /// Not from 1 to 100.
    #[error("Users per page must be a whole number from 1 to {MOST_PER_PAGE}")]
    Size,
}

impl PageOf {
    /// Combines number and size.
    #[must_use]
    pub fn new(number: Number, size: Size) -> Self {
        Self { number: number.0, size: size.0 }
    }

    /// The page number, from 1.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }

    /// The page size.
    #[must_use]
    pub fn size(self) -> u64 {
        self.size
    }

    /// How many users come before the page, at most `i64::MAX` because databases count no further.
    #[must_use]
    pub fn offset(self) -> u64 {
        (self.number - 1).saturating_mul(self.size).min(i64::MAX.unsigned_abs())
    }

    /// The number of pages for this many users.
    #[must_use]
    pub fn pages(self, total: u64) -> u64 {
        total.div_ceil(self.size)
    }
}

/// A page number.
#[derive(Debug, Clone, Copy)]
pub struct Number(u64);

impl Number {
    /// Reads a whole number from 1; the default is 1.
    pub fn parse(text: Option<&str>) -> Result<Self, PageError> {
        let number = text.map_or(Some(1), digits_only).filter(|number| *number >= 1);
        // Most JSON parsers read numbers as `i64`.
        number.filter(|number| i64::try_from(*number).is_ok()).map(Self).ok_or(PageError::Number)
    }
}

/// A page size.
#[derive(Debug, Clone, Copy)]
pub struct Size(u64);

impl Size {
    /// Reads a whole number from 1 to 100; the default is 20.
    pub fn parse(text: Option<&str>) -> Result<Self, PageError> {
        let size = text.map_or(Some(USUAL_PER_PAGE), digits_only);
        size.filter(|size| (1..=MOST_PER_PAGE).contains(size)).map(Self).ok_or(PageError::Size)
    }
}

/// Accepts digits only: `parse` alone would also accept a plus.
fn digits_only(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A search for users. It may contain a name, so its `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Each word must occur in a name, the e-mail address or a phone.
    words: Vec<String>,
    /// Or these digits occur in a phone.
    digits: Option<String>,
    /// Or this is the phone.
    phone: Option<PhoneNumber>,
    /// And this is the id in the system that the account was moved from.
    former_id: Option<FormerId>,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Search(..)")
    }
}

/// Why a search is invalid; `Display` is a sentence for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SearchError {
    /// More than 100 characters.
    #[error("Search must be at most {LONGEST_SEARCH} characters long")]
    Long,
    /// A control character.
    #[error("Search must not contain control characters")]
    Control,
}

impl Search {
    /// Reads a search text. An empty text finds all users.
    pub fn parse(text: &str, region: Region) -> Result<Self, SearchError> {
        if text.contains(char::is_control) {
            return Err(SearchError::Control);
        }
        let text = text.trim();
        if text.chars().nth(LONGEST_SEARCH).is_some() {
            return Err(SearchError::Long);
        }
        let is_like_a_phone = text.chars().all(|c| c.is_ascii_digit() || " +-.()\u{a0}".contains(c));
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        Ok(Self {
            words: text.split_whitespace().map(fold).collect(),
            digits: Some(digits).filter(|digits| is_like_a_phone && !digits.is_empty()),
            phone: PhoneNumber::parse(text, region).ok(),
            former_id: None,
        })
    }

    /// The same search among the accounts that had this id in another system: one, or none.
    #[must_use]
    pub fn with_former_id(self, former_id: Option<FormerId>) -> Self {
        Self { former_id, ..self }
    }

    /// And this is the id in the system that the account was moved from.
    #[must_use]
    pub fn former_id(&self) -> Option<&FormerId> {
        self.former_id.as_ref()
    }

    /// Each word must occur in a name, the e-mail address or a phone. Empty: all users match.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Or these digits occur in a phone.
    #[must_use]
    pub fn digits(&self) -> Option<&str> {
        self.digits.as_deref()
    }

    /// Or this is the phone.
    #[must_use]
    pub fn phone(&self) -> Option<&PhoneNumber> {
        self.phone.as_ref()
    }
}

/// Changes to an account by staff. `None` keeps a value; an inner `None` clears it.
#[derive(Clone, Default)]
pub struct Edit {
    /// A new first name.
    pub first_name: Option<Option<PersonName>>,
    /// A new last name.
    pub last_name: Option<Option<PersonName>>,
    /// A new e-mail address.
    pub email: Option<Option<Email>>,
    /// A new role.
    pub role: Option<Role>,
    /// Activates or deactivates the account.
    pub is_active: Option<bool>,
    /// Only if the account was last changed at this time.
    pub if_changed_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("role", &self.role)
            .field("is_active", &self.is_active)
            .finish_non_exhaustive()
    }
}

impl Edit {
    /// Activates or deactivates an account.
    #[must_use]
    pub fn switch(is_active: bool) -> Self {
        Self { is_active: Some(is_active), ..Self::default() }
    }

    /// Whether it changes the user's rights, not only names or the e-mail address.
    #[must_use]
    pub fn is_about_rights(&self) -> bool {
        self.role.is_some() || self.is_active.is_some()
    }

    /// Whether an active admin is no longer one afterwards.
    #[must_use]
    pub fn takes_an_admin_away(&self) -> bool {
        self.is_active == Some(false) || self.role.is_some_and(|role| role != Role::Admin)
    }
}

#[cfg(test)]
#[path = "users/tests.rs"]
mod tests;
