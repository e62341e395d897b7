//! Which version of the terms a user accepted, and when.

use crate::runner::prelude::*;
use crate::runner::schema::{text_null, timestamp_with_time_zone_null};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [text_null("terms_version"), timestamp_with_time_zone_null("terms_accepted_at")] {
            manager.alter_table(Table::alter().table("accounts").add_column(column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["terms_accepted_at", "terms_version"] {
            manager.alter_table(Table::alter().table("accounts").drop_column(column).take()).await?;
        }
        Ok(())
    }
}
