//! Indexes for purging, exports and deletions, and the leases that decide which server purges.

use crate::runner::prelude::*;
use crate::runner::schema::{text, timestamp_with_time_zone};
use sea_orm::DbBackend;

pub struct Migration;

const INDEXES: [(&str, &str, &[&str]); 6] = [
    ("messages_account_id_idx", "messages", &["account_id"]),
    ("messages_created_at_id_idx", "messages", &["created_at", "id"]),
    ("challenges_holder_idx", "challenges", &["holder"]),
    ("challenges_opened_at_idx", "challenges", &["opened_at"]),
    ("sessions_expires_at_idx", "sessions", &["expires_at"]),
    ("sessions_ended_at_idx", "sessions", &["ended_at"]),
];

const EXPIRES_AT: &str = "challenges_expires_at_idx";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, columns) in INDEXES {
            let mut index = Index::create().name(name).table(table).take();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        // Challenges are purged by the time they were opened. The statement that takes an attempt finds its challenge by the
        // primary key and also compares `expires_at`: the planner must not use an index on that column.
        manager.drop_index(Index::drop().name(EXPIRES_AT).table("challenges").if_exists().to_owned()).await?;
        collate(manager, "\"C\"").await?;
        manager.create_table(leases()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("leases").take()).await?;
        collate(manager, "\"default\"").await?;
        let expires_at = Index::create().name(EXPIRES_AT).table("challenges").col("expires_at").take();
        manager.create_index(expires_at).await?;
        for (name, table, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// Keys of budgets are searched by their beginning, as a range. The range is right and uses the primary key only if texts are
/// ordered by their bytes. SQLite has no other order.
async fn collate(manager: &SchemaManager<'_>, collation: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let statement = format!("ALTER TABLE budgets ALTER COLUMN key TYPE text COLLATE {collation}");
    manager.get_connection().execute_unprepared(&statement).await?;
    Ok(())
}

/// A background task that one server at a time runs, and until when it has the task.
fn leases() -> TableCreateStatement {
    Table::create()
        .table("leases")
        .col(text("name").primary_key())
        .col(timestamp_with_time_zone("held_until"))
        .take()
}
