//! Invitations, of which only a hash is kept; the one that an account was made with, and the one that a pending code was requested
//! with.

use crate::runner::prelude::*;
use crate::runner::schema::{
    big_integer, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
};

pub struct Migration;

/// Most accounts of most operators were made without one: these are not in the index.
const MADE: &str = "CREATE INDEX accounts_invitation_id_idx ON accounts (invitation_id) WHERE invitation_id IS NOT NULL";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // No foreign keys: an invitation outlives the account of its maker, and an account the invitation.
        manager
            .create_table(
                Table::create()
                    .table("invitations")
                    .col(uuid("id").primary_key())
                    .col(text("hash"))
                    .col(text_null("phone"))
                    .col(big_integer("uses"))
                    .col(big_integer("uses_left"))
                    .col(uuid_null("made_by"))
                    .col(timestamp_with_time_zone("made_at"))
                    .col(timestamp_with_time_zone_null("expires_at"))
                    .col(timestamp_with_time_zone_null("ended_at"))
                    .col(uuid_null("ended_by"))
                    .col(timestamp_with_time_zone_null("last_used_at"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("invitations_hash_key").table("invitations").col("hash").unique().take(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("invitations_phone_idx").table("invitations").col("phone").take(),
            )
            .await?;
        for table in ["accounts", "challenges"] {
            let column = Table::alter().table(table).add_column(uuid_null("invitation_id")).take();
            manager.alter_table(column).await?;
        }
        manager.get_connection().execute_unprepared(MADE).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name("accounts_invitation_id_idx").table("accounts").to_owned();
        manager.drop_index(index).await?;
        for table in ["challenges", "accounts"] {
            manager.alter_table(Table::alter().table(table).drop_column("invitation_id").take()).await?;
        }
        manager.drop_table(Table::drop().table("invitations").take()).await
    }
}
