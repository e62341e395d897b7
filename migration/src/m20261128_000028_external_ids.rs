//! The id that an account had in the system that it was moved from, where that id is no UUID.

use crate::runner::prelude::*;
use crate::runner::schema::text_null;

pub struct Migration;

/// Almost no account of most operators has one: the others are not in the index.
const INDEX: &str = "CREATE UNIQUE INDEX accounts_external_id_key ON accounts (external_id) WHERE external_id IS NOT NULL";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("accounts").add_column(text_null("external_id")).take()).await?;
        manager.get_connection().execute_unprepared(INDEX).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name("accounts_external_id_key").table("accounts").to_owned();
        manager.drop_index(index).await?;
        manager.alter_table(Table::alter().table("accounts").drop_column("external_id").take()).await
    }
}
