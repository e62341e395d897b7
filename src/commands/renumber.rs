//! `loopin-auth renumber`: gives accounts, leads and blocks their new numbers when a country changes its numbering plan.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{CommandError, Context, output, report_file::ReportFile, runtime};
use crate::{
    domain::renumbering::{Conflict, Counts, Pattern, Renumbering},
    flows::renumbering::{self, Step},
};

/// The exit code when everything was done, and rows keep their number.
const SOME_KEPT: u8 = 3;

/// How many rows that keep their number are printed. The file of `--report` has all.
const PRINTED: u64 = 20;

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
    let mut report = Report::create(options)?;
    let runtime = runtime()?;
    let counts = runtime.block_on(async {
        let services = context.services(&config).await?;
        let settings = renumbering::Options { change, is_dry_run: options.dry_run };
        let counts = renumbering::renumber(&services, settings, &mut |step| report.step(step)).await;
        services.store.close().await;
        counts.map_err(CommandError::from)
    });
    report.finish(&counts?)
}

/// The report: a bar on a terminal, lines and counts as text, and everything as JSON if a file is given.
struct Report {
    title: String,
    is_dry_run: bool,
    bar: ProgressBar,
    file: Option<ReportFile>,
    printed: u64,
    is_silent_about: u64,
}

impl Report {
    fn create(options: &Options) -> Result<Self, CommandError> {
        let (from, to) = (options.from.to_string(), options.to.to_string());
        let head = json!({"from": from, "to": to, "dry_run": options.dry_run});
        let file = options.report.as_deref().map(|path| ReportFile::create(path, None, &head));
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(ProgressStyle::with_template("{spinner} {human_pos} rows")?);
        Ok(Self {
            title: format!("{from} to {to}"),
            is_dry_run: options.dry_run,
            bar,
            file: file.transpose()?,
            printed: 0,
            is_silent_about: 0,
        })
    }

    fn step(&mut self, step: Step<'_>) -> io::Result<()> {
        match step {
            Step::Done(rows) => self.bar.set_position(rows),
            Step::Told(conflict) => self.tell(conflict)?,
        }
        Ok(())
    }

    fn tell(&mut self, conflict: &Conflict) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.add(&conflict.to_json())?;
        }
        if self.printed < PRINTED {
            self.printed += 1;
            return self.bar.suspend(|| output::print(format_args!("{conflict}\n")));
        }
        self.is_silent_about += 1;
        Ok(())
    }

    fn finish(self, counts: &Counts) -> Result<ExitCode, CommandError> {
        self.bar.finish_and_clear();
        if self.is_silent_about > 0 {
            let advice = if self.file.is_some() { "" } else { "; --report FILE writes all of them" };
            output::print(format_args!(
                "and {} more rows that keep their number{advice}\n",
                self.is_silent_about
            ))?;
        }
        if let Some(file) = self.file {
            file.finish(&counts.to_json())?;
        }
        let did = match (self.is_dry_run, counts.accounts + counts.leads + counts.blocks) {
            (true, _) => "nothing was written (--dry-run); without it this would be done",
            (false, 0) => "no number was left to change",
            (false, _) => "changed",
        };
        let mut text = format!("{}: {did}\n", self.title);
        for (name, count) in counts.all() {
            // Writing into a text never fails.
            let _ = writeln!(text, "{name:14} {count:>10}");
        }
        output::print(text)?;
        Ok(if counts.conflicts > 0 { ExitCode::from(SOME_KEPT) } else { ExitCode::SUCCESS })
    }
}
