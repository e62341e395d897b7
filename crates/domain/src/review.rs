//! Phone numbers for app store reviews. A reviewer cannot receive an SMS, so a listed number has a fixed code until a
//! date. The code opens only accounts that were created with it.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{
    account::{Account, Role},
    otp::OtpCode,
    phone::PhoneNumber,
};

/// A phone number with a fixed code.
#[derive(Debug, Clone)]
pub struct ReviewNumber {
    /// The number.
    pub phone: PhoneNumber,
    /// The fixed code.
    pub code: OtpCode,
    /// From then on it is an ordinary number: the end of its last day.
    pub ends_at: DateTime<Utc>,
}

/// All configured review numbers.
#[derive(Clone, Default)]
pub struct ReviewNumbers(Vec<ReviewNumber>);

/// Whether a phone is a review number.
#[derive(Debug, Clone, Copy)]
pub enum Listed<'a> {
    /// Not a review number.
    No,
    /// Its last day is over.
    Ended,
    /// Its fixed code is valid.
    Yes(&'a ReviewNumber),
}

impl ReviewNumbers {
    /// Creates the list.
    #[must_use]
    pub fn new(numbers: Vec<ReviewNumber>) -> Self {
        Self(numbers)
    }

    /// Looks up a phone at this time.
    #[must_use]
    pub fn find(&self, phone: &PhoneNumber, now: DateTime<Utc>) -> Listed<'_> {
        match self.0.iter().find(|number| number.phone == *phone) {
            None => Listed::No,
            Some(number) if number.ends_at <= now => Listed::Ended,
            Some(number) => Listed::Yes(number),
        }
    }

    /// The numbers whose last day is over.
    pub fn ended(&self, now: DateTime<Utc>) -> impl Iterator<Item = &PhoneNumber> {
        self.0.iter().filter(move |number| number.ends_at <= now).map(|number| &number.phone)
    }
}

impl fmt::Debug for ReviewNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// Whether a fixed code may open this account: only one that was created with a fixed code and has no staff rights.
#[must_use]
pub fn may_open(account: &Account) -> bool {
    account.is_review && account.role == Role::User
}

#[cfg(test)]
mod tests {
    use chrono::{Duration, TimeZone};

    use super::*;
    use crate::otp::CodeLength;

    #[test]
    fn a_number_is_special_until_its_end() {
        let ends_at = Utc.with_ymd_and_hms(2027, 1, 31, 18, 30, 0).unwrap();
        let phone = PhoneNumber::from_e164("+12025550100").unwrap();
        let other = PhoneNumber::from_e164("+12025550101").unwrap();
        let code = OtpCode::parse("4821", CodeLength::default()).unwrap();
        let numbers = ReviewNumbers::new(vec![ReviewNumber { phone: phone.clone(), code, ends_at }]);
        let before = ends_at - Duration::microseconds(1);
        assert!(matches!(numbers.find(&phone, before), Listed::Yes(number) if number.phone == phone));
        assert!(matches!(numbers.find(&phone, ends_at), Listed::Ended));
        assert!(matches!(numbers.find(&other, before), Listed::No));
        assert_eq!(numbers.ended(before).count(), 0);
        assert!(numbers.ended(ends_at).eq([&phone]));
        let shown = format!("{numbers:?}");
        assert!(!shown.contains("4821") && !shown.contains("2025550100"), "{shown}");
    }
}
