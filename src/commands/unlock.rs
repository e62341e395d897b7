//! `loopin-auth unlock`: lifts the locks of a phone.

use std::process::ExitCode;

use super::{CommandError, Context, output::print, runtime};
use crate::{
    domain::{phone::PhoneNumber, roles::StaffPermission},
    flows::unlock,
};

/// Lifts the locks of a phone and prints which there were.
///
/// # Errors
/// When the settings or the number are wrong, or the database is not migrated or does not answer.
pub fn run(context: &Context, phone: &str) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let phone = PhoneNumber::parse(phone, config.region)?;
    context.require_secret_key("no lock can be found")?;
    let unlocked = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        let unlocked = unlock::unlock(&services, phone.clone(), StaffPermission::by_command()).await?;
        Ok::<_, CommandError>(unlocked)
    })?;
    print(format_args!("{}\n", said(&phone, &unlocked.0)))?;
    Ok(ExitCode::SUCCESS)
}

/// What locked a phone, as a sentence. The number is masked, because terminals are shared and recorded.
#[must_use]
pub fn said(phone: &PhoneNumber, unlocked: &[&'static str]) -> String {
    if unlocked.is_empty() {
        format!("{phone} was not locked; wrong guesses at it are forgotten")
    } else {
        format!("{phone} is unlocked; it was locked by {}", unlocked.join(", "))
    }
}
