//! The queue: its order, its limit, and what it does when the database does not answer or refuses an entry.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use secrecy::SecretString;

use super::*;
use crate::{domain::audit::Filter, store::DatabaseSettings};

async fn audit(most_waiting: usize) -> Audit {
    let settings = DatabaseSettings {
        url: "sqlite::memory:".into(),
        max_connections: 1,
        acquire_timeout: Duration::from_secs(3),
        pooler: None,
    };
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    let pseudonyms = Pseudonyms::derive(&SecretString::from("a key"), &[]);
    let mut audit = Audit::new(store, Random::seeded(7), Arc::new(pseudonyms), Metrics::default());
    audit.most_waiting = most_waiting;
    audit
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000 + second, 0).unwrap()
}

fn event(left: i64) -> Event {
    Event::by_stranger(Action::WrongCode).with("left", left)
}

/// Everything that was written, oldest first: the `left` of a wrong code, or minus the number of lost entries.
async fn written(audit: &Audit) -> Vec<i64> {
    let all = store::audit::list_after(&audit.store, &Filter::default(), None, 100_000).await.unwrap();
    let number = |entry: &Entry| match entry.action.as_ref() {
        "audit_lost" => -entry.detail.get("entries").unwrap().as_i64().unwrap(),
        _ => entry.detail.get("left").unwrap().as_i64().unwrap(),
    };
    all.iter().map(number).collect()
}

#[tokio::test]
async fn entries_of_one_moment_keep_their_order_over_many_batches() {
    let audit = audit(MOST_WAITING).await;
    // More than a batch, and more ids than one millisecond can count.
    let all: Vec<i64> = (0..5_000).collect();
    for left in &all {
        audit.note(event(*left), at(0));
    }
    assert_eq!(audit.waiting(), 5_000);
    audit.flush().await.unwrap();
    assert_eq!(written(&audit).await, all);
    assert_eq!((audit.waiting(), audit.lost()), (0, 0));
    audit.flush().await.unwrap();
    assert_eq!(written(&audit).await.len(), 5_000, "nothing is written twice");
}

#[tokio::test]
async fn what_finds_no_place_is_counted_and_owned_up_to() {
    let audit = audit(3).await;
    for left in 0..5 {
        audit.note(event(left), at(left));
    }
    assert_eq!((audit.waiting(), audit.lost()), (3, 2));
    audit.flush().await.unwrap();
    assert_eq!(written(&audit).await, [0, 1, 2, -2]);
    audit.note(event(6), at(6));
    audit.flush().await.unwrap();
    assert_eq!(written(&audit).await, [0, 1, 2, -2, 6]);
    assert_eq!(audit.lost(), 2);
    let text = audit.metrics.text();
    assert!(
        text.lines().any(|line| line.contains("audit") && line.contains("lost") && line.ends_with(" 2")),
        "{text}"
    );
}

#[tokio::test]
async fn a_batch_that_was_written_and_not_answered_is_not_there_twice() {
    let audit = audit(MOST_WAITING).await;
    let pseudonyms = Pseudonyms::derive(&SecretString::from("a key"), &[]);
    let entries: Vec<Entry> =
        (0..3).map(|left| event(left).entry(Random::seeded(9).id(at(left)), &pseudonyms, at(left))).collect();
    for _ in 0..2 {
        store::audit::insert_many(&audit.store, &entries).await.unwrap();
    }
    assert_eq!(written(&audit).await, [0, 1, 2]);
}

#[tokio::test]
async fn an_entry_that_is_refused_stops_no_other() {
    let audit = audit(MOST_WAITING).await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON audit WHEN NEW.detail LIKE '%:2}' BEGIN SELECT RAISE(ABORT, 'no'); END";
    audit.store.execute_unprepared(refuse).await.unwrap();
    for left in 0..5 {
        audit.note(event(left), at(left));
    }
    audit.flush().await.unwrap();
    assert_eq!(written(&audit).await, [0, 1, 3, 4]);
    assert_eq!((audit.waiting(), audit.lost()), (0, 1));
}

#[tokio::test]
async fn whoever_gives_up_waiting_loses_nothing() {
    let audit = audit(MOST_WAITING).await;
    for left in 0..500 {
        audit.note(event(left), at(left));
    }
    // Cancelled at its first await, many times.
    for _ in 0..20 {
        let _ = timeout(Duration::ZERO, audit.flush()).await;
    }
    audit.flush().await.unwrap();
    assert_eq!(written(&audit).await, (0..500).collect::<Vec<_>>());
}

#[test]
fn an_id_is_larger_than_the_one_before_even_when_the_clock_is_put_back() {
    let random = Random::seeded(1);
    let mut last = LastId::default();
    let mut before = Uuid::nil();
    for second in [5, 5, 3, 6].into_iter().flat_map(|second| std::iter::repeat_n(second, 5_000)) {
        let id = last.next(&random, at(second));
        assert!(id > before, "{id} after {before}");
        assert_eq!(id.get_version_num(), 7);
        before = id;
    }
}
