//! What the provider confirmed about messages, written for many messages at once.
//!
//! A receipt says no more than that a message was accepted, sent or delivered. Receipts and reports may be written in any order,
//! and a receipt may be written twice: a status only gives way to one that says more, and each status has a time of its own.

use std::{fmt::Write as _, sync::LazyLock};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, DbBackend, FromQueryResult, IdenStatic, Iterable, QueryResult, Statement, Value,
};
use uuid::Uuid;

use super::{delivery, time_of};
use crate::{
    Store, StoreError,
    entities::message::{Column, Model},
};
use domain::delivery::{Delivery, DeliveryStatus, Price};

/// What the provider confirmed about a message.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The message.
    pub message_id: Uuid,
    /// Queued, sent or delivered.
    pub status: DeliveryStatus,
    /// The provider's id of the message. An id that is stored already stays.
    pub provider_id: Option<String>,
    /// The number of segments that the provider counts.
    pub segments: Option<i64>,
    /// The price. A price that is stored already stays.
    pub price: Option<Price>,
    /// When the provider confirmed it.
    pub at: DateTime<Utc>,
}

/// The statuses that a receipt can have.
const STATUSES: [DeliveryStatus; 3] =
    [DeliveryStatus::Queued, DeliveryStatus::Sent, DeliveryStatus::Delivered];

/// The columns of a receipt, in the order of its values.
const COLUMNS: [&str; 7] = ["id", "status", "provider_id", "segments", "price", "price_unit", "at"];

/// Writes receipts of different messages: PostgreSQL in one statement, SQLite in one transaction. Returns those of the messages
/// that a report has called lost. After an error it may run again.
pub async fn update_many(db: &Store, receipts: &[Receipt]) -> Result<Vec<Delivery>, StoreError> {
    if receipts.is_empty() {
        return Ok(Vec::new());
    }
    if db.get_database_backend() == DbBackend::Postgres {
        let statement =
            Statement::from_sql_and_values(DbBackend::Postgres, FOR_POSTGRES.as_str(), arrays(receipts));
        return lost(db.repeating().query_all_raw(statement).await?);
    }
    let txn = db.begin().await?;
    let mut rows = Vec::new();
    for receipt in receipts {
        let statement =
            Statement::from_sql_and_values(DbBackend::Sqlite, FOR_SQLITE.as_str(), values(receipt));
        rows.extend(txn.query_one_raw(statement).await?);
    }
    txn.commit().await?;
    lost(rows)
}

/// The messages among these rows that are lost.
fn lost(rows: Vec<QueryResult>) -> Result<Vec<Delivery>, StoreError> {
    let mut lost = Vec::new();
    for row in rows {
        let delivery = delivery(Model::from_query_result(&row, "")?)?;
        if delivery.status.is_lost() {
            lost.push(delivery);
        }
    }
    Ok(lost)
}

/// One text for any number of receipts. An array holds no NULL here: an empty text and 0 stand for no value.
static FOR_POSTGRES: LazyLock<String> = LazyLock::new(|| {
    let columns = COLUMNS.join(", ");
    let update = update(|column| match column {
        "provider_id" | "price" | "price_unit" => format!("NULLIF(receipts.{column}, '')"),
        "segments" => "NULLIF(receipts.segments, 0)".to_owned(),
        column => format!("receipts.{column}"),
    });
    let from = format!(
        "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], \
         $7::timestamptz[]) AS receipts ({columns}) WHERE messages.id = receipts.id"
    );
    let lost = list(DeliveryStatus::ALL.into_iter().filter(|status| status.is_lost()));
    // Only lost messages are returned, which are few.
    format!(
        "WITH written AS ({update} {from} RETURNING {}) SELECT * FROM written WHERE status IN {lost}",
        returned()
    )
});

static FOR_SQLITE: LazyLock<String> = LazyLock::new(|| {
    let numbered = |column: &str| {
        let place = COLUMNS.iter().position(|name| *name == column).unwrap_or_default();
        format!("${}", place + 1)
    };
    format!("{} WHERE messages.id = $1 RETURNING {}", update(numbered), returned())
});

/// The part of the statement that sets the columns. `of` names the value of a receipt's column.
fn update(of: impl Fn(&str) -> String) -> String {
    let (status, at) = (of("status"), of("at"));
    let mut gives_way = "(".to_owned();
    for given in STATUSES {
        let between = if gives_way.len() > 1 { " OR " } else { "" };
        let less = list(given.replaces().iter().copied());
        let _ = write!(gives_way, "{between}{status} = '{}' AND messages.status IN {less}", given.as_str());
    }
    gives_way.push(')');
    let if_it_says_more = |column: Column, value: &str| {
        let column = column.as_str();
        format!("{column} = CASE WHEN {gives_way} THEN {value} ELSE messages.{column} END")
    };
    let if_none = |column: Column| {
        let column = column.as_str();
        format!("{column} = COALESCE(messages.{column}, {})", of(column))
    };
    let mut set = vec![
        if_it_says_more(Column::Status, &status),
        if_it_says_more(Column::ErrorCode, "NULL"),
        if_it_says_more(Column::ErrorText, "NULL"),
        if_it_says_more(Column::Reason, "NULL"),
        if_it_says_more(Column::UpdatedAt, &at),
        if_none(Column::ProviderId),
        if_none(Column::Segments),
        if_none(Column::Price),
        if_none(Column::PriceUnit),
    ];
    for given in STATUSES {
        let Some(time) = time_of(given).map(|column| column.as_str()) else { continue };
        let word = given.as_str();
        set.push(format!(
            "{time} = CASE WHEN {status} = '{word}' THEN COALESCE(messages.{time}, {at}) ELSE messages.{time} END"
        ));
    }
    format!("UPDATE messages SET {}", set.join(", "))
}

/// These statuses as a list of SQL.
fn list(statuses: impl Iterator<Item = DeliveryStatus>) -> String {
    let words: Vec<String> = statuses.map(|status| format!("'{}'", status.as_str())).collect();
    format!("({})", words.join(", "))
}

/// All columns of the message. In PostgreSQL `*` would be those of the receipt too.
fn returned() -> String {
    let columns: Vec<String> = Column::iter().map(|column| format!("messages.{}", column.as_str())).collect();
    columns.join(", ")
}

fn arrays(receipts: &[Receipt]) -> [Value; 7] {
    let text = |of: fn(&Receipt) -> Option<&String>| -> Vec<String> {
        receipts.iter().map(|receipt| of(receipt).cloned().unwrap_or_default()).collect()
    };
    [
        receipts.iter().map(|receipt| receipt.message_id).collect::<Vec<_>>().into(),
        receipts.iter().map(|receipt| receipt.status.as_str().to_owned()).collect::<Vec<_>>().into(),
        text(|receipt| receipt.provider_id.as_ref()).into(),
        receipts.iter().map(|receipt| receipt.segments.unwrap_or_default()).collect::<Vec<_>>().into(),
        text(|receipt| receipt.price.as_ref().map(|price| &price.amount)).into(),
        text(|receipt| receipt.price.as_ref().map(|price| &price.unit)).into(),
        receipts.iter().map(|receipt| receipt.at).collect::<Vec<_>>().into(),
    ]
}

fn values(receipt: &Receipt) -> [Value; 7] {
    let price = receipt.price.as_ref();
    [
        receipt.message_id.into(),
        receipt.status.as_str().into(),
        receipt.provider_id.clone().into(),
        receipt.segments.into(),
        price.map(|price| price.amount.clone()).into(),
        price.map(|price| price.unit.clone()).into(),
        receipt.at.into(),
    ]
}
