//! `loopin-auth serve`: migrates the database and serves.

use std::process::ExitCode;

use super::{CommandError, Context, runtime};
use crate::{app, telemetry};

/// Serves until the process is told to stop.
///
/// # Errors
/// When the settings are wrong, or the server cannot start.
pub fn run(context: &Context) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    // Dropped last, so that every line is written.
    let _log = telemetry::start(config.log_format, &config.log_filter)?;
    let runtime = runtime()?;
    runtime.block_on(app::serve(config))?;
    Ok(ExitCode::SUCCESS)
}
