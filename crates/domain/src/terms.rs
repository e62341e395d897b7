//! The terms that users accept: which version is in force, and which one a user has accepted.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use thiserror::Error;

/// The longest name of a version, in characters.
pub const LONGEST_TERMS_VERSION: usize = 64;

/// The name of a version of the terms, such as `2026-11`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsVersion(String);

/// The text is not the name of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a text of at most {LONGEST_TERMS_VERSION} characters, without control characters")]
pub struct TermsVersionError;

impl FromStr for TermsVersion {
    type Err = TermsVersionError;

    fn from_str(text: &str) -> Result<Self, TermsVersionError> {
        let text = text.trim();
        let is_short = !text.is_empty() && text.chars().nth(LONGEST_TERMS_VERSION).is_none();
        if is_short && !text.contains(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TermsVersionError)
        }
    }
}

impl TermsVersion {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This version, if it is the one that the user read.
    ///
    /// # Errors
    /// A sentence for the user, if the user read another one, or none.
    pub fn accept(&self, read: Option<&str>) -> Result<Self, Vec<String>> {
        match read {
            Some(read) if read == self.0 => Ok(self.clone()),
            Some(_) => Err(vec![format!("Another version of the terms is in force: {}", self.0)]),
            None => Err(vec![format!("The terms must be accepted: version {}", self.0)]),
        }
    }
}

/// The version of the terms that a user accepted last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedTerms {
    /// Its name.
    pub version: String,
    /// When the user accepted it first.
    pub at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_short_text() {
        for text in ["1", "2026-11", "Terms of Use, November 2026", " v2 ", &"x".repeat(64)] {
            assert_eq!(text.parse::<TermsVersion>().unwrap().as_str(), text.trim());
        }
        for text in ["", "  ", "a\nb", "a\0", &"x".repeat(65)] {
            assert_eq!(text.parse::<TermsVersion>(), Err(TermsVersionError), "{text:?}");
        }
    }

    #[test]
    fn only_the_version_in_force_can_be_accepted() {
        let version: TermsVersion = "2026-11".parse().unwrap();
        assert_eq!(version.accept(Some("2026-11")), Ok(version.clone()));
        for read in [None, Some(""), Some("2026-10"), Some("2026-11 ")] {
            let errors = version.accept(read).unwrap_err();
            assert!(errors.len() == 1 && errors[0].contains("2026-11"), "{errors:?}");
        }
    }
}
