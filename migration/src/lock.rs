//! One server at a time migrates PostgreSQL: the others wait for a row.
//!
//! The table of that row is none of the steps, because it has to be there before the first one runs. There is no advisory lock, because
//! not every database that speaks PostgreSQL's protocol has those.

use std::borrow::Cow;

use sea_orm::{ConnectionTrait, DbErr, RuntimeErr};

/// How often the table is made at most. Of several servers that make it at once, PostgreSQL refuses all but one, and tells them so when
/// that one is done: the second try finds it. A third is for a server that failed in between.
const TRIES: usize = 3;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migration_lock (id bigint PRIMARY KEY)";
const ROW: &str = "INSERT INTO migration_lock (id) VALUES (1) ON CONFLICT (id) DO NOTHING";
const LOCK: &str = "SELECT id FROM migration_lock WHERE id = 1 FOR UPDATE";

/// Makes the row, outside of the transaction that locks it.
///
/// # Errors
/// When the database does not answer, or the role must not make tables.
pub async fn make<C: ConnectionTrait>(db: &C) -> Result<(), DbErr> {
    let mut tries_left = TRIES;
    loop {
        tries_left -= 1;
        match db.execute_unprepared(TABLE).await {
            Err(error) if tries_left > 0 && is_made_by_another(&error) => {}
            made => {
                made?;
                break;
            }
        }
    }
    db.execute_unprepared(ROW).await.map(drop)
}

/// Waits until no other server holds the row, and holds it until the transaction ends.
///
/// # Errors
/// When the database does not answer.
pub async fn take<C: ConnectionTrait>(txn: &C) -> Result<(), DbErr> {
    txn.execute_unprepared(LOCK).await.map(drop)
}

/// Two servers that make one table at once: the second one finds a row in a catalogue that was not there when it looked.
fn is_made_by_another(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    // unique_violation, duplicate_table, duplicate_object
    let code = error.as_database_error().and_then(|error| error.code().map(Cow::into_owned));
    code.is_some_and(|code| ["23505", "42P07", "42710"].contains(&code.as_str()))
}
