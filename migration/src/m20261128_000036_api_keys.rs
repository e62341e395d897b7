//! The API keys of other services. Of a key only a hash is kept.

use crate::runner::prelude::*;
use crate::runner::schema::{
    big_integer, text, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
};

pub struct Migration;

/// Staff tell services apart by the name, so two live keys have different ones. The name of an ended key can be used again.
const LIVE: &str = "CREATE UNIQUE INDEX api_keys_live_name_key ON api_keys (name_key) WHERE ended_at IS NULL";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("api_keys")
            .col(uuid("id").primary_key())
            .col(text("name"))
            .col(text("name_key"))
            .col(text("hash"))
            .col(text("scopes"))
            .col(big_integer("sends_per_hour"))
            .col(big_integer("wrong_codes_per_hour"))
            .col(big_integer("sends_per_day"))
            .col(text("countries"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone_null("last_used_at"))
            .col(timestamp_with_time_zone_null("ended_at"))
            .take();
        manager.create_table(table).await?;
        let by_hash = Index::create().name("api_keys_hash_key").table("api_keys").col("hash").unique().take();
        manager.create_index(by_hash).await?;
        manager.get_connection().execute_unprepared(LIVE).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("api_keys").take()).await
    }
}
