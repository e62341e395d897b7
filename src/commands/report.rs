//! The report of a command that looks at many rows: a bar on a terminal, lines and counts as text, and everything as JSON if a file
//! is given.

use std::{
    fmt::{Display, Write as _},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::{CommandError, backup, output};

/// How many rows are printed. The file has all.
const PRINTED: u64 = 20;

/// A report that is printed, and written while the command runs.
pub(super) struct Report {
    /// How far the command is.
    pub(super) bar: ProgressBar,
    file: Option<ReportFile>,
    printed: u64,
    is_silent_about: u64,
}

impl Report {
    /// Begins a report. The style is that of the bar.
    pub(super) fn new(file: Option<ReportFile>, style: &str) -> Result<Self, CommandError> {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(ProgressStyle::with_template(style)?);
        Ok(Self { bar, file, printed: 0, is_silent_about: 0 })
    }

    /// Adds a row: as JSON to the file, and as text among the first that are printed.
    pub(super) fn tell(&mut self, line: &dyn Display, row: &Value) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.add(row)?;
        }
        if self.printed < PRINTED {
            self.printed += 1;
            return self.bar.suspend(|| output::print(format_args!("{line}\n")));
        }
        self.is_silent_about += 1;
        Ok(())
    }

    /// Prints a title and the counts, and gives the file its name. `rows` is what the rows that were not printed are called.
    pub(super) fn finish<N: Display, C: Display>(
        self,
        rows: &str,
        title: &str,
        counts: &Value,
        printed: impl IntoIterator<Item = (N, C)>,
    ) -> Result<(), CommandError> {
        self.bar.finish_and_clear();
        if self.is_silent_about > 0 {
            let advice = if self.file.is_some() { "" } else { "; --report FILE writes all of them" };
            output::print(format_args!("and {} more rows {rows}{advice}\n", self.is_silent_about))?;
        }
        if let Some(file) = self.file {
            file.finish(counts)?;
        }
        let mut text = format!("{title}\n");
        for (name, count) in printed {
            // Writing into a text never fails.
            let _ = writeln!(text, "{name:14} {count:>10}");
        }
        Ok(output::print(text)?)
    }
}

/// A file with a head, rows and counts. It gets its name when it is whole.
pub(super) struct ReportFile {
    path: PathBuf,
    out: BufWriter<NamedTempFile>,
    has_rows: bool,
}

impl ReportFile {
    /// Begins a report with these members. It replaces an older one, but neither a device nor the file that the command reads.
    pub(super) fn create(path: &Path, source: Option<&Path>, head: &Value) -> Result<Self, CommandError> {
        let shown = path.display();
        if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
            return Err(format!("{shown} is no file that a report could replace").into());
        }
        let is_source = source.is_some_and(|source| {
            path.canonicalize().is_ok_and(|path| source.canonicalize().is_ok_and(|it| it == path))
        });
        if is_source {
            return Err(format!("{shown} is what is imported: name another file for the report").into());
        }
        // It names users by their ids, so only its owner reads it.
        let mut out = BufWriter::new(backup::unfinished(path)?);
        write!(out, "{},\"rows\":[", head.to_string().trim_end_matches('}'))?;
        Ok(Self { path: path.to_owned(), out, has_rows: false })
    }

    /// Adds a row.
    pub(super) fn add(&mut self, row: &Value) -> io::Result<()> {
        let separator = if self.has_rows { ",\n" } else { "\n" };
        self.has_rows = true;
        write!(self.out, "{separator}{row}")
    }

    /// Writes the counts, and gives the file its name.
    pub(super) fn finish(mut self, counts: &Value) -> Result<(), CommandError> {
        write!(self.out, "\n],\"counts\":{counts}}}\n")?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|failed| backup::not_written(&self.path, failed.error))?;
        Ok(())
    }
}
