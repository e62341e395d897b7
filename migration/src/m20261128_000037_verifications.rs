//! Verifications: checks of phones that other services asked for.
//!
//! A verification goes with its messages, by a trigger: when they are too old, and when their owner deletes the account. So it is no
//! longer kept than they are, and no statement is needed for it. A removal of messages has removed the codes of the same phone
//! before, so a check that is under way comes first.

use crate::runner::prelude::*;
use crate::runner::schema::{
    boolean, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
};
use sea_orm::DbBackend;

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // No foreign keys: a verification outlives the key of its service.
        let table = Table::create()
            .table("verifications")
            .col(uuid("id").primary_key())
            .col(uuid("api_key_id"))
            .col(text("phone"))
            .col(text_null("reference"))
            .col(text("channel"))
            .col(text("status"))
            .col(boolean("was_known"))
            .col(uuid("challenge_id"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("expires_at"))
            .col(timestamp_with_time_zone_null("ended_at"))
            .take();
        manager.create_table(table).await?;
        for (name, columns) in INDEXES {
            let mut index = Index::create().name(name).table("verifications").take();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        for statement in making(manager.get_database_backend()) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in unmaking(manager.get_database_backend()) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        manager.drop_table(Table::drop().table("verifications").take()).await
    }
}

/// For the pending one of a phone, and for those whose messages are removed.
const INDEXES: [(&str, &[&str]); 2] = [
    ("verifications_phone_created_at_idx", &["phone", "created_at"]),
    ("verifications_challenge_id_idx", &["challenge_id"]),
];

fn making(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Postgres {
        &[
            "CREATE FUNCTION messages_with_verification() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             DELETE FROM verifications WHERE challenge_id = OLD.challenge_id; \
             RETURN NULL; END $$",
            "CREATE TRIGGER messages_with_verification AFTER DELETE ON messages \
             FOR EACH ROW WHEN (OLD.challenge_id IS NOT NULL) \
             EXECUTE FUNCTION messages_with_verification()",
        ]
    } else {
        &["CREATE TRIGGER messages_with_verification AFTER DELETE ON messages \
           WHEN OLD.challenge_id IS NOT NULL BEGIN \
           DELETE FROM verifications WHERE challenge_id = OLD.challenge_id; END"]
    }
}

fn unmaking(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Postgres {
        &["DROP TRIGGER messages_with_verification ON messages", "DROP FUNCTION messages_with_verification()"]
    } else {
        &["DROP TRIGGER messages_with_verification"]
    }
}
