//! Counting the messages of each day, so that the pages about deliveries read few rows whatever was sent.
//!
//! Days are counted from their rows, not in steps, so that a late report, a crash or a second server cannot make a count wrong:
//! counting again gives the same. Which days are due is a rule of `domain::statistics`.

use std::collections::BTreeMap;

use super::{Error, Services};
use crate::{
    domain::{
        delivery::NO_PROVIDER,
        statistics::{Counted, Day, DayCounts, LONGEST_BACK, MessageCounts, due},
    },
    store,
};

/// How many messages one statement reads.
const BATCH: u64 = 5_000;

/// How many messages get their country in one statement, and in one run.
const COUNTRIES: u64 = 1_000;
const MOST_COUNTRIES: usize = 50_000;

/// Counts the days that are due. Returns how many. Several servers may do this at once.
///
/// # Errors
/// When the database does not answer: some days are counted, the others are the next time.
pub async fn count_due(services: &Services) -> Result<usize, Error> {
    let (db, now) = (&services.store, services.clock.now());
    services.receipts.settle().await;
    let days_back = chrono::Days::new(LONGEST_BACK + 1);
    let today = Day::at(now, services.zone).date;
    let since = today.checked_sub_days(days_back).unwrap_or(today);
    let counted: Vec<Counted> =
        store::statistics::list_counted(db, since).await?.into_iter().map(|(counted, _)| counted).collect();
    let first = store::messages::find_first(db).await?;
    let days = due(&counted, first, services.zone, now);
    for day in &days {
        let counts = count(services, *day).await?;
        let txn = db.begin().await?;
        // Whether the day was closed meanwhile makes no difference.
        store::statistics::set(&txn, *day, &counts, now).await?;
        txn.commit().await?;
    }
    Ok(days.len())
}

/// Counts a day. A message that changes meanwhile is counted as it was or as it is.
async fn count(services: &Services, day: Day) -> Result<DayCounts, Error> {
    let (db, time) = (&services.store, (day.begins_at, day.ends_at));
    let mut messages = MessageCounts::default();
    let mut after = None;
    loop {
        let (batch, end) = store::messages::list_counted(db, time, NO_PROVIDER, after, BATCH).await?;
        for message in &batch {
            messages.add(message);
        }
        if end.is_none() {
            break;
        }
        after = end;
    }
    Ok(DayCounts {
        funnel: store::statistics::count_funnel(db, time, NO_PROVIDER).await?,
        locks: store::statistics::count_locks(db, time).await?,
        refusals: store::statistics::count_refusals(db, time).await?,
        messages,
    })
}

/// Writes the country of messages of earlier versions, which did not. The numbering plans are here and not in the database,
/// so no migration could. Each run does a part, the newest messages first.
///
/// # Errors
/// When the database does not answer: the rest gets its country the next time.
pub async fn fill_countries(services: &Services) -> Result<(), Error> {
    let mut filled = 0;
    while filled < MOST_COUNTRIES {
        let batch = store::messages::list_without_country(&services.store, COUNTRIES).await?;
        if batch.is_empty() {
            break;
        }
        filled += batch.len();
        let mut by_country: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (id, country) in batch {
            by_country.entry(country).or_default().push(id);
        }
        for (country, messages) in by_country {
            store::messages::set_country(&services.store, messages, &country).await?;
        }
    }
    Ok(())
}
