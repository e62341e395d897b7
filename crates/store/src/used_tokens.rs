//! Rows of `used_tokens`: tokens of other systems that opened a session, so that none opens a second one.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{LockBehavior, LockType, OnConflict},
};

use super::{
    StoreError,
    entities::used_token::{ActiveModel, Column, Entity},
};
use domain::issuer::Vouched;

/// Claims a token for this transaction. False when it opened a session before. On PostgreSQL another transaction with the same
/// token waits until this one ends, so of two at once one gets it.
pub async fn claim(db: &impl ConnectionTrait, token: &Vouched) -> Result<bool, StoreError> {
    let row =
        ActiveModel { hash: Set(token.hash().to_owned()), expires_at: Set(token.statement().expires_at) };
    let unless_used = OnConflict::column(Column::Hash).do_nothing().to_owned();
    Ok(Entity::insert(row).on_conflict(unless_used).exec_without_returning(db).await? == 1)
}

/// Removes tokens that expired before this time. Returns how many.
pub async fn purge(
    db: &impl ConnectionTrait,
    expired_before: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let these = Entity::find()
        .select_only()
        .column(Column::Hash)
        .filter(Column::ExpiresAt.lt(expired_before))
        .order_by_asc(Column::ExpiresAt)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let purge = Entity::delete_many().filter(Column::Hash.in_subquery(these));
    Ok(purge.exec(db).await?.rows_affected)
}
