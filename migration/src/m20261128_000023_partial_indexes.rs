//! Indexes on columns that are empty in most rows leave those rows out.
//!
//! A new user, session or message then adds fewer entries. And the planner cannot look for an empty column in them: the index on
//! `ended_at` had all live sessions of all accounts, and PostgreSQL read it to count those of one.

use crate::runner::prelude::*;
use sea_orm::DbBackend;

pub struct Migration;

/// Names, tables and columns.
const INDEXES: [(&str, &str, &str); 5] = [
    ("sessions_ended_at_idx", "sessions", "ended_at"),
    ("blocks_ended_at_idx", "blocks", "ended_at"),
    ("messages_account_id_idx", "messages", "account_id"),
    ("messages_provider_id_idx", "messages", "provider_id"),
    ("accounts_former_phone_idx", "accounts", "former_phone"),
];

/// The same, for beginnings of numbers, which are ordered by their bytes. The indexes on ends stay whole, because PostgreSQL does
/// not use the statistics of partial ones, and would take an end for a frequent one.
const BEGINNINGS: [(&str, &str, &str); 2] = [
    ("accounts_claimed_phone_start_idx", "accounts", "claimed_phone"),
    ("accounts_former_phone_start_idx", "accounts", "former_phone"),
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, |column| format!(" WHERE {column} IS NOT NULL")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, |_| String::new()).await
    }
}

/// Creates each index anew, for these rows.
async fn create(manager: &SchemaManager<'_>, rows: impl Fn(&str) -> String) -> Result<(), DbErr> {
    // SQLite has no other order than that of bytes.
    let by_bytes = if manager.get_database_backend() == DbBackend::Postgres { " COLLATE \"C\"" } else { "" };
    let indexes = INDEXES.map(|index| (index, "")).into_iter();
    for ((name, table, column), collation) in indexes.chain(BEGINNINGS.map(|index| (index, by_bytes))) {
        let rows = rows(column);
        let db = manager.get_connection();
        db.execute_unprepared(&format!("DROP INDEX {name}")).await?;
        db.execute_unprepared(&format!("CREATE INDEX {name} ON {table} ({column}{collation}){rows}")).await?;
    }
    Ok(())
}
