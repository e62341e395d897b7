//! Finds the guests among all accounts: those who do not come back are deleted.

use crate::runner::prelude::*;

pub struct Migration;

/// By the id, which does not change, so that PostgreSQL need not write to the index when a guest is updated.
const INDEX: &str = "CREATE INDEX accounts_guests_idx ON accounts (id) WHERE role = 'guest'";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(INDEX).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("accounts_guests_idx").table("accounts").to_owned()).await
    }
}
