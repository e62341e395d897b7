//! Which numbers the operator allows messages to.
//!
//! A blocked prefix is too expensive, such as the satellites of +88213. An allowed prefix is an exception to a
//! blocked one or to the countries. The longest matching prefix decides, so their order does not matter. This is not
//! a budget: it applies even if the limits are switched off.

use std::{collections::BTreeSet, fmt, str::FromStr};

use thiserror::Error;

use super::{
    delivery::UnreachableReason,
    phone::{PhoneNumber, Region},
};

/// The most digits of a number (ITU-T E.164, 6.2.1), and so of a prefix.
const MAX_DIGITS: usize = 15;

/// A prefix of phone numbers: a plus and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beginning(String);

/// The text is not a prefix of phone numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be prefixes of numbers, each a plus and 1 to {MAX_DIGITS} digits of which the first is not 0, such as +88213"
)]
pub struct BeginningError;

impl FromStr for Beginning {
    type Err = BeginningError;

    fn from_str(text: &str) -> Result<Self, BeginningError> {
        let text = text.trim();
        let digits = text.strip_prefix('+').ok_or(BeginningError)?;
        let fits = (1..=MAX_DIGITS).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        fits.then(|| Self(text.to_owned())).ok_or(BeginningError)
    }
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Beginning {
    /// The plus and the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the number begins with it.
    pub(super) fn matches(&self, phone: &PhoneNumber) -> bool {
        phone.full().starts_with(&self.0)
    }
}

/// The numbers that get messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destinations {
    /// The allowed countries as two-letter codes. Empty: all countries.
    pub countries: BTreeSet<String>,
    /// Prefixes that get no messages.
    pub blocked: BTreeSet<Beginning>,
    /// Prefixes that get messages although their country or a shorter prefix does not.
    pub allowed: BTreeSet<Beginning>,
}

impl Destinations {
    /// Whether numbers of a country get messages, apart from prefixes. `region` is its two-letter code.
    #[must_use]
    pub fn serve(&self, region: &str) -> bool {
        self.countries.is_empty() || self.countries.contains(region)
    }

    /// Why this number gets no messages; `None` if it does.
    #[must_use]
    pub fn refuses(&self, phone: &PhoneNumber) -> Option<UnreachableReason> {
        let longest = |prefixes: &BTreeSet<Beginning>| {
            prefixes.iter().filter(|prefix| prefix.matches(phone)).map(|prefix| prefix.0.len()).max()
        };
        match (longest(&self.allowed), longest(&self.blocked)) {
            (None, None) => self.is_abroad(phone).then_some(UnreachableReason::RegionNotAllowed),
            // The settings reader refuses a prefix that is in both lists.
            (allowed, blocked) if blocked >= allowed => Some(UnreachableReason::Blocked),
            _ => None,
        }
    }

    /// Whether the number is outside of the allowed countries. A number that belongs to no country, such as a
    /// satellite's, always is.
    fn is_abroad(&self, phone: &PhoneNumber) -> bool {
        let is_allowed = |region: Region| self.countries.contains(&region.to_string());
        !self.countries.is_empty() && !phone.region().is_some_and(is_allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(texts: &[&str]) -> BTreeSet<Beginning> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn destinations(countries: &[&str], blocked: &[&str], allowed: &[&str]) -> Destinations {
        Destinations {
            countries: countries.iter().map(|country| (*country).to_owned()).collect(),
            blocked: prefixes(blocked),
            allowed: prefixes(allowed),
        }
    }

    #[test]
    fn the_longest_beginning_decides_and_then_the_country() {
        use UnreachableReason::{Blocked, RegionNotAllowed};
        let indian = "+916205829376";
        let british = "+447400123456";
        let satellite = "+88213312345";
        for (countries, blocked, allowed, phone, refused) in [
            (vec![], vec![], vec![], indian, None),
            (vec!["IN"], vec![], vec![], indian, None),
            (vec!["IN"], vec![], vec![], british, Some(RegionNotAllowed)),
            (vec!["IN", "GB"], vec![], vec![], british, None),
            (vec!["IN"], vec![], vec!["+4474"], british, None),
            (vec!["IN"], vec!["+91620"], vec![], indian, Some(Blocked)),
            (vec!["IN"], vec!["+91620"], vec!["+916205"], indian, None),
            (vec!["IN"], vec!["+9162058"], vec!["+916205"], indian, Some(Blocked)),
            (vec![], vec!["+9"], vec!["+91"], indian, None),
            (vec![], vec!["+916205829376"], vec!["+91"], indian, Some(Blocked)),
            (vec![], vec!["+916205829375"], vec![], indian, None),
            (vec![], vec![], vec!["+44"], indian, None),
            (vec![], vec!["+88213"], vec![], satellite, Some(Blocked)),
            (vec!["IN"], vec![], vec![], satellite, Some(RegionNotAllowed)),
        ] {
            let these = destinations(&countries, &blocked, &allowed);
            let phone = PhoneNumber::from_e164(phone).unwrap();
            assert_eq!(these.refuses(&phone), refused, "{these:?} {}", phone.full());
        }
    }

    #[test]
    fn a_beginning_is_a_plus_and_digits() {
        for good in ["+1", "+88213", " +91 ", "+123456789012345"] {
            assert!(good.parse::<Beginning>().is_ok(), "{good}");
        }
        for bad in ["", "+", "91", "+0", "+091", "+9a", "+91 62", "+1234567890123456", "+٩١"] {
            assert_eq!(bad.parse::<Beginning>(), Err(BeginningError), "{bad}");
        }
    }
}
