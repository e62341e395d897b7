//! Which numbers get messages at all, because the operator says so.
//!
//! A blocked prefix is one that costs too much, such as the satellites of +88213; an allowed one is an exception to a
//! blocked one, or to the countries. Of all that fit a number the longest decides, so their order says nothing. This is no
//! budget: no setting switches it off with the limits.

use std::{collections::BTreeSet, fmt, str::FromStr};

use thiserror::Error;

use super::{
    delivery::UnreachableReason,
    phone::{PhoneNumber, Region},
};

/// The most digits that a number has (ITU-T E.164, 6.2.1), and so a beginning of one.
const LONGEST: usize = 15;

/// The beginning of numbers: a plus and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beginning(String);

/// It is no beginning of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be the beginnings of numbers, each a plus and 1 to {LONGEST} digits of which the first is not 0, such as +88213"
)]
pub struct BeginningError;

impl FromStr for Beginning {
    type Err = BeginningError;

    fn from_str(text: &str) -> Result<Self, BeginningError> {
        let text = text.trim();
        let digits = text.strip_prefix('+').ok_or(BeginningError)?;
        let fits = (1..=LONGEST).contains(&digits.len())
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
    fn fits(&self, phone: &PhoneNumber) -> bool {
        phone.full().starts_with(&self.0)
    }
}

/// Which numbers get messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destinations {
    /// The countries, by their two letters. None: all.
    pub countries: BTreeSet<String>,
    /// Not these.
    pub blocked: BTreeSet<Beginning>,
    /// But these.
    pub allowed: BTreeSet<Beginning>,
}

impl Destinations {
    /// Why this number gets no message; `None` when it does.
    #[must_use]
    pub fn refuses(&self, phone: &PhoneNumber) -> Option<UnreachableReason> {
        let longest = |some: &BTreeSet<Beginning>| {
            some.iter().filter(|beginning| beginning.fits(phone)).map(|beginning| beginning.0.len()).max()
        };
        match (longest(&self.allowed), longest(&self.blocked)) {
            (None, None) => self.is_abroad(phone).then_some(UnreachableReason::RegionNotAllowed),
            // What is named twice is refused when the settings are read.
            (allowed, blocked) if blocked >= allowed => Some(UnreachableReason::Blocked),
            _ => None,
        }
    }

    /// Whether the countries leave it out. A number that is of no country, such as a satellite's, is in none of them.
    fn is_abroad(&self, phone: &PhoneNumber) -> bool {
        let is_named = |region: Region| self.countries.contains(&region.to_string());
        !self.countries.is_empty() && !phone.region().is_some_and(is_named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginnings(texts: &[&str]) -> BTreeSet<Beginning> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn destinations(countries: &[&str], blocked: &[&str], allowed: &[&str]) -> Destinations {
        Destinations {
            countries: countries.iter().map(|country| (*country).to_owned()).collect(),
            blocked: beginnings(blocked),
            allowed: beginnings(allowed),
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
