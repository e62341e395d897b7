//! What staff write about a lead: the name that the user gave on the phone, and notes.

use thiserror::Error;

use crate::profile::is_deceptive;

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 150;

/// The longest note, in characters.
pub const LONGEST_NOTE: usize = 2000;

/// Why a text is refused; `Display` is a sentence for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// The name has more than 150 characters.
    #[error("Name must be at most {LONGEST_NAME} characters long")]
    LongName,
    /// The name has a line break or another control character.
    #[error("Name must not contain line breaks or other control characters")]
    ControlInName,
    /// The name has a character that shows it as another one.
    #[error("Name contains a character that is not allowed")]
    DeceptiveName,
    /// There is no text.
    #[error("Note must not be empty")]
    EmptyNote,
    /// The note has more than 2,000 characters.
    #[error("Note must be at most {LONGEST_NOTE} characters long")]
    LongNote,
    /// The note has a control character other than a line break.
    #[error("Note must not contain control characters other than line breaks")]
    ControlInNote,
    /// The note has a character that shows it as another one.
    #[error("Note contains a character that is not allowed")]
    DeceptiveNote,
}

/// A name as it was told on the phone. The rules of profile names do not apply: staff write down what they hear.
#[derive(Clone, PartialEq, Eq)]
pub struct LeadName(String);

/// A note of one or more lines.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteText(String);

impl std::fmt::Debug for LeadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LeadName(..)")
    }
}

impl std::fmt::Debug for NoteText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoteText(..)")
    }
}

impl LeadName {
    /// Reads a name. A blank text is `None`.
    pub fn parse(raw: &str) -> Result<Option<Self>, TextError> {
        let text = raw.trim();
        if raw.contains(|c: char| c.is_control() || is_line_separator(c)) {
            Err(TextError::ControlInName)
        } else if text.chars().nth(LONGEST_NAME).is_some() {
            Err(TextError::LongName)
        } else if text.contains(is_deceptive) {
            Err(TextError::DeceptiveName)
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

impl NoteText {
    /// Reads a note. A form sends line breaks as two characters, which become one.
    pub fn parse(raw: &str) -> Result<Self, TextError> {
        let lines = raw.replace("\r\n", "\n");
        let text = lines.trim();
        if text.is_empty() {
            Err(TextError::EmptyNote)
        } else if text.contains(|c: char| c.is_control() && c != '\n') {
            Err(TextError::ControlInNote)
        } else if text.chars().nth(LONGEST_NOTE).is_some() {
            Err(TextError::LongNote)
        } else if text.contains(is_deceptive) {
            Err(TextError::DeceptiveNote)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The note.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_line_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}
