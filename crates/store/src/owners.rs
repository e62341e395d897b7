//! Rows of `accounts`: locking an account for a transaction, moving its phone, and removing it.
//!
//! A transaction that decides by what belongs to an account (how many sessions it has, whether it may be deleted) claims the
//! account first; others that do the same wait until it ends. PostgreSQL locks the row; on SQLite a writing transaction is
//! alone. A transaction that uses up or removes a challenge does that before the claim: one lock order for all, so that no
//! two deadlock.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, SqlErr, UpdateMany, UpdateResult,
    sea_query::{Expr, LockType, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    accounts::{PhoneProof, account, seen, used},
    entities::account::{Column, Entity},
    former_ids::has_former_id,
    leases,
    otp::Consumed,
};
use domain::{
    account::{Account, Role},
    former_id::FormerId,
    phone::PhoneNumber,
};

/// The row of `leases` for removing an admin.
const ADMINS: &str = "admins";

/// The account, locked until the transaction ends.
pub async fn claim(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Account>, StoreError> {
    for_update(Entity::find_by_id(id)).one(db).await?.map(account).transpose()
}

/// These two accounts, locked until the transaction ends, in the order of their ids, so that no two transactions deadlock.
pub async fn claim_both(db: &impl ConnectionTrait, ids: [Uuid; 2]) -> Result<Vec<Account>, StoreError> {
    let both = Entity::find().filter(Column::Id.is_in(ids)).order_by_asc(Column::Id);
    for_update(both).all(db).await?.into_iter().map(account).collect()
}

/// The account that has this phone, locked until the transaction ends.
pub async fn claim_owner(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
) -> Result<Option<Account>, StoreError> {
    for_update(Entity::find().filter(Column::Phone.eq(phone.full()))).one(db).await?.map(account).transpose()
}

/// The account of the user who has this id in another system, locked until the transaction ends.
pub async fn claim_by_former_id(
    db: &impl ConnectionTrait,
    id: &FormerId,
) -> Result<Option<Account>, StoreError> {
    for_update(Entity::find().filter(has_former_id(id))).one(db).await?.map(account).transpose()
}

/// The account of a phone that is proved, if it was used after the given time. It is locked until the transaction ends,
/// and counts as used now.
pub async fn claim_by_phone(
    db: &impl ConnectionTrait,
    proof: PhoneProof<'_>,
    used_after: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    let claimed = claiming(proof.phone(), used_after, now).exec_with_returning(db).await?;
    claimed.into_iter().next().map(account).transpose()
}

/// The statement of [`claim_by_phone`].
pub(super) fn claiming(
    phone: &PhoneNumber,
    used_after: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::SeenAt, seen(now))
        .filter(Column::Phone.eq(phone.full()))
        .filter(used(used_after))
}

/// This account, and the account that has the phone which it lost. Both are locked until the transaction ends, in the order of
/// their ids, so that no two transactions deadlock.
pub async fn claim_with_successor(db: &impl ConnectionTrait, id: Uuid) -> Result<Vec<Account>, StoreError> {
    let lost =
        Entity::find().select_only().column(Column::FormerPhone).filter(Column::Id.eq(id)).into_query();
    // Compared with one value, and not with a list: both databases then find the two rows by their indexes.
    let lost = SimpleExpr::SubQuery(None, Box::new(lost.into()));
    let either = Condition::any().add(Column::Id.eq(id)).add(Expr::col(Column::Phone).eq(lost));
    let both = for_update(Entity::find().filter(either).order_by_asc(Column::Id)).all(db).await?;
    both.into_iter().map(account).collect()
}

/// Removes a phone from its account, if the account was not used after the given time. Returns that account. Its device tokens
/// end; the caller ends its sessions in the same transaction.
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

/// Removes the phone of this account and deactivates it, with the same effects.
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

/// Returns to an account the phone that it lost; it counts as used now. False when another account has the phone: the
/// transaction can only be rolled back then.
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

/// Ends the device tokens of an account.
pub async fn end_devices(db: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::DeviceEpoch, Expr::col((Entity, Column::DeviceEpoch)).add(1_i64))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

/// False for a unique violation: the phone is the only unique column that is written here.
fn unless_taken(moved: Result<UpdateResult, DbErr>) -> Result<bool, StoreError> {
    match moved {
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(false),
        moved => Ok(moved?.rows_affected == 1),
    }
}

/// The active admins. A transaction that removes an admin calls this first, and others that do wait until it ends: of two at
/// once, the second sees what the first did. It locks a row of its own instead of those of the admins: a row that was waited for
/// stays locked even if it is no longer an admin's, and the next lock on it could then be taken in the wrong order.
pub async fn claim_admins(db: &impl ConnectionTrait) -> Result<Vec<Uuid>, StoreError> {
    if db.get_database_backend() == DbBackend::Postgres {
        leases::claim_for_transaction(db, ADMINS).await?;
    }
    let admins = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Role.eq(Role::Admin.as_str()))
        .filter(Column::IsActive.eq(true));
    Ok(admins.into_tuple().all(db).await?)
}

/// Gives an account the phone that a code proved. Its claimed and former phones are cleared, and its device tokens end. False
/// when another account has the phone: the transaction can only be rolled back then.
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

/// Removes an account with its profile, sessions and second factor.
pub async fn purge(db: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    // Foreign keys remove the other rows.
    Entity::delete_by_id(id).exec(db).await?;
    Ok(())
}

fn for_update(select: Select<Entity>) -> Select<Entity> {
    select.lock(LockType::NoKeyUpdate)
}
