//! Budgets: what is counted by phone, address, device, prefix and day.

use crate::runner::prelude::*;
use crate::runner::schema::{big_integer, text, timestamp_with_time_zone, timestamp_with_time_zone_null};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(budgets()).await?;
        let ends = Index::create().name("budgets_ends_at_idx").table("budgets").col("ends_at").take();
        manager.create_index(ends).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("budgets").take()).await
    }
}

/// One row per key. `log` holds an entry per charge, the newest first, 24 characters each. It is a text and not an array, so
/// that one statement on both databases can read the nth entry and add another. A key contains a phone only as an HMAC.
fn budgets() -> TableCreateStatement {
    Table::create()
        .table("budgets")
        .col(text("key").primary_key())
        .col(text("log").default(""))
        .col(big_integer("count").default(0))
        .col(big_integer("answered").default(0))
        .col(timestamp_with_time_zone_null("rested_at"))
        .col(timestamp_with_time_zone_null("closed_until"))
        .col(timestamp_with_time_zone_null("held_until"))
        .col(timestamp_with_time_zone("ends_at"))
        .take()
}
