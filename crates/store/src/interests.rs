//! Rows of `event_interests`: what users can choose from.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, SqlErr,
    sea_query::{Expr, Func, OnConflict},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::{
        event_interest::{ActiveModel, Column, Entity, Model},
        interest_count,
    },
};
use domain::interests::{EditedInterest, Interest, InterestDescription, InterestName};

/// All interests in the order of their names, including those that can no longer be chosen.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Interest>, StoreError> {
    let rows = Entity::find().all(db).await?;
    Ok(sorted(rows).into_iter().map(interest).collect())
}

/// The same with what staff see: how many accounts chose each, and who changed it.
pub async fn list_edited(db: &impl ConnectionTrait) -> Result<Vec<EditedInterest>, StoreError> {
    let rows = Entity::find().all(db).await?;
    let counts = count(db).await?;
    let counted = |row: Model| {
        let accounts = counts.get(&row.id).copied().unwrap_or_default();
        edited(row, accounts)
    };
    Ok(sorted(rows).into_iter().map(counted).collect())
}

/// One of them.
pub async fn find_edited(db: &impl ConnectionTrait, id: i64) -> Result<Option<EditedInterest>, StoreError> {
    let Some(row) = Entity::find_by_id(id).one(db).await? else {
        return Ok(None);
    };
    let accounts = count(db).await?.get(&id).copied().unwrap_or_default();
    Ok(Some(edited(row, accounts)))
}

/// How many accounts chose each interest.
async fn count(db: &impl ConnectionTrait) -> Result<HashMap<i64, i64>, StoreError> {
    use interest_count::{Column, Entity};
    // In PostgreSQL a sum of bigint is numeric.
    let sum = Func::cast_as(Func::sum(Expr::col(Column::Accounts)), "bigint");
    let sums: Vec<(i64, i64)> = Entity::find()
        .select_only()
        .column(Column::InterestId)
        .expr_as(sum, "accounts")
        .group_by(Column::InterestId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(sums.into_iter().collect())
}

/// Adds an interest. `None` when another one has the name, without regard to case.
pub async fn insert(
    db: &impl ConnectionTrait,
    name: &InterestName,
    description: &InterestDescription,
    is_active: bool,
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Option<Interest>, StoreError> {
    let row = ActiveModel {
        id: NotSet,
        name: Set(name.as_str().to_owned()),
        description: Set(description.as_str().to_owned()),
        is_active: Set(is_active),
        name_key: Set(Some(name.key())),
        version: Set(0),
        changed_at: Set(Some(now)),
        changed_by: Set(by),
    };
    // A conflict must not be an error: on PostgreSQL an error would abort the surrounding transaction.
    let unless_taken = OnConflict::new().do_nothing().to_owned();
    if Entity::insert(row).on_conflict(unless_taken).exec_without_returning(db).await? == 0 {
        return Ok(None);
    }
    let row = Entity::find().filter(Column::NameKey.eq(name.key())).one(db).await?;
    Ok(row.map(interest))
}

/// The result of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// The interest was changed.
    Done,
    /// It has another version, or there is none.
    Stale,
    /// Another interest has the name. A surrounding transaction can only be rolled back.
    NameTaken,
}

/// Changes an interest that still has this version.
pub async fn update(
    db: &impl ConnectionTrait,
    (id, version): (i64, i64),
    (name, description, is_active): (&InterestName, &InterestDescription, bool),
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Updated, StoreError> {
    let changed = Entity::update_many()
        .col_expr(Column::Name, Expr::value(name.as_str()))
        .col_expr(Column::NameKey, Expr::value(name.key()))
        .col_expr(Column::Description, Expr::value(description.as_str()))
        .col_expr(Column::IsActive, Expr::value(is_active))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1_i64))
        .col_expr(Column::ChangedAt, Expr::value(now))
        .col_expr(Column::ChangedBy, Expr::value(by))
        .filter(Column::Id.eq(id))
        .filter(Column::Version.eq(version))
        .exec(db)
        .await;
    match changed {
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            Ok(Updated::NameTaken)
        }
        Err(error) => Err(error.into()),
        Ok(changed) if changed.rows_affected == 1 => Ok(Updated::Done),
        Ok(_) => Ok(Updated::Stale),
    }
}

/// Sorted here, because collations of databases order "&" and capital letters differently.
fn sorted(mut rows: Vec<Model>) -> Vec<Model> {
    rows.sort_by_cached_key(|row| row.name.to_lowercase());
    rows
}

fn interest(row: Model) -> Interest {
    Interest { id: row.id, name: row.name, description: row.description, is_active: row.is_active }
}

fn edited(row: Model, accounts: i64) -> EditedInterest {
    let (version, changed_at, changed_by) = (row.version, row.changed_at, row.changed_by);
    EditedInterest { interest: interest(row), accounts, version, changed_at, changed_by }
}
