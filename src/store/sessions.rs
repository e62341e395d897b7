//! Rows of `sessions`: what stands behind every pair of tokens.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    StoreError,
    accounts::account,
    entities::{
        account,
        session::{ActiveModel, Column, Entity, Model},
    },
};
use crate::domain::{
    access::Session,
    account::{Account, Role},
};

/// Opens a session.
///
/// # Errors
/// When the database does not answer.
pub async fn open(
    db: &impl ConnectionTrait,
    session: &Session,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = ActiveModel {
        id: Set(session.id),
        account_id: Set(session.account_id),
        role: Set(session.role.as_str().to_owned()),
        refresh_jti: Set(session.refresh_jti),
        refresh_issued_at: Set(session.refresh_issued_at),
        parent_jti: Set(session.parent_jti),
        created_at: Set(now),
        last_used_at: Set(now),
        expires_at: Set(session.expires_at),
        ended_at: Set(session.ended_at),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// A session and whose it is, in one statement.
///
/// # Errors
/// When the database does not answer: then nobody may be let in.
pub async fn find_with_account(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<(Session, Account)>, StoreError> {
    let row = Entity::find_by_id(id).find_both_related(account::Entity).one(db).await?;
    row.map(|(row, owner)| Ok((session(&row)?, account(owner)?))).transpose()
}

/// Puts a new refresh token in the place of the newest one, if that still is `old`'s and the session goes on. False
/// when another request was faster.
///
/// # Errors
/// When the database does not answer.
pub async fn mark_rotated(
    db: &impl ConnectionTrait,
    old: &Session,
    new: &Session,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rotated = Entity::update_many()
        .col_expr(Column::RefreshJti, Expr::value(new.refresh_jti))
        .col_expr(Column::RefreshIssuedAt, Expr::value(new.refresh_issued_at))
        .col_expr(Column::ParentJti, Expr::value(new.parent_jti))
        .col_expr(Column::ExpiresAt, Expr::value(new.expires_at))
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.eq(old.id))
        .filter(Column::RefreshJti.eq(old.refresh_jti))
        .filter(Column::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(rotated.rows_affected == 1)
}

/// Ends a session. One that has ended stays as it was.
///
/// # Errors
/// When the database does not answer.
pub async fn close(db: &impl ConnectionTrait, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(())
}

/// Removes the sessions that died of disuse or were ended before this time, and says how many they were.
///
/// # Errors
/// When the database does not answer.
pub async fn purge(db: &impl ConnectionTrait, died_before: DateTime<Utc>) -> Result<u64, StoreError> {
    let dead = Column::ExpiresAt.lt(died_before).or(Column::EndedAt.lt(died_before));
    Ok(Entity::delete_many().filter(dead).exec(db).await?.rows_affected)
}

fn session(row: &Model) -> Result<Session, StoreError> {
    let role = Role::parse(&row.role).ok_or(StoreError::Unreadable { table: "sessions", column: "role" })?;
    Ok(Session {
        id: row.id,
        account_id: row.account_id,
        role,
        refresh_jti: row.refresh_jti,
        refresh_issued_at: row.refresh_issued_at,
        parent_jti: row.parent_jti,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
    })
}
