//! `loopin-auth serve`: migrates the database and serves.

use std::process::ExitCode;

use super::{CommandError, Context, runtime};
use crate::{app, config::Sources, telemetry};

/// Serves until the process is told to stop. `sources` reads `.env` and the environment again.
///
/// # Errors
/// When the settings are wrong, or the server cannot start.
pub fn run(
    context: &Context,
    sources: impl Fn() -> Sources + Send + Sync + 'static,
) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let runtime = runtime()?;
    let traces = config.traces.as_ref();
    // Dropped last, so that every line is written.
    let log = telemetry::start_with_traces(config.log_format, &config.log_filter, traces, runtime.handle())?;
    let (clock, random) = (context.clock.clone(), context.random.clone());
    let reread =
        move || Context { sources: sources(), clock: clock.clone(), random: random.clone() }.config();
    let served = runtime.block_on(app::serve(config, Box::new(reread)));
    log.finish_traces();
    drop(runtime);
    served?;
    Ok(ExitCode::SUCCESS)
}
