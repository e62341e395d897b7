//! What staff type into a search box: a whole number, a part of one, an id, or words of a name.
//!
//! Numbers are searched by their beginning or by their end, because only these have an index; sales people know the last digits.
//! Names are searched by the beginnings of their words. How rows are split into words is in the migration of `search_words`,
//! and [`words`] splits a search text in the same way.

use std::fmt;

use thiserror::Error;
use uuid::Uuid;

use super::{
    fold::fold,
    phone::{PhoneNumber, Region},
    users::LONGEST_SEARCH,
};

/// The longest word that is compared, in characters. Longer ones are cut, in rows and in search texts alike: an entry of an
/// index has a limited size.
pub const LONGEST_WORD: usize = 64;

/// The most words of one search. Each costs a lookup of its own.
const MOST_WORDS: usize = 8;

/// What separates the words of a name. The migration of `search_words` has the same characters; a test compares them.
const SEPARATORS: &str = "-.'’_+,/()\"·・‐–—\u{a0}\u{3000}";

/// Why a search text is refused; `Display` is a sentence for staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LookupError {
    /// More than 100 characters.
    #[error("Search for at most {LONGEST_SEARCH} characters")]
    Long,
    /// A control character.
    #[error("The search must not contain control characters")]
    Control,
    /// Only separators.
    #[error("Search for a number, the end of a number, a name or an e-mail address")]
    Nothing,
}

/// A search by staff. It may contain a name, so its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing was typed: everything is found.
    Everything,
    /// The id of a row.
    Id(Uuid),
    /// A number or a part of one.
    Number(NumberLookup),
    /// Every one of these words begins a word of a name, or of the username, or the e-mail address.
    Words(Vec<String>),
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup(..)")
    }
}

/// A number or a part of one. A number is found if it fits one of the parts.
#[derive(Clone, PartialEq, Eq)]
pub struct NumberLookup {
    whole: Option<PhoneNumber>,
    beginnings: Vec<String>,
    end: Option<String>,
}

impl fmt::Debug for NumberLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberLookup(..)")
    }
}

impl NumberLookup {
    /// The number, if the text is a whole one.
    #[must_use]
    pub fn whole(&self) -> Option<&PhoneNumber> {
        self.whole.as_ref()
    }

    /// The number in E.164 begins with one of these.
    #[must_use]
    pub fn beginnings(&self) -> &[String] {
        &self.beginnings
    }

    /// Or it ends with these digits.
    #[must_use]
    pub fn end(&self) -> Option<&str> {
        self.end.as_deref()
    }

    /// Reads digits with separators, with or without a plus. `None` for any other text.
    fn parse(text: &str, region: Region) -> Option<Self> {
        let is_like_a_phone =
            text.chars().all(|c| c.is_ascii_digit() || c == '+' || PHONE_SEPARATORS.contains(c));
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() || !is_like_a_phone {
            return None;
        }
        if let Ok(whole) = PhoneNumber::parse(text, region) {
            return Some(Self { beginnings: vec![whole.full().to_owned()], end: None, whole: Some(whole) });
        }
        if text.starts_with('+') {
            return Some(Self { whole: None, beginnings: vec![format!("+{digits}")], end: None });
        }
        // The beginning of a national number, with or without its national prefix, or of an international one without its plus.
        let national = digits.trim_start_matches('0');
        let code = region.country_code();
        let mut beginnings = Vec::new();
        if !national.is_empty() {
            beginnings.push(format!("+{code}{national}"));
        }
        if national.len() > code.len() && national.starts_with(code) {
            beginnings.push(format!("+{national}"));
        }
        Some(Self { whole: None, beginnings, end: Some(digits) })
    }
}

/// What may stand between the digits of a number besides the plus.
const PHONE_SEPARATORS: &str = " -.()\u{a0}";

impl Lookup {
    /// Reads a search text.
    pub fn parse(text: &str, region: Region) -> Result<Self, LookupError> {
        if text.contains(char::is_control) {
            return Err(LookupError::Control);
        }
        let text = text.trim();
        if text.chars().nth(LONGEST_SEARCH).is_some() {
            return Err(LookupError::Long);
        }
        if text.is_empty() {
            return Ok(Self::Everything);
        }
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(Self::Id(id));
        }
        if let Some(number) = NumberLookup::parse(text, region) {
            return Ok(Self::Number(number));
        }
        match words(text) {
            words if words.is_empty() => Err(LookupError::Nothing),
            words => Ok(Self::Words(words)),
        }
    }
}

/// The words of a search text: folded, without separators, each once. A part with an `@` stays whole, because it is (the
/// beginning of) an e-mail address.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let mut words: Vec<String> = Vec::new();
    for part in folded.split_whitespace() {
        let is_separator = |c: char| !part.contains('@') && SEPARATORS.contains(c);
        for word in part.split(is_separator).filter(|word| !word.is_empty()) {
            let word: String = word.chars().take(LONGEST_WORD).collect();
            if !words.contains(&word) && words.len() < MOST_WORDS {
                words.push(word);
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn india() -> Region {
        "IN".parse().unwrap()
    }

    fn parsed(text: &str) -> Lookup {
        Lookup::parse(text, india()).unwrap()
    }

    #[test]
    fn a_number_is_searched_as_a_whole_by_its_beginning_or_by_its_end() {
        for (text, whole, beginnings, end) in [
            ("+91 62058 29376", Some("+916205829376"), &["+916205829376"] as &[&str], None),
            ("6205829376", Some("+916205829376"), &["+916205829376"], None),
            ("06205829376", Some("+916205829376"), &["+916205829376"], None),
            ("916205829376", Some("+916205829376"), &["+916205829376"], None),
            ("+91 620", None, &["+91620"], None),
            ("9376", None, &["+919376"], Some("9376")),
            ("93-76", None, &["+919376"], Some("9376")),
            ("0376", None, &["+91376"], Some("0376")),
            ("000", None, &[], Some("000")),
            ("91620", None, &["+9191620", "+91620"], Some("91620")),
            ("91", None, &["+9191"], Some("91")),
            ("620 582 9376 1", None, &["+9162058293761"], Some("62058293761")),
        ] {
            let Lookup::Number(found) = parsed(text) else { panic!("{text} is no number") };
            assert_eq!(found.whole().map(PhoneNumber::full), whole, "{text}");
            assert_eq!(found.beginnings(), beginnings, "{text}");
            assert_eq!(found.end(), end, "{text}");
        }
    }

    #[test]
    fn other_texts_are_words_or_an_id() {
        for (text, expected) in [
            ("Gaurav  KUMAR", &["gaurav", "kumar"] as &[&str]),
            ("kumar Kumar", &["kumar"]),
            ("Jean-Pierre O’Brien", &["jean", "pierre", "o", "brien"]),
            ("Ravi.Kumar@Example.com", &["ravi.kumar@example.com"]),
            ("ravi.kumar_9", &["ravi", "kumar", "9"]),
            ("STRASSE", &["strasse"]),
            ("Straße", &["strasse"]),
            ("गौरव", &["गौरव"]),
            ("محمد علي", &["محمد", "علي"]),
            ("<script>", &["<script>"]),
            ("100%", &["100%"]),
            ("a b c d e f g h i j", &["a", "b", "c", "d", "e", "f", "g", "h"]),
        ] {
            let expected = expected.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(parsed(text), Lookup::Words(expected), "{text}");
        }
        let long = "x".repeat(LONGEST_SEARCH);
        assert_eq!(parsed(&long), Lookup::Words(vec!["x".repeat(LONGEST_WORD)]));
        assert_eq!(Lookup::parse(&format!("{long}x"), india()), Err(LookupError::Long));
        assert_eq!(Lookup::parse("a\0b", india()), Err(LookupError::Control));
        for text in ["...", "+", "- (", "@"] {
            let expected =
                if text == "@" { Ok(Lookup::Words(vec!["@".into()])) } else { Err(LookupError::Nothing) };
            assert_eq!(Lookup::parse(text, india()), expected, "{text}");
        }
        assert_eq!(parsed("  "), Lookup::Everything);
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(parsed(id), Lookup::Id(Uuid::try_parse(id).unwrap()));
    }

    #[test]
    fn a_search_shows_nothing_in_a_log() {
        for text in ["Gaurav", "6205829376", "620"] {
            assert_eq!(format!("{:?}", parsed(text)), "Lookup(..)");
        }
        if let Lookup::Number(number) = parsed("6205829376") {
            assert_eq!(format!("{number:?}"), "NumberLookup(..)");
        }
    }
}
