//! Columns that separate an account from the next owner of its number, and from the numbers of app reviewers.

use crate::runner::prelude::*;
use crate::runner::schema::{big_integer, boolean, text_null, timestamp_with_time_zone_null};

pub struct Migration;

const FORMER_PHONE: &str = "accounts_former_phone_idx";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite adds one column per statement.
        for column in columns() {
            manager.alter_table(Table::alter().table("accounts").add_column(column).take()).await?;
        }
        let former = Index::create().name(FORMER_PHONE).table("accounts").col("former_phone").take();
        manager.create_index(former).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(FORMER_PHONE).table("accounts").to_owned()).await?;
        for column in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table("accounts").drop_column(name).take()).await?;
        }
        Ok(())
    }
}

/// `device_epoch` is increased to end all device tokens. `seen_at` is the last use that was known from sessions that have been
/// removed. `former_phone` is the number that an account lost to its next owner, at `unlinked_at`; any number of accounts can
/// have lost the same number.
fn columns() -> Vec<ColumnDef> {
    vec![
        big_integer("device_epoch").default(0).take(),
        timestamp_with_time_zone_null("seen_at"),
        boolean("is_review").default(false).take(),
        text_null("former_phone"),
        timestamp_with_time_zone_null("unlinked_at"),
    ]
}
