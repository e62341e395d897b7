//! Prefixes of numbers, which close when their codes are not verified, and the alarms of daily caps.
//!
//! What staff request fails, and changes nothing, when the database does not answer.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::{Error, Services, run_to_completion, transaction};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Actor, Event, Fact},
        budget::{
            Budget, BudgetKey, BudgetRow, Country, Prefix, PrefixName, PrefixState, SMS_ALARM_PERCENT,
            Wanted, alarm_at,
        },
        roles::StaffPermission,
        users::PageOf,
    },
    store,
};

/// Notes what a charge means: the first trial message of a prefix, and a cap that is nearly spent. The message is sent even
/// if this fails.
pub(super) async fn watch(services: &Services, charged: &[BudgetRow], now: DateTime<Utc>) {
    for row in charged {
        let is_first = row.log.len() == 1 && row.prefix_state(now) == PrefixState::HalfOpen;
        if is_first && matches!(row.key, BudgetKey::Prefix(_)) {
            note_opened(services, row, true, now);
        }
        if let Some((region, cap)) = cap_of(services, &row.key)
            && let Err(error) = watch_cap(services, row, region, cap, now).await
        {
            tracing::error!(%error, "a cap that is nearly spent could not be written down");
        }
    }
}

/// Tells the operator once a day that a cap is nearly spent.
async fn watch_cap(
    services: &Services,
    row: &BudgetRow,
    region: Option<&str>,
    cap: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let scope = region.unwrap_or("all");
    #[expect(clippy::cast_precision_loss, reason = "a share for a gauge")]
    services.metrics.cap_used(scope, row.count as f64 / cap as f64);
    // A refund and another message can reach this count twice, and so can two servers.
    if row.count < alarm_at(cap) || row.is_alarm_sent {
        return Ok(());
    }
    match store::prefixes::set_alarm_sent(&services.store, &row.key).await {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        // The row may be marked or not. A second alarm is better than none.
        Err(error) if error.may_have_happened() => {}
        Err(error) => return Err(error.into()),
    }
    tracing::warn!(scope, count = row.count, cap, "the cap of messages a day is nearly spent");
    let budget = if region.is_some() { Budget::Country } else { Budget::Day };
    let event = Event::new(Action::CapReached, Actor::System)
        .with("budget", budget.as_str())
        .with_known("country", region.map(|region| Fact::shown(&region)))
        .with("cap", cap)
        .with("percent", SMS_ALARM_PERCENT);
    services.audit.note(event, now);
    Ok(())
}

/// The country and the cap that a row counts for, if it counts a day; no country for the cap of all messages.
fn cap_of<'a>(services: &Services, key: &'a BudgetKey) -> Option<(Option<&'a str>, i64)> {
    if let BudgetKey::Day(_) = key {
        Some((None, services.budgets.day?))
    } else if let BudgetKey::Country(_, country) = key {
        Some((Some(country.as_str()), *services.budgets.countries.get(country)?))
    } else {
        None
    }
}

/// Closes a prefix that refused a message. Of several requests at once one closes it and notes it. If this fails, the next
/// refusal closes it.
pub(super) async fn close(services: &Services, key: &BudgetKey, now: DateTime<Utc>) -> Result<(), Error> {
    let policy = &services.budgets.prefix;
    if let Some(row) = store::prefixes::close(&services.store, key, policy, now).await? {
        let (country, prefix) = parts(&row.key);
        let (sent, verified, until) = (row.count, row.answered, row.closed_until);
        let until = until.map_or_else(String::new, |until| until.to_rfc3339());
        tracing::warn!(country, prefix, sent, verified, until, "prefix closed: its codes do not come back");
        services.metrics.prefix_closed(country);
        services.audit.note(closed_event(&row, Actor::System, None), now);
    }
    Ok(())
}

/// Opens the prefix of a verified code, if it is among these rows and closed. If this fails, the next verified code opens
/// it.
pub(super) async fn open_if_closed(
    services: &Services,
    settled: &[BudgetRow],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut prefixes = settled.iter().filter(|row| matches!(row.key, BudgetKey::Prefix(_)));
    if let Some(row) = prefixes.find(|row| row.closed_until.is_some())
        && let Some(row) = store::prefixes::open(&services.store, &row.key, now).await?
    {
        note_opened(services, &row, false, now);
    }
    Ok(())
}

fn note_opened(services: &Services, row: &BudgetRow, half: bool, now: DateTime<Utc>) {
    let (country, prefix) = parts(&row.key);
    tracing::info!(country, prefix, half, "prefix opened");
    services.metrics.prefix_opened(country);
    services.audit.note(prefix_event(Action::PrefixOpened, row, Actor::System, None).with("half", half), now);
}

/// The country and the prefix of a row; `--` for a row of another kind.
fn parts(key: &BudgetKey) -> (&str, &str) {
    if let BudgetKey::Prefix(of) = key { (&of.country, of.prefix.as_str()) } else { ("--", "") }
}

fn prefix_event(action: Action, row: &BudgetRow, actor: Actor, from: Option<ClientAddress>) -> Event {
    let (country, prefix) = parts(&row.key);
    let event = Event::new(action, actor).from(from).with("prefix", Fact::shown(&prefix));
    event.with("country", Fact::shown(&country))
}

fn closed_event(row: &BudgetRow, actor: Actor, from: Option<ClientAddress>) -> Event {
    prefix_event(Action::PrefixClosed, row, actor, from)
        .with("sent", row.count)
        .with("verified", row.answered)
        .with_known("until", row.closed_until)
}

/// A page of prefixes.
#[derive(Debug)]
pub struct Listed {
    /// Those with the most messages first.
    pub prefixes: Vec<Prefix>,
    /// How many prefixes there are in all.
    pub total: u64,
    /// The sums of all prefixes by country.
    pub countries: Vec<Country>,
}

/// Lists a page of prefixes, and the sums of all by country.
pub async fn list(services: &Services, wanted: Wanted, page: PageOf) -> Result<Listed, Error> {
    let now = services.clock.now();
    let (found, total) = store::prefixes::list_page(&services.store, wanted, page, now).await?;
    let countries = store::prefixes::list_countries(&services.store, now).await?;
    Ok(Listed { prefixes: to_prefixes(services, &found, now), total, countries })
}

fn to_prefixes(services: &Services, rows: &[BudgetRow], now: DateTime<Utc>) -> Vec<Prefix> {
    rows.iter().filter_map(|row| Prefix::from_prefix(row, &services.budgets.prefix, now)).collect()
}

/// Opens a prefix at once. If `hours` is given, it stays open for so long even if no code is verified. Returns its new state
/// for each country that shares its code; nothing when no message was ever sent to it.
pub async fn open(
    services: &Arc<Services>,
    prefix: PrefixName,
    hours: Option<i64>,
    permission: StaffPermission,
) -> Result<Vec<Prefix>, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| open_in_transaction(&services, &prefix, hours, permission)).await
    })
    .await
}

async fn open_in_transaction(
    services: &Services,
    prefix: &PrefixName,
    hours: Option<i64>,
    permission: StaffPermission,
) -> Result<Vec<Prefix>, Error> {
    let now = services.clock.now();
    let held_until = hours.map(|hours| now + Duration::hours(hours));
    let txn = services.store.begin().await?;
    let opened = store::prefixes::set_open(&txn, prefix, held_until, now).await?;
    let event = |row| match held_until {
        Some(until) => prefix_event(Action::PrefixHeldOpen, row, permission.actor(), permission.from())
            .with("until", until),
        None => {
            prefix_event(Action::PrefixOpened, row, permission.actor(), permission.from()).with("half", false)
        }
    };
    services.audit.write_all(&txn, opened.iter().map(event).collect(), now).await?;
    txn.commit().await?;
    for row in &opened {
        services.metrics.prefix_opened(parts(&row.key).0);
    }
    Ok(to_prefixes(services, &opened, now))
}

/// Closes a prefix for as long as the server itself closes one. A verified code does not open it earlier.
pub async fn close_by_hand(
    services: &Arc<Services>,
    prefix: PrefixName,
    permission: StaffPermission,
) -> Result<Vec<Prefix>, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| close_in_transaction(&services, &prefix, permission)).await
    })
    .await
}

async fn close_in_transaction(
    services: &Services,
    prefix: &PrefixName,
    permission: StaffPermission,
) -> Result<Vec<Prefix>, Error> {
    let now = services.clock.now();
    let until = now + services.budgets.prefix.closed_for;
    let txn = services.store.begin().await?;
    let closed = store::prefixes::set_closed(&txn, prefix, until, now).await?;
    let event = |row| closed_event(row, permission.actor(), permission.from());
    services.audit.write_all(&txn, closed.iter().map(event).collect(), now).await?;
    txn.commit().await?;
    for row in &closed {
        services.metrics.prefix_closed(parts(&row.key).0);
    }
    Ok(to_prefixes(services, &closed, now))
}
