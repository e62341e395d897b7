//! The name and the sentence of each metric.

use prometheus_client::{metrics::info::Info, registry::Unit};

use super::Inner;

/// The registry adds the prefix, `_total` to counters, the unit, and a full stop to each sentence.
impl Inner {
    pub(super) fn register_the_server(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Which version runs", build);
        registry.register("http_requests", "Requests that were answered", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "How long answers took to make",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("connections", "Connections that are open", self.connections.clone());
        registry.register("connections_accepted", "Connections that were served", self.accepted.clone());
        registry.register(
            "connections_refused",
            "Connections that were cut off because MAX_CONNECTIONS were open",
            self.connections_refused.clone(),
        );
        registry.register(
            "connections_cut",
            "Connections that were cut off because a header took too long or an answer was not taken",
            self.connections_cut.clone(),
        );
        registry.register(
            "connections_limit",
            "How many connections may be open",
            self.connections_limit.clone(),
        );
        registry.register(
            "requests_shed",
            "Requests that were refused before the database was asked, because their address sent a flood",
            self.shed.clone(),
        );
        registry.register("database_connections", "Connections to the database", self.database.clone());
        registry.register(
            "audit_queued",
            "Entries of the audit log that are not written yet",
            self.audit_queued.clone(),
        );
        registry.register(
            "audit_lost",
            "Entries of the audit log that could not be written",
            self.audit_lost.clone(),
        );
        registry.register(
            "receipts_queued",
            "Messages that the provider accepted, which is not written yet",
            self.receipts_queued.clone(),
        );
        registry.register(
            "trace_spans_lost",
            "Spans of traces that the collector did not take",
            crate::telemetry::traces::lost(),
        );
        registry.register(
            "log_lines_lost",
            "Lines of the log that could not be written",
            crate::telemetry::output::lost(),
        );
    }

    pub(super) fn register_the_sign_in(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "messages",
            "Messages, by what the provider answered or reported",
            self.messages.clone(),
        );
        registry.register(
            "next_providers",
            "Codes that went from one provider to the next",
            self.next_providers.clone(),
        );
        registry.register_with_unit(
            "message_duration",
            "How long a provider took to take a message or to refuse it, with all tries",
            Unit::Seconds,
            self.message_times.clone(),
        );
        registry.register(
            "provider_down",
            "1 while a provider does not answer, so that messages go to the next or fail at once",
            self.providers_down.clone(),
        );
        registry.register(
            "provider_place",
            "The place of a provider in the order of a country, from 1, with adaptive routing",
            self.provider_places.clone(),
        );
        registry.register("wrong_codes", "Codes that were judged wrong", self.wrong_codes.clone());
        registry.register("sign_ins", "Sessions that were opened", self.sign_ins.clone());
        registry.register("budget_refusals", "Requests that a budget stopped", self.budget_refusals.clone());
        registry.register("phone_locks", "Phones that were locked", self.locks.clone());
        registry.register(
            "refresh_reuses",
            "Retired refresh tokens that were used, each of which ended a session",
            self.refresh_reuses.clone(),
        );
        registry.register(
            "prefixes_closed",
            "Prefixes of numbers that were closed because their codes did not come back",
            self.prefixes_closed.clone(),
        );
        registry.register(
            "prefixes_opened",
            "Prefixes of numbers that were opened again",
            self.prefixes_opened.clone(),
        );
        // Not `Unit::Ratios`, which appends `_ratios`: the convention of Prometheus is `_ratio`.
        registry.register(
            "cap_used_ratio",
            "The share of a daily cap of messages that is used up",
            self.cap_used.clone(),
        );
        registry.register("challenges", "Proofs that were asked for", self.challenges.clone());
        registry.register("hooks", "Questions to the operator's hooks", self.hooks.clone());
        registry.register(
            "exchanges",
            "Tokens of other systems, by what became of them",
            self.exchanges.clone(),
        );
        registry.register(
            "issuer_keys",
            "Fetches of the keys that a trusted issuer publishes",
            self.issuer_keys.clone(),
        );
        registry.register("events", "Tries to send an event to the operator", self.events.clone());
        registry.register("events_kept", "Events that are not delivered", self.events_kept.clone());
        registry.register_with_unit(
            "events_oldest",
            "How long ago the oldest event happened that waits",
            Unit::Seconds,
            self.events_oldest.clone(),
        );
    }
}
