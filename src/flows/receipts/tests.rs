//! The queue: its limit, its batches, and what it does when the database does not answer or refuses a receipt.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::*;
use crate::{
    domain::{
        delivery::{Channel, DeliveryStatus},
        phone::PhoneNumber,
    },
    store::{DatabaseSettings, messages::NewMessage},
};

async fn receipts(most_waiting: usize) -> Receipts {
    let settings = DatabaseSettings {
        url: "sqlite::memory:".into(),
        max_connections: 1,
        acquire_timeout: Duration::from_secs(3),
        pooler: None,
    };
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    let mut receipts = Receipts::new(store, Metrics::default());
    receipts.most_waiting = most_waiting;
    receipts
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000 + second, 0).unwrap()
}

/// Inserts the rows of messages with these numbers as their ids.
async fn insert(receipts: &Receipts, numbers: std::ops::Range<u128>) {
    let phone = PhoneNumber::from_e164("+919876543210").unwrap();
    for number in numbers {
        let id = Uuid::from_u128(number);
        let message = NewMessage {
            id,
            delivery_id: id,
            attempt: 1,
            challenge_id: None,
            account_id: None,
            phone: &phone,
            channel: Channel::Sms,
            language: "en",
            platform: None,
            template: "code",
            provider: "twilio",
            route: None,
        };
        assert!(store::messages::insert(&receipts.store, &message, at(0)).await.unwrap());
    }
}

fn queued(number: u128, status: DeliveryStatus) -> Queued {
    let id = Uuid::from_u128(number);
    let provider_id = Some(format!("SM{number:032x}"));
    let receipt = Receipt { message_id: id, status, provider_id, segments: Some(1), price: None, at: at(1) };
    Queued { delivery_id: id, receipt }
}

/// How many messages have this status.
async fn count(receipts: &Receipts, status: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM messages WHERE status = '{status}'");
    let row = receipts.store.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_full_queue_is_not_made_longer_and_the_receipt_is_written_now() {
    let receipts = receipts(2).await;
    insert(&receipts, 0..3).await;
    for number in 0..3 {
        receipts.record(queued(number, DeliveryStatus::Queued)).await.unwrap();
    }
    assert_eq!((receipts.waiting(), count(&receipts, "queued").await), (2, 1));
    receipts.flush().await.unwrap();
    assert_eq!((receipts.waiting(), count(&receipts, "queued").await), (0, 3));
}

#[tokio::test]
async fn two_receipts_of_one_message_are_written_in_order() {
    let receipts = receipts(MOST_WAITING).await;
    let many = u128::try_from(BATCH).unwrap() + 3;
    insert(&receipts, 0..many).await;
    for status in [DeliveryStatus::Queued, DeliveryStatus::Delivered, DeliveryStatus::Sent] {
        for number in 0..many {
            receipts.record(queued(number, status)).await.unwrap();
        }
    }
    assert_eq!(receipts.batch().len(), BATCH);
    receipts.flush().await.unwrap();
    assert_eq!(count(&receipts, "delivered").await, i64::try_from(many).unwrap());
    let sql = "SELECT COUNT(*) FROM messages WHERE queued_at IS NOT NULL AND sent_at IS NOT NULL \
               AND delivered_at IS NOT NULL AND segments = 1 AND updated_at = delivered_at";
    let row = receipts.store.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    assert_eq!(row.unwrap().try_get_by_index::<i64>(0).unwrap(), i64::try_from(many).unwrap());
}

#[tokio::test]
async fn a_receipt_that_is_refused_stops_no_other() {
    let receipts = receipts(MOST_WAITING).await;
    insert(&receipts, 0..5).await;
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON messages WHEN NEW.provider_id LIKE '%2' \
                  BEGIN SELECT RAISE(ABORT, 'no'); END";
    receipts.store.execute_unprepared(refuse).await.unwrap();
    for number in 0..5 {
        receipts.record(queued(number, DeliveryStatus::Queued)).await.unwrap();
    }
    receipts.flush().await.unwrap();
    assert_eq!((receipts.waiting(), count(&receipts, "queued").await), (0, 4));
}

#[tokio::test]
async fn a_caller_that_gives_up_waiting_loses_nothing() {
    let receipts = receipts(MOST_WAITING).await;
    insert(&receipts, 0..20).await;
    for number in 0..20 {
        receipts.record(queued(number, DeliveryStatus::Queued)).await.unwrap();
    }
    // Cancelled at its first await, many times.
    for _ in 0..20 {
        let _ = timeout(Duration::ZERO, receipts.flush()).await;
    }
    receipts.flush().await.unwrap();
    assert_eq!((receipts.waiting(), count(&receipts, "queued").await), (0, 20));
}

#[tokio::test]
async fn only_a_queued_receipt_that_is_wanted_is_written_before_a_read() {
    let receipts = receipts(MOST_WAITING).await;
    insert(&receipts, 0..2).await;
    receipts.record(queued(0, DeliveryStatus::Queued)).await.unwrap();
    let of = |number| move |queued: &Queued| queued.delivery_id == Uuid::from_u128(number);
    receipts.settle_if(of(1)).await;
    assert_eq!(receipts.waiting(), 1);
    receipts.settle_if(of(0)).await;
    assert_eq!((receipts.waiting(), count(&receipts, "queued").await), (0, 1));
}
