//! The metrics of the server, which Prometheus fetches from `METRICS_ADDR`.
//!
//! No label contains input of a client: no phone, no address, no path. Most labels are `&'static str`; a region is two
//! letters or `other`. So the number of series is bounded, and metrics identify no user.
//!
//! To add a metric: a field here, its registration in `metrics/register.rs`, a method, and its row in
//! `docs/METRICS.md`, which a test compares with what is registered.

mod labels;
mod register;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter, exemplar::HistogramWithExemplars, family::Family, gauge::Gauge,
        histogram::Histogram,
    },
    registry::Registry,
};

use self::labels::{
    BudgetLabel, ChallengeLabels, HookLabels, HowLabel, IssuerLabels, MessageLabels, NextLabels,
    OutcomeLabel, PlaceLabels, ProviderLabel, RegionLabel, RequestLabels, RouteLabel, ScopeLabel, StateLabel,
    TraceLabel,
};

/// The content type: `OpenMetrics` 1.0, which Prometheus reads since version 2.5.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// In seconds. Most responses take a few milliseconds, those that wait for the SMS provider a second or more, and none more
/// than the deadline of 15.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0, 15.0];

/// In seconds. A provider has ten.
const MESSAGE_BUCKETS: [f64; 7] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The methods that get a label of their own; clients can invent any number of others.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Times, each bucket with the trace of a request that fell into it.
type Times = HistogramWithExemplars<TraceLabel>;

type Histograms = Family<RouteLabel, Times, fn() -> Times>;

/// A method that may be a label or an attribute.
#[must_use]
pub fn known_method(method: &str) -> &'static str {
    METHODS.into_iter().find(|known| *known == method).unwrap_or("other")
}

/// All metrics. Clones share their values.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Histograms,
    connections: Gauge,
    accepted: Counter,
    connections_refused: Counter,
    connections_cut: Counter,
    connections_limit: Gauge,
    messages: Family<MessageLabels, Counter>,
    next_providers: Family<NextLabels, Counter>,
    message_times: Family<ProviderLabel, Histogram, fn() -> Histogram>,
    providers_down: Family<ProviderLabel, Gauge>,
    provider_places: Family<PlaceLabels, Gauge<i64, AtomicI64>>,
    wrong_codes: Counter,
    sign_ins: Family<HowLabel, Counter>,
    budget_refusals: Family<BudgetLabel, Counter>,
    locks: Counter,
    refresh_reuses: Counter,
    prefixes_closed: Family<RegionLabel, Counter>,
    prefixes_opened: Family<RegionLabel, Counter>,
    cap_used: Family<ScopeLabel, Gauge<f64, AtomicU64>>,
    audit_queued: Gauge<i64, AtomicI64>,
    audit_lost: Counter,
    receipts_queued: Gauge<i64, AtomicI64>,
    challenges: Family<ChallengeLabels, Counter>,
    hooks: Family<HookLabels, Counter>,
    exchanges: Family<OutcomeLabel, Counter>,
    issuer_keys: Family<IssuerLabels, Counter>,
    events: Family<OutcomeLabel, Counter>,
    events_kept: Family<StateLabel, Gauge>,
    events_oldest: Gauge,
    shed: Counter,
    database: Family<StateLabel, Gauge>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("loopin"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Times::new(BUCKETS.into_iter())),
            connections: Gauge::default(),
            accepted: Counter::default(),
            connections_refused: Counter::default(),
            connections_cut: Counter::default(),
            connections_limit: Gauge::default(),
            messages: Family::default(),
            next_providers: Family::default(),
            message_times: Family::new_with_constructor(|| Histogram::new(MESSAGE_BUCKETS)),
            providers_down: Family::default(),
            provider_places: Family::default(),
            wrong_codes: Counter::default(),
            sign_ins: Family::default(),
            budget_refusals: Family::default(),
            locks: Counter::default(),
            refresh_reuses: Counter::default(),
            prefixes_closed: Family::default(),
            prefixes_opened: Family::default(),
            cap_used: Family::default(),
            audit_queued: Gauge::default(),
            audit_lost: Counter::default(),
            receipts_queued: Gauge::default(),
            challenges: Family::default(),
            hooks: Family::default(),
            exchanges: Family::default(),
            issuer_keys: Family::default(),
            events: Family::default(),
            events_kept: Family::default(),
            events_oldest: Gauge::default(),
            shed: Counter::default(),
            database: Family::default(),
        };
        inner.register_the_server();
        inner.register_the_sign_in();
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// All metrics as `OpenMetrics` text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut text, &self.0.registry);
        text
    }

    /// Counts a response. `route` is the pattern of a path, never the path itself; `trace` is its trace, if the collector has it.
    pub fn request(&self, route: &str, method: &str, status: u16, seconds: f64, trace: Option<&str>) {
        let labels = RequestLabels { route: route.to_owned(), method: known_method(method), status };
        self.0.requests.get_or_create(&labels).inc();
        let example = trace.map(|trace| TraceLabel { trace_id: trace.to_owned() });
        let times = self.0.durations.get_or_create(&RouteLabel { route: labels.route });
        times.observe(seconds, example, None);
    }

    /// Counts a connection that is now served.
    pub fn connection_opened(&self) {
        self.0.accepted.inc();
        self.0.connections.inc();
    }

    /// Counts the end of a served connection.
    pub fn connection_closed(&self) {
        self.0.connections.dec();
    }

    /// Counts a connection that was closed because too many were open.
    pub fn connection_refused(&self) {
        self.0.connections_refused.inc();
    }

    /// Counts a connection that was closed because its client was too slow.
    pub fn connection_cut(&self) {
        self.0.connections_cut.inc();
    }

    /// Sets the maximum number of connections.
    pub fn connections_limit(&self, most: usize) {
        self.0.connections_limit.set(i64::try_from(most).unwrap_or(i64::MAX));
    }

    /// Counts an outcome of a message: `sent`, `rejected`, `delivered`, …
    pub fn message(&self, provider: &'static str, channel: &'static str, outcome: &'static str) {
        self.0.messages.get_or_create(&MessageLabels { provider, channel, outcome }).inc();
    }

    /// Counts a code that went from one provider to the next, because of the error of the first (`unavailable`, …) or a `report`.
    pub fn next_provider(&self, from: &'static str, to: &'static str, reason: &'static str) {
        self.0.next_providers.get_or_create(&NextLabels { from, to, reason }).inc();
    }

    /// Measures how long handing a message to a provider took, with all tries.
    pub fn message_took(&self, provider: &'static str, took: Duration) {
        self.0.message_times.get_or_create(&ProviderLabel { provider }).observe(took.as_secs_f64());
    }

    /// Sets which providers count as down.
    pub fn provider_states(&self, states: impl Iterator<Item = (&'static str, bool)>) {
        for (provider, is_down) in states {
            self.0.providers_down.get_or_create(&ProviderLabel { provider }).set(i64::from(is_down));
        }
    }

    /// Sets the place of a provider in the order of a list of `SMS_PROVIDERS`, from 1.
    pub fn provider_place(&self, country: &str, provider: &'static str, place: i64) {
        let labels = PlaceLabels { country: country.to_owned(), provider };
        self.0.provider_places.get_or_create(&labels).set(place);
    }

    /// Counts a wrong code.
    pub fn wrong_code(&self) {
        self.0.wrong_codes.inc();
    }

    /// Counts a session that was opened by `code`, `password`, …
    pub fn sign_in(&self, how: &'static str) {
        self.0.sign_ins.get_or_create(&HowLabel { how }).inc();
    }

    /// Counts a request that a limit refused.
    pub fn refused(&self, budget: &'static str) {
        self.0.budget_refusals.get_or_create(&BudgetLabel { budget }).inc();
    }

    /// Counts a phone that was locked.
    pub fn locked(&self) {
        self.0.locks.inc();
    }

    /// Counts the use of a retired refresh token.
    pub fn refresh_reused(&self) {
        self.0.refresh_reuses.inc();
    }

    /// Counts a number prefix that was closed.
    pub fn prefix_closed(&self, region: &str) {
        self.0.prefixes_closed.get_or_create(&RegionLabel { region: region_label(region) }).inc();
    }

    /// Counts a number prefix that was opened again.
    pub fn prefix_opened(&self, region: &str) {
        self.0.prefixes_opened.get_or_create(&RegionLabel { region: region_label(region) }).inc();
    }

    /// Sets the used share of a daily cap, from 0 to 1. The scope is `all` or a region.
    pub fn cap_used(&self, scope: &str, share: f64) {
        self.0.cap_used.get_or_create(&ScopeLabel { scope: region_label(scope) }).set(share);
    }

    /// Sets the number of entries of the audit log that wait to be written.
    pub fn audit_queued(&self, entries: usize) {
        self.0.audit_queued.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Counts entries of the audit log that could not be written.
    pub fn audit_lost(&self, entries: u64) {
        self.0.audit_lost.inc_by(entries);
    }

    /// Sets the number of receipts of the provider that wait to be written.
    pub fn receipts_queued(&self, receipts: usize) {
        self.0.receipts_queued.set(i64::try_from(receipts).unwrap_or(i64::MAX));
    }

    /// Counts an event of bot proof: `asked`, `passed`, `failed`, …
    pub fn challenge(&self, provider: &'static str, outcome: &'static str) {
        self.0.challenges.get_or_create(&ChallengeLabels { provider, outcome }).inc();
    }

    /// Counts a question to a hook: `allow`, `deny`, `challenge`, or `failed` without a decision.
    pub fn hook(&self, hook: &'static str, outcome: &'static str) {
        self.0.hooks.get_or_create(&HookLabels { hook, outcome }).inc();
    }

    /// Counts a token of another system: `signed_in`, or why no session was opened.
    pub fn exchange(&self, outcome: &'static str) {
        self.0.exchanges.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a fetch of the keys of an issuer, by its name in the settings: `fetched` or `failed`.
    pub fn issuer_keys(&self, issuer: &str, outcome: &'static str) {
        self.0.issuer_keys.get_or_create(&IssuerLabels { issuer: issuer.to_owned(), outcome }).inc();
    }

    /// Counts a try to send an event: `sent`, `failed` (it is sent again) or `dead` (it is given up).
    pub fn event(&self, outcome: &'static str) {
        self.0.events.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Sets how many events wait and how many were given up, and the age of the oldest one that waits in seconds.
    pub fn events_kept(&self, waiting: i64, dead: i64, oldest: i64) {
        self.0.events_kept.get_or_create(&StateLabel { state: "waiting" }).set(waiting);
        self.0.events_kept.get_or_create(&StateLabel { state: "dead" }).set(dead);
        self.0.events_oldest.set(oldest);
    }

    /// Counts a request that flood control refused.
    pub fn shed(&self) {
        self.0.shed.inc();
    }

    /// Sets the number of connections to the database, and how many of them are idle.
    pub fn database(&self, open: u32, idle: u32) {
        self.0.database.get_or_create(&StateLabel { state: "idle" }).set(i64::from(idle));
        self.0
            .database
            .get_or_create(&StateLabel { state: "busy" })
            .set(i64::from(open.saturating_sub(idle)));
    }
}

/// A region of two letters, `all` or `other`. A label with any text could contain a phone one day.
fn region_label(text: &str) -> String {
    let is_region = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_region || text == "all" { text.to_owned() } else { "other".to_owned() }
}
