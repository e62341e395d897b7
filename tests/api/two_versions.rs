//! Two versions serve one database while one replaces the other: what a step of the schema must not take away from the version before.
//!
//! This compares schemas. It does not run an earlier version: `tests/chaos/upgrade.py` does, by hand, with its program.

use std::collections::BTreeSet;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::{
    schema::connect,
    support::{Database, TestServer, postgres},
};

/// The last step before this rule.
const BEFORE: &str = "m20261128_000028_external_ids";

/// Steps that take something away, each with why the version before it does not use that any more.
const CONTRACTING: &[(&str, &str)] = &[];

/// What the version before may rely on, by PostgreSQL's own catalogue. The same steps run on SQLite.
#[derive(Debug, PartialEq, Eq)]
struct Schema {
    /// Table, column and type.
    columns: BTreeSet<(String, String, String)>,
    /// Tables and columns that an INSERT has to name.
    required: BTreeSet<(String, String)>,
    /// Tables and definitions of unique indexes and of checks and foreign keys, which can refuse a row.
    refusing: BTreeSet<(String, String)>,
    functions: BTreeSet<String>,
}

async fn rows<const N: usize>(db: &DatabaseConnection, sql: &str) -> Vec<[String; N]> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| std::array::from_fn(|place| row.try_get_by_index(place).unwrap())).collect()
}

async fn schema(db: &DatabaseConnection) -> Schema {
    let columns = "SELECT table_name::text, column_name::text, udt_name::text FROM information_schema.columns \
                   WHERE table_schema = 'public'";
    let required = "SELECT table_name::text, column_name::text FROM information_schema.columns \
                    WHERE table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'";
    let refusing = "SELECT tablename::text, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%' \
                    UNION ALL SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint \
                    WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f')";
    let functions = "SELECT proname || '(' || pg_get_function_identity_arguments(oid) || ')' FROM pg_proc \
                     WHERE pronamespace = 'public'::regnamespace";
    Schema {
        columns: rows(db, columns)
            .await
            .into_iter()
            .map(|[table, column, kind]| (table, column, kind))
            .collect(),
        required: rows(db, required).await.into_iter().map(|[table, column]| (table, column)).collect(),
        refusing: rows(db, refusing).await.into_iter().map(|[table, what]| (table, what)).collect(),
        functions: rows(db, functions).await.into_iter().map(|[name]| name).collect(),
    }
}

/// What the version before can no longer do.
fn taken_away(before: &Schema, after: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    let is_old = |table: &str| before.columns.iter().any(|(of, _, _)| of == table);
    for (table, column, kind) in before.columns.difference(&after.columns) {
        found.push(format!("{table}.{column} of type {kind} is gone"));
    }
    for (table, column) in after.required.difference(&before.required).filter(|(table, _)| is_old(table)) {
        found.push(format!("{table}.{column} has to be written"));
    }
    let new: Vec<_> = after.columns.difference(&before.columns).collect();
    for (table, what) in after.refusing.difference(&before.refusing).filter(|(table, _)| is_old(table)) {
        // A column that the version before does not write is empty, and refuses nothing.
        if !new.iter().any(|(of, column, _)| of == table && what.contains(&format!("({column}"))) {
            found.push(format!("rows of {table} are refused: {what}"));
        }
    }
    for function in before.functions.difference(&after.functions) {
        found.push(format!("the function {function} is gone"));
    }
    found
}

/// A connection to a database that has the first steps only.
async fn before_the_rule() -> Option<(TestServer, DatabaseConnection, usize)> {
    if !postgres::is_there() {
        return None;
    }
    let server = TestServer::on(Database::Postgres).await;
    let db = connect(&server).await;
    let steps = Migrator::migrations();
    let first = steps.iter().position(|step| step.name() == BEFORE).expect("the step is there") + 1;
    Migrator::down(&db, Some(u32::try_from(steps.len() - first).unwrap())).await.unwrap();
    Some((server, db, first))
}

#[tokio::test]
async fn no_step_takes_anything_from_the_version_before() {
    let Some((_server, db, first)) = before_the_rule().await else { return };
    let mut before = schema(&db).await;
    for step in Migrator::migrations().iter().skip(first) {
        Migrator::up(&db, Some(1)).await.unwrap();
        let after = schema(&db).await;
        let found = taken_away(&before, &after);
        let may = CONTRACTING.iter().any(|(name, _)| *name == step.name());
        assert!(may != found.is_empty(), "{}: {found:#?}", step.name());
        before = after;
    }
}

/// Shows that the rule finds what it is for.
#[tokio::test]
async fn a_step_that_takes_something_is_found() {
    let Some((_server, db, _)) = before_the_rule().await else { return };
    for (statement, is_found) in [
        ("ALTER TABLE leads DROP COLUMN notes", true),
        ("ALTER TABLE leads RENAME COLUMN name TO called", true),
        ("ALTER TABLE leads ALTER COLUMN requests TYPE text", true),
        ("ALTER TABLE leads ALTER COLUMN region SET NOT NULL", true),
        ("ALTER TABLE sessions ALTER COLUMN device DROP DEFAULT, ADD COLUMN place text NOT NULL", true),
        ("CREATE UNIQUE INDEX leads_name_unique ON leads (name)", true),
        ("ALTER TABLE messages ADD CONSTRAINT short CHECK (length(phone) < 9)", true),
        ("DROP FUNCTION may_open_session", true),
        ("DROP TABLE recovery_codes", true),
        ("ALTER TABLE leads ADD COLUMN place text", false),
        ("ALTER TABLE leads ADD COLUMN visits bigint NOT NULL DEFAULT 0", false),
        ("ALTER TABLE leads ADD COLUMN code text; CREATE UNIQUE INDEX leads_code_key ON leads (code)", false),
        ("CREATE TABLE places (id bigint PRIMARY KEY)", false),
        ("CREATE INDEX leads_requests_idx ON leads (requests)", false),
    ] {
        let before = schema(&db).await;
        db.execute_unprepared("BEGIN").await.unwrap();
        db.execute_unprepared(statement).await.unwrap();
        let found = taken_away(&before, &schema(&db).await);
        db.execute_unprepared("ROLLBACK").await.unwrap();
        assert_eq!(!found.is_empty(), is_found, "{statement}: {found:#?}");
        assert_eq!(schema(&db).await, before);
    }
}
