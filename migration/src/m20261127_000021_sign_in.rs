//! A function with which PostgreSQL signs a user in by one statement.
//!
//! All parts of a statement see the database as it was when the statement began. The queries of a volatile function see what
//! was committed by the time they run: called after the account was locked, it sees the sessions and blocks of every request
//! that held the account before. SQLite has one writer at a time, and no use for it.

use crate::runner::prelude::*;
use sea_orm::DbBackend;

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_postgres(manager, CREATE).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_postgres(manager, "DROP FUNCTION may_open_session").await
    }
}

async fn on_postgres(manager: &SchemaManager<'_>, statement: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Postgres {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

/// Whether an account has fewer than `most` live sessions, and its phone is not blocked.
const CREATE: &str = "CREATE FUNCTION may_open_session(account uuid, owned_phone text, most bigint, moment timestamptz) \
     RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN \
     RETURN (SELECT count(*) FROM sessions WHERE account_id = account AND ended_at IS NULL AND expires_at > moment) < most \
     AND NOT EXISTS (SELECT 1 FROM blocks WHERE kind = 'phone' AND value = owned_phone AND ended_at IS NULL \
     AND (ends_at IS NULL OR ends_at > moment)); \
     END $$";
