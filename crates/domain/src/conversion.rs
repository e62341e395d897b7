//! Which provider a code goes to first, by how many of its codes were entered (`SMS_ROUTING=adaptive`).
//!
//! Only samples count: text messages with a code to a phone that had proved itself before, one for each phone, provider and day. The
//! numbers of an SMS pumping attack have never proved themselves, so they change nothing.

use std::collections::HashSet;

use chrono::{DateTime, Duration, NaiveDate, Utc};

use super::phone::PhoneNumber;

/// How many samples of a provider count: the newest.
pub const MOST_SAMPLES: usize = 100;

/// A provider with fewer samples is not judged.
pub const FEWEST_SAMPLES: usize = 50;

/// Older samples do not count. A provider that went back a day ago, and has had few codes since, gets its place again.
pub const COUNTED_FOR: Duration = Duration::hours(24);

/// A newer sample does not count: the user may still enter the code.
pub const ENTERED_WITHIN: Duration = Duration::minutes(5);

/// One code in so many to a phone that has proved itself begins with another provider, so that there are samples of all providers.
pub const PROBE_ONE_IN: u32 = 20;

/// A text message that counts.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The recipient.
    pub phone: PhoneNumber,
    /// The day on which it was sent.
    pub day: NaiveDate,
    /// Whether its code was entered before another provider sent it too.
    pub is_verified: bool,
}

/// When a sample must have been sent to count: from, and before.
#[must_use]
pub fn window(now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    (now - COUNTED_FOR, now - ENTERED_WITHIN)
}

/// How many codes of a provider were entered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conversion {
    /// The codes that were sent.
    pub sent: usize,
    /// Those of them that were entered.
    pub verified: usize,
}

impl Conversion {
    /// Counts samples of one provider, newest first. Of several to one phone on one day the newest counts.
    #[must_use]
    pub fn of(samples: &[Sample]) -> Self {
        let mut seen = HashSet::new();
        let different = samples.iter().filter(|sample| seen.insert((sample.phone.full(), sample.day)));
        different.take(MOST_SAMPLES).fold(Self::default(), |counted, sample| Self {
            sent: counted.sent + 1,
            verified: counted.verified + usize::from(sample.is_verified),
        })
    }

    fn is_known(self) -> bool {
        self.sent >= FEWEST_SAMPLES
    }

    /// Whether its share is under this part of the other's share.
    fn is_under(self, (numerator, denominator): (usize, usize), other: Self) -> bool {
        denominator * self.verified * other.sent < numerator * other.verified * self.sent
    }
}

/// A provider of a list, and how its codes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged<P> {
    /// The provider.
    pub provider: P,
    /// How many of its codes were entered.
    pub conversion: Conversion,
    /// Whether it goes behind the others now.
    pub is_behind: bool,
}

/// The providers that go behind the others: whose share of entered codes is under half of the best one's. It gets its place again with
/// three quarters of the best share, so that it does not go to and fro at one half.
#[must_use]
pub fn behind<P: Copy>(list: &[Judged<P>]) -> Vec<P> {
    let known = || list.iter().filter(|judged| judged.conversion.is_known());
    let is_behind = |judged: &&Judged<P>| {
        let share = if judged.is_behind { (3, 4) } else { (1, 2) };
        known().any(|best| judged.conversion.is_under(share, best.conversion))
    };
    known().filter(is_behind).map(|judged| judged.provider).collect()
}

/// The order of a list: first the providers that are not behind, in the order of the list, then the others.
#[must_use]
pub fn order<P: Copy + PartialEq>(list: &[P], behind: &[P]) -> Vec<P> {
    let (back, front): (Vec<P>, Vec<P>) = list.iter().partition(|provider| behind.contains(provider));
    front.into_iter().chain(back).collect()
}

#[cfg(test)]
#[path = "conversion/tests.rs"]
mod tests;
