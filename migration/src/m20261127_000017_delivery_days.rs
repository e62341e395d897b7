//! What the pages about messages read: the country of a message and when its code was used, indexes for the filters of the
//! list, and the counts of each day.
//!
//! `messages.region` is written with the message. Rows of versions before have none at first: the country of a number is
//! looked up in the numbering plans, which no database has, so the housekeeping run fills it in.
//!
//! `messages.verified_at` is written by a trigger when the challenge of the message is used. The request that takes the code
//! needs no further round trip, a transaction that is rolled back leaves nothing, and the next request for a code, which
//! overwrites the challenge, loses nothing. On PostgreSQL the trigger runs at the commit: a transaction locks challenge,
//! account, message in this order, as those do that change a phone or delete an account.
//!
//! The counts are kept when messages are purged, so they are in tables of their own: `delivery_days` has a row for each day,
//! country, channel and provider, `counted_days` a row for each day.

use crate::runner::prelude::*;
use crate::runner::schema::{
    big_integer, boolean, date, json, text, text_null, timestamp_with_time_zone,
    timestamp_with_time_zone_null,
};
use sea_orm::DbBackend;

pub struct Migration;

/// Each in the order of the list, newest first. Most messages have no error, so that index leaves them out.
const INDEXES: [(&str, &str); 4] = [
    ("messages_status_created_at_id_idx", "(status, created_at, id)"),
    ("messages_channel_created_at_id_idx", "(channel, created_at, id)"),
    ("messages_region_created_at_id_idx", "(region, created_at, id)"),
    ("messages_error_code_created_at_id_idx", "(error_code, created_at, id) WHERE error_code IS NOT NULL"),
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in columns() {
            manager.alter_table(Table::alter().table("messages").add_column(column).take()).await?;
        }
        let db = manager.get_connection();
        for (name, what) in INDEXES {
            db.execute_unprepared(&format!("CREATE INDEX {name} ON messages {what}")).await?;
        }
        // The challenges of the last days are still there. Older messages count as not verified.
        db.execute_unprepared(
            "UPDATE messages SET verified_at = challenges.consumed_at FROM challenges \
             WHERE challenges.phone = messages.phone AND challenges.id = messages.challenge_id \
             AND challenges.consumed_at IS NOT NULL",
        )
        .await?;
        for statement in making(manager.get_database_backend()) {
            db.execute_unprepared(statement).await?;
        }
        manager.create_table(counted_days()).await?;
        manager.create_table(delivery_days()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["delivery_days", "counted_days"] {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        for statement in unmaking(manager.get_database_backend()) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        for (name, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table("messages").to_owned()).await?;
        }
        for column in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table("messages").drop_column(name).take()).await?;
        }
        Ok(())
    }
}

fn columns() -> Vec<ColumnDef> {
    vec![text_null("region"), timestamp_with_time_zone_null("verified_at")]
}

fn making(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Postgres {
        &[
            "CREATE FUNCTION messages_verified() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             UPDATE messages SET verified_at = NEW.consumed_at \
             WHERE phone = NEW.phone AND challenge_id = NEW.id AND verified_at IS NULL; \
             RETURN NULL; END $$",
            "CREATE CONSTRAINT TRIGGER messages_verified AFTER UPDATE OF consumed_at ON challenges \
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
             WHEN (OLD.consumed_at IS NULL AND NEW.consumed_at IS NOT NULL) \
             EXECUTE FUNCTION messages_verified()",
        ]
    } else {
        &["CREATE TRIGGER messages_verified AFTER UPDATE OF consumed_at ON challenges \
           WHEN OLD.consumed_at IS NULL AND NEW.consumed_at IS NOT NULL BEGIN \
           UPDATE messages SET verified_at = NEW.consumed_at \
           WHERE phone = NEW.phone AND challenge_id = NEW.id AND verified_at IS NULL; END"]
    }
}

fn unmaking(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Postgres {
        &["DROP TRIGGER messages_verified ON challenges", "DROP FUNCTION messages_verified()"]
    } else {
        &["DROP TRIGGER messages_verified"]
    }
}

/// A counted day. Its ends are stored, so that a change of the time zone is noticed. A closed day is not counted again,
/// because some of its messages were purged.
fn counted_days() -> TableCreateStatement {
    Table::create()
        .table("counted_days")
        .col(date("day").primary_key())
        .col(timestamp_with_time_zone("begins_at"))
        .col(timestamp_with_time_zone("ends_at"))
        .col(timestamp_with_time_zone("counted_at"))
        .col(boolean("is_closed"))
        .col(big_integer("asked"))
        .col(big_integer("delivered"))
        .col(big_integer("verified"))
        .col(big_integer("completed"))
        .col(big_integer("locks"))
        .col(json("refusals"))
        .take()
}

/// The messages of a day. Histograms are objects of upper bounds in milliseconds and counts; costs are in millionths.
fn delivery_days() -> TableCreateStatement {
    Table::create()
        .table("delivery_days")
        .col(date("day"))
        .col(text("region"))
        .col(text("channel"))
        .col(text("provider"))
        .col(big_integer("messages"))
        .col(big_integer("codes"))
        .col(big_integer("delivered"))
        .col(big_integer("verified"))
        .col(big_integer("lost"))
        .col(big_integer("priced"))
        .col(json("failures"))
        .col(json("delivered_in"))
        .col(json("verified_in"))
        .col(json("costs"))
        .primary_key(
            Index::create()
                .name("delivery_days_pkey")
                .col("day")
                .col("region")
                .col("channel")
                .col("provider"),
        )
        .take()
}
