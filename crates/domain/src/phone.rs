//! A phone number that text messages can reach, parsed once and then trusted.
//!
//! People write one number in many ways, and every way must become the same account; above all no number may become
//! somebody else's. So the digits given after a plus, or after 00, are kept exactly as they stand and asked of the
//! country's numbering plan; only a number written in the home country's way loses the prefix dialled at home.
//! What cannot be told for certain is refused with a sentence, never guessed.
//!
//! To change: which characters may stand between digits is `is_separator`, the order of the readings is
//! [`PhoneNumber::parse`]; which kinds of line are taken and how a plan is asked is `phone/plan.rs`. Each rule has its
//! row in `phone/tests.rs`; `phone/examples.txt` holds one mobile number of every region. `tests/numbering_plans`
//! compares many more with the reference implementation of libphonenumber.

mod plan;

#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use plan::{Line, Plan};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The longest text looked at, in characters. The longest number has 15 digits; the rest is room for punctuation.
pub const LONGEST_TEXT: usize = 64;

/// The shortest number read back: a country code of three digits and four digits, as in Niue.
const SHORTEST_E164: usize = 7;

/// How many digits behind the country code a number's prefix has.
const PREFIX_DIGITS: usize = 4;

/// How many digits at the end of a number are shown where it is masked.
const SHOWN_DIGITS: usize = 4;

/// A mobile-capable number in E.164. `Display` and `Debug` are masked.
///
/// It is a plus and at most 15 digits, so at most 16 bytes long.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number as a person writes it.
    ///
    /// Spaces, dashes, dots and parentheses are dropped, wherever they stand (see `is_separator` for those of Unicode).
    /// What remains is one of
    ///
    /// - `+` and digits: international, digit for digit. A prefix of home use behind the country code, as in
    ///   `+44 (0)7911 …` or `+91 06205 …`, is refused: in some plans (Gabon, Italy, Congo) that 0 belongs to the number,
    ///   and dropping it makes another one.
    /// - `00` and digits: the same, where the default region dials abroad by 00 and by nothing else that begins so.
    ///   Elsewhere it is refused: in Singapore `0014…` may be meant for a number of Switzerland or of the USA.
    /// - digits: a national number of the default region, with its national prefix or without; if its plan has no such
    ///   number, an international one of its own country code. Anything else needs a plus: read as a number of another
    ///   country, a mistyped one would be somebody else's.
    ///
    /// Taken are mobile, fixed-line-or-mobile, internet-telephony (`VoIP`) and personal numbers of their country's
    /// numbering plan, as libphonenumber's data has them; every other kind, and what no plan has, is refused.
    ///
    /// # Errors
    ///
    /// A [`PhoneError`] that says what is wrong. There is no text this panics on, and none longer than 64 characters is
    /// looked at.
    pub fn parse(text: &str, default_region: Region) -> Result<Self, PhoneError> {
        let text = significant(text)?;
        let plan = default_region.0;
        if let Some(digits) = text.strip_prefix('+') {
            return Self::international(digits);
        }
        if let Some(digits) = text.strip_prefix("00") {
            return if plan.abroad_by_00 { Self::international(digits) } else { Err(PhoneError::NoPlus) };
        }
        let national = plan.national(&text);
        let number = if plan::find(&national).is_some() {
            national
        } else if text.starts_with(plan.country_code()) && plan::find(&text).is_some() {
            text
        } else {
            return Err(PhoneError::NoPlus);
        };
        Self::international(&number)
    }

    fn international(digits: &str) -> Result<Self, PhoneError> {
        match plan::find(digits) {
            Some((_, Line::Personal)) => Ok(Self(format!("+{digits}"))),
            Some((_, Line::Other)) => Err(PhoneError::NotPersonal),
            None => Err(PhoneError::NotInPlan),
        }
    }

    /// A number read back from our own database: a plus and 7 to 15 digits that do not begin with 0. `None` when it is
    /// not of that shape.
    ///
    /// The numbering plan is not asked again: plans change, and whoever has an account keeps it.
    #[must_use]
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let fits = (SHORTEST_E164..=plan::LONGEST).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        fits.then(|| Self(text.to_owned()))
    }

    /// The whole number in E.164, `+916205829376`: for the database and the SMS provider. Everything else shows the
    /// masked number.
    #[must_use]
    pub fn full(&self) -> &str {
        &self.0
    }

    /// The country code and the four digits behind it, `+916205`: what numbers are counted by, because those who are paid
    /// for messages rent them by the block.
    #[must_use]
    pub fn prefix(&self) -> Option<String> {
        let (code, national) = plan::split(self.0.trim_start_matches('+'))?;
        let shown = national.get(..PREFIX_DIGITS.min(national.len()))?;
        Some(format!("+{code}{shown}"))
    }

    /// Whose numbering plan has it; `None` for a number that has left every plan since it was taken.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        plan::find(self.0.trim_start_matches('+'))?.0.region().parse().ok()
    }
}

/// `+91******9376`: the country code, a star for each hidden digit, the last four digits. Where four would be more than
/// half of the number behind the country code (Niue has four in all) only that half is shown.
impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.trim_start_matches('+');
        // Of a country code that the plans no longer have nothing is known to be harmless.
        let (code, national) = plan::split(digits).unwrap_or(("", digits));
        let hidden = national.len() - SHOWN_DIGITS.min(national.len() / 2);
        let shown = national.get(hidden..).unwrap_or_default();
        write!(f, "+{code}{}{shown}", "*".repeat(hidden))
    }
}

/// Masked as in `Display`, so that a number does not leak through a derived `Debug` around it.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A region with a numbering plan, named by its two letters of ISO 3166 (`IN`; also `XK`, `AC` and `TA`, which
/// libphonenumber knows beside the standard).
#[derive(Clone, Copy)]
pub struct Region(&'static Plan);

impl PartialEq for Region {
    fn eq(&self, other: &Self) -> bool {
        self.0.region() == other.0.region()
    }
}

impl Eq for Region {}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.region())
    }
}

/// Reads `IN` or `in`. The first call in a process reads the numbering plans: reading the configuration is the time for
/// it, not a request.
impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        plan::for_region(&text.to_ascii_uppercase()).map(Self).ok_or(UnknownRegion)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.region())
    }
}

/// The text names no region that has a numbering plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be the two letters of a country in ISO 3166, such as IN or US")]
pub struct UnknownRegion;

/// Why a text is not taken as a phone number; `Display` is a sentence for the person who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PhoneError {
    /// There is no digit in it.
    #[error("Phone number is required")]
    Missing,
    /// More than 64 characters.
    #[error("Phone number must have at most 64 characters")]
    TooLong,
    /// A character that is neither a digit 0-9 nor one of the separators, or a plus that is not in front.
    #[error(
        "Phone number may hold only the digits 0-9, a plus in front, and spaces, dashes, dots and parentheses between"
    )]
    Character,
    /// There is no plus, and the digits are no number of the default region.
    #[error(
        "Phone number without a plus is not a number of this country: check the digits, or write it with a plus and the \
         country code"
    )]
    NoPlus,
    /// No country code in use, or no number that the country's numbering plan has.
    #[error(
        "Phone number does not exist in its country's numbering plan: check the digits and the country code"
    )]
    NotInPlan,
    /// The plan has it, but as fixed line, premium rate, toll-free, shared cost, pager, company number or voicemail.
    #[error("Phone number must be one that can get text messages, not a fixed line or a service number")]
    NotPersonal,
}

/// The text without its separators: digits, with a plus in front or none.
fn significant(text: &str) -> Result<String, PhoneError> {
    // Not `chars().count()`: that would walk through a text of any length.
    if text.chars().nth(LONGEST_TEXT).is_some() {
        return Err(PhoneError::TooLong);
    }
    let text: String = text.chars().filter(|&character| !is_separator(character)).collect();
    let digits = text.strip_prefix('+').unwrap_or(&text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Err(PhoneError::Character)
    } else if digits.is_empty() {
        Err(PhoneError::Missing)
    } else {
        Ok(text)
    }
}

/// What is dropped from between the digits. Tabs and line ends are control characters and stay, to be refused; so do
/// U+202E and U+200F, behind which the digits are shown in another order than they are stored.
fn is_separator(character: char) -> bool {
    matches!(
        character,
        ' ' | '\u{A0}' | '\u{2000}'..='\u{200B}' | '\u{202F}' | '\u{205F}' | '\u{2060}' | '\u{3000}' // spaces: no-break, thin, none
        | '-' | '\u{AD}' | '\u{2010}'..='\u{2015}' | '\u{2212}' // dashes: soft, no-break, en, em, minus
        | '.' | '(' | ')'
        // Left-to-right marks, which address books put around a number that is copied.
        | '\u{200E}' | '\u{202A}' | '\u{202C}' | '\u{202D}' | '\u{2066}' | '\u{2069}'
    )
}

/// Where the numbering plans come from. They are part of the program, so they are as old as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    /// The version of libphonenumber.
    pub version: &'static str,
    /// When it was released.
    pub released: NaiveDate,
}

impl Edition {
    /// That of the plans in use.
    #[must_use]
    pub fn from_plans() -> Self {
        let (version, released) = plan::edition();
        Self { version, released }
    }
}

/// `9.0.43 of 2026-11-06`.
impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.version, self.released)
    }
}
