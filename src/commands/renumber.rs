//! `loopin-auth renumber`: gives accounts, leads and blocks their new numbers when a country changes its numbering plan.

use std::{io, path::PathBuf, process::ExitCode};

use serde_json::json;

use super::{
    CommandError, Context,
    report::{Report, ReportFile},
    runtime,
};
use crate::{
    domain::renumbering::{Counts, Pattern, Renumbering},
    flows::renumbering::{self, Step},
};

/// The exit code when everything was done, and rows keep their number.
const SOME_KEPT: u8 = 3;

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The old numbers: +225X7XXXXXX, with an X for every digit that is kept
    #[arg(long, value_name = "PATTERN")]
    pub from: Pattern,
    /// The new numbers: +22507X7XXXXXX, with as many X, in the same order
    #[arg(long, value_name = "PATTERN")]
    pub to: Pattern,
    /// Decide about every row, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write the report as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Changes all numbers of a plan, and prints what was changed and what was not. The counts come last.
///
/// # Errors
/// When the settings or the patterns are wrong, or the database or the report's file fail. What was written until then stays, and the
/// next run goes on.
pub fn run(context: &Context, options: &Options) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    context.require_secret_key("the audit log would not find the numbers")?;
    let change = Renumbering::new(options.from.clone(), options.to.clone())?;
    let mut report = begin(options)?;
    let runtime = runtime()?;
    let counts = runtime.block_on(async {
        let services = context.services(&config).await?;
        let settings = renumbering::Options { change, is_dry_run: options.dry_run };
        let counts = renumbering::renumber(&services, settings, &mut |step| take(&mut report, step)).await;
        services.store.close().await;
        counts.map_err(CommandError::from)
    });
    finish(report, options, &counts?)
}

fn begin(options: &Options) -> Result<Report, CommandError> {
    let head = json!({
        "from": options.from.to_string(), "to": options.to.to_string(), "dry_run": options.dry_run
    });
    let file = options.report.as_deref().map(|path| ReportFile::create(path, None, &head));
    Report::new(file.transpose()?, "{spinner} {human_pos} rows")
}

fn take(report: &mut Report, step: Step<'_>) -> io::Result<()> {
    match step {
        Step::Done(rows) => report.bar.set_position(rows),
        Step::Told(conflict) => report.tell(conflict, &conflict.to_json())?,
    }
    Ok(())
}

fn finish(report: Report, options: &Options, counts: &Counts) -> Result<ExitCode, CommandError> {
    let did = match (options.dry_run, counts.accounts + counts.leads + counts.blocks) {
        (true, _) => "nothing was written (--dry-run); without it this would be done",
        (false, 0) => "no number was left to change",
        (false, _) => "changed",
    };
    let title = format!("{} to {}: {did}", options.from, options.to);
    report.finish("that keep their number", &title, &counts.to_json(), counts.all())?;
    Ok(if counts.conflicts > 0 { ExitCode::from(SOME_KEPT) } else { ExitCode::SUCCESS })
}
