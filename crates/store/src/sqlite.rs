//! SQLite: its file, its options, and its transactions.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::{self, sqlite},
};
use secrecy::ExposeSecret;

use super::{StoreError, error::is_locked, settings::DatabaseSettings};

/// How often opening a file is tried that another process has locked: five seconds in all, like the busy timeout.
const MOST_OPENINGS: u32 = 100;

/// Opens the pool. Switching a file to WAL ignores the busy timeout when another process does the same, so of two processes
/// that start at once on a new file one has to try again.
pub(super) async fn open(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let mut tries = 1;
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if tries < MOST_OPENINGS && is_locked(&error) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
        }
    }
}

pub(super) fn options(settings: &DatabaseSettings, max_connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(settings.url.expose_secret());
    options
        .max_connections(max_connections)
        .min_connections(0)
        .connect_lazy(true)
        .connect_timeout(settings.acquire_timeout)
        .acquire_timeout(settings.acquire_timeout)
        .sqlx_logging(false);
    options
}

/// Begins a transaction that takes the write lock at once.
pub(super) async fn begin(pool: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    pool.begin_with_options(TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    })
    .await
}

/// The file of an SQLite database; `None` for any other database.
pub(super) fn file(url: &str) -> Result<Option<PathBuf>, StoreError> {
    if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
        return Ok(None);
    }
    let options: sqlite::SqliteConnectOptions = url.parse().map_err(from_driver)?;
    Ok(Some(options.get_filename().to_owned()))
}

/// Creates the file of an SQLite database if it does not exist. An empty file is an empty database.
pub(super) fn make_file(url: &str) -> Result<(), StoreError> {
    let Some(file) = file(url)? else { return Ok(()) };
    match std::fs::File::create_new(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            let file = file.display();
            Err(DbErr::Custom(format!("the file of the database, {file}, cannot be made: {error}")).into())
        }
        _ => Ok(()),
    }
}

fn from_driver(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}
