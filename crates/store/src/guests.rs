//! Rows of `accounts` of guests, who have neither a phone nor a name.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, TryIntoModel,
    sea_query::{Expr, Func, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    accounts::{NewIds, account, blank},
    entities::{
        account::{ActiveModel, Column, Entity},
        session,
    },
};
use domain::account::{Account, Role};

/// Creates the account of a guest.
pub async fn insert(
    db: &impl ConnectionTrait,
    ids: NewIds,
    now: DateTime<Utc>,
) -> Result<Account, StoreError> {
    let row = ActiveModel {
        role: Set(Role::Guest.as_str().to_owned()),
        seen_at: Set(Some(now)),
        ..blank(ids, now)
    };
    let model = row.clone().try_into_model()?;
    Entity::insert(row).exec_without_returning(db).await?;
    account(model)
}

/// Makes a guest a user, in the account and in its live session. Any other account stays as it is.
pub async fn set_user(db: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Role, Expr::value(Role::User.as_str()))
        .filter(Column::Id.eq(id))
        .filter(is_guest())
        .exec(db)
        .await?;
    session::Entity::update_many()
        .col_expr(session::Column::Role, Expr::value(Role::User.as_str()))
        .filter(session::Column::AccountId.eq(id))
        .filter(session::Column::Role.eq(Role::Guest.as_str()))
        .exec(db)
        .await?;
    Ok(())
}

/// Guests who were not there since this time, up to `most` of those after the given id, in the order of their ids.
pub async fn list_unused(
    db: &impl ConnectionTrait,
    used_before: DateTime<Utc>,
    after: Uuid,
    most: u64,
) -> Result<Vec<Account>, StoreError> {
    let unused = Entity::find().filter(is_unused(used_before)).filter(Column::Id.gt(after));
    unused.order_by_asc(Column::Id).limit(most).all(db).await?.into_iter().map(account).collect()
}

/// Whether this account is that of a guest who was not there since this time. A caller who decides by it has claimed the account.
pub async fn find_unused(
    db: &impl ConnectionTrait,
    id: Uuid,
    used_before: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    let found = Entity::find_by_id(id).filter(is_unused(used_before)).one(db).await?;
    found.map(account).transpose()
}

/// As a constant, so that the planner sees that the index has all of these rows.
fn is_guest() -> SimpleExpr {
    Expr::col((Entity, Column::Role)).eq(Expr::cust("'guest'"))
}

/// A guest is there when the account is made or changed, or its session is refreshed.
fn is_unused(used_before: DateTime<Utc>) -> Condition {
    let seen = Func::coalesce([Expr::col((Entity, Column::SeenAt)), Expr::col((Entity, Column::CreatedAt))]);
    let in_a_session = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(Expr::col((session::Entity, session::Column::AccountId)).equals((Entity, Column::Id)))
        .filter(session::Column::LastUsedAt.gte(used_before))
        .into_query();
    Condition::all()
        .add(is_guest())
        .add(Column::UpdatedAt.lt(used_before))
        .add(seen.lt(used_before))
        .add(Expr::exists(in_a_session).not())
}
