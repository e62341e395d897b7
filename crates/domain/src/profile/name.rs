//! The display name of a user.
//!
//! The rules:
//!
//! 1. It has `NAME_MIN_CHARACTERS` to 100 characters after trimming, and at least one letter.
//! 2. It consists of words and of separators between and around them: spaces, dashes and the characters in
//!    [`SEPARATORS`].
//! 3. A word begins with a letter. Each letter may have at most eight accents, vowel signs or other combining
//!    marks.
//! 4. A joiner is inside of a word, or ends it after a combining mark. Two joiners never follow each other.
//!
//! Letters, combining marks, spaces and dashes are the Unicode categories, in any script.

use unicode_properties::{GeneralCategory as Category, UnicodeGeneralCategory};
use validator::ValidateLength;

use super::{FieldErrors, ok_unless};

/// The most characters of a name, from the contract.
const MAX_CHARS: u64 = 100;

/// The most combining marks on one letter. The fullest syllables of Burmese and Tibetan have about six. Zalgo text,
/// which paints over the lines around it, has dozens.
const MAX_MARKS: usize = 8;

/// Separators in names besides spaces and dashes: what Unicode counts as the inside of a word (UAX #29, `MidLetter`
/// and `MidNumLet`; UAX #31, tables 3a and 3b) except for colons, their East Asian width variants, and abbreviation
/// signs of scripts that do not use a full stop.
const SEPARATORS: [char; 23] = [
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

/// Invisible characters that join or separate letters: ZWNJ, ZWJ and the Mongolian vowel separator.
const JOINERS: [char; 3] = ['\u{200c}', '\u{200d}', '\u{180e}'];

/// Invisible characters that Unicode classifies as letters or combining marks: the grapheme joiner, the Hangul
/// fillers, the inherent vowels of Khmer.
const BLANKS: [char; 7] = ['\u{34f}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{3164}', '\u{ffa0}'];

/// A display name.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

personal!(Name);

impl Name {
    /// Reads a name of at least `min_chars` characters (Unicode scalar values).
    ///
    /// Runs of spaces inside are kept, because the contract only requires trimming. A control character is refused
    /// even at the ends, where trimming would remove it, because the contract refuses it in any field.
    ///
    /// # Errors
    ///
    /// A sentence for each broken rule.
    pub fn parse(raw: &str, min_chars: u64) -> Result<Self, FieldErrors> {
        let text = raw.trim();
        let kinds: Vec<Kind> = text.chars().map(Kind::from_char).collect();
        let words = || kinds.split(|kind| matches!(kind, Kind::Separator | Kind::Disallowed));
        let mut errors = FieldErrors::new();

        if !text.validate_length(Some(min_chars), None, None) {
            let characters = if min_chars == 1 { "character" } else { "characters" };
            errors.push(format!("Name must be at least {min_chars} {characters} long"));
        }
        if !text.validate_length(None, Some(MAX_CHARS), None) {
            errors.push(format!("Name must be at most {MAX_CHARS} characters long"));
        }
        if raw.contains(char::is_control) || kinds.contains(&Kind::Disallowed) {
            errors.push(
                "Name may contain only letters, spaces, hyphens, full stops, middle dots and apostrophes"
                    .into(),
            );
        }
        // For an empty name, "too short" is enough.
        if !text.is_empty() && !kinds.contains(&Kind::Letter) {
            errors.push("Name must contain at least one letter".into());
        }
        if !words().all(is_well_formed) {
            errors.push("Name has an accent, vowel sign or joiner that belongs to no letter".into());
        }
        if words().any(has_too_many_marks) {
            errors.push(format!("Name must not have more than {MAX_MARKS} marks on one letter"));
        }
        ok_unless(errors, Self(text.to_owned()))
    }

    /// The name, trimmed but otherwise as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The role of a character in a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A letter.
    Letter,
    /// A modifier letter (ʻ, ー): a letter inside of a word, but not enough for a name by itself.
    Modifier,
    /// An accent, a vowel sign or another combining mark.
    Mark,
    /// A zero-width joiner or similar.
    Joiner,
    /// A separator between words.
    Separator,
    /// Anything else: not allowed in a name.
    Disallowed,
}

impl Kind {
    fn from_char(c: char) -> Self {
        match c.general_category() {
            _ if SEPARATORS.contains(&c) => Self::Separator,
            _ if JOINERS.contains(&c) => Self::Joiner,
            _ if BLANKS.contains(&c) => Self::Disallowed,
            Category::SpaceSeparator | Category::DashPunctuation => Self::Separator,
            Category::ModifierLetter => Self::Modifier,
            Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::OtherLetter => Self::Letter,
            // Enclosing marks, the third category of marks, are not allowed: they draw keycaps and circles.
            Category::NonspacingMark | Category::SpacingMark => Self::Mark,
            _ => Self::Disallowed,
        }
    }
}

/// Whether a word (which may be empty) begins with a letter and has joiners only where they are allowed.
fn is_well_formed(word: &[Kind]) -> bool {
    let begins = word.first().is_none_or(|kind| matches!(kind, Kind::Letter | Kind::Modifier));
    let doubled = word.windows(2).any(|pair| pair == [Kind::Joiner, Kind::Joiner]);
    let dangling = word.ends_with(&[Kind::Joiner]) && !word.ends_with(&[Kind::Mark, Kind::Joiner]);
    begins && !doubled && !dangling
}

/// Whether a letter has too many combining marks. A joiner between marks does not start a new letter.
fn has_too_many_marks(word: &[Kind]) -> bool {
    let letters = word.split(|kind| matches!(kind, Kind::Letter | Kind::Modifier));
    let mut marks = letters.map(|marks| marks.iter().filter(|kind| **kind == Kind::Mark).count());
    marks.any(|count| count > MAX_MARKS)
}

#[cfg(test)]
mod tests;
