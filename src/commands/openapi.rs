//! `loopin-auth openapi`: prints the OpenAPI document.

use std::{process::ExitCode, sync::Arc};

use super::{CommandError, Context, output::print, runtime};
use crate::app;

/// Prints the document. It does not depend on rows, so a database in memory is enough, and no file is written.
///
/// # Errors
/// When the settings are wrong.
pub fn run(context: &Context) -> Result<ExitCode, CommandError> {
    let mut config = context.config()?;
    config.database.url = "sqlite::memory:".into();
    let services = app::services(&config, context.clock.clone(), context.random.clone());
    let services = runtime()?.block_on(services)?;
    print(format_args!("{:#}\n", app::document(&Arc::new(services))))?;
    Ok(ExitCode::SUCCESS)
}
