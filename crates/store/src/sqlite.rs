//! SQLite: its file, its connections, its statements and its transactions.
//!
//! SQLite takes one writer at a time, and lets the others wait in a loop of short sleeps, where the next one is found by chance.
//! So all writes go through one connection, before which they queue in order of arrival. Reads have connections of their own:
//! with a write-ahead log they see the last commit, wait for no writer and delay none.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::TryStreamExt;
use sea_orm::{
    DbBackend, DbErr, RuntimeErr, Statement,
    sea_query::Values,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions as _, Either, Executor,
        sqlite::{
            SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteQueryResult, SqliteRow,
            SqliteSynchronous,
        },
    },
};
use sea_query_sqlx::SqlxValues;
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::{StoreError, answer, error::is_locked, settings::DatabaseSettings};

mod checkpoints;
mod connections;

use checkpoints::Checkpoints;
use connections::{Connections, Lease};

/// How often opening a file is tried that another process has locked: five seconds in all, like the busy timeout.
const MOST_OPENINGS: u32 = 100;

/// How long a statement waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A transaction that reads first and writes later would be refused if another one wrote in between.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Reads the file. `SELECT 1` would not.
const PING: &str = "SELECT count(*) FROM sqlite_master";

/// An SQLite database.
pub(super) struct Sqlite {
    writer: Connections,
    /// `None`: the writer reads too, and there is no write-ahead log.
    beside: Option<Beside>,
}

/// What works beside the writer.
struct Beside {
    readers: Connections,
    checkpoints: Checkpoints,
}

/// What a statement returned.
pub(super) type Answer = answer::Answer<SqliteQueryResult, SqliteRow>;

impl Sqlite {
    /// Opens a database, and creates its file if there is none.
    pub(super) async fn open(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let url = settings.url.expose_secret();
        make_file(url)?;
        let sqlite = Self::new(settings, BUSY_TIMEOUT, checkpoints::EVERY)?;
        // Switching a file to a write-ahead log ignores the busy timeout when another process does the same, so of two
        // processes that start at once on a new file one has to try again.
        let mut tries = 1;
        loop {
            match sqlite.writer.lease().await {
                Err(error) if tries < MOST_OPENINGS && is_locked(&error) => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                result => return result.map(|_| sqlite).map_err(StoreError::from),
            }
        }
    }

    fn new(
        settings: &DatabaseSettings,
        busy_timeout: Duration,
        commits_per_checkpoint: u32,
    ) -> Result<Self, DbErr> {
        let url = settings.url.expose_secret();
        let options = options(url)?
            // A file that disappears is an outage, not a new and empty database.
            .create_if_missing(false)
            // Data that a user deleted must not stay readable in free pages of the file.
            .pragma("secure_delete", "ON")
            // With a write-ahead log a crash of the process loses nothing, which is enough for an embedded default.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(busy_timeout);
        let patience = settings.acquire_timeout;
        // The mode of the journal is a property of the file. Only the writer sets it.
        let writing = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("wal_autocheckpoint", checkpoints::MOST_PAGES.to_string());
        let writer = Connections::new(writing, 1, patience);
        // A database in memory has no write-ahead log: readers would wait for the writer.
        let beside = file(url)?.map(|_| {
            let others = settings.max_connections.saturating_sub(1).max(1);
            let reading = options.clone().pragma("query_only", "ON");
            let own = options.busy_timeout(checkpoints::WAIT_FOR_READERS);
            let own = Connections::new(own, 1, patience);
            Beside {
                readers: Connections::new(reading, usize::try_from(others).unwrap_or(1), patience),
                checkpoints: Checkpoints::new(own, writer.clone(), commits_per_checkpoint),
            }
        });
        Ok(Self { writer, beside })
    }

    /// Opens a database for reading, on one connection. The file exists.
    pub(super) async fn look(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let options = options(settings.url.expose_secret())?
            .create_if_missing(false)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("query_only", "ON");
        let only = Connections::new(options, 1, settings.acquire_timeout);
        drop(only.lease().await?);
        Ok(Self { writer: only, beside: None })
    }

    /// Opens a copy for reading, which nobody writes: so no file is made beside it, and a folder that must not be written will do.
    pub(super) async fn look_at_copy(file: &Path) -> Result<Self, DbErr> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(false)
            .read_only(true)
            .immutable(true)
            .disable_statement_logging();
        let only = Connections::new(options, 1, BUSY_TIMEOUT);
        drop(only.lease().await?);
        Ok(Self { writer: only, beside: None })
    }

    fn readers(&self) -> &Connections {
        self.beside.as_ref().map_or(&self.writer, |beside| &beside.readers)
    }

    /// Runs a statement as a transaction of its own.
    pub(super) async fn run(&self, stmt: &Statement) -> Result<Answer, DbErr> {
        if stmt.sql.starts_with("SELECT") {
            return self.readers().lease().await?.run(stmt).await;
        }
        // Anything else may write, also what begins with WITH. A reader would refuse to.
        let answer = self.writer.lease().await?.run(stmt).await?;
        self.count_commit();
        Ok(answer)
    }

    fn count_commit(&self) {
        if let Some(beside) = &self.beside {
            beside.checkpoints.count_commit();
        }
    }

    /// Runs texts without arguments.
    pub(super) async fn execute_text(&self, sql: &str) -> Result<SqliteQueryResult, DbErr> {
        self.writer.lease().await?.execute_text(sql).await
    }

    /// Checks that the file can be read. A writer that holds it for long is no outage for those who read, so the check does not
    /// wait for the writer.
    pub(super) async fn ping(&self) -> Result<(), DbErr> {
        let mut lease = self.readers().lease().await?;
        lease.execute_text(PING).await.map(drop)
    }

    /// Begins a transaction, which takes the write lock at once.
    pub(super) async fn begin(self: &Arc<Self>) -> Result<SqliteTxn, DbErr> {
        let mut lease = self.writer.lease().await?;
        lease.begin(BEGIN).await?;
        Ok(SqliteTxn { lease: Mutex::new(lease), sqlite: Arc::clone(self) })
    }

    /// How many connections are open, and how many of them are idle.
    pub(super) fn count_connections(&self) -> (u32, usize) {
        let readers = self.beside.iter().map(|beside| &beside.readers);
        let (open, idle) = readers.chain([&self.writer]).fold((0, 0), |(open, idle), connections| {
            let (more, of_them_idle) = connections.count();
            (open + more, idle + of_them_idle)
        });
        (u32::try_from(open).unwrap_or(u32::MAX), idle)
    }

    /// Closes the connections when their work is done.
    pub(super) async fn close(&self) {
        if let Some(beside) = &self.beside {
            beside.checkpoints.close().await;
            beside.readers.close().await;
        }
        self.writer.close().await;
    }
}

/// A transaction. It is rolled back if it is dropped without a commit.
pub(super) struct SqliteTxn {
    lease: Mutex<Lease>,
    sqlite: Arc<Sqlite>,
}

impl SqliteTxn {
    pub(super) async fn run(&self, stmt: &Statement) -> Result<Answer, DbErr> {
        self.lease.lock().await.run(stmt).await
    }

    pub(super) async fn execute_text(&self, sql: &str) -> Result<SqliteQueryResult, DbErr> {
        self.lease.lock().await.execute_text(sql).await
    }

    pub(super) async fn commit(self) -> Result<(), DbErr> {
        self.lease.into_inner().commit().await?;
        self.sqlite.count_commit();
        Ok(())
    }

    pub(super) async fn rollback(self) -> Result<(), DbErr> {
        self.lease.into_inner().rollback().await
    }
}

/// Copies a database into an empty file. It is one reading transaction: with a write-ahead log no writer waits for it. A copy that
/// is given up halfway lacks pages, so the caller gives the file its name afterwards. SQLite's backup API, which sqlx does not export, begins
/// anew whenever another process has written: under load it would not end.
pub(super) async fn copy(settings: &DatabaseSettings, into: &str) -> Result<(), DbErr> {
    let options = options(settings.url.expose_secret())?.create_if_missing(false).busy_timeout(BUSY_TIMEOUT);
    let only = Connections::new(options, 1, settings.acquire_timeout);
    let copying = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [into.into()]);
    let copied = only.lease().await?.run(&copying).await.map(drop);
    only.close().await;
    copied
}

/// Runs a statement to its end. A statement that returns rows commits after its last one, and a commit can fail, so stopping
/// at the first row would hide that.
async fn run_on(connection: &mut SqliteConnection, stmt: &Statement) -> Result<Answer, sqlx::Error> {
    let values = stmt.values.clone().unwrap_or(Values(Vec::new()));
    let query = sqlx::query_with(AssertSqlSafe(stmt.sql.as_str()), SqlxValues(values));
    let mut answer = Answer { summary: SqliteQueryResult::default(), rows: Vec::new() };
    let mut parts = connection.fetch_many(query);
    while let Some(part) = parts.try_next().await? {
        match part {
            Either::Left(summary) => answer.summary.extend([summary]),
            Either::Right(row) => answer.rows.push(row),
        }
    }
    Ok(answer)
}

fn options(url: &str) -> Result<SqliteConnectOptions, DbErr> {
    let options: SqliteConnectOptions = url.parse().map_err(connection_error)?;
    Ok(options.disable_statement_logging())
}

/// The file of an SQLite database; `None` for any other database.
pub(super) fn file(url: &str) -> Result<Option<PathBuf>, DbErr> {
    if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
        return Ok(None);
    }
    Ok(Some(options(url)?.get_filename().to_owned()))
}

/// Creates the file of an SQLite database if it does not exist. An empty file is an empty database.
fn make_file(url: &str) -> Result<(), DbErr> {
    let Some(file) = file(url)? else { return Ok(()) };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    // It has phones and hashes of passwords. SQLite gives its log the same permissions.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            let file = file.display();
            Err(DbErr::Custom(format!("the file of the database, {file}, cannot be made: {error}")))
        }
        _ => Ok(()),
    }
}

fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn execution_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

#[cfg(test)]
mod tests;
