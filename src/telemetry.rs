//! The log and the metrics.

mod metrics;
mod output;

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use tracing_subscriber::{EnvFilter, fmt};

pub use self::metrics::{CONTENT_TYPE as METRICS_CONTENT_TYPE, Metrics};
use self::output::Output;

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// Starts the log. `debug` raises the level of our own events, but never adds personal data.
pub fn start(format: LogFormat, debug: bool) {
    let filter = EnvFilter::new(filter(debug));
    // `Output` counts write errors. The library would report them on standard error with a macro that panics if that
    // cannot be written either, and a panic inside the panic hook below aborts the process.
    let output = Output::new(std::io::stdout(), output::lost());
    let log = fmt().with_env_filter(filter).log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let is_terminal = std::io::stdout().is_terminal();
            log.with_target(false).with_ansi(is_terminal).with_writer(output).init();
        }
        LogFormat::Json => log.json().flatten_event(true).with_writer(output).init(),
    }
    std::panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panic");
    }));
}

/// Our crates that log. Of other crates, only warnings are logged.
const OURS: [&str; 3] = ["loopin_auth", "sms", "store"];

fn filter(debug: bool) -> String {
    let level = if debug { "debug" } else { "info" };
    OURS.iter().fold("warn".to_owned(), |filter, ours| format!("{filter},{ours}={level}"))
}

/// Measures durations. It does not tell the time, so rules cannot use it as a clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that measures durations")]
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
