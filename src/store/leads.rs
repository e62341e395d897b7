//! Rows of `leads`: everyone who asked for a code.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::lead::{ActiveModel, Column, Entity},
};
use crate::domain::{
    lead::{Source, State},
    phone::PhoneNumber,
};

/// Opens the lead of this phone, or counts one more request of it. Its state and source stay what they were.
///
/// # Errors
/// When the database does not answer.
pub async fn open(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    source: Source,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let lead = ActiveModel {
        id: Set(id),
        phone: Set(phone.full().to_owned()),
        source: Set(source.as_str().to_owned()),
        state: Set(State::New.as_str().to_owned()),
        requests: Set(1),
        first_requested_at: Set(now),
        last_requested_at: Set(now),
        converted_at: Set(None),
        notes: Set(String::new()),
    };
    let mut count_one_more = OnConflict::column(Column::Phone);
    count_one_more
        .value(Column::Requests, Expr::col((Entity, Column::Requests)).add(1))
        .value(Column::LastRequestedAt, now);
    Entity::insert(lead).on_conflict(count_one_more).exec_without_returning(db).await?;
    Ok(())
}

/// The code came back: the lead of this phone, if there is one, is converted.
///
/// # Errors
/// When the database does not answer.
pub async fn mark_converted(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let converted = State::Converted.as_str();
    Entity::update_many()
        .col_expr(Column::State, Expr::value(converted))
        .col_expr(Column::ConvertedAt, Expr::value(now))
        .filter(Column::Phone.eq(phone.full()))
        .filter(Column::State.ne(converted))
        .exec(db)
        .await?;
    Ok(())
}
