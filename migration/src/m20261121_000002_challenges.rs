//! Challenges: the codes that were sent and can be entered.

use crate::runner::prelude::*;
use crate::runner::schema::{
    big_integer, text, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(challenges()).await?;
        manager
            .create_index(
                Index::create()
                    .name("challenges_expires_at_idx")
                    .table("challenges")
                    .col("expires_at")
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("challenges").take()).await
    }
}

/// One row per phone, purpose and holder. The code is not stored: it is derived from `id`, 128 random bits, and the key that
/// `key_version` names. `holder` is the account or device that a challenge is bound to, empty for none (a primary key has no
/// nulls).
fn challenges() -> TableCreateStatement {
    Table::create()
        .table("challenges")
        .col(text("phone"))
        .col(text("purpose"))
        .col(text("holder"))
        .col(uuid("id"))
        .col(text("key_version"))
        .col(big_integer("attempts").default(0))
        .col(timestamp_with_time_zone("opened_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .col(timestamp_with_time_zone_null("sent_at"))
        .col(timestamp_with_time_zone_null("consumed_at"))
        .primary_key(Index::create().name("challenges_pkey").col("phone").col("purpose").col("holder"))
        .take()
}
