//! A version for each table of which every server keeps a copy: a server reads the rows again only if the version is another one.
//!
//! Triggers count it, so the copies also follow a change by hand, and one of a server that does not know of versions. They lock the
//! version until the commit. A transaction that blocks a phone locks its account after that. One that deletes an account removes its
//! blocks that ended: if that counted, the two could deadlock. It does not, and no copy has those blocks.

use crate::runner::prelude::*;
use crate::runner::schema::{big_integer, text};
use sea_orm::DbBackend;

pub struct Migration;

const TABLES: [&str; 2] = ["blocks", "event_interests"];

const EVENTS: [&str; 3] = ["insert", "update", "delete"];

const FUNCTION: &str = "CREATE FUNCTION count_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                        UPDATE versions SET version = version + 1 WHERE name = TG_TABLE_NAME; RETURN NULL; END $$";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (backend, db) = (manager.get_database_backend(), manager.get_connection());
        manager.create_table(versions()).await?;
        if backend == DbBackend::Postgres {
            db.execute_unprepared(FUNCTION).await?;
        }
        for table in TABLES {
            db.execute_unprepared(&format!("INSERT INTO versions (name, version) VALUES ('{table}', 0)"))
                .await?;
            for event in EVENTS {
                db.execute_unprepared(&trigger(backend, table, event)).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (backend, db) = (manager.get_database_backend(), manager.get_connection());
        for table in TABLES {
            for event in EVENTS {
                let on = if backend == DbBackend::Postgres { format!(" ON {table}") } else { String::new() };
                db.execute_unprepared(&format!("DROP TRIGGER {table}_version_{event}{on}")).await?;
            }
        }
        if backend == DbBackend::Postgres {
            db.execute_unprepared("DROP FUNCTION count_version()").await?;
        }
        manager.drop_table(Table::drop().table("versions").take()).await
    }
}

fn versions() -> TableCreateStatement {
    Table::create().table("versions").col(text("name").primary_key()).col(big_integer("version")).take()
}

fn trigger(backend: DbBackend, table: &str, event: &str) -> String {
    let when = match (backend, table, event) {
        (DbBackend::Postgres, "blocks", "delete") => {
            "WHEN (OLD.ended_at IS NULL AND (OLD.ends_at IS NULL OR OLD.ends_at > now()))"
        }
        (_, "blocks", "delete") => "WHEN OLD.ended_at IS NULL",
        _ => "",
    };
    let action = match backend {
        DbBackend::Postgres => "EXECUTE FUNCTION count_version()".to_owned(),
        _ => format!("BEGIN UPDATE versions SET version = version + 1 WHERE name = '{table}'; END"),
    };
    format!("CREATE TRIGGER {table}_version_{event} AFTER {event} ON {table} FOR EACH ROW {when} {action}")
}
