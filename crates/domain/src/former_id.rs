//! The id of a user in the system that an account was moved from.
//!
//! A UUID becomes the id of the account, so other services that know it find the same user. Any other id is kept beside it, as
//! the account's external id.

use std::fmt;

use uuid::Uuid;

/// The longest id, in characters.
pub const LONGEST_FORMER_ID: usize = 255;

/// The id of a user in another system. It may be a name, so its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub enum FormerId {
    /// A UUID: the account has the same id.
    Own(Uuid),
    /// Any other text: the account's external id.
    External(String),
}

impl fmt::Debug for FormerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormerId(..)")
    }
}

/// As the other system writes it: for reports that the operator asked for, never for the log.
impl fmt::Display for FormerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(id) => id.fmt(f),
            Self::External(id) => f.write_str(id),
        }
    }
}

impl FormerId {
    /// Reads an id: 1 to 255 characters without control characters. A UUID counts as one only in its usual form, with four
    /// hyphens: other texts that can be read as one are often something else, such as a hash. The nil UUID is no id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.chars().nth(LONGEST_FORMER_ID).is_some() || text.contains(char::is_control)
        {
            return None;
        }
        match Uuid::try_parse(text) {
            Ok(id) if id.is_nil() => None,
            Ok(id) if text.len() == uuid::fmt::Hyphenated::LENGTH => Some(Self::Own(id)),
            Ok(_) | Err(_) => Some(Self::External(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_our_id_and_everything_else_is_external() {
        let id = "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11";
        let own = FormerId::Own(id.parse().unwrap());
        assert_eq!(FormerId::parse(id), Some(own.clone()));
        assert_eq!(FormerId::parse(&id.to_uppercase()), Some(own));
        for text in ["42", "auth0|5f7c8ec7c33c6c004bbafe82", "0199aa555a2b7c609d3c0c8f3f4f2a11", " x "] {
            assert_eq!(FormerId::parse(text), Some(FormerId::External(text.to_owned())), "{text}");
        }
        assert!(FormerId::parse(&"ग".repeat(LONGEST_FORMER_ID)).is_some());
        let long = "a".repeat(LONGEST_FORMER_ID + 1);
        for text in ["", "a\nb", "a\0", "00000000-0000-0000-0000-000000000000", &long] {
            assert_eq!(FormerId::parse(text), None, "{text:?}");
        }
        assert!(!format!("{:?}", FormerId::parse("42")).contains("42"));
    }
}
