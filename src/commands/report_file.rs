//! The report of a long command as JSON, which is written while the command runs.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::NamedTempFile;

use super::{CommandError, backup};

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
