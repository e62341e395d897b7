//! Rows of `budgets` that belong to prefixes of numbers, and the alarm of a daily cap.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func, SimpleExpr},
};

use super::{
    StoreError,
    budgets::{PREFIX, begins_with, has_key, is_after, is_full, readable},
    entities::budget::{Column, Entity},
};
use domain::{
    budget::{BudgetKey, BudgetRow, Country, PrefixName, PrefixPolicy, REMEMBERED, Wanted},
    users::PageOf,
};

/// Closes a prefix that has as many unanswered messages as it may have, and is neither closed nor held open. `None` when
/// another request was first, or an answer came meanwhile.
pub async fn close(
    db: &impl ConnectionTrait,
    key: &BudgetKey,
    policy: &PrefixPolicy,
    now: DateTime<Utc>,
) -> Result<Option<BudgetRow>, StoreError> {
    let closed = Entity::update_many()
        .col_expr(Column::ClosedUntil, Expr::value(now + policy.closed_for))
        // The trial messages after that are counted on their own.
        .col_expr(Column::Log, Expr::value(""))
        .filter(has_key(key))
        .filter(is_after(Column::ClosedUntil, now).not())
        .filter(is_after(Column::HeldUntil, now).not())
        .filter(is_full(policy, now))
        .exec_with_returning(db)
        .await?;
    Ok(readable(&closed).pop())
}

/// Opens a prefix after a code of it was verified, if it is closed or half open and staff do not hold it closed. `None`
/// when another request was first.
pub async fn open(
    db: &impl ConnectionTrait,
    key: &BudgetKey,
    now: DateTime<Utc>,
) -> Result<Option<BudgetRow>, StoreError> {
    let opened = Entity::update_many()
        .col_expr(Column::ClosedUntil, Expr::value(Option::<DateTime<Utc>>::None))
        .col_expr(Column::Log, Expr::value(""))
        .filter(has_key(key))
        .filter(Column::ClosedUntil.is_not_null())
        .filter(is_after(Column::HeldUntil, now).not())
        .exec_with_returning(db)
        .await?;
    Ok(readable(&opened).pop())
}

/// Opens the rows of a prefix, whatever their state, and holds them open until the given time. A prefix of a country code
/// that several countries share can have a row for each country.
pub async fn set_open(
    db: &impl ConnectionTrait,
    prefix: &PrefixName,
    held_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Vec<BudgetRow>, StoreError> {
    update(db, prefix, None, held_until, now).await
}

/// Closes the rows of a prefix until the given time, even if codes are verified.
pub async fn set_closed(
    db: &impl ConnectionTrait,
    prefix: &PrefixName,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<BudgetRow>, StoreError> {
    update(db, prefix, Some(until), Some(until), now).await
}

async fn update(
    db: &impl ConnectionTrait,
    prefix: &PrefixName,
    closed_until: Option<DateTime<Utc>>,
    held_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Vec<BudgetRow>, StoreError> {
    let updated = Entity::update_many()
        .col_expr(Column::ClosedUntil, Expr::value(closed_until))
        .col_expr(Column::HeldUntil, Expr::value(held_until))
        .col_expr(Column::Log, Expr::value(""))
        // Otherwise a purge could remove the row, and with it the decision of staff, too early.
        .col_expr(Column::EndsAt, Expr::value(now + REMEMBERED))
        .filter(is_prefix(prefix))
        .exec_with_returning(db)
        .await?;
    Ok(readable(&updated))
}

/// The rows of a prefix: one for each country that shares its country code.
pub async fn list(db: &impl ConnectionTrait, prefix: &PrefixName) -> Result<Vec<BudgetRow>, StoreError> {
    Ok(readable(&Entity::find().filter(is_prefix(prefix)).order_by_asc(Column::Key).all(db).await?))
}

/// A page of prefixes, those with the most messages first, and how many prefixes there are.
pub async fn list_page(
    db: &impl ConnectionTrait,
    wanted: Wanted,
    page: PageOf,
    now: DateTime<Utc>,
) -> Result<(Vec<BudgetRow>, u64), StoreError> {
    let wanted = match wanted {
        Wanted::All => None,
        Wanted::Closed => Some(is_after(Column::ClosedUntil, now)),
        Wanted::Open => Some(is_after(Column::ClosedUntil, now).not()),
    };
    let found = Entity::find().filter(all()).filter(Condition::all().add_option(wanted));
    let total = found.clone().count(db).await?;
    let rows = found
        .order_by_desc(Column::Count)
        .order_by_asc(Column::Key)
        .offset(page.offset())
        .limit(page.size())
        .all(db)
        .await?;
    Ok((readable(&rows), total))
}

#[derive(FromQueryResult)]
struct Sums {
    country: String,
    prefixes: i64,
    closed: i64,
    sent: i64,
    verified: i64,
}

/// The sums of each country, those with the most messages first.
pub async fn list_countries(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
) -> Result<Vec<Country>, StoreError> {
    // In PostgreSQL a sum of bigint is numeric.
    let sum = |what: SimpleExpr| Func::cast_as(Func::sum(what), "bigint");
    let closed = Expr::case(is_after(Column::ClosedUntil, now), 1_i64).finally(0_i64);
    let sums = Entity::find()
        .select_only()
        .expr_as(region(), "country")
        .expr_as(Func::count(Expr::col(Column::Key)), "prefixes")
        .expr_as(sum(closed.into()), "closed")
        .expr_as(sum(Expr::col(Column::Count)), "sent")
        .expr_as(sum(Expr::col(Column::Answered)), "verified")
        .filter(all())
        .group_by(region())
        .into_model::<Sums>()
        .all(db)
        .await?;
    let mut countries: Vec<Country> = sums
        .into_iter()
        .map(|Sums { country, prefixes, closed, sent, verified }| Country {
            country,
            prefixes,
            closed,
            sent,
            verified,
        })
        .collect();
    countries.sort_by(|one, other| (other.sent, &one.country).cmp(&(one.sent, &other.country)));
    Ok(countries)
}

/// Remembers that the operator was told that a cap is nearly spent. False when this was remembered before.
pub async fn set_alarm_sent(db: &impl ConnectionTrait, key: &BudgetKey) -> Result<bool, StoreError> {
    let marked = Entity::update_many()
        .col_expr(Column::IsAlarmSent, Expr::value(true))
        .filter(has_key(key))
        .filter(Column::IsAlarmSent.eq(false))
        .exec(db)
        .await?;
    Ok(marked.rows_affected == 1)
}

fn all() -> Condition {
    begins_with(PREFIX)
}

/// The keys of a prefix in any country.
fn is_prefix(prefix: &PrefixName) -> Condition {
    all().add(Column::Key.like(format!("{PREFIX}__/{prefix}")))
}

/// The two letters of the country in the key.
fn region() -> SimpleExpr {
    let start = i32::try_from(PREFIX.len()).unwrap_or(i32::MAX).saturating_add(1);
    Func::cust("substr")
        .arg(Expr::col(Column::Key))
        .arg(Expr::cust(start.to_string()))
        .arg(Expr::cust("2"))
        .into()
}
