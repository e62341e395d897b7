//! Leads: every phone that requested a code. A lead outlives codes and messages, so it has its own counts.

use crate::runner::prelude::*;
use crate::runner::schema::{
    big_integer, text, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("leads")
                    .col(uuid("id").primary_key())
                    .col(text("phone"))
                    .col(text("source"))
                    .col(text("state"))
                    .col(big_integer("requests"))
                    .col(timestamp_with_time_zone("first_requested_at"))
                    .col(timestamp_with_time_zone("last_requested_at"))
                    .col(timestamp_with_time_zone_null("converted_at"))
                    .col(text("notes").default(""))
                    .index(Index::create().name("leads_phone_key").col("phone").unique())
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("leads_state_last_requested_at_idx")
                    .table("leads")
                    .col("state")
                    .col("last_requested_at")
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("leads").take()).await
    }
}
