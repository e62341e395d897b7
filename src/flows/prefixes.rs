//! Number prefixes whose codes do not come back, and the caps of a day.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::{Error, Services, to_its_end, transaction};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Actor, Event, Fact},
        budget::{
            Budget, Country, PREFIX_KEYS, Prefix, PrefixName, PrefixState, SMS_ALARM_PERCENT, Tally, Wanted,
            alarm_at,
        },
        roles::Keeping,
        users::PageOf,
    },
    store,
};

/// Looks at what was just charged: a prefix that is tried again, and a cap that is nearly spent. The message goes out
/// whatever becomes of this.
pub(super) async fn watch(services: &Services, charged: &[Tally], now: DateTime<Utc>) {
    for tally in charged {
        let is_first = tally.log.len() == 1 && tally.prefix_state(now) == PrefixState::HalfOpen;
        if is_first && tally.key.starts_with(PREFIX_KEYS) {
            note_opened(services, tally, true, now);
        }
        if let Some((region, cap)) = cap_of(services, &tally.key)
            && let Err(error) = watch_cap(services, tally, region.as_deref(), cap, now).await
        {
            tracing::error!(%error, "a cap that is nearly spent could not be written down");
        }
    }
}

/// Tells the operator once a day that a cap is nearly spent.
async fn watch_cap(
    services: &Services,
    tally: &Tally,
    region: Option<&str>,
    cap: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let scope = region.unwrap_or("all");
    #[expect(clippy::cast_precision_loss, reason = "a share for a gauge")]
    services.metrics.cap_used(scope, tally.count as f64 / cap as f64);
    // A message that is given back and another may reach the mark twice, and so may two servers.
    let is_news = tally.count >= alarm_at(cap) && tally.answered == 0;
    if !is_news {
        return Ok(());
    }
    match store::prefixes::mark_told(&services.store, &tally.key).await {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        // It may be remembered now or not. To be told twice is better than never.
        Err(error) if error.may_have_happened() => {}
        Err(error) => return Err(error.into()),
    }
    tracing::warn!(scope, count = tally.count, cap, "the cap of messages a day is nearly spent");
    let budget = if region.is_some() { Budget::Country } else { Budget::Day };
    let event = Event::of(Action::CapReached, Actor::System)
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
    if let Some(tally) = store::prefixes::close(&services.store, key, policy, now).await? {
        let (country, prefix) = parts(&tally.key);
        let (sent, verified, until) = (tally.count, tally.answered, tally.closed_until);
        let until = until.map_or_else(String::new, |until| until.to_rfc3339());
        tracing::warn!(country, prefix, sent, verified, until, "prefix closed: its codes do not come back");
        services.metrics.prefix_closed(country);
        services.audit.note(closed(&tally, Actor::System, None), now);
    }
    Ok(())
}

/// Opens the prefix of a code that came back, if it is among these rows and closed.
///
/// # Errors
/// When the database does not answer: the next one opens it.
pub(super) async fn open_if_closed(
    services: &Services,
    settled: &[Tally],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut prefixes = settled.iter().filter(|tally| tally.key.starts_with(PREFIX_KEYS));
    if let Some(tally) = prefixes.find(|tally| tally.closed_until.is_some())
        && let Some(tally) = store::prefixes::open(&services.store, &tally.key, now).await?
    {
        note_opened(services, &tally, false, now);
    }
    Ok(())
}

fn note_opened(services: &Services, tally: &Tally, half: bool, now: DateTime<Utc>) {
    let (country, prefix) = parts(&tally.key);
    tracing::info!(country, prefix, half, "prefix opened");
    services.metrics.prefix_opened(country);
    services.audit.note(about(Action::PrefixOpened, tally, Actor::System, None).with("half", half), now);
}

/// The region and the prefix that a row is about.
fn parts(key: &str) -> (&str, &str) {
    key.strip_prefix(PREFIX_KEYS).and_then(|rest| rest.split_once('/')).unwrap_or(("--", ""))
}

fn about(action: Action, tally: &Tally, actor: Actor, from: Option<ClientAddress>) -> Event {
    let (country, prefix) = parts(&tally.key);
    let event = Event::of(action, actor).from(from).with("prefix", Fact::shown(&prefix));
    event.with("country", Fact::shown(&country))
}

fn closed(tally: &Tally, actor: Actor, from: Option<ClientAddress>) -> Event {
    about(Action::PrefixClosed, tally, actor, from)
        .with("sent", tally.count)
        .with("verified", tally.answered)
        .with_known("until", tally.closed_until)
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

fn shown(services: &Services, found: &[Tally], now: DateTime<Utc>) -> Vec<Prefix> {
    found.iter().filter_map(|tally| Prefix::of(tally, &services.budgets.prefix, now)).collect()
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
    leave: Keeping,
) -> Result<Vec<Prefix>, Error> {
    to_its_end(services, move |services| async move {
        transaction(|| hold_open(&services, &prefix, hours, leave)).await
    })
    .await
}

async fn hold_open(
    services: &Services,
    prefix: &PrefixName,
    hours: Option<i64>,
    leave: Keeping,
) -> Result<Vec<Prefix>, Error> {
    let now = services.clock.now();
    let held_until = hours.map(|hours| now + Duration::hours(hours));
    let txn = services.store.begin().await?;
    let opened = store::prefixes::mark_open(&txn, prefix, held_until, now).await?;
    let event = |tally| match held_until {
        Some(until) => about(Action::PrefixHeldOpen, tally, leave.actor(), leave.from()).with("until", until),
        None => about(Action::PrefixOpened, tally, leave.actor(), leave.from()).with("half", false),
    };
    services.audit.write_all(&txn, opened.iter().map(event).collect(), now).await?;
    txn.commit().await?;
    for tally in &opened {
        services.metrics.prefix_opened(parts(&tally.key).0);
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
    leave: Keeping,
) -> Result<Vec<Prefix>, Error> {
    to_its_end(services, move |services| async move { transaction(|| shut(&services, &prefix, leave)).await })
        .await
}

async fn shut(services: &Services, prefix: &PrefixName, leave: Keeping) -> Result<Vec<Prefix>, Error> {
    let now = services.clock.now();
    let until = now + services.budgets.prefix.closed_for;
    let txn = services.store.begin().await?;
    let shut = store::prefixes::mark_closed(&txn, prefix, until, now).await?;
    let event = |tally| closed(tally, leave.actor(), leave.from());
    services.audit.write_all(&txn, shut.iter().map(event).collect(), now).await?;
    txn.commit().await?;
    for tally in &shut {
        services.metrics.prefix_closed(parts(&tally.key).0);
    }
    Ok(shown(services, &shut, now))
}
