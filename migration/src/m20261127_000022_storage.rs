//! When PostgreSQL vacuums the tables that sign-ins change, and how it stores pending codes. Nothing on SQLite, which has no such
//! settings.
//!
//! Autovacuum waits by default for changes to a fifth of a table. With a hundred million rows those are twenty million dead rows, and
//! then hours of work at once.
//!
//! These settings rewrite nothing, and their lock stops neither reads nor writes. Pages that are full already stay as they are.

use crate::runner::prelude::*;
use sea_orm::DbBackend;

pub struct Migration;

/// Vacuum after changes to a fiftieth of a table, and new statistics after changes to a hundredth: statistics that are old do not
/// know the newest times, which most statements compare.
const EAGER: [(&str, &str); 2] =
    [("autovacuum_vacuum_scale_factor", "0.02"), ("autovacuum_analyze_scale_factor", "0.01")];

/// Tables that sign-ins change: these rows are not only inserted.
const CHANGED: [&str; 6] = ["accounts", "budgets", "challenges", "leads", "messages", "sessions"];

/// An attempt and the use of a code change no indexed column. If the new version of the row finds room on the page of the old one,
/// no index needs an entry (a HOT update). With full pages 94 of 100 such updates find room, with a tenth left free all do, and the
/// table is smaller. Other tables get no room: their frequent updates change a column that is in an index.
const ROOM: (&str, &str, &str) = ("challenges", "fillfactor", "90");

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let settings = EAGER.map(|(name, value)| format!("{name} = {value}")).join(", ");
        for table in CHANGED {
            alter(manager, table, &format!("SET ({settings})")).await?;
        }
        let (table, name, value) = ROOM;
        alter(manager, table, &format!("SET ({name} = {value})")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let names = EAGER.map(|(name, _)| name).join(", ");
        for table in CHANGED {
            alter(manager, table, &format!("RESET ({names})")).await?;
        }
        let (table, name, _) = ROOM;
        alter(manager, table, &format!("RESET ({name})")).await
    }
}

async fn alter(manager: &SchemaManager<'_>, table: &str, action: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Postgres {
        manager.get_connection().execute_unprepared(&format!("ALTER TABLE {table} {action}")).await?;
    }
    Ok(())
}
