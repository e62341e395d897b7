//! The language that the client of a session asked for when it signed in, for the claim `locale`. A session from before has none.

use crate::runner::prelude::*;
use crate::runner::schema::text_null;

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("sessions").add_column(text_null("locale")).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("sessions").drop_column("locale").take()).await
    }
}
