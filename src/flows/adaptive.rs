//! Adaptive routing (`SMS_ROUTING=adaptive`): a provider whose codes are entered far less often than those of another goes behind it.
//!
//! One server at a time judges, all servers read the outcome, and requests use what was read last. The rule is in
//! `domain::conversion`.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use chrono::{DateTime, Duration, Utc};

use super::{Error, Services, transaction};
use crate::{
    domain::{
        audit::{Action, Actor, Event, Fact},
        conversion::{self, Conversion, Judged, MOST_SAMPLES, Sample},
        delivery::Channel,
        phone::PhoneNumber,
        profile::today_in,
    },
    sms::{Kind, Provider, Way, Ways},
    store,
};

/// How often the providers are judged, by all servers together.
pub const JUDGE_EVERY: Duration = Duration::seconds(30);

/// The name of the lease.
const LEASE: &str = "routing";

/// How many messages of a provider are read: several may be to one phone, which counts once a day.
const MOST_READ: usize = 4 * MOST_SAMPLES;

/// What adaptive routing is about: text messages with a code.
const KIND: Kind = Kind { channel: Channel::Sms, has_code: true };

/// The providers that go behind the others, by the list of `SMS_PROVIDERS`, as they were read last.
#[derive(Debug, Default)]
pub struct Adaptive(RwLock<BTreeMap<String, Vec<Provider>>>);

impl Adaptive {
    fn behind(&self, route: &str) -> Vec<Provider> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(route).cloned().unwrap_or_default()
    }

    fn set(&self, behind: BTreeMap<String, Vec<Provider>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = behind;
    }
}

/// The order of these providers for text messages to this phone.
pub(super) fn order(services: &Services, phone: &PhoneNumber, listed: Vec<Provider>) -> Vec<Provider> {
    match (&services.adaptive, services.sms.routes()) {
        (Some(adaptive), Some(routes)) => {
            conversion::order(&listed, &adaptive.behind(&routes.list_of(phone)))
        }
        (None, _) | (_, None) => listed,
    }
}

/// The list by which a message is sent, if the message is a sample.
pub(super) fn route_of_sample(services: &Services, phone: &PhoneNumber, channel: Channel) -> Option<String> {
    services.adaptive.as_ref().filter(|_| channel == KIND.channel)?;
    Some(services.sms.routes()?.list_of(phone))
}

/// Lets some text messages begin with another provider, so that there are samples of all of them.
pub(super) fn probe(services: &Services, ways: &mut Ways) {
    let Some(first) = ways.first().filter(|first| first.channel == KIND.channel) else { return };
    if services.adaptive.is_none() || !services.random.is_one_in(conversion::PROBE_ONE_IN) {
        return;
    }
    let others: Vec<Way> = ways.of_first_channel().filter(|way| *way != first).collect();
    if let Some(other) = others.get(services.random.index(others.len())) {
        ways.begin_with(*other);
    }
}

/// Judges the providers, if no server did within the last seconds, and reads the outcome. Nothing without adaptive routing.
///
/// # Errors
/// When the database does not answer: the order of the providers stays as it was read last.
pub async fn judge_if_due(services: &Services) -> Result<(), Error> {
    let Some(adaptive) = &services.adaptive else { return Ok(()) };
    let now = services.clock.now();
    if store::leases::claim(&services.store, LEASE, now + JUDGE_EVERY, now).await? {
        judge(services, now).await?;
    }
    let behind = read(services).await?;
    for (route, order) in lists(services) {
        let back = behind.get(&route).map_or(&[][..], Vec::as_slice);
        for (place, provider) in (1..).zip(conversion::order(&order, back)) {
            services.metrics.provider_place(&route, provider.as_str(), place);
        }
    }
    adaptive.set(behind);
    Ok(())
}

/// The lists with several providers that can send a code by SMS.
fn lists(services: &Services) -> Vec<(String, Vec<Provider>)> {
    let Some(routes) = services.sms.routes() else { return Vec::new() };
    let carriers = routes.lists().map(|(route, order)| (route, services.sms.carriers(order, KIND)));
    carriers.filter(|(_, order)| order.len() > 1).collect()
}

async fn read(services: &Services) -> Result<BTreeMap<String, Vec<Provider>>, Error> {
    let rows = store::provider_orders::list(&services.store).await?;
    // Names of providers that another version knows are left out.
    let known = |names: Vec<String>| names.iter().filter_map(|name| name.parse().ok()).collect();
    Ok(rows.into_iter().map(|(route, names)| (route, known(names))).collect())
}

async fn judge(services: &Services, now: DateTime<Utc>) -> Result<(), Error> {
    services.receipts.settle().await;
    let before = read(services).await?;
    for (route, order) in lists(services) {
        let back = before.get(&route).map_or(&[][..], Vec::as_slice);
        let mut judged = Vec::new();
        for provider in &order {
            let conversion = count(services, &route, *provider, now).await?;
            judged.push(Judged { provider: *provider, conversion, is_behind: back.contains(provider) });
        }
        let behind = conversion::behind(&judged);
        if behind != back {
            let change = Change { route, order, judged, back: back.to_vec(), behind };
            transaction(|| change.write(services, now)).await?;
        }
    }
    Ok(())
}

async fn count(
    services: &Services,
    route: &str,
    provider: Provider,
    now: DateTime<Utc>,
) -> Result<Conversion, Error> {
    let most = u64::try_from(MOST_READ).unwrap_or(u64::MAX);
    let (by, window) = ((route, provider.as_str()), conversion::window(now));
    let samples = store::provider_orders::list_samples(&services.store, by, window, most).await?;
    let sample = |read: store::provider_orders::Sample| Sample {
        day: today_in(read.created_at, services.zone),
        phone: read.phone,
        is_verified: read.is_verified,
    };
    Ok(Conversion::of(&samples.into_iter().map(sample).collect::<Vec<_>>()))
}

/// A change of the order of a list.
struct Change {
    route: String,
    order: Vec<Provider>,
    judged: Vec<Judged<Provider>>,
    back: Vec<Provider>,
    behind: Vec<Provider>,
}

impl Change {
    /// Writes the change and its entry in the audit log, unless another server was first.
    async fn write(&self, services: &Services, now: DateTime<Utc>) -> Result<(), Error> {
        let names: Vec<&str> = self.behind.iter().map(|provider| provider.as_str()).collect();
        let txn = services.store.begin().await?;
        if !store::provider_orders::set(&txn, &self.route, &names, now).await? {
            return Ok(txn.rollback().await?);
        }
        let (order, before, shares) = (self.names(&self.behind), self.names(&self.back), self.shares());
        let event = Event::new(Action::ProvidersReordered, Actor::System)
            .with("country", Fact::shown(&self.route))
            .with("order", Fact::shown(&order))
            .with("before", Fact::shown(&before))
            .with("shares", Fact::shown(&shares));
        services.audit.write(&txn, event, now).await?;
        txn.commit().await?;
        let country = &self.route;
        tracing::warn!(country, order, before, shares, "the order of the SMS providers has changed");
        Ok(())
    }

    fn names(&self, behind: &[Provider]) -> String {
        let order = conversion::order(&self.order, behind);
        order.iter().map(|provider| provider.as_str()).collect::<Vec<_>>().join(",")
    }

    /// How many codes of each provider were entered: `msg91 18/100, vonage 91/100`.
    fn shares(&self) -> String {
        let share = |judged: &Judged<Provider>| {
            let Conversion { sent, verified } = judged.conversion;
            format!("{} {verified}/{sent}", judged.provider.as_str())
        };
        self.judged.iter().map(share).collect::<Vec<_>>().join(", ")
    }
}
