//! `loopin-auth backup`: copies an SQLite database while the server runs.

use std::{fs::File, io, path::Path, process::ExitCode};

use tempfile::{NamedTempFile, PersistError};

use super::{CommandError, Context, output::print, runtime};
use crate::{
    config::Config,
    store::{
        Store, StoreError,
        backup::{self, Contents, Unusable},
    },
};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// PostgreSQL has its own programs, which do more than we could.
    #[error(
        "{0} is PostgreSQL, whose own programs back it up:
  pg_dump --format=custom --no-owner --no-privileges --file={1} postgres://…
  pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname=postgres://… {1}
docs/RUNBOOKS.md says how to check the copy and to restore it"
    )]
    Postgres(String, String),
    /// It ends with the process.
    #[error("{0} is a database in memory: there is no file to copy or to restore")]
    InMemory(String),
    /// Nothing to copy.
    #[error("{0}: there is no such file")]
    NoDatabase(String),
    /// The existing file may be the only good copy.
    #[error("{0} exists already and is not overwritten: name another file")]
    Taken(String),
    /// A file cannot be written.
    #[error("{path} cannot be written")]
    Write {
        /// The file.
        path: String,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// SQLite needs the name as text.
    #[error("the folder of the backup has a name that is no UTF-8")]
    Name,
    /// The copy was not made.
    #[error("the database cannot be copied")]
    Copy(#[from] StoreError),
    /// The file cannot be used.
    #[error("{path} is no backup that can be restored: {cause}")]
    Unusable {
        /// The file.
        path: String,
        /// Why.
        cause: Unusable,
    },
}

/// Copies the database into a new file, checks the copy, and prints what it holds.
///
/// # Errors
/// A [`Failure`], or when the settings are wrong. Then there is no file.
pub fn run(context: &Context, file: &Path) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let shown = file.display().to_string();
    sqlite_file(&config, &shown)?;
    if Store::is_missing(&config.database) {
        return Err(Failure::NoDatabase(config.database_without_password()).into());
    }
    if file.exists() {
        return Err(Failure::Taken(shown).into());
    }
    let contents = runtime()?.block_on(copy(&config, file))?;
    print(format_args!(
        "{shown}: a whole copy of {}\n{}",
        config.database_without_password(),
        said(&contents)
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The copy gets its name when it is whole and on the disk.
async fn copy(config: &Config, file: &Path) -> Result<Contents, Failure> {
    let unfinished = unfinished(file)?;
    let path = unfinished.path().to_str().ok_or(Failure::Name)?;
    backup::copy(&config.database, path).await?;
    let contents = backup::examine(unfinished.path())
        .await
        .map_err(|cause| Failure::Unusable { path: "the copy".to_owned(), cause })?;
    publish(unfinished, file)?;
    Ok(contents)
}

/// The file of the database that the settings name. `copy` is the file that a command about PostgreSQL would name.
pub(super) fn sqlite_file(config: &Config, copy: &str) -> Result<std::path::PathBuf, Failure> {
    let shown = config.database_without_password();
    backup::file(&config.database).ok_or_else(|| {
        if shown.starts_with("sqlite:") {
            Failure::InMemory(shown)
        } else {
            Failure::Postgres(shown, copy.to_owned())
        }
    })
}

/// A new file beside the one that is meant, which only its owner can read. It is removed unless it is published.
pub(super) fn unfinished(file: &Path) -> Result<NamedTempFile, Failure> {
    let file = std::path::absolute(file).map_err(|cause| not_written(file, cause))?;
    let folder = file.parent().unwrap_or(&file);
    tempfile::Builder::new()
        .prefix(".loopin-auth-")
        .tempfile_in(folder)
        .map_err(|cause| not_written(&file, cause))
}

/// Gives a finished file its name, unless there is one of that name.
pub(super) fn publish(unfinished: NamedTempFile, file: &Path) -> Result<(), Failure> {
    unfinished.as_file().sync_all().map_err(|cause| not_written(file, cause))?;
    unfinished.persist_noclobber(file).map_err(|PersistError { error, .. }| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::Taken(file.display().to_string()),
        _ => not_written(file, error),
    })?;
    // The name is on the disk with its folder.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|cause| not_written(file, cause))
}

pub(super) fn not_written(file: &Path, cause: io::Error) -> Failure {
    Failure::Write { path: file.display().to_string(), cause }
}

/// What a backup holds, in two lines.
pub(super) fn said(contents: &Contents) -> String {
    let Contents { schema, pending, rows } = contents;
    let schema_is = match pending {
        0 => "the one of this version".to_owned(),
        1 => "older: 1 migration runs at the next start".to_owned(),
        _ => format!("older: {pending} migrations run at the next start"),
    };
    let rows: Vec<String> = rows.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("schema: {schema}, {schema_is}\nrows: {}\n", rows.join(", "))
}
