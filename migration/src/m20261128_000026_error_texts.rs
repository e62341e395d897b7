//! What a provider wrote about the failure of a message, beside its code. Staff read it; it has no digits.

use crate::runner::prelude::*;
use crate::runner::schema::text_null;

pub struct Migration;

const COLUMN: &str = "error_text";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("messages").add_column(text_null(COLUMN)).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("messages").drop_column(COLUMN).take()).await
    }
}
