//! Rows of `accounts`, as what hangs on them holds, moves and removes them.
//!
//! Whoever decides by what hangs on an account (how many sessions it has, whether it may leave) claims it first, at the
//! beginning of the transaction: others who do the same wait until it ends. PostgreSQL locks the row; on SQLite a
//! transaction is alone anyway. A transaction that uses up or removes a challenge does that before: one order for all, so
//! that no two wait for each other.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Select, SqlErr,
    sea_query::{Expr, LockType},
};
use uuid::Uuid;

use super::{
    StoreError,
    accounts::account,
    entities::account::{Column, Entity},
};
use crate::domain::{
    account::{Account, Role},
    phone::PhoneNumber,
};

/// Any number, the same in every server and not the one of the migrations: who holds it may take an admin away.
const ADMINS_LOCK: i64 = 0x0061_646d_696e;

/// The account, held until the transaction ends.
///
/// # Errors
/// When the database does not answer.
pub async fn claim(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Account>, StoreError> {
    held(Entity::find_by_id(id)).one(db).await?.map(account).transpose()
}

/// The account that this phone is verified for, held until the transaction ends.
///
/// # Errors
/// When the database does not answer.
pub async fn claim_by_phone(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
) -> Result<Option<Account>, StoreError> {
    held(Entity::find().filter(Column::Phone.eq(phone.full()))).one(db).await?.map(account).transpose()
}

/// The active admins. Whoever takes one away asks for them first of all, and others who do wait until its transaction
/// ends: of two at once, the second sees that the first has gone. Not their rows are locked but a number: a row that was
/// waited for stays locked when it turns out to be no admin's any more, and whoever wants it next then waits in the
/// other order.
///
/// # Errors
/// When the database does not answer.
pub async fn claim_admins(db: &impl ConnectionTrait) -> Result<Vec<Uuid>, StoreError> {
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({ADMINS_LOCK})")).await?;
    }
    let admins = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Role.eq(Role::Admin.as_str()))
        .filter(Column::IsActive.eq(true));
    Ok(admins.into_tuple().all(db).await?)
}

/// Gives an account another verified phone; what it claimed is no longer of interest. False when the phone is another
/// account's: the transaction is of no use any more then.
///
/// # Errors
/// When the database does not answer.
pub async fn mark_phone(
    db: &impl ConnectionTrait,
    id: Uuid,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let moved = Entity::update_many()
        .col_expr(Column::Phone, Expr::value(phone.full()))
        .col_expr(Column::ClaimedPhone, Expr::value(Option::<String>::None))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await;
    match moved {
        // The phone is the only column here that two accounts may not share.
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(false),
        moved => Ok(moved?.rows_affected == 1),
    }
}

/// Removes an account with its profile and its sessions.
///
/// # Errors
/// When the database does not answer.
pub async fn purge(db: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    // The sessions go with it: their foreign key says so.
    Entity::delete_by_id(id).exec(db).await?;
    Ok(())
}

fn held(select: Select<Entity>) -> Select<Entity> {
    select.lock(LockType::NoKeyUpdate)
}
