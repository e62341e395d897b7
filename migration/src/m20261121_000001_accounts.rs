//! Accounts and their sessions.

use crate::runner::prelude::*;
use crate::runner::schema::{
    boolean, date_null, json, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
    uuid_null,
};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(accounts()).await?;
        manager.create_table(sessions()).await?;
        manager
            .create_index(
                Index::create().name("sessions_account_id_idx").table("sessions").col("account_id").take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("sessions").take()).await?;
        manager.drop_table(Table::drop().table("accounts").take()).await
    }
}

/// One row holds the account and its profile. They are created together, so that no crash between two inserts leaves half of
/// them, and every request with a token reads both in one statement. Interests and pictures are short ordered lists that are
/// only replaced as a whole, so they are JSON in the row.
fn accounts() -> TableCreateStatement {
    Table::create()
        .table("accounts")
        .col(uuid("id").primary_key())
        .col(text_null("phone"))
        .col(text_null("username"))
        .col(text_null("email"))
        .col(text_null("first_name"))
        .col(text_null("last_name"))
        .col(boolean("is_active").default(true))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .col(uuid("profile_id"))
        .col(text_null("name"))
        .col(date_null("birth_date"))
        .col(text_null("gender"))
        .col(text_null("bio"))
        .col(text_null("location"))
        .col(json("event_interests"))
        .col(json("profile_pictures"))
        .index(Index::create().name("accounts_phone_key").col("phone").unique())
        .index(Index::create().name("accounts_profile_id_key").col("profile_id").unique())
        .take()
}

/// A session keeps the ids of the two refresh tokens that are still accepted: the newest, and the one that it replaced.
fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(text("role"))
        .col(uuid("refresh_jti"))
        .col(timestamp_with_time_zone("refresh_issued_at"))
        .col(uuid_null("parent_jti"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("last_used_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .col(timestamp_with_time_zone_null("ended_at"))
        .foreign_key(
            ForeignKey::create()
                .name("sessions_account_id_fkey")
                .from("sessions", "account_id")
                .to("accounts", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take()
}
