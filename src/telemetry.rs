//! The log, the metrics and the traces.

mod metrics;
mod output;
mod traces;

use std::{
    fmt::{self, Display, Formatter},
    io::{self, IsTerminal as _, Write},
    str::FromStr,
    time::{Duration, Instant},
};

use tokio::runtime::Handle;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

pub use self::{
    metrics::{CONTENT_TYPE as METRICS_CONTENT_TYPE, Metrics, known_method},
    traces::{RequestTrace, Sampling, TraceSettings, UnknownSampling},
};
use self::{output::Output, traces::Traces};

/// How long the end of the process, or a panic, waits for the last lines. Only a reader that does not read takes longer.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// How long the end of the process waits for the last traces.
const TRACES_LIMIT: Duration = Duration::from_secs(3);

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// Our crates that log. At a level, only warnings of other crates are logged.
const OURS: [&str; 4] = ["loopin_auth", "outbound", "sms", "store"];

/// The least important events that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What an operator must act on.
    Error,
    /// What an operator should know.
    Warn,
    /// Every request.
    Info,
    /// What helps to find an error.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The text is not a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownLevel;

impl Display for UnknownLevel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("must be error, warn, info, debug or trace")
    }
}

impl FromStr for LogLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let is_this = |level: &Self| level.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(is_this).ok_or(UnknownLevel)
    }
}

/// Which events are logged: the directives of an `EnvFilter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

/// The text has no directives of an `EnvFilter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownDirective;

impl Display for UnknownDirective {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("must be directives such as info, or warn,loopin_auth=debug")
    }
}

impl LogFilter {
    /// Our events of this level and above, and the warnings of other crates.
    #[must_use]
    pub fn at(level: LogLevel) -> Self {
        let others = if level == LogLevel::Error { LogLevel::Error } else { LogLevel::Warn };
        let ours = OURS.map(|ours| format!("{ours}={}", level.as_str()));
        Self(format!("{},{}", others.as_str(), ours.join(",")))
    }
}

impl FromStr for LogFilter {
    type Err = UnknownDirective;

    fn from_str(text: &str) -> Result<Self, UnknownDirective> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned())).map_err(|_| UnknownDirective)
    }
}

/// The log of this process, and its traces. The last lines are written when this is dropped.
#[must_use]
pub struct Log {
    output: Output,
    traces: Option<Traces>,
}

impl Log {
    /// Sends the last traces. The runtime that [`start_with_traces`] got must still be there.
    pub fn finish_traces(&self) {
        if let Some(traces) = &self.traces {
            traces.finish(TRACES_LIMIT);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.output.flush(FLUSH_LIMIT);
    }
}

/// Starts the log.
///
/// # Errors
/// When the system has no thread for it.
pub fn start(format: LogFormat, filter: &LogFilter) -> io::Result<Log> {
    begin(format, filter, None)
}

/// Starts the log, and traces if the settings name a collector.
///
/// # Errors
/// When the system has no thread for them, or the exporter cannot be made.
pub fn start_with_traces(
    format: LogFormat,
    filter: &LogFilter,
    settings: Option<&TraceSettings>,
    runtime: &Handle,
) -> io::Result<Log> {
    let traces = settings.map(|settings| Traces::start(settings, runtime)).transpose()?;
    begin(format, filter, traces)
}

fn begin(format: LogFormat, filter: &LogFilter, traces: Option<Traces>) -> io::Result<Log> {
    let tell = |lines| {
        tracing::warn!(parent: None, lines, "lines of the log could not be written and are lost");
    };
    let output = Output::start(standard_output(), tell, output::lost())?;
    // Spans of traces are not for the log: the span of a line is its request.
    let filter = EnvFilter::new(format!("{},{}=off", filter.0, traces::TARGET));
    let lines = lines(format, output.clone());
    match &traces {
        // One filter for everything costs less than one for each layer.
        None => tracing_subscriber::registry().with(lines).with(filter).init(),
        Some(traces) => {
            let layers = vec![traces.layer(), lines.with_filter(filter).boxed()];
            tracing_subscriber::registry().with(layers).init();
        }
    }
    let of_panics = output.clone();
    std::panic::set_hook(Box::new(move |info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panic");
        of_panics.flush(FLUSH_LIMIT);
    }));
    Ok(Log { output, traces })
}

fn lines(format: LogFormat, output: Output) -> Box<dyn Layer<Registry> + Send + Sync> {
    // `Output` counts write errors. The library would report them on standard error with a macro that panics if that
    // cannot be written either, and a panic inside the panic hook aborts the process.
    let log = tracing_subscriber::fmt::layer().log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let is_terminal = io::stdout().is_terminal();
            log.with_target(false).with_ansi(is_terminal).with_writer(output).boxed()
        }
        LogFormat::Json => log.json().flatten_event(true).with_writer(output).boxed(),
    }
}

/// Standard output without the library's buffer, which keeps a part of what could not be written.
fn standard_output() -> Box<dyn Write + Send> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd as _;
        if let Ok(copy) = io::stdout().as_fd().try_clone_to_owned() {
            return Box::new(std::fs::File::from(copy));
        }
    }
    Box::new(io::stdout())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_that_of_our_crates() {
        let text = |level: &str| level.parse().map(|level| LogFilter::at(level).0);
        assert_eq!(text("info").as_deref(), Ok("warn,loopin_auth=info,outbound=info,sms=info,store=info"));
        assert_eq!(
            text("ERROR").as_deref(),
            Ok("error,loopin_auth=error,outbound=error,sms=error,store=error")
        );
        for level in LogLevel::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
            assert!(LogFilter::at(level).0.parse::<LogFilter>().is_ok(), "{level:?}");
        }
        assert_eq!((text("verbose"), text("")), (Err(UnknownLevel), Err(UnknownLevel)));
    }

    #[test]
    fn directives_are_checked() {
        for right in ["debug", "warn,loopin_auth=trace", "off", "[request{route}]=debug"] {
            assert!(right.parse::<LogFilter>().is_ok(), "{right}");
        }
        for wrong in ["loopin_auth=loud", "a=b=c", "[request"] {
            assert_eq!(wrong.parse::<LogFilter>(), Err(UnknownDirective), "{wrong}");
        }
    }
}
