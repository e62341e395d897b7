//! `loopin-auth migrate`: migrates the database and stops.

use std::process::ExitCode;

use super::{CommandError, Context, output::print, runtime};
use crate::{app, telemetry};

/// Applies the pending migrations and prints which.
///
/// # Errors
/// When the settings are wrong, or the database cannot be migrated.
pub fn run(context: &Context) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let log = telemetry::start(config.log_format, &config.log_filter)?;
    let runtime = runtime()?;
    let migrated = runtime.block_on(app::migrate_alone(&config))?;
    // What is printed comes after the lines of the log.
    drop(log);
    print(format_args!("{migrated}\nthe database is up to date\n"))?;
    Ok(ExitCode::SUCCESS)
}
