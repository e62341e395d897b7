//! The error of this crate, and what the databases' error codes mean.

use std::error::Error;

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// A statement failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or not in time. Trying again later helps.
    #[error("the database does not answer")]
    Unavailable(#[source] DbErr),
    /// The database refused the statement. Trying again does not help: it is an error of this program.
    #[error("the database refused a statement")]
    Refused(#[source] DbErr),
    /// A row holds a value that this version does not know.
    #[error("a row of {table} has an unknown {column}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if is_outage(&error) { Self::Unavailable(error) } else { Self::Refused(error) }
    }
}

/// The error of the driver, if there is one.
pub(super) fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => error.source().and_then(|source| source.downcast_ref()),
    }
}

fn is_outage(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) {
        return true;
    }
    match driver_error(error) {
        Some(sqlx::Error::Database(error)) => error.code().is_some_and(|code| is_outage_code(&code)),
        Some(
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed,
        ) => true,
        _ => false,
    }
}

/// PostgreSQL's classes 08 (connection), 40 (rolled back, after it was tried again), 53 (resources), 57 (operator
/// intervention, time-outs), 58 (system), 25006 (a standby, or a primary that takes no writes), 25P03 and 25P04 (a
/// transaction took too long), 55P03 (a lock took too long); SQLite's BUSY (5), LOCKED (6), IOERR (10), FULL (13),
/// CANTOPEN (14) and READONLY (8) with their extended codes, which carry the primary one in the low byte.
pub(super) fn is_outage_code(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
            || ["25006", "25P03", "25P04", "55P03"].contains(&code);
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

/// Whether another process holds the lock of an SQLite file (`SQLITE_BUSY`, 5, in the low byte of its extended codes).
pub(super) fn is_locked(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(error)) = driver_error(error) else { return false };
    error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}

/// Whether the state of a connection to SQLite is unknown after this error. NOMEM (7), INTERRUPT (9), IOERR (10) and FULL (13) may
/// have ended its transaction; READONLY (8), CORRUPT (11), CANTOPEN (14) and NOTADB (26) may come from a file that was replaced.
pub(super) fn spoils_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            code.is_some_and(|code| matches!(code & 0xff, 7..=11 | 13 | 14 | 26))
        }
        sqlx::Error::WorkerCrashed | sqlx::Error::InvalidSavePointStatement | sqlx::Error::BeginFailed => {
            true
        }
        _ => false,
    }
}

/// Whether PostgreSQL could not convert a text (`invalid_text_representation`).
pub(super) fn is_bad_text(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(error)) = driver_error(error) else { return false };
    error.code().is_some_and(|code| code == "22P02")
}

/// What happened to a statement of PostgreSQL that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The database rolled back its transaction because of concurrent ones. The connection is usable.
    Undone,
    /// It had no effect, and the connection is unusable: it was dead before, or the database takes no writes through it.
    NeverRan,
    /// The connection was lost. The statement may have run.
    Unknown,
    /// The database reported what is wrong with it.
    Answered,
}

/// What happened to a statement that failed with this error.
pub(super) fn fate(error: &DbErr) -> Fate {
    match driver_error(error) {
        Some(sqlx::Error::Database(error)) => error.code().map_or(Fate::Answered, |code| fate_of(&code)),
        Some(sqlx::Error::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Fate::NeverRan,
        Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => Fate::Unknown,
        _ => Fate::Answered,
    }
}

pub(super) fn fate_of(code: &str) -> Fate {
    match code {
        // A serialization failure or a deadlock. The rest of class 40 does not say that nothing happened.
        "40001" | "40P01" => Fate::Undone,
        // The database takes no writes, or no connections yet; or an administrator or a timeout ended the session. PostgreSQL
        // reports this as an error only if it rolled back. What ends it in the middle of a commit (a crash, an immediate
        // shutdown, waiting for a standby) is a notice, and then the connection is lost.
        "25006" | "57P03" | "57P01" | "57P05" | "25P03" | "25P04" => Fate::NeverRan,
        "57P02" | "57P04" => Fate::Unknown,
        // A pooler reports this when it lost its own connection.
        code if code.starts_with("08") => Fate::Unknown,
        _ => Fate::Answered,
    }
}

impl StoreError {
    /// Whether the statement may have taken effect although it failed: its answer was lost.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unavailable(error) if fate(error) == Fate::Unknown)
    }

    /// The error with its cause, for the log.
    #[must_use]
    pub fn with_cause(&self) -> String {
        match self {
            Self::Unavailable(cause) | Self::Refused(cause) => format!("{self}: {cause}"),
            Self::Unreadable { .. } => self.to_string(),
        }
    }

    /// Whether the transaction that failed had no effect and may succeed if it runs again: it met concurrent ones, or an
    /// unusable connection.
    #[must_use]
    pub fn left_nothing(&self) -> bool {
        match self {
            Self::Unavailable(error) => matches!(fate(error), Fate::Undone | Fate::NeverRan),
            Self::Refused(_) | Self::Unreadable { .. } => false,
        }
    }
}
