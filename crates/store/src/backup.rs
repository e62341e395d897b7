//! Copies of an SQLite database, and what such a copy holds.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm::{ConnectionTrait, Statement};
use secrecy::ExposeSecret;

use super::{
    DatabaseSettings, Migrations, Store, StoreError,
    sqlite::{self, Sqlite},
    start::driver_said,
};

/// The tables that are counted, with their names in a report.
const COUNTED: [(&str, &str); 6] = [
    ("accounts", "accounts"),
    ("sessions", "sessions"),
    ("leads", "leads"),
    ("messages", "messages"),
    ("blocks", "blocks"),
    ("audit", "audit entries"),
];

/// What a backup holds.
#[derive(Debug)]
pub struct Contents {
    /// The last migration that ran on it.
    pub schema: String,
    /// How many migrations this version runs on it at its next start.
    pub pending: usize,
    /// What there is, and how many of it.
    pub rows: Vec<(&'static str, i64)>,
}

/// Why a file is no backup that this version can use.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The start of a copy, a file with broken pages, or something else.
    #[error("it is damaged, or no SQLite database: {0}")]
    Damaged(String),
    /// The database of another program, or an empty one.
    #[error("it is an SQLite database without the tables of loopin-auth")]
    Foreign,
    /// The migrations ran, and something was changed afterwards.
    #[error("it is not as loopin-auth makes it: {0}")]
    Changed(String),
    /// The schema of a later version.
    #[error("a newer version of loopin-auth has migrated it ({0}): use that version")]
    Newer(String),
}

/// The file of an SQLite database. `None` for PostgreSQL, and for a database in memory.
#[must_use]
pub fn file(settings: &DatabaseSettings) -> Option<PathBuf> {
    sqlite::file(settings.url.expose_secret()).ok().flatten()
}

/// Copies an SQLite database into an empty file: one state of it, without its free pages, while others read and write.
///
/// # Errors
/// Also when the file cannot be written.
pub async fn copy(settings: &DatabaseSettings, into: &str) -> Result<(), StoreError> {
    Ok(sqlite::copy(settings, into).await?)
}

/// Reads every page of a backup, and counts what it holds. Changes nothing.
///
/// # Errors
/// Why it cannot be used.
pub async fn examine(file: &Path) -> Result<Contents, Unusable> {
    let refused = |error: StoreError| Unusable::Damaged(driver_said(&error));
    let store = Store::from(Sqlite::look_at_copy(file).await.map_err(|error| refused(error.into()))?);
    let found = read(&store).await.map_err(refused);
    store.close().await;
    found?
}

async fn read(store: &Store) -> Result<Result<Contents, Unusable>, StoreError> {
    if let Some(fault) = first_text(store, "PRAGMA integrity_check(1)").await?.filter(|found| found != "ok") {
        return Ok(Err(Unusable::Damaged(fault)));
    }
    let Migrations { pending, unknown } = store.find_migrations().await?;
    if !unknown.is_empty() {
        return Ok(Err(Unusable::Newer(unknown.join(", "))));
    }
    let newest = "SELECT version FROM seaql_migrations ORDER BY version DESC LIMIT 1";
    let is_ours = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'";
    let Some(schema) = (match first_text(store, is_ours).await? {
        Some(_) => first_text(store, newest).await?,
        None => None,
    }) else {
        return Ok(Err(Unusable::Foreign));
    };
    if pending.is_empty()
        && let Some(fault) = find_change(&parts(store).await?, &parts(&newest_schema().await?).await?)
    {
        return Ok(Err(Unusable::Changed(fault)));
    }
    if let Some(table) = first_text(store, "PRAGMA foreign_key_check").await? {
        return Ok(Err(Unusable::Damaged(format!("rows of {table} refer to rows that are not there"))));
    }
    let mut rows = Vec::new();
    for (table, name) in COUNTED {
        // An old backup does not have all of them yet.
        let is_there = format!("SELECT name FROM sqlite_master WHERE type = 'table' AND name = '{table}'");
        if first_text(store, &is_there).await?.is_some() {
            rows.push((name, count(store, table).await?));
        }
    }
    Ok(Ok(Contents { schema, pending: pending.len(), rows }))
}

/// A table, a view or a trigger of a schema: its type and its name, and the table of a trigger.
type Part = (String, String, String);

/// A database in memory with all migrations: what a copy with nothing pending must look like.
async fn newest_schema() -> Result<Store, StoreError> {
    let settings = DatabaseSettings {
        url: "sqlite::memory:".into(),
        max_connections: 1,
        acquire_timeout: Duration::from_secs(3),
        pooler: None,
    };
    let store = Store::from(Sqlite::open(&settings).await?);
    store.migrate().await?;
    Ok(store)
}

/// Indexes are not among them: an operator may have added one.
async fn parts(store: &Store) -> Result<BTreeSet<Part>, StoreError> {
    let sql = "SELECT type, name, tbl_name FROM sqlite_master \
         WHERE type IN ('table', 'view', 'trigger') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'";
    let rows = store.query_all_raw(Statement::from_string(store.get_database_backend(), sql)).await?;
    let part = |row: &sea_orm::QueryResult| {
        Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?))
    };
    rows.iter().map(part).collect()
}

/// The first difference that matters. A table that was added does not: nothing uses it.
fn find_change(found: &BTreeSet<Part>, made: &BTreeSet<Part>) -> Option<String> {
    let missing = made.difference(found).map(|(kind, name, _)| format!("the {kind} {name} is missing"));
    let added = found
        .difference(made)
        .filter(|(kind, ..)| kind != "table")
        .map(|(kind, name, _)| format!("the {kind} {} was added", name.escape_debug()));
    missing.chain(added).next()
}

async fn first_text(store: &Store, sql: &str) -> Result<Option<String>, StoreError> {
    let statement = Statement::from_string(store.get_database_backend(), sql);
    let row = store.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

async fn count(store: &Store, table: &str) -> Result<i64, StoreError> {
    let statement =
        Statement::from_string(store.get_database_backend(), format!("SELECT COUNT(*) FROM {table}"));
    let row = store.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
}
