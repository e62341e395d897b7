//! Rows of `leads`: every phone that requested a code.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::lead::{ActiveModel, Column, Entity},
};
use domain::{
    lead::{Lead, Source, State},
    phone::PhoneNumber,
};

/// Creates the lead of this phone, or counts one more request. The state and source of an existing lead do not change.
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

/// Marks the lead of this phone, if there is one, as converted: its code was verified.
pub async fn set_converted(
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

/// The lead of this phone: when and how often a code was requested.
pub async fn find(db: &impl ConnectionTrait, phone: &PhoneNumber) -> Result<Option<Lead>, StoreError> {
    let row = Entity::find().filter(Column::Phone.eq(phone.full())).one(db).await?;
    Ok(row.map(|row| Lead {
        source: row.source,
        state: row.state,
        requests: row.requests,
        first_requested_at: row.first_requested_at,
        last_requested_at: row.last_requested_at,
        converted_at: row.converted_at,
        notes: row.notes,
    }))
}

/// Moves the lead of a user to the new phone. If that phone has a lead already, the old lead is removed.
pub async fn set_moved(
    db: &impl ConnectionTrait,
    from: &PhoneNumber,
    to: &PhoneNumber,
) -> Result<(), StoreError> {
    let Some(lead) = Entity::find().filter(Column::Phone.eq(from.full())).one(db).await? else {
        return Ok(());
    };
    purge_of(db, from).await?;
    let moved = ActiveModel { phone: Set(to.full().to_owned()), ..lead.into() }.reset_all();
    // A code can be requested for the new phone at this moment. The conflict must not be an error: on PostgreSQL an error
    // would abort the surrounding transaction.
    let mut unless_there = OnConflict::column(Column::Phone);
    unless_there.do_nothing();
    Entity::insert(moved).on_conflict(unless_there).exec_without_returning(db).await?;
    Ok(())
}

/// Removes the lead of this phone.
pub async fn purge_of(db: &impl ConnectionTrait, phone: &PhoneNumber) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::Phone.eq(phone.full())).exec(db).await?;
    Ok(())
}
