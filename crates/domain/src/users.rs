//! The list of users: which part of it is asked for, and by what people are found.

use std::fmt;

use chrono::{DateTime, Utc};
use thiserror::Error;

pub use super::fold::fold;
use super::{
    account::{Account, Role},
    credentials::{Email, PersonName},
    phone::{PhoneNumber, Region},
};

/// How many users a page has when nothing is said.
pub const USUAL_PER_PAGE: u64 = 20;

/// The most users of a page.
pub const MOST_PER_PAGE: u64 = 100;

/// The longest text that is searched for, in characters.
pub const LONGEST_SEARCH: usize = 100;

/// A user as staff see her.
#[derive(Debug, Clone)]
pub struct User {
    /// Her account.
    pub account: Account,
    /// When she last signed in, as far as sessions of then are still kept.
    pub last_login: Option<DateTime<Utc>>,
}

/// Which part of the list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOf {
    number: u64,
    size: u64,
}

/// What is wrong with a number of a page or its size; `Display` is a sentence for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PageError {
    /// No whole number from 1.
    #[error("Page must be a whole number from 1")]
    Number,
    /// Not from 1 to 100.
    #[error("Users per page must be a whole number from 1 to {MOST_PER_PAGE}")]
    Size,
}

impl PageOf {
    /// This page of pages of this size.
    #[must_use]
    pub fn new(number: Number, size: Size) -> Self {
        Self { number: number.0, size: size.0 }
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }

    /// How many users it has at most.
    #[must_use]
    pub fn size(self) -> u64 {
        self.size
    }

    /// How many users stand before it. Databases count no further than `i64`.
    #[must_use]
    pub fn offset(self) -> u64 {
        (self.number - 1).saturating_mul(self.size).min(i64::MAX.unsigned_abs())
    }

    /// How many pages so many users are.
    #[must_use]
    pub fn pages(self, total: u64) -> u64 {
        total.div_ceil(self.size)
    }
}

/// A page's number.
#[derive(Debug, Clone, Copy)]
pub struct Number(u64);

impl Number {
    /// Reads a whole number from 1; nothing is the first page.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: Option<&str>) -> Result<Self, PageError> {
        let number = text.map_or(Some(1), whole).filter(|number| *number >= 1);
        // JSON's numbers are read as `i64` by most of those who read it.
        number.filter(|number| i64::try_from(*number).is_ok()).map(Self).ok_or(PageError::Number)
    }
}

/// A page's size.
#[derive(Debug, Clone, Copy)]
pub struct Size(u64);

impl Size {
    /// Reads a whole number from 1 to 100; nothing is 20.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: Option<&str>) -> Result<Self, PageError> {
        let size = text.map_or(Some(USUAL_PER_PAGE), whole);
        size.filter(|size| (1..=MOST_PER_PAGE).contains(size)).map(Self).ok_or(PageError::Size)
    }
}

/// Digits and nothing else: `parse` alone would take a plus.
fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// What somebody is searched by. A name may be in it, so its `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Each of these is in one of her names, in her address or in a phone.
    words: Vec<String>,
    /// Or these digits are in a phone.
    digits: Option<String>,
    /// Or this is her phone.
    phone: Option<PhoneNumber>,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Search(..)")
    }
}

/// What is wrong with a search; `Display` is a sentence for a person.
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
    /// Reads what is searched for. Nothing but white space finds everybody.
    ///
    /// # Errors
    /// When it is too long, or holds a control character.
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
        })
    }

    /// Each of these is in one of her names, in her address or in a phone. None: everybody is found.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Or these digits are in a phone.
    #[must_use]
    pub fn digits(&self) -> Option<&str> {
        self.digits.as_deref()
    }

    /// Or this is her phone.
    #[must_use]
    pub fn phone(&self) -> Option<&PhoneNumber> {
        self.phone.as_ref()
    }
}

/// What of an account is to be changed. What is `None` stays; an inner `None` clears.
#[derive(Clone, Default)]
pub struct Edit {
    /// A new first name.
    pub first_name: Option<Option<PersonName>>,
    /// A new last name.
    pub last_name: Option<Option<PersonName>>,
    /// A new address.
    pub email: Option<Option<Email>>,
    /// A new role.
    pub role: Option<Role>,
    /// Whether it is active.
    pub is_active: Option<bool>,
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
    /// Switches an account on or off.
    #[must_use]
    pub fn switch(is_active: bool) -> Self {
        Self { is_active: Some(is_active), ..Self::default() }
    }

    /// Whether it changes what somebody may, and not only what she is called.
    #[must_use]
    pub fn is_about_rights(&self) -> bool {
        self.role.is_some() || self.is_active.is_some()
    }

    /// Whether an active admin is none after it.
    #[must_use]
    pub fn takes_an_admin_away(&self) -> bool {
        self.is_active == Some(false) || self.role.is_some_and(|role| role != Role::Admin)
    }
}

#[cfg(test)]
#[path = "users/tests.rs"]
mod tests;
