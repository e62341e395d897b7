//! Histograms of waiting times, from which medians and percentiles are read.
//!
//! Histograms of several days can be added up, percentiles cannot. Each bucket is a tenth wider than its lower bound, so a
//! percentile is at most five percent (or 0.05 seconds) away from the true one.

use std::collections::BTreeMap;

use chrono::Duration;

/// The upper bound of the first bucket, in milliseconds.
const FIRST: i64 = 100;

/// What takes longer than a day is counted with what takes a day.
const LONGEST: i64 = 86_400_000;

/// A point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile {
    /// Half of all values are at most this.
    Median,
    /// 95 of 100 values are at most this.
    Percentile95,
}

impl Quantile {
    fn percent(self) -> i64 {
        match self {
            Self::Median => 50,
            Self::Percentile95 => 95,
        }
    }
}

/// How many values there are in each bucket: the upper bound of a bucket in milliseconds, and its count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<i64, i64>);

impl Histogram {
    /// Counts a duration. A negative one, which clocks that differ can make, counts as zero.
    pub fn add(&mut self, duration: Duration) {
        let bound = bounds().find(|(_, upper)| duration.num_milliseconds() <= *upper);
        *self.0.entry(bound.map_or(LONGEST, |(_, upper)| upper)).or_default() += 1;
    }

    /// Adds the counts of another one.
    pub fn merge(&mut self, other: &Self) {
        for (bound, count) in &other.0 {
            *self.0.entry(*bound).or_default() += count;
        }
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.0.values().sum()
    }

    /// The middle of the bucket that holds the value of this rank (the nearest one). `None` without values.
    #[must_use]
    pub fn quantile(&self, quantile: Quantile) -> Option<Duration> {
        let rank = (self.count() * quantile.percent() + 99) / 100;
        let mut seen = 0;
        let bound = self.0.iter().find_map(|(bound, count)| {
            seen += count;
            (seen >= rank && *count > 0).then_some(*bound)
        })?;
        let lower = bounds().find(|(_, upper)| bound <= *upper).map_or(bound, |(lower, _)| lower);
        Some(Duration::milliseconds(i64::midpoint(lower, bound)))
    }

    /// The upper bounds in milliseconds and the counts, as they are stored.
    pub fn buckets(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().map(|(bound, count)| (*bound, *count))
    }
}

impl FromIterator<(i64, i64)> for Histogram {
    fn from_iter<Buckets: IntoIterator<Item = (i64, i64)>>(buckets: Buckets) -> Self {
        Self(buckets.into_iter().collect())
    }
}

/// The lower and upper bounds of all buckets.
fn bounds() -> impl Iterator<Item = (i64, i64)> {
    std::iter::successors(Some((0, FIRST)), |(_, upper)| {
        (*upper < LONGEST).then(|| (*upper, LONGEST.min(upper + upper / 10)))
    })
}
