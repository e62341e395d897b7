//! Numbers for the review of apps: whoever reviews an app for a store cannot receive an SMS, so a listed number has a
//! fixed code until a date. It opens an account that it made itself and no other.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{
    account::{Account, Role},
    otp::OtpCode,
    phone::PhoneNumber,
};

/// A number with a fixed code.
#[derive(Debug, Clone)]
pub struct ReviewNumber {
    /// The number.
    pub phone: PhoneNumber,
    /// Its code.
    pub code: OtpCode,
    /// When it is an ordinary number again: the end of its last day.
    pub ends_at: DateTime<Utc>,
}

/// All of them.
#[derive(Clone, Default)]
pub struct ReviewNumbers(Vec<ReviewNumber>);

/// What a phone is as far as reviews are concerned.
#[derive(Debug, Clone, Copy)]
pub enum Listed<'a> {
    /// Nothing special.
    No,
    /// It was one until its date.
    Ended,
    /// Its fixed code is good.
    Yes(&'a ReviewNumber),
}

impl ReviewNumbers {
    /// These.
    #[must_use]
    pub fn new(numbers: Vec<ReviewNumber>) -> Self {
        Self(numbers)
    }

    /// What this phone is at this time.
    #[must_use]
    pub fn find(&self, phone: &PhoneNumber, now: DateTime<Utc>) -> Listed<'_> {
        match self.0.iter().find(|number| number.phone == *phone) {
            None => Listed::No,
            Some(number) if number.ends_at <= now => Listed::Ended,
            Some(number) => Listed::Yes(number),
        }
    }

    /// Those whose date has passed.
    pub fn ended(&self, now: DateTime<Utc>) -> impl Iterator<Item = &PhoneNumber> {
        self.0.iter().filter(move |number| number.ends_at <= now).map(|number| &number.phone)
    }
}

impl fmt::Debug for ReviewNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// Whether a fixed code may open this account: one that a fixed code made, and that is nobody's of the staff.
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
