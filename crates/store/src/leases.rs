//! Rows of `leases`: background tasks that one server at a time runs, and what one transaction at a time does.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};

use super::{
    StoreError,
    entities::lease::{ActiveModel, Column, Entity},
};

/// Takes a lease, if no server holds it. A lease that ends later than one taken now was taken with a wrong clock and counts as
/// ended.
pub async fn claim(
    db: &impl ConnectionTrait,
    name: &str,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let held = || Expr::col((Entity, Column::HeldUntil));
    let mut if_over = OnConflict::column(Column::Name);
    if_over.update_column(Column::HeldUntil).action_and_where(held().lte(now).or(held().gt(until)));
    let row = ActiveModel { name: Set(name.to_owned()), held_until: Set(until) };
    Ok(Entity::insert(row).on_conflict(if_over).exec_without_returning(db).await? == 1)
}

/// Prolongs a lease that this server took until `held`. False when it lost it.
pub async fn set_longer(
    db: &impl ConnectionTrait,
    name: &str,
    (held, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<bool, StoreError> {
    let longer = Entity::update_many()
        .col_expr(Column::HeldUntil, Expr::value(until))
        .filter(Column::Name.eq(name))
        .filter(Column::HeldUntil.eq(held))
        .exec(db)
        .await?;
    Ok(longer.rows_affected == 1)
}

/// Takes a lease until the transaction ends: others that want it wait. The row is made where it is missing; its time says nothing.
pub async fn claim_for_transaction(db: &impl ConnectionTrait, name: &str) -> Result<(), StoreError> {
    // An update that changes nothing locks the row, as FOR UPDATE does, and an upsert also makes it.
    let mut locked = OnConflict::column(Column::Name);
    locked.value(Column::HeldUntil, Expr::col((Entity, Column::HeldUntil)));
    let row = ActiveModel { name: Set(name.to_owned()), held_until: Set(DateTime::UNIX_EPOCH) };
    Entity::insert(row).on_conflict(locked).exec_without_returning(db).await?;
    Ok(())
}
