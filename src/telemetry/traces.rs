//! Traces for a collector that speaks OTLP. Without `OTEL_EXPORTER_OTLP_ENDPOINT` none of this exists, and a span costs a
//! comparison.
//!
//! Spans of traces have the target `otel`, and the log does not see them; the collector sees no other span and no event. So a
//! field of the log never becomes an attribute, and the context of a log line stays the request.
//!
//! To add a span: `tracing::info_span!(target: "otel", "what is done", loopin.outcome = …)`. An attribute is a word of ours or
//! a number, never what a client sent: no phone, code, token, name or path. `tests/processes/traces.rs` looks for them.

mod client;
mod exporter;
mod parent;
mod sampling;

use std::{collections::HashMap, fmt, io, time::Duration};

use opentelemetry::{
    Context as TraceContext,
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::Handle;
use tracing::{Metadata, Span, level_filters::LevelFilter, subscriber::Interest};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, Registry, filter::dynamic_filter_fn, layer::Context};
use url::Url;

pub(super) use self::exporter::lost;
pub use self::sampling::{Sampling, UnknownSampling};
use self::{client::Client, exporter::Watched};

/// The target of spans that are traced.
pub(super) const TARGET: &str = "otel";

/// The spans that begin a trace. Others are recorded below one of these only, so that a statement of a background task is no
/// trace of its own.
const ROOTS: [&str; 2] = ["request", "event"];

/// How long the collector may take for a batch. Nothing waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where traces go.
#[derive(Clone)]
pub struct TraceSettings {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, without `/v1/traces`.
    pub endpoint: Url,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: names and values, which may be secrets.
    pub headers: Vec<(String, SecretString)>,
    /// `OTEL_SERVICE_NAME`
    pub service_name: String,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`
    pub sampling: Sampling,
}

impl fmt::Debug for TraceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceSettings").field("service_name", &self.service_name).finish_non_exhaustive()
    }
}

/// Sends spans to the collector. The last ones are sent by [`Traces::finish`].
#[derive(Debug)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts a thread that sends spans in batches. `runtime` carries its requests.
    pub(super) fn start(settings: &TraceSettings, runtime: &Handle) -> io::Result<Self> {
        let client = Client::new(TIMEOUT, runtime.clone()).map_err(io::Error::other)?;
        let headers = settings.headers.iter();
        // The library decodes them.
        let encoded = |value: &SecretString| value.expose_secret().replace('%', "%25");
        let headers: HashMap<String, String> =
            headers.map(|(name, value)| (name.clone(), encoded(value))).collect();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(traces_url(&settings.endpoint))
            .with_timeout(TIMEOUT)
            .with_headers(headers)
            .with_http_client(client)
            .build()
            .map_err(io::Error::other)?;
        let resource = Resource::builder_empty()
            .with_service_name(settings.service_name.clone())
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Watched::new(exporter))
            .with_sampler(settings.sampling.sampler())
            .with_resource(resource)
            .build();
        Ok(Self(provider))
    }

    /// The layer that turns spans into traces.
    pub(super) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let is_traced = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == TARGET;
        let filter = dynamic_filter_fn(move |metadata: &Metadata<'_>, context: &Context<'_, Registry>| {
            is_traced(metadata) && (ROOTS.contains(&metadata.name()) || context.lookup_current().is_some())
        })
        .with_callsite_filter(
            move |metadata: &'static Metadata<'static>| {
                if is_traced(metadata) { Interest::sometimes() } else { Interest::never() }
            },
        )
        .with_max_level_hint(LevelFilter::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("loopin-auth"))
            // These would add the files and threads of this program to every span.
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(filter)
            .boxed()
    }

    /// Sends what is left, for as long as this.
    pub(super) fn finish(&self, limit: Duration) {
        if let Err(error) = self.0.shutdown_with_timeout(limit) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// The standard appends this path to the base of all signals.
fn traces_url(endpoint: &Url) -> String {
    let mut url = endpoint.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["v1", "traces"]);
    }
    url.into()
}

/// The span of a request in a trace.
#[derive(Debug, Clone)]
pub struct RequestTrace {
    /// Disabled without a collector.
    pub span: Span,
    /// The trace, as 32 hexadecimal digits, for the log.
    pub id: Option<String>,
    /// Whether the collector gets it.
    is_sampled: bool,
}

impl RequestTrace {
    /// Begins one, as a part of the caller's trace if `traceparent` is right. Only known methods and patterns of paths may be
    /// passed, never what a client sent.
    #[must_use]
    pub fn begin(method: &'static str, route: &str, traceparent: Option<&str>) -> Self {
        let span = tracing::info_span!(
            target: "otel",
            "request",
            otel.name = %format_args!("{method} {route}"),
            otel.kind = "server",
            http.request.method = method,
            http.route = route,
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        if span.is_disabled() {
            return Self { span, id: None, is_sampled: false };
        }
        if let Some(parent) = traceparent.and_then(parent::read) {
            // It fails only for a span that has begun.
            let _ = span.set_parent(TraceContext::new().with_remote_span_context(parent));
        }
        let context = span.context();
        let current = context.span();
        let current = current.span_context();
        let id = current.is_valid().then(|| current.trace_id().to_string());
        Self { span, id, is_sampled: current.is_sampled() }
    }

    /// Whether there is a collector.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.span.is_disabled()
    }

    /// Writes down how it ended.
    pub fn end(&self, status: u16, code: Option<&str>) {
        self.span.record("http.response.status_code", status);
        if let Some(code) = code {
            self.span.record("error.type", code);
        }
        if status >= 500 {
            self.span.set_status(opentelemetry::trace::Status::error(""));
        }
    }

    /// The trace, if the collector gets it: an example for a metric.
    #[must_use]
    pub fn sampled_id(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.is_sampled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_traces_follows_the_base() {
        for (base, expected) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("https://otlp.example.com/otlp", "https://otlp.example.com/otlp/v1/traces"),
        ] {
            assert_eq!(traces_url(&base.parse().unwrap()), expected);
        }
    }

    #[test]
    fn without_a_collector_a_request_has_no_trace() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = RequestTrace::begin("GET", "/", Some(parent));
        assert!(trace.span.is_disabled() && trace.id.is_none() && trace.sampled_id().is_none());
    }
}
