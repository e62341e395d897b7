//! Delivery at a glance: the counts of a period by country, channel and provider, beside those of the time before.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::{Counts, Group, Period};
use crate::delivery::Channel;

/// How many rows a page shows. Those with fewer messages are one row, so that the page stays short.
const MOST_ROWS: usize = 40;

/// Where messages went and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The country: two letters, or `--`.
    pub region: String,
    /// The channel.
    pub channel: Channel,
    /// The provider, as rows keep it.
    pub provider: String,
}

/// The counts of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GlanceRow {
    /// In the period.
    pub now: Counts,
    /// In the time that it is compared with.
    pub before: Counts,
}

/// All places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glance {
    /// The places with the most messages, those first.
    pub rows: Vec<(Place, GlanceRow)>,
    /// How many places there are besides, and their counts.
    pub others: Option<(usize, GlanceRow)>,
    /// Everything.
    pub all: GlanceRow,
}

impl Glance {
    /// Sums up the counts of days. Days outside of both times are left out.
    #[must_use]
    pub fn new(days: Vec<(NaiveDate, Group, Counts)>, period: Period, today: NaiveDate) -> Self {
        let (begins, compared_from) = (period.begins(today), period.compared_from(today));
        let (mut places, mut all) = (BTreeMap::<Place, GlanceRow>::new(), GlanceRow::default());
        for (date, group, counts) in days {
            if !(compared_from..=today).contains(&date) {
                continue;
            }
            let Group { region, channel, provider } = group;
            let row = places.entry(Place { region, channel, provider }).or_default();
            if date >= begins {
                row.now.merge(&counts);
                all.now.merge(&counts);
            } else {
                row.before.merge(&counts);
                all.before.merge(&counts);
            }
        }
        let mut rows: Vec<_> = places.into_iter().filter(|(_, row)| row.now.messages > 0).collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.now.messages));
        let rest = rows.split_off(MOST_ROWS.min(rows.len()));
        let mut others = GlanceRow::default();
        for (_, row) in &rest {
            others.now.merge(&row.now);
            others.before.merge(&row.before);
        }
        Self { rows, others: (!rest.is_empty()).then_some((rest.len(), others)), all }
    }
}
