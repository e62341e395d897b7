//! Says when the collector does not take traces, and when it does again. The library would only drop them.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, error::OTelSdkResult, trace};
use prometheus_client::metrics::counter::Counter;

use crate::telemetry::Stopwatch;

/// The time between two warnings.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// Spans that the collector did not take. The exporter begins before the metrics do.
static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// The number of spans that the collector did not take.
pub fn lost() -> Counter {
    LOST.clone()
}

#[derive(Debug)]
pub(super) struct Watched {
    exporter: SpanExporter,
    outage: Mutex<Outage>,
}

#[derive(Debug, Default)]
struct Outage {
    is_on: bool,
    warned: Option<Stopwatch>,
    /// Spans that were lost since the last warning.
    lost: usize,
}

impl Outage {
    /// What to tell after a batch was lost: how many spans, if it is time for a warning.
    fn failed(&mut self, spans: usize) -> Option<usize> {
        self.is_on = true;
        self.lost += spans;
        if self.warned.is_some_and(|warned| warned.elapsed() < WARN_EVERY) {
            return None;
        }
        self.warned = Some(Stopwatch::start());
        Some(std::mem::take(&mut self.lost))
    }

    /// Whether this ends an outage.
    fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.is_on)
    }
}

impl Watched {
    pub(super) fn new(exporter: SpanExporter) -> Self {
        Self { exporter, outage: Mutex::default() }
    }

    fn note(&self, result: &OTelSdkResult, spans: usize) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                if outage.succeeded() {
                    tracing::info!("the collector takes traces again");
                }
            }
            Err(error) => {
                LOST.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
                if let Some(spans) = outage.failed(spans) {
                    tracing::warn!(%error, spans, "the collector does not take traces");
                }
            }
        }
    }
}

impl trace::SpanExporter for Watched {
    async fn export(&self, batch: Vec<trace::SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.note(&result, spans);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_a_minute_and_its_end_once() {
        let mut outage = Outage::default();
        assert!(!outage.succeeded(), "there was none");
        assert_eq!(outage.failed(3), Some(3));
        assert_eq!(outage.failed(4), None);
        assert!(outage.succeeded());
        assert!(!outage.succeeded());
        assert_eq!(outage.failed(5), None, "a minute has not passed");
        assert!(outage.is_on);
    }
}
