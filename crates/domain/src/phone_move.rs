//! Moving a user to another phone after a lost SIM card: why an admin does it.
//!
//! The audit log keeps the reason for ever, also when the account is deleted. So the reason is a fixed word, and what is typed is
//! the number of a ticket or an order only, not a text that could name people.

use std::fmt;

use thiserror::Error;

/// Why a user is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveReason {
    /// The SIM card is lost or broken.
    LostSim,
    /// The phone was stolen.
    StolenPhone,
    /// The user has a new number, and the old one no longer works.
    NewNumber,
    /// Another reason; the reference leads to it.
    Other,
}

impl MoveReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::LostSim, Self::StolenPhone, Self::NewNumber, Self::Other];

    /// The name in the audit log. It must never change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LostSim => "lost_sim",
            Self::StolenPhone => "stolen_phone",
            Self::NewNumber => "new_number",
            Self::Other => "other",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// The longest reference, in characters.
const LONGEST: usize = 40;

/// The number of a ticket, an order or a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

/// Why a text is no reference; `Display` is a sentence for staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// More than 40 characters.
    #[error("The reference must be at most {LONGEST} characters long")]
    Long,
    /// Another character than those of ticket numbers.
    #[error("The reference may hold only letters A to Z, digits and the characters - _ . / # :")]
    Character,
    /// No digit: then it is a text, not a number.
    #[error("The reference must hold a digit: it is the number of a ticket or an order")]
    NoDigit,
}

impl Reference {
    /// Reads a reference; an empty text is `None`.
    pub fn parse(text: &str) -> Result<Option<Self>, ReferenceError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if text.chars().nth(LONGEST).is_some() {
            return Err(ReferenceError::Long);
        }
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./#:".contains(c)) {
            return Err(ReferenceError::Character);
        }
        if !text.contains(|c: char| c.is_ascii_digit()) {
            return Err(ReferenceError::NoDigit);
        }
        Ok(Some(Self(text.to_owned())))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an admin moves a user: a reason, and the number of a ticket or an order if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grounds {
    /// The reason.
    pub reason: MoveReason,
    /// The number of a ticket, an order or a call.
    pub reference: Option<Reference>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_the_number_of_a_ticket() {
        for (text, expected) in [
            ("", Ok(None)),
            ("  ", Ok(None)),
            (" T-1042 ", Ok(Some("T-1042"))),
            ("#7", Ok(Some("#7"))),
            ("https://x.example/1?a", Err(ReferenceError::Character)),
            ("Anita Rao", Err(ReferenceError::Character)),
            ("AnitaRao", Err(ReferenceError::NoDigit)),
            ("अ1", Err(ReferenceError::Character)),
            ("+916205829376", Err(ReferenceError::Character)),
            (&"1".repeat(40), Ok(Some("1111111111111111111111111111111111111111"))),
            (&"1".repeat(41), Err(ReferenceError::Long)),
        ] {
            let found = Reference::parse(text).map(|found| found.map(|found| found.to_string()));
            assert_eq!(found, expected.map(|text| text.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn every_reason_is_read_by_its_name() {
        for reason in MoveReason::ALL {
            assert_eq!(MoveReason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(MoveReason::parse("because"), None);
    }
}
