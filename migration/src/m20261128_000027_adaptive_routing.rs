//! The samples of adaptive routing, and which providers go behind the others.
//!
//! `messages.route` is the list of `SMS_PROVIDERS` by which a message was sent, and only where the message is a sample
//! (`domain::conversion`). All other messages are not in the index.

use crate::runner::prelude::*;
use crate::runner::schema::{text, text_null, timestamp_with_time_zone};

pub struct Migration;

const INDEX: &str = "CREATE INDEX messages_route_provider_created_at_idx \
                     ON messages (route, provider, created_at) WHERE route IS NOT NULL";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("messages").add_column(text_null("route")).take()).await?;
        manager.get_connection().execute_unprepared(INDEX).await?;
        manager.create_table(provider_orders()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("provider_orders").take()).await?;
        manager.drop_index(Index::drop().name("messages_route_provider_created_at_idx").table("messages").to_owned()).await?;
        manager.alter_table(Table::alter().table("messages").drop_column("route").take()).await
    }
}

/// A row for each list of `SMS_PROVIDERS`: its providers that go behind the others, separated by commas.
fn provider_orders() -> TableCreateStatement {
    Table::create()
        .table("provider_orders")
        .col(text("route").primary_key())
        .col(text("behind"))
        .col(timestamp_with_time_zone("changed_at"))
        .take()
}
