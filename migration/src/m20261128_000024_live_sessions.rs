//! Counts the live sessions of an account by the account alone. Nothing on SQLite, which has no such function.
//!
//! As conditions, the ends of the sessions invited PostgreSQL to use an index on an end, which has the live sessions of all accounts.
//! With statistics that do not know them yet, a sign-in read all of them.

use crate::runner::prelude::*;
use sea_orm::DbBackend;

pub struct Migration;

const BY_THE_ACCOUNT: &str = "SELECT count(*) FILTER (WHERE ended_at IS NULL AND expires_at > moment) \
                              FROM sessions WHERE account_id = account";
const BEFORE: &str = "SELECT count(*) FROM sessions \
                      WHERE account_id = account AND ended_at IS NULL AND expires_at > moment";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, BY_THE_ACCOUNT).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, BEFORE).await
    }
}

/// Whether an account has fewer than `most` live sessions, which `count` counts, and its phone is not blocked.
async fn replace(manager: &SchemaManager<'_>, count: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Postgres {
        let function = format!(
            "CREATE OR REPLACE FUNCTION \
             may_open_session(account uuid, owned_phone text, most bigint, moment timestamptz) \
             RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN ({count}) < most \
             AND NOT EXISTS (SELECT 1 FROM blocks WHERE kind = 'phone' AND value = owned_phone AND ended_at IS NULL \
             AND (ends_at IS NULL OR ends_at > moment)); END $$"
        );
        manager.get_connection().execute_unprepared(&function).await?;
    }
    Ok(())
}
