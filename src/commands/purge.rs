//! `loopin-auth purge`: removes old rows now, as the server does every hour.

use std::process::ExitCode;

use chrono::Duration;

use super::{CommandError, Context, output::print, runtime};
use crate::{
    domain::{audit::Actor, retention::Retention},
    flows::purge::{self, Purged},
    telemetry,
};

/// Removes rows and prints how many. `older_than_days` replaces the configured retention, except that of the audit log.
///
/// # Errors
/// When the settings are wrong, or the database is not migrated or does not answer.
pub fn run(context: &Context, older_than_days: Option<u16>) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let log = telemetry::start(config.log_format, &config.log_filter)?;
    let runtime = runtime()?;
    let purged = runtime.block_on(async {
        let services = context.services(&config).await?;
        let configured = services.retention;
        let retention = older_than_days.map_or(configured, |days| Retention {
            audit: configured.audit,
            ..Retention::new(Duration::days(i64::from(days)))
        });
        let purged = purge::purge(&services, &retention, Actor::Command).await?;
        Ok::<_, CommandError>(purged)
    })?;
    // What is printed comes after the lines of the log.
    drop(log);
    let Purged {
        challenges,
        messages,
        sessions,
        budgets,
        blocks,
        invitations,
        audit,
        events,
        used_tokens,
        merges,
        guests,
    } = purged;
    print(format_args!(
        "removed {challenges} challenges, {messages} messages, {sessions} sessions, {budgets} budgets, \
         {blocks} blocks, {invitations} invitations, {audit} entries of the audit log, {events} events, {used_tokens} used tokens, \
         the data of {merges} merges, {guests} guests\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}
