//! Rows of `api_keys`: the keys of other services, each by its hash. An ended key stays, because entries of the audit log name it.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::api_key::{ActiveModel, Column, Entity, Model},
};
use domain::api_key::{ApiKey, ApiSecret, KeyLimits, KeyName, Scope};

/// Adds a key. False when a live key has the name already: nothing has changed then.
pub async fn insert(db: &impl ConnectionTrait, key: &ApiKey, secret: &ApiSecret) -> Result<bool, StoreError> {
    let countries: Vec<String> = key.limits.countries.iter().map(ToString::to_string).collect();
    let row = ActiveModel {
        id: Set(key.id),
        name: Set(key.name.as_str().to_owned()),
        name_key: Set(key.name.folded()),
        hash: Set(secret.hash()),
        scopes: Set(key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")),
        sends_per_hour: Set(key.limits.sends_per_hour),
        wrong_codes_per_hour: Set(key.limits.wrong_codes_per_hour),
        sends_per_day: Set(key.limits.sends_per_day),
        countries: Set(countries.join(" ")),
        created_at: Set(key.created_at),
        last_used_at: Set(key.last_used_at),
        ended_at: Set(key.ended_at),
    };
    // A conflict must not be an error: on PostgreSQL an error would abort the surrounding transaction.
    let unless_there = OnConflict::new().do_nothing().to_owned();
    Ok(Entity::insert(row).on_conflict(unless_there).exec_without_returning(db).await? == 1)
}

/// The live key with this secret. After an error no request may be let in.
pub async fn find(db: &impl ConnectionTrait, secret: &ApiSecret) -> Result<Option<ApiKey>, StoreError> {
    let live = Entity::find().filter(Column::Hash.eq(secret.hash())).filter(Column::EndedAt.is_null());
    live.one(db).await?.as_ref().map(api_key).transpose()
}

/// All keys, live and ended, in the order in which they were created.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<ApiKey>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).all(db).await?;
    rows.iter().map(api_key).collect()
}

/// Stores that a key was used now.
pub async fn set_used(db: &impl ConnectionTrait, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let used = Entity::update_many().col_expr(Column::LastUsedAt, Expr::value(now));
    used.filter(Column::Id.eq(id)).exec(db).await?;
    Ok(())
}

/// Ends the live key with this name. `None` when there is none.
pub async fn close(
    db: &impl ConnectionTrait,
    name: &KeyName,
    now: DateTime<Utc>,
) -> Result<Option<ApiKey>, StoreError> {
    let closed = Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(now))
        .filter(Column::NameKey.eq(name.folded()))
        .filter(Column::EndedAt.is_null())
        .exec_with_returning(db)
        .await?;
    closed.first().map(api_key).transpose()
}

/// A scope of a later version is left out: this version cannot use it.
fn api_key(row: &Model) -> Result<ApiKey, StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "api_keys", column };
    let countries = row.countries.split_whitespace().map(str::parse).collect::<Result<_, _>>();
    Ok(ApiKey {
        id: row.id,
        name: KeyName::parse(&row.name).map_err(|_| unreadable("name"))?,
        scopes: row.scopes.split_whitespace().filter_map(Scope::named).collect(),
        limits: KeyLimits {
            sends_per_hour: row.sends_per_hour,
            wrong_codes_per_hour: row.wrong_codes_per_hour,
            sends_per_day: row.sends_per_day,
            countries: countries.map_err(|_| unreadable("countries"))?,
        },
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        ended_at: row.ended_at,
    })
}
