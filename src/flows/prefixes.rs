//! Number prefixes whose codes do not come back, and the caps of a day.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::{Error, Services, run_to_completion, transaction};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Actor, Event, Fact},
        budget::{
            Budget, BudgetRow, Country, PREFIX_KEYS, Prefix, PrefixName, PrefixState, SMS_ALARM_PERCENT,
            Wanted, alarm_at,
        },
        roles::AbusePermission,
        users::PageOf,
    },
    store,
};

/// Looks at what was just charged: a prefix that is tried again, and a cap that is nearly spent. The message goes out
/// whatever becomes of this.
pub(super) async fn watch(services: &Services, charged: &[BudgetRow], now: DateTime<Utc>) {
    for row in charged {
        let is_first = row.log.len() == 1 && row.prefix_state(now) == PrefixState::HalfOpen;
        if is_first && row.key.starts_with(PREFIX_KEYS) {
            note_opened(services, row, true, now);
        }
        if let Some((region, cap)) = cap_of(services, &row.key)
            && let Err(error) = watch_cap(services, row, region.as_deref(), cap, now).await
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
    // A message that is given back and another may reach the mark twice, and so may two servers.
    let is_news = row.count >= alarm_at(cap) && row.answered == 0;
    if !is_news {
        return Ok(());
    }
    match store::prefixes::set_alarm_sent(&services.store, &row.key).await {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        // It may be remembered now or not. To be told twice is better than never.
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

/// What a row of a day counts, if it is one, and its cap: a region, or all of them.
fn cap_of(services: &Services, key: &str) -> Option<(Option<String>, i64)> {
    let mut parts = key.strip_prefix("day/")?.split('/').skip(1);
    Some(match parts.next() {
        None => (None, services.budgets.day?),
        Some(region) => (Some(region.to_owned()), *services.budgets.countries.get(region)?),
    })
}

/// Closes a prefix that has refused somebody. Of several at once one does, and writes it down.
///
/// # Errors
/// When the database does not answer: the next refusal closes it.
pub(super) async fn close(services: &Services, key: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let policy = &services.budgets.prefix;
    if let Some(row) = store::prefixes::close(&services.store, key, policy, now).await? {
        let (country, prefix) = parts(&row.key);
        let (sent, verified, until) = (row.count, row.answered, row.closed_until);
        let until = until.map_or_else(String::new, |until| until.to_rfc3339());
        tracing::warn!(country, prefix, sent, verified, until, "prefix closed: its codes do not come back");
        services.metrics.prefix_closed(country);
        services.audit.note(closed(&row, Actor::System, None), now);
    }
    Ok(())
}

/// Opens the prefix of a code that came back, if it is among these rows and closed.
///
/// # Errors
/// When the database does not answer: the next one opens it.
pub(super) async fn open_if_closed(
    services: &Services,
    settled: &[BudgetRow],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut prefixes = settled.iter().filter(|row| row.key.starts_with(PREFIX_KEYS));
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
    services.audit.note(about(Action::PrefixOpened, row, Actor::System, None).with("half", half), now);
}

/// The region and the prefix that a row is about.
fn parts(key: &str) -> (&str, &str) {
    key.strip_prefix(PREFIX_KEYS).and_then(|cooldown| cooldown.split_once('/')).unwrap_or(("--", ""))
}

fn about(action: Action, row: &BudgetRow, actor: Actor, from: Option<ClientAddress>) -> Event {
    let (country, prefix) = parts(&row.key);
    let event = Event::new(action, actor).from(from).with("prefix", Fact::shown(&prefix));
    event.with("country", Fact::shown(&country))
}

fn closed(row: &BudgetRow, actor: Actor, from: Option<ClientAddress>) -> Event {
    about(Action::PrefixClosed, row, actor, from)
        .with("sent", row.count)
        .with("verified", row.answered)
        .with_known("until", row.closed_until)
}

/// What is known of prefixes.
#[derive(Debug)]
pub struct Listed {
    /// A page of them, those with the most messages first.
    pub prefixes: Vec<Prefix>,
    /// How many there are.
    pub total: u64,
    /// Their sums by country.
    pub countries: Vec<Country>,
}

/// Lists a page of prefixes, and the sums of all by country.
///
/// # Errors
/// When the database does not answer.
pub async fn list(services: &Services, wanted: Wanted, page: PageOf) -> Result<Listed, Error> {
    let now = services.clock.now();
    let (found, total) = store::prefixes::list_page(&services.store, wanted, page, now).await?;
    let countries = store::prefixes::list_countries(&services.store, now).await?;
    Ok(Listed { prefixes: shown(services, &found, now), total, countries })
}

fn shown(services: &Services, found: &[BudgetRow], now: DateTime<Utc>) -> Vec<Prefix> {
    found.iter().filter_map(|row| Prefix::from_prefix(row, &services.budgets.prefix, now)).collect()
}

/// Opens a prefix at once, and holds it open for so many hours whatever comes back, if some are given. What comes back is
/// how it stands then, for each country that shares its code; nothing when no message was ever sent to it.
///
/// # Errors
/// When the database does not answer: then nothing is changed.
pub async fn open(
    services: &Arc<Services>,
    prefix: PrefixName,
    hours: Option<i64>,
    delete_account: AbusePermission,
) -> Result<Vec<Prefix>, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| hold_open(&services, &prefix, hours, delete_account)).await
    })
    .await
}

async fn hold_open(
    services: &Services,
    prefix: &PrefixName,
    hours: Option<i64>,
    delete_account: AbusePermission,
) -> Result<Vec<Prefix>, Error> {
    let now = services.clock.now();
    let held_until = hours.map(|hours| now + Duration::hours(hours));
    let txn = services.store.begin().await?;
    let opened = store::prefixes::set_open(&txn, prefix, held_until, now).await?;
    let event = |row| match held_until {
        Some(until) => about(Action::PrefixHeldOpen, row, delete_account.actor(), delete_account.from())
            .with("until", until),
        None => about(Action::PrefixOpened, row, delete_account.actor(), delete_account.from())
            .with("half", false),
    };
    services.audit.write_all(&txn, opened.iter().map(event).collect(), now).await?;
    txn.commit().await?;
    for row in &opened {
        services.metrics.prefix_opened(parts(&row.key).0);
    }
    Ok(shown(services, &opened, now))
}

/// Closes a prefix for as long as one is closed by itself. A code that comes back does not open it before.
///
/// # Errors
/// When the database does not answer: then nothing is changed.
pub async fn close_by_hand(
    services: &Arc<Services>,
    prefix: PrefixName,
    delete_account: AbusePermission,
) -> Result<Vec<Prefix>, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| shut(&services, &prefix, delete_account)).await
    })
    .await
}

async fn shut(
    services: &Services,
    prefix: &PrefixName,
    delete_account: AbusePermission,
) -> Result<Vec<Prefix>, Error> {
    let now = services.clock.now();
    let until = now + services.budgets.prefix.closed_for;
    let txn = services.store.begin().await?;
    let shut = store::prefixes::set_closed(&txn, prefix, until, now).await?;
    let event = |row| closed(row, delete_account.actor(), delete_account.from());
    services.audit.write_all(&txn, shut.iter().map(event).collect(), now).await?;
    txn.commit().await?;
    for row in &shut {
        services.metrics.prefix_closed(parts(&row.key).0);
    }
    Ok(shown(services, &shut, now))
}
