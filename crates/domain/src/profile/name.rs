//! The name that a person shows to others.
//!
//! The rules:
//!
//! 1. It has `NAME_MIN_CHARACTERS` to 100 characters after trimming, and at least one letter.
//! 2. It is made of words, and of what stands between and around them: spaces, dashes and the marks in [`MARKS`].
//! 3. A word begins with a letter. Behind each letter stand at most eight accents, vowel signs and the like.
//! 4. A joiner stands inside of a word, or closes it behind such a sign. Two never stand together.
//!
//! Letters, signs, spaces and dashes are what Unicode calls so, of any script.

use unicode_properties::{GeneralCategory as Category, UnicodeGeneralCategory};
use validator::ValidateLength;

use super::{FieldErrors, unless};

/// The most characters of a name, from the contract.
const MAX_CHARS: u64 = 100;

/// The most signs upon one letter. The fullest syllables of Burmese and Tibetan have about six; Zalgo text, which paints
/// over the lines around it, has dozens.
const MAX_SIGNS: usize = 8;

/// What stands in names beside letters, spaces and dashes: what Unicode counts as the inside of a word (UAX #29, `MidLetter`
/// and `MidNumLet`; UAX #31, tables 3a and 3b) except for colons, with the forms of East Asian keyboards, and what ends an
/// abbreviation where no full stop is written.
const MARKS: [char; 23] = [
    '\'', '\u{2018}', '\u{2019}', '\u{ff07}', // apostrophes: O'Brien, ‘Abd al-Rahman, O’Brien
    '\u{55a}',  // Armenian apostrophe
    '\u{5f3}', '\u{5f4}', // Hebrew geresh and gershayim: ז׳בוטינסקי
    '.', '\u{ff0e}', // full stops: A. R. Rahman
    '\u{9fd}', '\u{970}', '\u{a76}', '\u{af0}',
    '\u{55f}', // the same in Bengali, Devanagari (मो॰), Gurmukhi, Gujarati, Armenian
    '\u{b7}', '\u{387}', '\u{2027}', // middle dots: Gal·la, 卡尔·马克思
    '\u{30fb}', '\u{ff65}', // and those of Katakana: ジョン・スミス
    '\u{f0b}', '\u{f0c}',  // Tibetan tsheg: བསོད་ནམས
    '\u{1361}', // Ethiopic word space: አበበ፡ቢቂላ
    '\u{2e31}', // word separator middle dot
];

/// What joins or parts the letters around it and is not seen: ZWNJ, ZWJ and the vowel separator of Mongolian.
const JOINERS: [char; 3] = ['\u{200c}', '\u{200d}', '\u{180e}'];

/// Letters and signs by category that show nothing: the grapheme joiner, the Hangul fillers, the inherent vowels of Khmer.
const BLANKS: [char; 7] = ['\u{34f}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{3164}', '\u{ffa0}'];

/// A person's name.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

personal!(Name);

impl Name {
    /// Reads a name of at least `min_chars` characters (Unicode scalar values).
    ///
    /// Runs of spaces inside are kept: the contract speaks of trimming only. A control character is refused even at the
    /// ends, where trimming would take it away: the contract refuses it in any field.
    ///
    /// # Errors
    ///
    /// Every rule that it breaks.
    pub fn parse(raw: &str, min_chars: u64) -> Result<Self, FieldErrors> {
        let text = raw.trim();
        let kinds: Vec<Kind> = text.chars().map(Kind::from_char).collect();
        let words = || kinds.split(|kind| matches!(kind, Kind::Between | Kind::Foreign));
        let mut errors = FieldErrors::new();

        if !text.validate_length(Some(min_chars), None, None) {
            let characters = if min_chars == 1 { "character" } else { "characters" };
            errors.push(format!("Name must be at least {min_chars} {characters} long"));
        }
        if !text.validate_length(None, Some(MAX_CHARS), None) {
            errors.push(format!("Name must be at most {MAX_CHARS} characters long"));
        }
        if raw.contains(char::is_control) || kinds.contains(&Kind::Foreign) {
            errors.push(
                "Name may contain only letters, spaces, hyphens, full stops, middle dots and apostrophes"
                    .into(),
            );
        }
        // An empty name was told already that it is too short.
        if !text.is_empty() && !kinds.contains(&Kind::Letter) {
            errors.push("Name must contain at least one letter".into());
        }
        if !words().all(is_in_order) {
            errors.push("Name has an accent, vowel sign or joiner that belongs to no letter".into());
        }
        if words().any(is_painted_over) {
            errors.push(format!("Name must not have more than {MAX_SIGNS} marks on one letter"));
        }
        unless(errors, Self(text.to_owned()))
    }

    /// The name, trimmed, otherwise as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a character is to a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A letter that can stand for itself.
    Letter,
    /// A modifier letter (ʻ, ー): a letter in every word, but no name alone.
    Modifier,
    /// An accent, a vowel sign, or another combining mark.
    Sign,
    /// ZWJ and the like.
    Joiner,
    /// What stands between words.
    Between,
    /// Anything else: no name has it.
    Foreign,
}

impl Kind {
    fn from_char(c: char) -> Self {
        match c.general_category() {
            _ if MARKS.contains(&c) => Self::Between,
            _ if JOINERS.contains(&c) => Self::Joiner,
            _ if BLANKS.contains(&c) => Self::Foreign,
            Category::SpaceSeparator | Category::DashPunctuation => Self::Between,
            Category::ModifierLetter => Self::Modifier,
            Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::OtherLetter => Self::Letter,
            // The third category of marks, the enclosing ones, draws keycaps and circles.
            Category::NonspacingMark | Category::SpacingMark => Self::Sign,
            _ => Self::Foreign,
        }
    }
}

/// Whether a word, which may be empty, begins with a letter and has its joiners where they join something.
fn is_in_order(word: &[Kind]) -> bool {
    let begins = word.first().is_none_or(|kind| matches!(kind, Kind::Letter | Kind::Modifier));
    let doubled = word.windows(2).any(|pair| pair == [Kind::Joiner, Kind::Joiner]);
    let dangling = word.ends_with(&[Kind::Joiner]) && !word.ends_with(&[Kind::Sign, Kind::Joiner]);
    begins && !doubled && !dangling
}

/// Whether a letter has more signs than a script needs. A joiner between signs starts no new letter.
fn is_painted_over(word: &[Kind]) -> bool {
    let letters = word.split(|kind| matches!(kind, Kind::Letter | Kind::Modifier));
    let mut signs = letters.map(|signs| signs.iter().filter(|kind| **kind == Kind::Sign).count());
    signs.any(|count| count > MAX_SIGNS)
}

#[cfg(test)]
mod tests;
