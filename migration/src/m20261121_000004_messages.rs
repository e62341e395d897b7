//! Messages: recipient, template and status. The text is never stored, only the name of its template.

use crate::runner::prelude::*;
use crate::runner::schema::{big_integer_null, text, text_null, timestamp_with_time_zone, uuid};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("messages")
                    .col(uuid("id").primary_key())
                    .col(text("phone"))
                    .col(text("channel"))
                    .col(text("template"))
                    .col(text("provider"))
                    .col(text("status"))
                    .col(text_null("provider_id"))
                    .col(big_integer_null("error_code"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("messages_phone_created_at_idx")
                    .table("messages")
                    .col("phone")
                    .col("created_at")
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("messages").take()).await
    }
}
