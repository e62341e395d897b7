//! Rows of `budgets` that are prefixes of numbers, and those of daily caps as far as the operator is told of them.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func, SimpleExpr},
};

use super::{
    StoreError,
    budgets::{is_after, is_full, under},
    entities::budget::{Column, Entity},
};
use domain::{
    budget::{BudgetRow, Country, PREFIX_KEYS, PrefixName, PrefixPolicy, REMEMBERED, Wanted},
    users::PageOf,
};

/// Closes a prefix until then, if it has as many messages without an answer as it may have and is not closed. `None` when
/// somebody else was first, or an answer came meanwhile.
///
/// # Errors
/// When the database does not answer.
pub async fn close(
    db: &impl ConnectionTrait,
    key: &str,
    policy: &PrefixPolicy,
    now: DateTime<Utc>,
) -> Result<Option<BudgetRow>, StoreError> {
    let closed = Entity::update_many()
        .col_expr(Column::ClosedUntil, Expr::value(now + policy.closed_for))
        // What is let through after that is judged by itself.
        .col_expr(Column::Log, Expr::value(""))
        .filter(Column::Key.eq(key))
        .filter(is_after(Column::ClosedUntil, now).not())
        .filter(is_after(Column::HeldUntil, now).not())
        .filter(is_full(policy, now))
        .exec_with_returning(db)
        .await?;
    Ok(closed.into_iter().next().map(BudgetRow::from))
}

/// Opens a prefix of which a code came back, if it is closed or half open and staff do not hold it so. `None` when
/// somebody else was first.
///
/// # Errors
/// When the database does not answer.
pub async fn open(
    db: &impl ConnectionTrait,
    key: &str,
    now: DateTime<Utc>,
) -> Result<Option<BudgetRow>, StoreError> {
    let opened = Entity::update_many()
        .col_expr(Column::ClosedUntil, Expr::value(Option::<DateTime<Utc>>::None))
        .col_expr(Column::Log, Expr::value(""))
        .filter(Column::Key.eq(key))
        .filter(Column::ClosedUntil.is_not_null())
        .filter(is_after(Column::HeldUntil, now).not())
        .exec_with_returning(db)
        .await?;
    Ok(opened.into_iter().next().map(BudgetRow::from))
}

/// Opens the rows of a prefix, whatever they were, and holds them open until then. A prefix of a country code that several
/// countries share may have a row for each.
///
/// # Errors
/// When the database does not answer.
pub async fn set_open(
    db: &impl ConnectionTrait,
    prefix: &PrefixName,
    held_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Vec<BudgetRow>, StoreError> {
    update(db, prefix, None, held_until, now).await
}

/// Closes the rows of a prefix until then, whatever comes back.
///
/// # Errors
/// When the database does not answer.
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
    let is_tombstone = Entity::update_many()
        .col_expr(Column::ClosedUntil, Expr::value(closed_until))
        .col_expr(Column::HeldUntil, Expr::value(held_until))
        .col_expr(Column::Log, Expr::value(""))
        // Or it might be forgotten with the row before its time.
        .col_expr(Column::EndsAt, Expr::value(now + REMEMBERED))
        .filter(is_prefix(prefix))
        .exec_with_returning(db)
        .await?;
    Ok(is_tombstone.into_iter().map(BudgetRow::from).collect())
}

/// The rows of a prefix: one, unless several countries share its code.
///
/// # Errors
/// When the database does not answer.
pub async fn list(db: &impl ConnectionTrait, prefix: &PrefixName) -> Result<Vec<BudgetRow>, StoreError> {
    let rows = Entity::find().filter(is_prefix(prefix)).order_by_asc(Column::Key).all(db).await?;
    Ok(rows.into_iter().map(BudgetRow::from).collect())
}

/// A page of prefixes, those with the most messages first, and how many there are.
///
/// # Errors
/// When the database does not answer.
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
    Ok((rows.into_iter().map(BudgetRow::from).collect(), total))
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
///
/// # Errors
/// When the database does not answer.
pub async fn list_countries(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
) -> Result<Vec<Country>, StoreError> {
    // Sums of whole numbers are of a type without bounds in PostgreSQL.
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

/// Remembers that the operator was told of a cap. False when that was so before.
///
/// # Errors
/// When the database does not answer.
pub async fn set_alarm_sent(db: &impl ConnectionTrait, key: &str) -> Result<bool, StoreError> {
    let told = Entity::update_many()
        .col_expr(Column::Answered, Expr::value(1_i64))
        .filter(Column::Key.eq(key))
        .filter(Column::Answered.eq(0_i64))
        .exec(db)
        .await?;
    Ok(told.rows_affected == 1)
}

fn all() -> Condition {
    under(PREFIX_KEYS)
}

/// `prefix/IN/+916205`: of any country.
fn is_prefix(prefix: &PrefixName) -> Condition {
    all().add(Column::Key.like(format!("{PREFIX_KEYS}__/{prefix}")))
}

/// The two letters in the key.
fn region() -> SimpleExpr {
    let start = i32::try_from(PREFIX_KEYS.len()).unwrap_or(i32::MAX).saturating_add(1);
    Func::cust("substr")
        .arg(Expr::col(Column::Key))
        .arg(Expr::cust(start.to_string()))
        .arg(Expr::cust("2"))
        .into()
}
