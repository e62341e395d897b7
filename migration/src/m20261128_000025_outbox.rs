//! Events that wait to be sent to the operator's receiver.

use crate::runner::prelude::*;
use crate::runner::schema::{
    big_integer, big_pk_auto, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
    uuid_null,
};

pub struct Migration;

/// Name, columns, and which rows are in it. An event that waits is in the first and in those of its subject; one that was given
/// up only in the last three, so that what waits is found as fast with many of them.
const INDEXES: [(&str, &str, &str); 6] = [
    // The next event that is due.
    ("outbox_due_idx", "next_attempt_at, position", "next_attempt_at IS NOT NULL"),
    // The earliest event of a subject.
    ("outbox_user_idx", "user_id, position", "died_at IS NULL AND user_id IS NOT NULL"),
    ("outbox_lead_idx", "lead_id, position", "died_at IS NULL AND lead_id IS NOT NULL"),
    // What is removed by age, or with its user.
    ("outbox_dead_idx", "died_at", "died_at IS NOT NULL"),
    ("outbox_dead_user_idx", "user_id", "died_at IS NOT NULL AND user_id IS NOT NULL"),
    ("outbox_dead_lead_idx", "lead_id", "died_at IS NOT NULL AND lead_id IS NOT NULL"),
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The database counts the position, because ids depend on the clocks of several servers. No foreign keys: an event
        // outlives its user.
        manager
            .create_table(
                Table::create()
                    .table("outbox")
                    .col(big_pk_auto("position"))
                    .col(uuid("id"))
                    .col(text("kind"))
                    .col(uuid_null("user_id"))
                    .col(uuid_null("lead_id"))
                    .col(text("data"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(big_integer("attempts"))
                    .col(timestamp_with_time_zone_null("next_attempt_at"))
                    .col(timestamp_with_time_zone("retry_until"))
                    .col(timestamp_with_time_zone_null("died_at"))
                    .col(text_null("last_error"))
                    .take(),
            )
            .await?;
        let db = manager.get_connection();
        db.execute_unprepared("CREATE UNIQUE INDEX outbox_id_key ON outbox (id)").await?;
        for (name, columns, rows) in INDEXES {
            db.execute_unprepared(&format!("CREATE INDEX {name} ON outbox ({columns}) WHERE {rows}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("outbox").take()).await
    }
}
