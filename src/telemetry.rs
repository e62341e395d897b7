//! The log: who writes it, in which form, and how long things take. And the metrics.

mod metrics;
mod output;

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use tracing_subscriber::{EnvFilter, fmt};

pub use self::metrics::{CONTENT_TYPE as METRICS_CONTENT_TYPE, Metrics};
use self::output::Output;

/// In which form the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for a person.
    Text,
    /// One JSON object a line, for a program.
    Json,
}

/// Starts the log. `debug` raises the level of our own events; what is logged never gets more talkative about people.
pub fn start(format: LogFormat, debug: bool) {
    let filter = EnvFilter::new(filter(debug));
    // What fails in here is counted by `Output`. The library would complain on standard error with a macro that panics
    // where that cannot be written either, and a panic in the hook below ends the process.
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

/// The crates that log. What another one says is only of interest when it is a warning.
const OURS: [&str; 3] = ["loopin_auth", "sms", "store"];

fn filter(debug: bool) -> String {
    let level = if debug { "debug" } else { "info" };
    OURS.iter().fold("warn".to_owned(), |filter, ours| format!("{filter},{ours}={level}"))
}

/// Measures how long something takes. It tells durations only, so it is no clock that a rule could ask.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that measures durations")]
        Self(Instant::now())
    }

    /// Since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
