//! Rows of `accounts`, as what hangs on them holds, moves and removes them.
//!
//! Whoever decides by what hangs on an account (how many sessions it has, whether it may leave) claims it first, at the
//! beginning of the transaction: others who do the same wait until it ends. PostgreSQL locks the row; on SQLite a
//! transaction is alone anyway. A transaction that uses up or removes a challenge does that before: one order for all, so
//! that no two wait for each other.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, SqlErr, UpdateMany, UpdateResult,
    sea_query::{Expr, LockType},
};
use uuid::Uuid;

use super::{
    StoreError,
    accounts::{account, seen, used},
    entities::account::{Column, Entity},
    otp::Consumed,
};
use domain::{
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

/// The account of a phone that a code proved, if it was used after this time, held until the transaction ends; it is
/// used now.
///
/// # Errors
/// When the database does not answer.
pub async fn claim_by_phone(
    db: &impl ConnectionTrait,
    consumed: &Consumed,
    used_after: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    let claimed = Entity::update_many()
        .col_expr(Column::SeenAt, seen(now))
        .filter(Column::Phone.eq(consumed.phone().full()))
        .filter(used(used_after))
        .exec_with_returning(db)
        .await?;
    claimed.into_iter().next().map(account).transpose()
}

/// This account, and the one that has the phone which it lost; both held until the transaction ends, in the order of their
/// ids, so that no two who ask wait for each other.
///
/// # Errors
/// When the database does not answer.
pub async fn claim_with_successor(db: &impl ConnectionTrait, id: Uuid) -> Result<Vec<Account>, StoreError> {
    let lost =
        Entity::find().select_only().column(Column::FormerPhone).filter(Column::Id.eq(id)).into_query();
    let either = Condition::any().add(Column::Id.eq(id)).add(Column::Phone.in_subquery(lost));
    let both = held(Entity::find().filter(either).order_by_asc(Column::Id)).all(db).await?;
    both.into_iter().map(account).collect()
}

/// Takes a phone from the account that has it, if that was not used after this time, and says which it was. What its devices
/// were given ends with it; its sessions are to be ended in the same transaction.
///
/// # Errors
/// When the database does not answer.
pub async fn unlink_unused(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    used_after: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    let stale = Condition::all().add(Column::Phone.eq(phone.full())).add(used(Some(used_after)).not());
    let unlinked = unlinked(now).filter(stale).exec_with_returning(db).await?;
    unlinked.into_iter().next().map(account).transpose()
}

/// Takes the phone of this account and deactivates it, likewise.
///
/// # Errors
/// When the database does not answer.
pub async fn unlink_one(db: &impl ConnectionTrait, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let off = unlinked(now).col_expr(Column::IsActive, Expr::value(false));
    off.filter(Column::Id.eq(id)).exec(db).await?;
    Ok(())
}

fn unlinked(now: DateTime<Utc>) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::FormerPhone, Expr::col((Entity, Column::Phone)))
        .col_expr(Column::Phone, Expr::value(Option::<String>::None))
        .col_expr(Column::UnlinkedAt, Expr::value(now))
        .col_expr(Column::DeviceEpoch, Expr::col((Entity, Column::DeviceEpoch)).add(1_i64))
}

/// Gives an account back the phone that it lost, as one that is used now. False when that is another's: the transaction is
/// of no use any more then.
///
/// # Errors
/// When the database does not answer.
pub async fn set_reunited(
    db: &impl ConnectionTrait,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let reunited = Entity::update_many()
        .col_expr(Column::Phone, Expr::col((Entity, Column::FormerPhone)))
        .col_expr(Column::FormerPhone, Expr::value(Option::<String>::None))
        .col_expr(Column::UnlinkedAt, Expr::value(Option::<DateTime<Utc>>::None))
        .col_expr(Column::SeenAt, Expr::value(now))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::FormerPhone.is_not_null())
        .exec(db)
        .await;
    unless_taken(reunited)
}

/// Ends what devices were given when somebody signed in on them.
///
/// # Errors
/// When the database does not answer.
pub async fn end_devices(db: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::DeviceEpoch, Expr::col((Entity, Column::DeviceEpoch)).add(1_i64))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

/// The phone is the only column here that two accounts may not share.
fn unless_taken(moved: Result<UpdateResult, DbErr>) -> Result<bool, StoreError> {
    match moved {
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(false),
        moved => Ok(moved?.rows_affected == 1),
    }
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

/// Gives an account the phone that a code proved; what it claimed, or had before somebody else got it, is no longer of interest,
/// and what devices were given ends. False when the phone is another
/// account's: the transaction is of no use any more then.
///
/// # Errors
/// When the database does not answer.
pub async fn set_phone(
    db: &impl ConnectionTrait,
    id: Uuid,
    consumed: &Consumed,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let moved = Entity::update_many()
        .col_expr(Column::Phone, Expr::value(consumed.phone().full()))
        .col_expr(Column::ClaimedPhone, Expr::value(Option::<String>::None))
        .col_expr(Column::FormerPhone, Expr::value(Option::<String>::None))
        .col_expr(Column::UnlinkedAt, Expr::value(Option::<DateTime<Utc>>::None))
        .col_expr(Column::DeviceEpoch, Expr::col((Entity, Column::DeviceEpoch)).add(1_i64))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await;
    unless_taken(moved)
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
