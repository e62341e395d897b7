//! Tokens of other systems that opened a session here. Only a hash is kept, and only until the token expires.

use crate::runner::prelude::*;
use crate::runner::schema::{text, timestamp_with_time_zone};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("used_tokens")
            .col(text("hash").primary_key())
            .col(timestamp_with_time_zone("expires_at"))
            .take();
        manager.create_table(table).await?;
        let ends =
            Index::create().name("used_tokens_expires_at_idx").table("used_tokens").col("expires_at").take();
        manager.create_index(ends).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("used_tokens").take()).await
    }
}
