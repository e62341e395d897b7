//! Tests of the schema: the entities read what the migrations create, and migrating again changes nothing.

use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait, Iterable, Schema, Statement,
};

use super::{
    DatabaseSettings, Store,
    entities::{
        account, api_key, audit, block, budget, challenge, counted_day, delivery_day, event_interest,
        imported_row, interest_count, invitation, lead, lead_note, merged_account, message, outbox,
        provider_order, recovery_code, search_word, second_factor, session, used_token, verification,
        version,
    },
    error::{Fate, fate_of, is_outage_code},
};

/// A database in memory: it exists as long as its only connection.
async fn empty() -> DatabaseConnection {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

async fn migrated() -> DatabaseConnection {
    let db = empty().await;
    Migrator::up(&db, None).await.unwrap();
    db
}

/// The statements that created everything in this database.
async fn schema_of(db: &DatabaseConnection) -> Vec<String> {
    let sql = "SELECT COALESCE(sql, name) FROM sqlite_master ORDER BY 1";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// The columns of a table: name, and whether it can be null. Columns of a primary key cannot.
async fn columns_of(db: &DatabaseConnection, table: &str) -> Vec<(String, bool)> {
    let sql =
        format!("SELECT name, \"notnull\" = 0 AND pk = 0 FROM pragma_table_info('{table}') ORDER BY name");
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    let column =
        |row: &sea_orm::QueryResult| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
    rows.iter().map(column).collect()
}

/// Selects every column of an entity, and compares its table with the one that the entity would create.
async fn check<E: EntityTrait>(entity: E) {
    let db = migrated().await;
    assert!(E::Column::iter().count() > 0);
    E::find().all(&db).await.unwrap_or_else(|error| panic!("{}: {error}", entity.table_name()));
    let by_entity = empty().await;
    let schema = Schema::new(by_entity.get_database_backend());
    by_entity.execute(&schema.create_table_from_entity(entity)).await.unwrap();
    let table = entity.table_name();
    assert_eq!(columns_of(&db, table).await, columns_of(&by_entity, table).await, "{table}");
}

#[tokio::test]
async fn every_entity_reads_what_the_migrations_made() {
    check(account::Entity).await;
    check(api_key::Entity).await;
    check(audit::Entity).await;
    check(block::Entity).await;
    check(budget::Entity).await;
    check(challenge::Entity).await;
    check(counted_day::Entity).await;
    check(delivery_day::Entity).await;
    check(event_interest::Entity).await;
    check(imported_row::Entity).await;
    check(interest_count::Entity).await;
    check(invitation::Entity).await;
    check(lead::Entity).await;
    check(lead_note::Entity).await;
    check(merged_account::Entity).await;
    check(message::Entity).await;
    check(outbox::Entity).await;
    check(provider_order::Entity).await;
    check(search_word::Entity).await;
    check(recovery_code::Entity).await;
    check(second_factor::Entity).await;
    check(session::Entity).await;
    check(used_token::Entity).await;
    check(verification::Entity).await;
    check(version::Entity).await;
}

#[tokio::test]
async fn the_ten_interests_are_there_and_active() {
    let rows = event_interest::Entity::find().all(&migrated().await).await.unwrap();
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|row| row.is_active && !row.description.is_empty()));
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), (1..=10).collect::<Vec<i64>>());
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let db = migrated().await;
    let before = schema_of(&db).await;
    Migrator::up(&db, None).await.unwrap();
    assert_eq!(schema_of(&db).await, before);
    assert_eq!(event_interest::Entity::find().all(&db).await.unwrap().len(), 10);
}

#[tokio::test]
async fn every_step_goes_back_and_forth() {
    let db = migrated().await;
    let whole = schema_of(&db).await;
    Migrator::down(&db, None).await.unwrap();
    let left = schema_of(&db).await.join("\n");
    for table in [
        "accounts",
        "audit",
        "sessions",
        "challenges",
        "leads",
        "messages",
        "event_interests",
        "search_words",
    ] {
        assert!(!left.contains(&format!("\"{table}\"")), "{table} in {left}");
    }
    // One step at a time, as an operator would.
    for _ in Migrator::migrations() {
        Migrator::up(&db, Some(1)).await.unwrap();
        Migrator::down(&db, Some(1)).await.unwrap();
        Migrator::up(&db, Some(1)).await.unwrap();
    }
    assert_eq!(schema_of(&db).await, whole);
}

#[tokio::test]
async fn a_store_in_memory_is_one_database_and_shows_no_address() {
    let settings = DatabaseSettings {
        url: "sqlite::memory:".into(),
        max_connections: 4,
        acquire_timeout: Duration::from_secs(3),
        pooler: None,
    };
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
    // Each connection would be a database of its own, so there is only one.
    let asked = futures_util::future::join_all((0..8).map(|_| super::interests::list(&store))).await;
    assert!(asked.into_iter().all(|list| list.unwrap().len() == 10));
    assert!(!format!("{store:?} {settings:?}").contains("memory"));
}

#[test]
fn a_code_of_postgresql_says_what_became_of_a_statement() {
    for (code, fate, is_outage, why) in [
        ("40001", Fate::Undone, true, "a serialization failure is rolled back"),
        ("40P01", Fate::Undone, true, "so is the victim of a deadlock"),
        ("40003", Fate::Answered, true, "its completion is unknown"),
        ("25006", Fate::NeverRan, true, "a standby writes nothing"),
        ("57P01", Fate::NeverRan, true, "an administrator's end rolls back"),
        ("57P03", Fate::NeverRan, true, "no connection was made"),
        ("57P02", Fate::Unknown, true, "a crash may come after the commit"),
        ("08006", Fate::Unknown, true, "a connection may be lost after it"),
        ("08P01", Fate::Unknown, true, "PgBouncer lost its own connection"),
        ("55P03", Fate::Answered, true, "lock_timeout: once is enough"),
        ("57014", Fate::Answered, true, "statement_timeout: once is enough"),
        ("53300", Fate::Answered, true, "too many connections"),
        ("23505", Fate::Answered, false, "a unique key is there"),
        ("42P01", Fate::Answered, false, "there is no such table"),
    ] {
        assert_eq!((fate_of(code), is_outage_code(code)), (fate, is_outage), "{code}: {why}");
    }
}
