//! Blocks: phones, prefixes, countries and networks that an admin shut out.

use crate::runner::prelude::*;
use crate::runner::schema::{
    text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
};

pub struct Migration;

/// Servers read all live blocks every few seconds, and a value has at most one of them.
const LIVE: &str = "CREATE UNIQUE INDEX blocks_live_key ON blocks (kind, value) WHERE ended_at IS NULL";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // No foreign keys: a block outlives the account of the admin who made it.
        manager
            .create_table(
                Table::create()
                    .table("blocks")
                    .col(uuid("id").primary_key())
                    .col(text("kind"))
                    .col(text("value"))
                    .col(text("reason"))
                    .col(text_null("reference"))
                    .col(uuid_null("made_by"))
                    .col(timestamp_with_time_zone("made_at"))
                    .col(timestamp_with_time_zone_null("ends_at"))
                    .col(timestamp_with_time_zone_null("ended_at"))
                    .col(uuid_null("ended_by"))
                    .take(),
            )
            .await?;
        manager.get_connection().execute_unprepared(LIVE).await?;
        for (name, columns) in INDEXES {
            let mut index = Index::create().name(name).table("blocks").take();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("blocks").take()).await
    }
}

/// For the filter by value, and for removing old blocks.
const INDEXES: [(&str, &[&str]); 2] =
    [("blocks_value_id_idx", &["value", "id"]), ("blocks_ended_at_idx", &["ended_at"])];
