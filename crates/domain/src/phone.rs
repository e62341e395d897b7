//! Phone numbers that can get text messages. A number is parsed once and valid from then on.
//!
//! Users write one number in many ways, and each way must lead to the same account. Above all, no number may turn
//! into another user's number. So digits after a plus, or after 00, are kept exactly as typed and looked up in the
//! country's numbering plan; only a number in national format loses its national prefix. What is ambiguous is refused
//! with a sentence, never guessed.
//!
//! To change a rule: the separators between digits are in `is_separator`, the order of the interpretations is in
//! [`PhoneNumber::parse`], the accepted kinds of numbers and the lookup in a plan are in `phone/plan.rs`. Each rule
//! has a row in `phone/tests.rs`; `phone/examples.txt` has one mobile number for each region. `tests/numbering_plans`
//! compares many more with the reference implementation of libphonenumber.

mod plan;

#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use plan::{Line, Plan};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The longest text that is parsed, in characters. The longest number has 15 digits; the rest is room for
/// punctuation.
pub const LONGEST_TEXT: usize = 64;

/// The shortest number in the database: a country code of three digits and four more digits, as in Niue.
const SHORTEST_E164: usize = 7;

/// The number of digits after the country code in a number's prefix.
const PREFIX_DIGITS: usize = 4;

/// The number of digits at the end that a masked number shows.
const SHOWN_DIGITS: usize = 4;

/// The number of digits at the end that lists show.
const LISTED_DIGITS: usize = 3;

/// A phone number in E.164 that can get text messages. `Display` and `Debug` are masked.
///
/// It has a plus and at most 15 digits, so at most 16 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number as a user types it.
    ///
    /// Spaces, dashes, dots and parentheses are dropped everywhere (see `is_separator` for those of Unicode). What
    /// remains is one of these:
    ///
    /// - `+` and digits: an international number, kept digit for digit. A national prefix after the country code,
    ///   as in `+44 (0)7911 …` or `+91 06205 …`, is refused: in some plans (Gabon, Italy, Congo) that 0 is part of
    ///   the number, and dropping it gives another number.
    /// - `00` and digits: the same, if 00 is the only way to dial abroad that begins with 00 in the default region.
    ///   Elsewhere it is refused: in Singapore `0014…` could mean a number in Switzerland or in the USA.
    /// - digits: a national number of the default region, with or without its national prefix; if its plan has no
    ///   such number, an international number with the region's own country code. Any other number needs a plus: if
    ///   it were read as a number of another country, a mistyped one would be another user's.
    ///
    /// Accepted are mobile, fixed-line-or-mobile, internet-telephony (`VoIP`) and personal numbers in
    /// libphonenumber's data. Other kinds and unassigned numbers are refused.
    ///
    /// # Errors
    ///
    /// A [`PhoneError`] that says what is wrong. No text causes a panic, and a text over 64 characters is not
    /// scanned.
    pub fn parse(text: &str, default_region: Region) -> Result<Self, PhoneError> {
        let text = without_separators(text)?;
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

    /// An international number without its plus, digits only. `None` if it is not in its country's plan, or is no personal
    /// number.
    pub(crate) fn from_digits(digits: &str) -> Option<Self> {
        let is_number = digits.len() <= plan::LONGEST && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| Self::international(digits).ok()).flatten()
    }

    /// A number from our own database: a plus and 7 to 15 digits that do not begin with 0. `None` if it has another
    /// form.
    ///
    /// The numbering plan is not checked again: plans change, and existing accounts keep their numbers.
    #[must_use]
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let fits = (SHORTEST_E164..=plan::LONGEST).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        fits.then(|| Self(text.to_owned()))
    }

    /// The whole number in E.164, `+916205829376`: for the database and the SMS provider only. Everything else shows
    /// the masked number.
    #[must_use]
    pub fn full(&self) -> &str {
        &self.0
    }

    /// The number as lists show it: `+91 ••••• ••376`. The country code and the last three digits are enough to recognize a
    /// number that one knows, and too few to call one.
    #[must_use]
    pub fn masked(&self) -> String {
        let digits = self.0.trim_start_matches('+');
        let (code, national) = plan::split(digits).unwrap_or(("", digits));
        let shown = LISTED_DIGITS.min(national.len() / 2);
        let hidden = national.len() - shown;
        let mut text = format!("+{code} ");
        for (at, digit) in national.chars().enumerate() {
            if at == 5 {
                text.push(' ');
            }
            text.push(if at < hidden { '•' } else { digit });
        }
        text
    }

    /// The country code and the next four digits, `+916205`. Budgets count by this prefix, because fraudsters who
    /// earn by messages rent numbers in blocks.
    #[must_use]
    pub fn prefix(&self) -> Option<String> {
        let (code, national) = plan::split(self.0.trim_start_matches('+'))?;
        let shown = national.get(..PREFIX_DIGITS.min(national.len()))?;
        Some(format!("+{code}{shown}"))
    }

    /// The region whose numbering plan has the number; `None` if it has left every plan since it was stored.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        plan::find(self.0.trim_start_matches('+'))?.0.region().parse().ok()
    }
}

/// `+91******9376`: the country code, a star for each hidden digit, the last four digits. At most half of the digits
/// after the country code are shown (a number in Niue has four in all).
impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.trim_start_matches('+');
        // If the plans no longer have the country code, no digit is known to be part of it.
        let (code, national) = plan::split(digits).unwrap_or(("", digits));
        let hidden = national.len() - SHOWN_DIGITS.min(national.len() / 2);
        let shown = national.get(hidden..).unwrap_or_default();
        write!(f, "+{code}{}{shown}", "*".repeat(hidden))
    }
}

/// Masked as in `Display`, so that a derived `Debug` around it does not leak the number.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A region with a numbering plan, named by its two letters in ISO 3166 (`IN`; also `XK`, `AC` and `TA`, which
/// libphonenumber adds to the standard).
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

/// Reads `IN` or `in`. The first call in a process loads the numbering plans, so it should happen while the
/// configuration is read, not during a request.
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

impl Region {
    /// The digits that numbers of the region begin with, after the plus.
    #[must_use]
    pub fn country_code(self) -> &'static str {
        self.0.country_code()
    }
}

/// The text is not a region with a numbering plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be the two letters of a country in ISO 3166, such as IN or US")]
pub struct UnknownRegion;

/// Why a text is not a valid phone number; `Display` is a sentence for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PhoneError {
    /// It has no digit.
    #[error("Phone number is required")]
    Missing,
    /// It has more than 64 characters.
    #[error("Phone number must have at most 64 characters")]
    TooLong,
    /// It has a character that is neither a digit 0-9 nor a separator, or a plus that is not at the start.
    #[error(
        "Phone number may hold only the digits 0-9, a plus in front, and spaces, dashes, dots and parentheses between"
    )]
    Character,
    /// It has no plus, and the digits are not a number of the default region.
    #[error(
        "Phone number without a plus is not a number of this country: check the digits, or write it with a plus and the \
         country code"
    )]
    NoPlus,
    /// The country code is not in use, or the country's numbering plan does not have the number.
    #[error(
        "Phone number does not exist in its country's numbering plan: check the digits and the country code"
    )]
    NotInPlan,
    /// The plan has it as a fixed line, premium rate, toll-free, shared cost, pager, company or voicemail number.
    #[error("Phone number must be one that can get text messages, not a fixed line or a service number")]
    NotPersonal,
}

/// The text without separators: digits, with or without a plus at the start.
fn without_separators(text: &str) -> Result<String, PhoneError> {
    // Not `chars().count()`, which would scan a text of any length.
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

/// The separators that are dropped. Tabs and line ends are kept and then refused as control characters. So are U+202E
/// and U+200F, because the digits after them are displayed in another order than stored.
fn is_separator(character: char) -> bool {
    matches!(
        character,
        ' ' | '\u{A0}' | '\u{2000}'..='\u{200B}' | '\u{202F}' | '\u{205F}' | '\u{2060}' | '\u{3000}' // spaces: no-break, thin, none
        | '-' | '\u{AD}' | '\u{2010}'..='\u{2015}' | '\u{2212}' // dashes: soft, no-break, en, em, minus
        | '.' | '(' | ')'
        // Left-to-right marks, which address books add to a copied number.
        | '\u{200E}' | '\u{202A}' | '\u{202C}' | '\u{202D}' | '\u{2066}' | '\u{2069}'
    )
}

/// The release of libphonenumber that the numbering plans come from. They are compiled into the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    /// The version of libphonenumber.
    pub version: &'static str,
    /// When it was released.
    pub released: NaiveDate,
}

impl Edition {
    /// The release of the plans in use.
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
