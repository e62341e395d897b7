//! The second factor of staff, and which sessions were opened with one.

use crate::runner::prelude::*;
use crate::runner::schema::{big_integer, boolean, text, text_null, timestamp_with_time_zone_null, uuid};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(second_factors()).await?;
        manager.create_table(recovery_codes()).await?;
        // False for the sessions that exist: they were opened without one.
        let column = boolean("second_factor").default(false).take();
        manager.alter_table(Table::alter().table("sessions").add_column(column).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("sessions").drop_column("second_factor").take()).await?;
        manager.drop_table(Table::drop().table("recovery_codes").take()).await?;
        manager.drop_table(Table::drop().table("second_factors").take()).await
    }
}

/// One row per account that has a second factor or may set one up. `secret` is encrypted, and null before the enrolment.
/// `last_step` is the time step of the newest code that was accepted. `failures` counts wrong codes since the last right one
/// or the last closure, `day_failures` those since `day_began_at`. The link is the newest one, and only its hash is kept.
fn second_factors() -> TableCreateStatement {
    Table::create()
        .table("second_factors")
        .col(uuid("account_id").primary_key())
        .col(text_null("secret"))
        .col(timestamp_with_time_zone_null("enrolled_at"))
        .col(big_integer("last_step").default(0))
        .col(big_integer("failures").default(0))
        .col(timestamp_with_time_zone_null("closed_until"))
        .col(big_integer("day_failures").default(0))
        .col(timestamp_with_time_zone_null("day_began_at"))
        .col(timestamp_with_time_zone_null("locked_at"))
        .col(text_null("link_hash"))
        .col(timestamp_with_time_zone_null("link_expires_at"))
        .col(timestamp_with_time_zone_null("link_used_at"))
        .index(Index::create().name("second_factors_link_hash_key").col("link_hash").unique())
        .foreign_key(&mut of_account("second_factors", "second_factors_account_id_fkey"))
        .take()
}

/// A row is a code that was not used yet. Only a keyed hash of it is stored.
fn recovery_codes() -> TableCreateStatement {
    Table::create()
        .table("recovery_codes")
        .col(uuid("account_id"))
        .col(text("code_hash"))
        .primary_key(Index::create().name("recovery_codes_pkey").col("account_id").col("code_hash"))
        .foreign_key(&mut of_account("recovery_codes", "recovery_codes_account_id_fkey"))
        .take()
}

/// Rows go with their account.
fn of_account(table: &'static str, name: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table, "account_id")
        .to("accounts", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
