use chrono::TimeZone;
use sea_orm::ConnectionTrait;

use super::*;
use crate::store::DatabaseSettings;

const AGE: Duration = Duration::seconds(5);

fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap()
}

async fn database() -> Store {
    let settings = DatabaseSettings {
        url: "sqlite::memory:".into(),
        max_connections: 1,
        acquire_timeout: std::time::Duration::from_secs(3),
        pooler: None,
    };
    let db = Store::connect(&settings).await.unwrap();
    db.migrate().await.unwrap();
    db
}

/// Counts a change, as the triggers do.
async fn change(db: &Store) {
    db.execute_unprepared("UPDATE versions SET version = version + 1 WHERE name = 'blocks'").await.unwrap();
}

async fn value(cached: &Cached<u8>, db: &Store, seconds: i64, read: u8) -> u8 {
    *cached.get(db, AGE, start() + Duration::seconds(seconds), async || Ok(read)).await.unwrap()
}

#[tokio::test]
async fn a_copy_is_used_until_it_has_another_version() {
    let (cached, db) = (Cached::new(Copied::Blocks), database().await);
    assert_eq!(value(&cached, &db, 0, 1).await, 1);
    assert_eq!(value(&cached, &db, 50, 2).await, 1, "compared, and unchanged");
    change(&db).await;
    assert_eq!(value(&cached, &db, 54, 3).await, 1, "not compared yet");
    assert_eq!(value(&cached, &db, 55, 4).await, 4);
    assert_eq!(value(&cached, &db, 60, 5).await, 4);
    cached.forget();
    assert_eq!(value(&cached, &db, 60, 6).await, 6);
    assert_eq!(value(&cached, &db, 54, 7).await, 7, "the rows of the future are not used");
}

#[tokio::test]
async fn without_a_version_the_rows_are_read_each_time() {
    let (cached, db) = (Cached::new(Copied::Blocks), database().await);
    db.execute_unprepared("DELETE FROM versions").await.unwrap();
    assert_eq!(value(&cached, &db, 0, 1).await, 1);
    assert_eq!(value(&cached, &db, 4, 2).await, 1);
    assert_eq!(value(&cached, &db, 5, 3).await, 3);
}

#[tokio::test]
async fn a_reading_that_began_before_a_change_is_not_kept() {
    let (cached, db) = (Cached::new(Copied::Blocks), database().await);
    let read = cached.get(&db, AGE, start(), async || {
        cached.forget();
        Ok(1)
    });
    assert_eq!(*read.await.unwrap(), 1);
    assert_eq!(value(&cached, &db, 0, 2).await, 2);
}

#[tokio::test]
async fn a_change_while_the_rows_are_read_shows_the_next_time() {
    let (cached, db) = (Cached::new(Copied::Blocks), database().await);
    let read = cached.get(&db, AGE, start(), async || {
        change(&db).await;
        Ok(1)
    });
    assert_eq!(*read.await.unwrap(), 1);
    assert_eq!(value(&cached, &db, 5, 2).await, 2);
}
