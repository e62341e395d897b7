//! Event interests that users can choose, and what staff may write into them.
//!
//! An interest is never deleted: it stays in the profiles that have it. Staff deactivate it instead.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    fold::fold,
    profile::{FieldErrors, one_line},
};

/// The longest name, in characters: it has to fit on a button of an app.
const NAME_MAX_CHARS: u64 = 50;

/// The longest description, in characters.
const DESCRIPTION_MAX_CHARS: u64 = 200;

/// An event interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The id that clients send.
    pub id: i64,
    /// The name, unique.
    pub name: String,
    /// A one-line description.
    pub description: String,
    /// Whether users can choose it. An inactive interest stays in the profiles that have it.
    pub is_active: bool,
}

/// An interest as staff see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditedInterest {
    /// The interest.
    pub interest: Interest,
    /// How many accounts chose it.
    pub accounts: i64,
    /// How often it was changed. A form that was opened before the last change has a smaller one.
    pub version: i64,
    /// When it was last changed, if it ever was.
    pub changed_at: Option<DateTime<Utc>>,
    /// Who changed it; `None` for the command line.
    pub changed_by: Option<Uuid>,
}

/// The name of an interest: one line, at most 50 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterestName(String);

impl InterestName {
    /// Reads a name, which is required.
    ///
    /// # Errors
    /// All errors: missing, too long, a character that is not allowed.
    pub fn parse(raw: &str) -> Result<Self, FieldErrors> {
        let name = one_line("Name", raw, NAME_MAX_CHARS)?;
        name.map(Self).ok_or_else(|| vec!["Name is required".to_owned()])
    }

    /// The name that an interest has. One that was written by hand may be longer.
    #[must_use]
    pub fn stored(interest: &Interest) -> Self {
        Self(interest.name.clone())
    }

    /// The name as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without regard to case: two interests never have the same.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }

    /// Whether this interest has the name, without regard to case.
    #[must_use]
    pub fn is_of(&self, interest: &Interest) -> bool {
        fold(&interest.name) == self.key()
    }
}

/// The description of an interest: one line, at most 200 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterestDescription(String);

impl InterestDescription {
    /// Reads a description. It may be empty.
    ///
    /// # Errors
    /// All errors: too long, a character that is not allowed.
    pub fn parse(raw: &str) -> Result<Self, FieldErrors> {
        Ok(Self(one_line("Description", raw, DESCRIPTION_MAX_CHARS)?.unwrap_or_default()))
    }

    /// The description that an interest has.
    #[must_use]
    pub fn stored(interest: &Interest) -> Self {
        Self(interest.description.clone())
    }

    /// The text as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_and_unique_without_regard_to_case() {
        for good in ["Anime", " हिप हॉप ", "<script>alert(1)</script>", &"x".repeat(50)] {
            assert_eq!(InterestName::parse(good).unwrap().as_str(), good.trim());
        }
        for bad in ["", "  ", "two\nlines", "a\u{202e}b", &"x".repeat(51)] {
            assert!(InterestName::parse(bad).is_err(), "{bad:?}");
        }
        let interest =
            Interest {
                id: 1, name: "Café & Straße".to_owned(), description: String::new(), is_active: true
            };
        for (name, is_of) in
            [("CAFÉ & STRASSE", true), ("cafe\u{301} & straße", true), ("Cafe & Strasse", false)]
        {
            assert_eq!(InterestName::parse(name).unwrap().is_of(&interest), is_of, "{name}");
        }
    }

    #[test]
    fn a_description_may_be_empty() {
        assert_eq!(InterestDescription::parse(" ").unwrap().as_str(), "");
        assert_eq!(InterestDescription::parse(" Live music ").unwrap().as_str(), "Live music");
        assert!(InterestDescription::parse(&"x".repeat(201)).is_err());
    }
}
