//! Optional free text: bio and location.

use validator::ValidateLength;

use super::{FieldErrors, ok_unless};

/// The most characters of a bio, from the contract.
const BIO_MAX_CHARS: u64 = 500;

/// The most characters of a location, from the contract.
const LOCATION_MAX_CHARS: u64 = 100;

/// A text about the user: at most 500 characters (Unicode scalar values) after trimming, on one line. The contract
/// refuses every control character, and so line breaks.
#[derive(Clone, PartialEq, Eq)]
pub struct Bio(String);

personal!(Bio);

impl Bio {
    /// Reads a bio. A blank text is `None`.
    ///
    /// # Errors
    ///
    /// All errors: too long, a line break or other control character, a deceptive character.
    pub fn parse(raw: &str) -> Result<Option<Self>, FieldErrors> {
        Ok(one_line("Bio", raw, BIO_MAX_CHARS)?.map(Self))
    }

    /// The bio, trimmed but otherwise as typed; never empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The user's location: at most 100 characters (Unicode scalar values) after trimming, on one line (the contract's
/// limits).
#[derive(Clone, PartialEq, Eq)]
pub struct Location(String);

personal!(Location);

impl Location {
    /// Reads a location. A blank text is `None`.
    ///
    /// # Errors
    ///
    /// All errors: too long, a line break or other control character, a deceptive character.
    pub fn parse(raw: &str) -> Result<Option<Self>, FieldErrors> {
        Ok(one_line("Location", raw, LOCATION_MAX_CHARS)?.map(Self))
    }

    /// The location, trimmed but otherwise as typed; never empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a text of one line; a blank one is `None`. `field` begins the sentences of its errors.
///
/// Control characters are searched before trimming, which would silently remove a line break at the end.
pub(crate) fn one_line(field: &str, raw: &str, max_chars: u64) -> Result<Option<String>, FieldErrors> {
    let text = raw.trim();
    let mut errors = FieldErrors::new();
    if !text.validate_length(None, Some(max_chars), None) {
        errors.push(format!("{field} must be at most {max_chars} characters long"));
    }
    if raw.contains(is_line_break_or_control) {
        errors.push(format!("{field} must not contain line breaks or other control characters"));
    }
    if raw.contains(is_deceptive) {
        errors.push(format!("{field} contains a character that is not allowed"));
    }
    ok_unless(errors, (!text.is_empty()).then(|| text.to_owned()))
}

/// A control character, or Unicode's line or paragraph separator.
fn is_line_break_or_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Characters that legitimate text does not need: the directional overrides, which make text read as something else,
/// and the noncharacters, which Unicode reserves for internal use. Other direction marks are accepted, because phones
/// add them to copied text.
pub(crate) fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{202d}' | '\u{202e}' | '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "Bio must be at most 500 characters long";
    const CONTROL: &str = "Bio must not contain line breaks or other control characters";
    const MISLEADS: &str = "Bio contains a character that is not allowed";

    #[test]
    fn what_a_bio_may_say() {
        for (input, expected) in [
            ("I like long walks & short talks!", Some("I like long walks & short talks!")),
            ("  Namaste  ", Some("Namaste")),
            ("नमस्ते 🙏🏽 👩‍👩‍👧", Some("नमस्ते 🙏🏽 👩‍👩‍👧")),
            ("\u{2068}Asha\u{2069} \u{200f}שלום", Some("\u{2068}Asha\u{2069} \u{200f}שלום")), // phones add these marks
            ("<script>alert(1)</script>", Some("<script>alert(1)</script>")), // plain text; the client must escape it
            ("", None),
            ("   ", None),
            ("\u{a0}\u{3000}", None),
        ] {
            assert_eq!(Bio::parse(input).map(|bio| bio.map(|b| b.0)), Ok(expected.map(String::from)));
        }
    }

    #[test]
    fn what_a_bio_may_not_say() {
        for (input, why) in [
            ("a\0b", vec![CONTROL]),
            ("\0", vec![CONTROL]),
            ("two\nlines", vec![CONTROL]),
            ("one line\n", vec![CONTROL]), // trimming does not remove it
            ("\n", vec![CONTROL]),
            ("a\r\nb", vec![CONTROL]),
            ("a\tb", vec![CONTROL]),
            ("a\u{1b}[31mb", vec![CONTROL]), // escape: colours in a terminal
            ("a\u{7f}", vec![CONTROL]),
            ("a\u{9b}b", vec![CONTROL]), // the same as escape and [
            ("a\u{2028}b", vec![CONTROL]),
            ("a\u{202e}b", vec![MISLEADS]),
            ("a\u{202d}b", vec![MISLEADS]),
            ("a\u{fdd0}b", vec![MISLEADS]),
            ("a\u{fffe}b", vec![MISLEADS]),
            ("a\u{10ffff}b", vec![MISLEADS]),
        ] {
            let why: Vec<String> = why.into_iter().map(String::from).collect();
            assert_eq!(Bio::parse(input), Err(why), "{input:?}");
        }
        let all = format!("{}\0\u{202e}", "a".repeat(500));
        assert_eq!(Bio::parse(&all).unwrap_err(), [LONG, CONTROL, MISLEADS]);
    }

    #[test]
    fn the_limits_count_characters_after_trimming() {
        for letter in ["a", "ग", "🙏"] {
            let of = |count| format!("  {}  ", letter.repeat(count));
            assert!(Bio::parse(&of(500)).is_ok());
            assert_eq!(Bio::parse(&of(501)).unwrap_err(), [LONG]);
            assert!(Location::parse(&of(100)).is_ok());
            let why = "Location must be at most 100 characters long";
            assert_eq!(Location::parse(&of(101)).unwrap_err(), [why]);
        }
    }

    #[test]
    fn a_location_follows_the_same_rules() {
        assert_eq!(Location::parse(" Pune, मराठी ").unwrap().unwrap().as_str(), "Pune, मराठी");
        assert_eq!(Location::parse(" "), Ok(None));
        let why = "Location must not contain line breaks or other control characters";
        assert_eq!(Location::parse("Pune\0").unwrap_err(), [why]);
    }

    #[test]
    fn neither_shows_in_a_log() {
        assert_eq!(format!("{:?}", Bio::parse("Asha").unwrap()), "Some(Bio(..))");
        assert_eq!(format!("{:?}", Location::parse("Pune").unwrap()), "Some(Location(..))");
    }
}
