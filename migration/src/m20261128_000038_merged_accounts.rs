//! Accounts that were joined with another one of the same user: which one has their id now, and, for thirty days, what both had
//! before, so that an admin can undo it.

use crate::runner::prelude::*;
use crate::runner::schema::{text_null, timestamp_with_time_zone, uuid, uuid_null};

pub struct Migration;

/// Two accounts with an id in another system: the one that stays keeps its own, and the other's leads here.
const EXTERNAL_IDS: &str = "CREATE UNIQUE INDEX merged_accounts_external_id_key ON merged_accounts (external_id) \
                            WHERE external_id IS NOT NULL";

/// Almost all rows are older than thirty days, and hold nothing but ids.
const SNAPSHOTS: &str =
    "CREATE INDEX merged_accounts_merged_at_idx ON merged_accounts (merged_at) WHERE snapshot IS NOT NULL";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(merged_accounts()).await?;
        let by_account =
            Index::create().name("merged_accounts_into_id_idx").table("merged_accounts").col("into_id").take();
        manager.create_index(by_account).await?;
        for index in [EXTERNAL_IDS, SNAPSHOTS] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("merged_accounts").take()).await
    }
}

/// The rows of an account go with it.
fn merged_accounts() -> TableCreateStatement {
    Table::create()
        .table("merged_accounts")
        .col(uuid("id").primary_key())
        .col(uuid("into_id"))
        .col(text_null("external_id"))
        .col(timestamp_with_time_zone("merged_at"))
        .col(uuid_null("merged_by"))
        .col(text_null("snapshot"))
        .foreign_key(
            ForeignKey::create()
                .name("merged_accounts_into_id_fkey")
                .from("merged_accounts", "into_id")
                .to("accounts", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take()
}
