//! The numbers of the console: how many messages of a day arrived and were answered, how fast, and what they cost.
//!
//! Days are counted from the rows of their messages ([`MessageCounts`]), and kept after the messages are purged. [`due`] says
//! which days to count, [`Period`] which days a page shows and which it compares them with. Nothing here names a user.

mod counts;
mod day;
mod glance;
mod histogram;
mod period;

#[cfg(test)]
mod tests;

pub use self::{
    counts::{Costs, CountedMessage, Counts, Group, MessageCounts, micros},
    day::{Counted, Day, DayCounts, Funnel, LONGEST_BACK, MOST_DAYS, due},
    glance::{Glance, GlanceRow, Place},
    histogram::{Histogram, Quantile},
    period::{Difference, Period, Share, UnknownPeriod, change_of},
};
