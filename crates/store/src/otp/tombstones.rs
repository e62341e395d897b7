//! Tombstones: what is left of the challenges of a phone whose account was deleted. Until it ends, no code is sent to the phone.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    StoreError,
    entities::challenge::{ActiveModel, Column, Entity},
};
use domain::otp::Purpose;

/// Inserts the tombstone of a phone whose account is deleted: until it ends, no code of this purpose is sent to the phone.
pub async fn insert_tombstone(
    db: &impl ConnectionTrait,
    phone_hash: &str,
    purpose: Purpose,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = ActiveModel {
        phone: Set(phone_hash.to_owned()),
        purpose: Set(purpose.as_str().to_owned()),
        holder: Set(String::new()),
        id: Set(Uuid::nil()),
        key_version: Set(String::new()),
        attempts: Set(0),
        opened_at: Set(now),
        expires_at: Set(until),
        sent_at: Set(None),
        consumed_at: Set(Some(now)),
        invitation_id: Set(None),
    };
    let mut newest = OnConflict::columns([Column::Phone, Column::Purpose, Column::Holder]);
    newest.update_columns([Column::OpenedAt, Column::ExpiresAt, Column::ConsumedAt]);
    Entity::insert(row).on_conflict(newest).exec_without_returning(db).await?;
    Ok(())
}

/// When the last of these tombstones ends.
pub async fn find_tombstone(
    db: &impl ConnectionTrait,
    phone_hashes: &[String],
    purpose: Purpose,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let row = Entity::find().filter(is_tombstone(phone_hashes, purpose, now)).one(db).await?;
    Ok(row.map(|row| row.expires_at))
}

/// Makes these tombstones end at the given time at the latest.
pub async fn shorten_tombstone(
    db: &impl ConnectionTrait,
    phone_hashes: &[String],
    purpose: Purpose,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::ExpiresAt, Expr::value(until))
        .filter(is_tombstone(phone_hashes, purpose, until))
        .exec(db)
        .await?;
    Ok(())
}

pub(super) fn is_tombstone(phone_hashes: &[String], purpose: Purpose, now: DateTime<Utc>) -> Condition {
    Condition::all()
        .add(Column::Phone.is_in(phone_hashes))
        .add(Column::Purpose.eq(purpose.as_str()))
        .add(Column::Holder.eq(""))
        .add(Column::ExpiresAt.gt(now))
}
