//! `loopin-auth restore`: checks a backup of SQLite, and puts it in the place of a lost database.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::Path,
    process::ExitCode,
};

use super::{
    CommandError, Context,
    backup::{Failure, not_written, publish, said, sqlite_file, unfinished},
    output::print,
    runtime,
};
use crate::store::backup::{self, Contents};

/// What SQLite keeps beside a database. A log that is left over from a lost database would be written into the restored one.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The first bytes of what `pg_dump --format=custom` writes.
const DUMP: &[u8] = b"PGDMP";

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(
        "{0} is a dump of PostgreSQL. Restore it into an empty database, and let `loopin-auth doctor` look at that:
  pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname=postgres://… {0}"
    )]
    Dump(String),
    #[error("{0} is not a file")]
    NoFile(String),
    #[error("{0} cannot be read")]
    Unreadable(String, #[source] io::Error),
    #[error(
        "{0} is beside the backup: it was copied from a database in use, and may lack what is in that file. Make one with `loopin-auth backup`"
    )]
    Log(String),
    #[error("{0} is there: stop the server, and move what is left of the database to another folder first")]
    InTheWay(String),
}

/// Checks a backup and prints what it holds.
///
/// # Errors
/// When it cannot be restored.
pub fn check(file: &Path) -> Result<ExitCode, CommandError> {
    let contents = examine(file)?;
    print(format_args!("{}: whole\n{}", file.display(), said(&contents)))?;
    Ok(ExitCode::SUCCESS)
}

/// Checks a backup, and copies it to where the settings say that the database is.
///
/// # Errors
/// When the settings are wrong, the backup cannot be restored, or something is left of the database.
pub fn run(context: &Context, file: &Path) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let database = sqlite_file(&config, &file.display().to_string())?;
    for path in std::iter::once(database.clone().into_os_string()).chain(beside(&database)) {
        if Path::new(&path).exists() {
            return Err(Refusal::InTheWay(path.display().to_string()).into());
        }
    }
    let contents = examine(file)?;
    let mut unfinished = unfinished(&database)?;
    let mut from =
        File::open(file).map_err(|cause| Refusal::Unreadable(file.display().to_string(), cause))?;
    io::copy(&mut from, unfinished.as_file_mut()).map_err(|cause| not_written(&database, cause))?;
    publish(unfinished, &database)?;
    print(format_args!(
        "{}: restored from {}\n{}",
        config.database_without_password(),
        file.display(),
        said(&contents)
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn examine(file: &Path) -> Result<Contents, CommandError> {
    let shown = || file.display().to_string();
    // Before it is opened: a named pipe would wait for a writer.
    let metadata = fs::metadata(file).map_err(|cause| Refusal::Unreadable(shown(), cause))?;
    if !metadata.is_file() {
        return Err(Refusal::NoFile(shown()).into());
    }
    let mut first = Vec::new();
    File::open(file)
        .and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, 5), &mut first))
        .map_err(|cause| Refusal::Unreadable(shown(), cause))?;
    if first == DUMP {
        return Err(Refusal::Dump(shown()).into());
    }
    if let Some(log) = beside(file).find(|log| Path::new(log).exists()) {
        return Err(Refusal::Log(log.display().to_string()).into());
    }
    let found = runtime()?.block_on(backup::examine(file));
    Ok(found.map_err(|cause| Failure::Unusable { path: shown(), cause })?)
}

fn beside(file: &Path) -> impl Iterator<Item = OsString> {
    BESIDE.iter().map(move |suffix| {
        let mut path = file.as_os_str().to_owned();
        path.push(suffix);
        path
    })
}
