//! Leads as the sales team works with them: notes with author and time, a name as told on the phone, the country of the number,
//! and who changed a lead last.
//!
//! `region` stays null here. The country of a number follows from the numbering plans, which this crate must not know, and a
//! calling code alone does not give it: +1 is 25 countries, +7 and +44 several. The server writes it for new leads, and its
//! housekeeping run fills in the others, in batches.
//!
//! `lead_notes` has no foreign key: a lead that moves to another phone is removed and inserted again with its id, and the notes
//! must outlast that. Whatever removes a lead removes its notes afterwards.

use crate::runner::prelude::*;
use crate::runner::schema::{
    big_integer, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
};

use crate::search_words::Searched;

pub struct Migration;

const LEADS: &str = "leads";
const NOTES: &str = "lead_notes";

/// An index of the first step, which the one on `state`, time and id replaces.
const BY_STATE_BEFORE: &str = "leads_state_last_requested_at_idx";

/// Names as they are searched: `name_key` is folded by the server.
const SEARCHED: Searched = Searched { subject: "lead", table: LEADS, names: &["name_key"], email: None };

/// For each filter and each order of the list. They end with the id, because a page begins after a time and an id.
const INDEXES: [(&str, &[&str]); 6] = [
    ("leads_last_requested_at_id_idx", &["last_requested_at", "id"]),
    ("leads_first_requested_at_id_idx", &["first_requested_at", "id"]),
    ("leads_state_last_requested_at_id_idx", &["state", "last_requested_at", "id"]),
    ("leads_state_first_requested_at_id_idx", &["state", "first_requested_at", "id"]),
    ("leads_region_last_requested_at_id_idx", &["region", "last_requested_at", "id"]),
    ("leads_source_last_requested_at_id_idx", &["source", "last_requested_at", "id"]),
];

/// Indexes of a part of the table: leads that are not verified, and leads whose country is not known yet.
const PARTIAL: [(&str, &str); 2] = [
    (
        "leads_unverified_last_requested_at_id_idx",
        "ON leads (last_requested_at, id) WHERE converted_at IS NULL",
    ),
    ("leads_without_region_idx", "ON leads (id) WHERE region IS NULL"),
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in columns() {
            manager.alter_table(Table::alter().table(LEADS).add_column(column).take()).await?;
        }
        manager.create_table(notes()).await?;
        let mut by_lead = Index::create().name("lead_notes_lead_id_at_id_idx").table(NOTES).take();
        manager.create_index(by_lead.col("lead_id").col("at").col("id").take()).await?;
        move_notes(manager.get_connection()).await?;
        for statement in SEARCHED.creating(manager.get_database_backend()) {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        for (name, columns) in INDEXES {
            let mut index = Index::create().name(name).table(LEADS).take();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        for (name, of) in PARTIAL {
            manager.get_connection().execute_unprepared(&format!("CREATE INDEX {name} {of}")).await?;
        }
        manager.drop_index(Index::drop().name(BY_STATE_BEFORE).table(LEADS).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_state =
            Index::create().name(BY_STATE_BEFORE).table(LEADS).col("state").col("last_requested_at").take();
        manager.create_index(by_state).await?;
        for (name, _) in PARTIAL {
            manager.drop_index(Index::drop().name(name).table(LEADS).to_owned()).await?;
        }
        for (name, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table(LEADS).to_owned()).await?;
        }
        for statement in SEARCHED.dropping(manager.get_database_backend()) {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        return_notes(manager.get_connection()).await?;
        manager.drop_table(Table::drop().table(NOTES).take()).await?;
        for name in ["version", "changed_by", "changed_at", "name_key", "name", "region"] {
            manager.alter_table(Table::alter().table(LEADS).drop_column(name).take()).await?;
        }
        Ok(())
    }
}

/// The version before inserts leads without these columns while both serve.
fn columns() -> [ColumnDef; 6] {
    [
        text_null("region").take(),
        text_null("name").take(),
        text_null("name_key").take(),
        timestamp_with_time_zone_null("changed_at").take(),
        uuid_null("changed_by").take(),
        big_integer("version").default(0).take(),
    ]
}

fn notes() -> TableCreateStatement {
    Table::create()
        .table(NOTES)
        .col(uuid("id").primary_key())
        .col(uuid("lead_id"))
        .col(uuid_null("author_id"))
        .col(text("author_name"))
        .col(text("text"))
        .col(timestamp_with_time_zone("at"))
        .take()
}

/// The text of the old column becomes the first note. Its author and time are not known: it has no author, and the time of the
/// first request. A lead has one such note, so the note has the id of the lead. The column stays, empty, until a later step.
async fn move_notes(db: &Connection<'_>) -> Result<(), DbErr> {
    db.execute_unprepared(
        "INSERT INTO lead_notes (id, lead_id, author_id, author_name, text, at) \
         SELECT id, id, NULL, '', notes, first_requested_at FROM leads WHERE notes <> ''",
    )
    .await?;
    db.execute_unprepared("UPDATE leads SET notes = '' WHERE notes <> ''").await?;
    Ok(())
}

/// Joins the notes of each lead, a line each.
async fn return_notes(db: &Connection<'_>) -> Result<(), DbErr> {
    let joined = match db.get_database_backend() {
        sea_orm::DbBackend::Postgres => "string_agg(text, E'\\n' ORDER BY at, id)",
        _ => "group_concat(text, char(10) ORDER BY at, id)",
    };
    let statement = format!(
        "UPDATE leads SET notes = (SELECT {joined} FROM lead_notes WHERE lead_id = leads.id) \
         WHERE id IN (SELECT lead_id FROM lead_notes)"
    );
    db.execute_unprepared(&statement).await?;
    Ok(())
}
