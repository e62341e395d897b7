//! Rows of `budgets`. One guarded statement charges all rows of a request or none ([`claim`]), and one settles them
//! ([`settle`]). Rows are always written in the order of their stored keys, so that no two statements deadlock.
//!
//! Every function fails with [`StoreError`] when the database does not answer. A row whose key this version cannot read is
//! left out of what is returned: another version wrote it.

mod claim;
mod guard;
mod key;
mod log;
mod settle;
mod upsert;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, LockBehavior, LockType, SelectStatement, SimpleExpr},
};

use super::{
    StoreError,
    entities::budget::{Column, Entity, Model},
};
use domain::{
    budget::{BudgetKey, BudgetRow, Charge, LONGEST_HOLD, PrefixPolicy, REMEMBERED},
    clocks::SKEW,
    pseudonym::Pseudonym,
};

pub use self::{claim::claim, settle::settle};
pub(super) use self::{
    claim::statement as charging,
    guard::{is_after, is_full, refusing},
    key::PREFIX,
    settle::statement as settling,
};

/// One row.
pub async fn find(db: &impl ConnectionTrait, key: &BudgetKey) -> Result<Option<BudgetRow>, StoreError> {
    Ok(Entity::find().filter(has_key(key)).one(db).await?.as_ref().and_then(read))
}

/// The rows of these charges.
pub async fn list(db: &impl ConnectionTrait, charges: &[Charge]) -> Result<Vec<BudgetRow>, StoreError> {
    if charges.is_empty() {
        return Ok(Vec::new());
    }
    let keys = charges.iter().map(|charge| key::encode(&charge.key));
    Ok(readable(&Entity::find().filter(Column::Key.is_in(keys)).all(db).await?))
}

/// The rows of a phone, in the order of their keys.
pub async fn list_of_phone(
    db: &impl ConnectionTrait,
    phone_hash: &Pseudonym,
) -> Result<Vec<BudgetRow>, StoreError> {
    let rows = Entity::find().filter(begins_with(&key::of_phone(phone_hash))).order_by_asc(Column::Key);
    Ok(readable(&rows.all(db).await?))
}

/// Corrects what a clock that was wrong wrote into a row: charges in the future become charges of now, and a prefix stays
/// closed or held no longer than the policy says. A row that is charged meanwhile is left as it is; the next request that
/// reads it calls this again.
pub async fn correct_future_times(
    db: &impl ConnectionTrait,
    key: &BudgetKey,
    policy: &PrefixPolicy,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(row) = Entity::find().filter(has_key(key)).one(db).await? else {
        return Ok(());
    };
    let log = log::without_future(&row.log, now);
    let at_most = |column: Column, most: DateTime<Utc>| {
        let kept = Expr::col((Entity, column));
        SimpleExpr::Case(Box::new(Expr::case(is_after(column, most), Expr::value(most)).finally(kept)))
    };
    // A prefix that staff closed is held closed for as long as it is closed.
    let held_for = if row.closed_until.is_some() { policy.closed_for } else { LONGEST_HOLD };
    Entity::update_many()
        .col_expr(Column::Log, Expr::value(log))
        .col_expr(Column::CooldownStartedAt, at_most(Column::CooldownStartedAt, now))
        .col_expr(Column::ClosedUntil, at_most(Column::ClosedUntil, now + policy.closed_for))
        .col_expr(Column::HeldUntil, at_most(Column::HeldUntil, now + held_for))
        .filter(has_key(key))
        .filter(Column::Log.eq(row.log))
        .exec(db)
        .await?;
    Ok(())
}

/// Removes all guesses at a phone, those of other services too, and returns the rows that held them.
pub async fn purge_phone_guesses(
    db: &impl ConnectionTrait,
    phone_hash: &Pseudonym,
) -> Result<Vec<BudgetRow>, StoreError> {
    let guesses = key::encode(&BudgetKey::PhoneGuesses(phone_hash.clone()));
    let from_addresses = begins_with(&format!("{guesses}/"));
    let by_services = begins_with(&format!("{}checks/", key::of_phone(phone_hash)));
    // Locked in the order in which rows are written.
    let these = Entity::find()
        .select_only()
        .column(Column::Key)
        .filter(Condition::any().add(Column::Key.eq(guesses)).add(from_addresses).add(by_services))
        .order_by_asc(Column::Key)
        .lock(LockType::Update)
        .into_query();
    let delete = Entity::delete_many().filter(Column::Key.in_subquery(these));
    Ok(readable(&delete.exec_with_returning(db).await?))
}

/// Removes up to `most` rows that have ended. Returns how many.
pub async fn purge(db: &impl ConnectionTrait, now: DateTime<Utc>, most: u64) -> Result<u64, StoreError> {
    let these = some(Column::EndsAt.lte(now), most);
    let purge = Entity::delete_many().filter(Column::Key.in_subquery(these)).filter(Column::EndsAt.lte(now));
    Ok(purge.exec(db).await?.rows_affected)
}

/// Shortens the life of up to `most` rows that end later than any row may: those of a clock that was wrong, and of earlier
/// versions, which kept failures in a row for ever. Returns how many.
pub async fn set_longest_life(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let longest = now + REMEMBERED;
    let these = some(Column::EndsAt.gt(longest + SKEW), most);
    let bounded = Entity::update_many().col_expr(Column::EndsAt, Expr::value(longest));
    Ok(bounded.filter(Column::Key.in_subquery(these)).exec(db).await?.rows_affected)
}

/// The keys of up to `most` rows that no other transaction has locked.
fn some(which: SimpleExpr, most: u64) -> SelectStatement {
    Entity::find()
        .select_only()
        .column(Column::Key)
        .filter(which)
        .order_by_asc(Column::EndsAt)
        .order_by_asc(Column::Key)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query()
}

pub(super) fn has_key(key: &BudgetKey) -> SimpleExpr {
    Column::Key.eq(key::encode(key))
}

/// The keys that begin with this text, as a range, which the primary key serves on both databases. The text must end with an
/// ASCII character other than the last one.
pub(super) fn begins_with(beginning: &str) -> Condition {
    let mut end = beginning.to_owned();
    let next = end.pop().map(|last| char::from_u32(u32::from(last) + 1).unwrap_or(last));
    end.extend(next);
    Condition::all().add(Column::Key.gte(beginning)).add(Column::Key.lt(end))
}

/// The rows whose keys this version can read.
pub(super) fn readable(rows: &[Model]) -> Vec<BudgetRow> {
    rows.iter().filter_map(read).collect()
}

fn read(row: &Model) -> Option<BudgetRow> {
    Some(BudgetRow {
        key: key::decode(&row.key)?,
        log: log::times(&row.log),
        count: row.count,
        answered: row.answered,
        cooldown_started_at: row.cooldown_started_at,
        closed_until: row.closed_until,
        held_until: row.held_until,
        is_alarm_sent: row.is_alarm_sent,
    })
}
