//! What can go wrong with a database, as far as anybody outside has to care.

use std::error::Error;

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// A statement that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or not in time. Trying again later helps.
    #[error("the database does not answer")]
    Unavailable(#[source] DbErr),
    /// The database answered that it will not do this. Trying again does not help: it is a fault of ours.
    #[error("the database refused a statement")]
    Refused(#[source] DbErr),
    /// A row holds what this version does not know.
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

/// The error that the driver gave, where there is one.
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

/// PostgreSQL's classes 08 (connection), 53 (resources), 57 (operator intervention), 58 (system), 25006 (a standby
/// that was promoted away); SQLite's BUSY (5), LOCKED (6), IOERR (10), FULL (13), CANTOPEN (14) and READONLY (8) with
/// their extended codes, which carry the primary one in the low byte.
fn is_outage_code(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) || code == "25006";
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

/// Whether another process holds the lock of an SQLite file (`SQLITE_BUSY`, 5, in the low byte of its extended codes).
pub(super) fn is_locked(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(error)) = driver_error(error) else { return false };
    error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}

/// Whether the statement had no effect, because the connection had been dead before it was sent. A pooled connection
/// learns only when it is used that the server has gone and come back.
pub(super) fn never_ran(error: &DbErr) -> bool {
    match driver_error(error) {
        // Terminated by the administrator, crashed, or still starting: whatever ran was rolled back. (A server that is
        // told to stop between a commit and its answer says the same. Then an attempt is counted twice: never less.)
        Some(sqlx::Error::Database(error)) => {
            error.code().is_some_and(|code| matches!(code.as_ref(), "57P01" | "57P02" | "57P03"))
        }
        Some(sqlx::Error::Io(error)) => error.kind() == std::io::ErrorKind::BrokenPipe,
        _ => false,
    }
}

/// Whether the connection was lost, so that a statement without effect may be asked again.
pub(super) fn connection_lost(error: &DbErr) -> bool {
    never_ran(error) || matches!(driver_error(error), Some(sqlx::Error::Io(_)))
}
