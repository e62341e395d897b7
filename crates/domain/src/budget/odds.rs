//! The odds: how likely an attacker guesses a code with the given settings, so that four digits are a decision.
//!
//! The calculation: a code of `d` digits is one of `N = 10^d`, each equally likely (RFC 4226, appendix A: the truncation of an
//! HMAC is as good as uniform). A challenge allows `a` guesses, and an attacker who does not repeat one hits it with the
//! chance `a / N`. Each challenge has a code of its own, so challenges are independent. With `g` guesses the best strategy is
//! to use up each challenge: `g / a` whole ones and a rest `r`. The chance to miss all of them is
//!
//! ```text
//! (1 - a/N)^(g div a) * (1 - (g mod a)/N)
//! ```
//!
//! What bounds `g`, at one phone:
//!
//! - in any 24 hours, the limit of wrong guesses at a phone from all addresses, and the codes that are sent to it, each good
//!   for `a` guesses, because a challenge begins with a send;
//! - between two sign-ins of its owner, the failures in a row: after so many, no code is judged until staff unlock the phone.
//!
//! Limits of an address do not count: an attacker can buy as many addresses as needed. Nor does the budget of a device: the
//! attacker does not have it. An attacker who can read the messages needs no guess; no setting helps against that.
//!
//! NIST SP 800-63B (section 3.1.3.2) and OWASP ASVS 6.5.4 require 20 bits, six digits; four digits have 13. The budgets make up
//! for it at one account, but not over many: an attacker who tries `a` codes at each of a million phones opens `a / N` of them.

use std::fmt;

use chrono::Duration;

use super::{BudgetPolicy, Limit};
use crate::otp::OtpPolicy;

/// The odds that production accepts without a setting: one in a hundred, between two sign-ins.
pub const ACCEPTED: f64 = 0.01;

const DAY: Duration = Duration::hours(24);

/// The days between two sign-ins of an account's owner.
const BETWEEN_SIGN_INS: i64 = 31;

/// How many accounts an attacker tries who wants any of them.
const MANY: f64 = 1_000_000.0;

/// An attacker's chances with the settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Odds {
    /// The chance that one given account is opened in a day.
    pub in_a_day: f64,
    /// The same, between two sign-ins of its owner, a month apart.
    pub between_sign_ins: f64,
    /// The same, in a year of twelve sign-ins.
    pub in_a_year: f64,
    /// How many accounts are opened by using up one challenge at each of a million phones.
    pub of_a_million: f64,
    /// How many hours that takes from one address. `None`: it is not limited.
    pub address_hours: Option<f64>,
    /// How many guesses at one account are judged in a day. `None`: it is not limited.
    pub guesses_in_a_day: Option<i64>,
    /// The same, between two sign-ins.
    pub guesses_between_sign_ins: Option<i64>,
}

impl Odds {
    /// The odds of these settings.
    #[must_use]
    pub fn from_policies(otp: &OtpPolicy, budgets: &BudgetPolicy) -> Self {
        let day = budgets.is_on.then(|| guesses_in_a_day(otp, budgets));
        let between = day.map(|day| budgets.failures_in_a_row.min(day.saturating_mul(BETWEEN_SIGN_INS)));
        let between_sign_ins = chance(otp, between);
        let months = 12;
        Self {
            in_a_day: chance(otp, day),
            between_sign_ins,
            in_a_year: 1.0 - (1.0 - between_sign_ins).powi(months),
            of_a_million: MANY * chance(otp, Some(otp.max_attempts)),
            address_hours: budgets.is_on.then(|| {
                let limit = budgets.address_guesses;
                MANY * real(otp.max_attempts) / size(limit.most) * (real(limit.per.num_seconds()) / 3600.0)
            }),
            guesses_in_a_day: day,
            guesses_between_sign_ins: between,
        }
    }
}

/// How many guesses at one phone are judged in a day.
fn guesses_in_a_day(otp: &OtpPolicy, budgets: &BudgetPolicy) -> i64 {
    let sends = budgets.phone_sends.iter().map(|limit| most_in_a_day(*limit)).min();
    let by_sends = sends.map_or(i64::MAX, |sends| sends.saturating_mul(otp.max_attempts));
    by_sends.min(most_in_a_day(budgets.phone_guesses))
}

/// The most that a sliding window allows in 24 hours.
fn most_in_a_day(limit: Limit) -> i64 {
    let windows = (DAY.num_seconds() + limit.per.num_seconds() - 1) / limit.per.num_seconds().max(1);
    i64::try_from(limit.most).unwrap_or(i64::MAX).saturating_mul(windows)
}

/// The chance that one of so many guesses is right; 1 if they are not limited.
fn chance(otp: &OtpPolicy, guesses: Option<i64>) -> f64 {
    let Some(guesses) = guesses else {
        return 1.0;
    };
    let codes = 10_f64.powi(i32::try_from(otp.length.digits()).unwrap_or(i32::MAX));
    let (whole, rest) = (guesses / otp.max_attempts, guesses % otp.max_attempts);
    let misses_one = 1.0 - real(otp.max_attempts) / codes;
    let whole = i32::try_from(whole).unwrap_or(i32::MAX);
    1.0 - misses_one.powi(whole) * (1.0 - real(rest) / codes)
}

#[expect(clippy::cast_precision_loss, reason = "counts of guesses are far below 2^52")]
fn real(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "limits are at most a thousand")]
fn size(number: usize) -> f64 {
    number as f64
}

/// A chance in words: `1 in 101`.
#[derive(Debug, Clone, Copy)]
pub struct OneIn(pub f64);

impl fmt::Display for OneIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            chance if chance >= 1.0 => f.write_str("certain"),
            chance if chance <= 0.0 => f.write_str("none"),
            chance if chance > 0.1 => write!(f, "1 in {:.1}", 1.0 / chance),
            chance => write!(f, "1 in {:.0}", 1.0 / chance),
        }
    }
}

impl fmt::Display for Odds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "one account is guessed open: in a day {}, between two sign-ins a month apart {}, in a year {}; \
             of a million phones with one code tried out at each: {:.0}",
            OneIn(self.in_a_day),
            OneIn(self.between_sign_ins),
            OneIn(self.in_a_year),
            self.of_a_million,
        )?;
        match self.address_hours {
            Some(hours) => write!(f, ", in {hours:.0} hours of one address"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otp::CodeLength;

    fn otp(digits: u32, attempts: i64) -> OtpPolicy {
        OtpPolicy {
            length: CodeLength::new(digits).unwrap(),
            life: Duration::minutes(10),
            max_attempts: attempts,
            resend_after: Duration::seconds(30),
        }
    }

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() <= expected * 1e-9, "{value} is not {expected}");
    }

    #[test]
    fn the_defaults_keep_four_digits_just_below_one_in_a_hundred() {
        let odds = Odds::from_policies(&otp(4, 3), &BudgetPolicy::default());
        assert_eq!((odds.guesses_in_a_day, odds.guesses_between_sign_ins), (Some(30), Some(100)));
        near(odds.in_a_day, 1.0 - 0.9997_f64.powi(10));
        near(odds.between_sign_ins, 1.0 - 0.9997_f64.powi(33) * 0.9999);
        near(odds.in_a_year, 1.0 - (1.0 - odds.between_sign_ins).powi(12));
        near(odds.of_a_million, 300.0);
        near(odds.address_hours.unwrap(), 100_000.0);
        assert!(odds.between_sign_ins < ACCEPTED);
        let said = odds.to_string();
        assert!(said.contains("in a day 1 in 334,") && said.contains("month apart 1 in 100,"), "{said}");
    }

    #[test]
    fn two_digits_more_are_a_hundred_times_better() {
        let (four, six) = (
            Odds::from_policies(&otp(4, 3), &BudgetPolicy::default()),
            Odds::from_policies(&otp(6, 3), &BudgetPolicy::default()),
        );
        assert!((four.between_sign_ins / six.between_sign_ins - 100.0).abs() < 1.0);
        near(six.of_a_million, 3.0);
    }

    #[test]
    fn each_bound_counts() {
        let default = BudgetPolicy::default();
        let fewer_sends = BudgetPolicy {
            phone_sends: vec!["5/1h".parse().unwrap(), "2/24h".parse().unwrap()],
            ..default.clone()
        };
        assert_eq!(Odds::from_policies(&otp(4, 3), &fewer_sends).guesses_in_a_day, Some(6));
        let by_the_hour = BudgetPolicy {
            phone_sends: vec!["5/1h".parse().unwrap()],
            phone_guesses: "10/1h".parse().unwrap(),
            ..default.clone()
        };
        assert_eq!(Odds::from_policies(&otp(4, 3), &by_the_hour).guesses_in_a_day, Some(240));
        let more_in_a_row = BudgetPolicy { failures_in_a_row: 500, ..default.clone() };
        assert!(Odds::from_policies(&otp(4, 3), &more_in_a_row).between_sign_ins > ACCEPTED);
        let rarely = BudgetPolicy { phone_guesses: "1/24h".parse().unwrap(), ..default };
        assert_eq!(Odds::from_policies(&otp(4, 3), &rarely).guesses_between_sign_ins, Some(31));
    }

    #[test]
    fn without_limits_it_is_certain() {
        let odds = Odds::from_policies(&otp(4, 3), &BudgetPolicy { is_on: false, ..BudgetPolicy::default() });
        near(odds.between_sign_ins, 1.0);
        assert!(odds.to_string().contains("in a day certain"), "{odds}");
    }
}
