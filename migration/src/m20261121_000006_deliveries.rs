//! Deliveries: the status of messages after the provider accepted them.

use crate::runner::prelude::*;
use crate::runner::schema::{
    big_integer, big_integer_null, text, text_null, timestamp_with_time_zone_null, uuid_null,
};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite adds one column a statement.
        for column in columns() {
            manager.alter_table(Table::alter().table("messages").add_column(column).take()).await?;
        }
        // Decides who sends the next message of a delivery when two reports say that the last one was lost.
        manager
            .create_index(
                Index::create()
                    .name("messages_delivery_id_attempt_idx")
                    .table("messages")
                    .col("delivery_id")
                    .col("attempt")
                    .unique()
                    .take(),
            )
            .await?;
        // By which the provider's reports find their message.
        manager
            .create_index(
                Index::create().name("messages_provider_id_idx").table("messages").col("provider_id").take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in ["messages_delivery_id_attempt_idx", "messages_provider_id_idx"] {
            manager.drop_index(Index::drop().name(index).table("messages").to_owned()).await?;
        }
        for column in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table("messages").drop_column(name).take()).await?;
        }
        Ok(())
    }
}

/// A client can query a `delivery_id`. The first message of a delivery and those by other channels share it, and `attempt`
/// counts them. Each status has a time of its own, so that reports in any order make one timeline.
fn columns() -> Vec<ColumnDef> {
    vec![
        uuid_null("delivery_id"),
        uuid_null("challenge_id"),
        big_integer("attempt").default(1).take(),
        text("language").default("en").take(),
        text_null("platform"),
        text_null("reason"),
        big_integer_null("segments"),
        text_null("price"),
        text_null("price_unit"),
        timestamp_with_time_zone_null("queued_at"),
        timestamp_with_time_zone_null("sent_at"),
        timestamp_with_time_zone_null("delivered_at"),
        timestamp_with_time_zone_null("undelivered_at"),
        timestamp_with_time_zone_null("failed_at"),
    ]
}
