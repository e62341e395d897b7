//! Rows of `blocks`: phones, prefixes, countries and networks that an admin shut out.
//!
//! A value has at most one block that is not ended: a partial unique index decides. A block whose end has passed does not
//! apply, whether or not it is marked as ended; it is marked when the value is blocked again.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, OnConflict, SelectStatement},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::block::{ActiveModel, Column, Entity, Model},
};
use domain::{
    block::{Block, Filter, Kind, State, Target},
    phone::PhoneNumber,
};

/// Adds a block. False when the value has a live one already: nothing has changed then.
pub async fn insert(
    db: &impl ConnectionTrait,
    block: &Block,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let (kind, value) = (block.target.kind().as_str(), block.target.value());
    // One that ended by itself stands in the way of the unique index.
    Entity::update_many()
        .col_expr(Column::EndedAt, Expr::col(Column::EndsAt))
        .filter(Column::Kind.eq(kind))
        .filter(Column::Value.eq(value.as_str()))
        .filter(Column::EndedAt.is_null())
        .filter(Column::EndsAt.lte(now))
        .exec(db)
        .await?;
    let row = ActiveModel {
        id: Set(block.id),
        kind: Set(kind.to_owned()),
        value: Set(value),
        reason: Set(block.reason.clone()),
        reference: Set(block.reference.clone()),
        made_by: Set(block.made_by),
        made_at: Set(block.made_at),
        ends_at: Set(block.ends_at),
        ended_at: Set(block.ended_at),
        ended_by: Set(block.ended_by),
    };
    // A conflict must not be an error: on PostgreSQL an error would abort the surrounding transaction.
    let unless_there = OnConflict::new().do_nothing().to_owned();
    Ok(Entity::insert(row).on_conflict(unless_there).exec_without_returning(db).await? == 1)
}

/// Ends a live block. `None` when there is no live one with this id.
pub async fn close(
    db: &impl ConnectionTrait,
    id: Uuid,
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Option<Block>, StoreError> {
    let closed = Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(now))
        .col_expr(Column::EndedBy, Expr::value(by))
        .filter(live(now).add(Column::Id.eq(id)))
        .exec_with_returning(db)
        .await?;
    Ok(readable(closed).pop())
}

/// The block with this id, live or ended.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Block>, StoreError> {
    Ok(Entity::find_by_id(id).one(db).await?.and_then(block))
}

/// The live block of exactly this value.
pub async fn find_live(
    db: &impl ConnectionTrait,
    target: &Target,
    now: DateTime<Utc>,
) -> Result<Option<Block>, StoreError> {
    let of_value =
        live(now).add(Column::Kind.eq(target.kind().as_str())).add(Column::Value.eq(target.value()));
    Ok(Entity::find().filter(of_value).one(db).await?.and_then(block))
}

/// The live block of exactly this phone. `None` without a phone.
pub async fn find_live_of_phone(
    db: &impl ConnectionTrait,
    phone: Option<&PhoneNumber>,
    now: DateTime<Utc>,
) -> Result<Option<Block>, StoreError> {
    match phone {
        Some(phone) => {
            Ok(Entity::find().filter(live(now).add(of_phone(phone))).one(db).await?.and_then(block))
        }
        None => Ok(None),
    }
}

/// Every live block that this version can read.
pub async fn list_live(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Vec<Block>, StoreError> {
    Ok(readable(Entity::find().filter(live(now)).all(db).await?))
}

/// Up to `most` blocks, the newest first, that come after the block `after` in this order.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<Uuid>,
    most: u64,
    now: DateTime<Utc>,
) -> Result<Vec<Block>, StoreError> {
    let state = filter.state.map(|state| match state {
        State::Live => live(now),
        State::Ended => live(now).not(),
    });
    let wanted = Condition::all()
        .add_option(after.map(|after| Column::Id.lt(after)))
        .add_option(filter.kind.map(|kind| Column::Kind.eq(kind.as_str())))
        .add_option(filter.value.as_ref().map(|value| Column::Value.eq(value.as_str())))
        .add_option(state);
    Ok(readable(Entity::find().filter(wanted).order_by_desc(Column::Id).limit(most).all(db).await?))
}

/// The blocks of a phone, live and ended, oldest first.
pub async fn list_of(db: &impl ConnectionTrait, phone: &PhoneNumber) -> Result<Vec<Block>, StoreError> {
    Ok(readable(Entity::find().filter(of_phone(phone)).order_by_asc(Column::Id).all(db).await?))
}

/// The newest blocks, live and ended, of a phone, of the prefixes that it begins with, and of its country. Newest first.
pub async fn list_covering(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    most: u64,
) -> Result<Vec<Block>, StoreError> {
    let of_kind = |kind: Kind| Condition::all().add(Column::Kind.eq(kind.as_str()));
    let full = phone.full();
    let prefixes = (1..=full.len()).filter_map(|length| full.get(..length));
    let country =
        phone.region().map(|region| of_kind(Kind::Country).add(Column::Value.eq(region.to_string())));
    let covering = Condition::any()
        .add(of_phone(phone))
        .add(of_kind(Kind::Prefix).add(Column::Value.is_in(prefixes)))
        .add_option(country);
    Ok(readable(Entity::find().filter(covering).order_by_desc(Column::Id).limit(most).all(db).await?))
}

/// Removes the ended blocks of a phone.
pub async fn purge_of(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::delete_many().filter(of_phone(phone)).filter(live(now).not()).exec(db).await?;
    Ok(())
}

/// Removes up to `most` blocks that ended before this time. Returns how many.
pub async fn purge(
    db: &impl ConnectionTrait,
    ended_before: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let old =
        Column::EndedAt.lt(ended_before).or(Column::EndedAt.is_null().and(Column::EndsAt.lt(ended_before)));
    let these = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(old)
        .order_by_asc(Column::Id)
        .limit(most)
        .into_query();
    Ok(Entity::delete_many().filter(Column::Id.in_subquery(these)).exec(db).await?.rows_affected)
}

/// How many live blocks a phone has, as a part of another statement: none or one. Without a phone there is none.
pub(super) fn number_of(phone: Expr, now: DateTime<Utc>) -> SelectStatement {
    Entity::find()
        .select_only()
        .column_as(Column::Id.count(), "blocks")
        .filter(live(now))
        .filter(Column::Kind.eq(Kind::Phone.as_str()))
        .filter(Expr::col((Entity, Column::Value)).eq(phone))
        .into_query()
}

fn live(now: DateTime<Utc>) -> Condition {
    Condition::all().add(Column::EndedAt.is_null()).add(Column::EndsAt.is_null().or(Column::EndsAt.gt(now)))
}

fn of_phone(phone: &PhoneNumber) -> Condition {
    Condition::all().add(Column::Kind.eq(Kind::Phone.as_str())).add(Column::Value.eq(phone.full()))
}

/// The blocks that this version can read. A later version may know more kinds: they must not stop this one.
fn readable(rows: Vec<Model>) -> Vec<Block> {
    rows.into_iter().filter_map(block).collect()
}

fn block(row: Model) -> Option<Block> {
    Some(Block {
        id: row.id,
        target: Target::from_stored(&row.kind, &row.value)?,
        reason: row.reason,
        reference: row.reference,
        made_by: row.made_by,
        made_at: row.made_at,
        ends_at: row.ends_at,
        ended_at: row.ended_at,
        ended_by: row.ended_by,
    })
}
