//! Indexes for the lists of the admin console: words of names, beginnings and ends of numbers, and the orders of the list of
//! people.

use crate::runner::prelude::*;
use crate::runner::schema::{text, uuid};
use sea_orm::DbBackend;

use crate::search_words::Searched;

pub struct Migration;

const ACCOUNTS: Searched = Searched {
    subject: "account",
    table: "accounts",
    names: &["name_key", "username_key", "first_name_key", "last_name_key"],
    email: Some("email_key"),
};

/// Columns with numbers that are searched by their beginning and, on PostgreSQL, by their end. SQLite reads the whole index for
/// an end: it is for small installations. The indexes are not partial, although most rows have no number in two of the columns:
/// PostgreSQL does not use the statistics of partial indexes, and then takes an end for a frequent one and reads the whole table.
const NUMBERS: [(&str, &str); 4] =
    [("accounts", "phone"), ("accounts", "claimed_phone"), ("accounts", "former_phone"), ("leads", "phone")];

/// The orders of the list of people, and what few rows have: a filter for it must not read all others.
const LISTS: [(&str, &str); 5] = [
    ("accounts_seen_idx", "(COALESCE(seen_at, created_at), id)"),
    ("accounts_name_idx", "(COALESCE(name_key, '\u{10ffff}') {C}, id)"),
    ("accounts_role_idx", "(role, created_at, id) WHERE role <> 'user'"),
    ("accounts_inactive_idx", "(created_at, id) WHERE NOT is_active"),
    ("accounts_phoneless_idx", "(created_at, id) WHERE phone IS NULL"),
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let db = manager.get_connection();
        manager.create_table(search_words()).await?;
        if backend == DbBackend::Postgres {
            // Ranges find beginnings only if texts are ordered by their bytes. SQLite has no other order.
            let collate = "ALTER TABLE search_words ALTER COLUMN word TYPE text COLLATE \"C\"";
            db.execute_unprepared(collate).await?;
        }
        for statement in ACCOUNTS.creating(backend) {
            db.execute_unprepared(&statement).await?;
        }
        // After the rows, so that it is built at once.
        let by_row = Index::create().name(WORDS_OF_ROW).table("search_words").take();
        manager.create_index(by_row.clone().col("subject_id").col("subject").col("word").take()).await?;
        for (table, column) in NUMBERS {
            for (name, key) in number_indexes(backend, table, column) {
                let index = format!("CREATE INDEX {name} ON {table} ({key})");
                db.execute_unprepared(&index).await?;
            }
        }
        let collation = if backend == DbBackend::Postgres { "COLLATE \"C\"" } else { "" };
        for (name, key) in LISTS {
            let key = key.replace("{C}", collation);
            db.execute_unprepared(&format!("CREATE INDEX {name} ON accounts {key}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let db = manager.get_connection();
        for (name, _) in LISTS {
            db.execute_unprepared(&format!("DROP INDEX {name}")).await?;
        }
        for (table, column) in NUMBERS {
            for (name, _) in number_indexes(backend, table, column) {
                db.execute_unprepared(&format!("DROP INDEX {name}")).await?;
            }
        }
        for statement in ACCOUNTS.dropping(backend) {
            db.execute_unprepared(&statement).await?;
        }
        manager.drop_table(Table::drop().table("search_words").take()).await
    }
}

const WORDS_OF_ROW: &str = "search_words_subject_id_idx";

/// The words of names. The primary key finds rows by a word, and the other index checks the words of a row that an order of the
/// list has found. There is no foreign key, because a row belongs to one of several tables; the triggers remove it.
fn search_words() -> TableCreateStatement {
    Table::create()
        .table("search_words")
        .col(text("subject"))
        .col(text("word"))
        .col(uuid("subject_id"))
        .primary_key(Index::create().name("search_words_pkey").col("subject").col("word").col("subject_id"))
        .take()
}

/// The indexes of a column with numbers: their names and keys.
fn number_indexes(backend: DbBackend, table: &str, column: &str) -> Vec<(String, String)> {
    if backend == DbBackend::Postgres {
        vec![
            (format!("{table}_{column}_start_idx"), format!("{column} COLLATE \"C\"")),
            (format!("{table}_{column}_end_idx"), format!("reverse({column}) COLLATE \"C\"")),
        ]
    } else {
        // The unique keys of `phone` are in this order already.
        match column {
            "phone" => Vec::new(),
            _ => vec![(format!("{table}_{column}_start_idx"), column.to_owned())],
        }
    }
}
