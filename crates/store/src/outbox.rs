//! Rows of `outbox`: events that wait to be sent to the operator's receiver, and those that were given up.
//!
//! Events that share a user or a lead are sent in their order. One that is found behind an earlier one is parked: its
//! `next_attempt_at` is empty until that one is gone, so that a search for what is due never reads a long queue of one user.
//! Only the one sender parks ([`park`]). What removes an event or gives it up releases the next one of its subject in the same
//! transaction.
//!
//! `outbox/operate.rs` has what the operator does with events, and removes old ones.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

mod operate;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Statement,
    sea_query::{Expr, InsertStatement, Query, SelectStatement, SimpleExpr, UnionType},
};
use uuid::Uuid;

pub use self::operate::{
    Backlog, Wanted, close, count, find, list, list_of_user, purge_dead, purge_held, purge_of, purge_old,
    set_waiting, set_waiting_of,
};
use super::{
    StoreError,
    entities::outbox::{ActiveModel, Column, Entity, Model},
};
use domain::events::{NewEvent, RETRIED_FOR, StoredEvent, Subject};

/// Adds events, in this order.
pub async fn insert_many(
    db: &impl ConnectionTrait,
    events: &[NewEvent],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let rows = events.iter().map(|event| row(event, now));
    Entity::insert_many(rows).exec_without_returning(db).await?;
    Ok(())
}

/// Adds an event that is not sent before this time, unless [`release_held`] comes first. Later events of its subject wait for it.
pub async fn insert_held(
    db: &impl ConnectionTrait,
    event: &NewEvent,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let held = ActiveModel { next_attempt_at: Set(Some(until)), ..row(event, now) };
    Entity::insert(held).exec_without_returning(db).await?;
    Ok(())
}

/// Lets an event be sent that was held.
pub async fn release_held(db: &impl ConnectionTrait, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::NextAttemptAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::NextAttemptAt.gt(now))
        .exec(db)
        .await?;
    Ok(())
}

fn row(event: &NewEvent, now: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        position: NotSet,
        id: Set(event.id),
        kind: Set(event.kind.to_owned()),
        user_id: Set(event.subject.user_id),
        lead_id: Set(event.subject.lead_id),
        data: Set(event.data.clone()),
        created_at: Set(now),
        attempts: Set(0),
        next_attempt_at: Set(Some(now)),
        retry_until: Set(now + RETRIED_FOR),
        died_at: NotSet,
        last_error: NotSet,
    }
}

/// The columns of a new event.
const COLUMNS: [Column; 9] = [
    Column::Id,
    Column::Kind,
    Column::UserId,
    Column::LeadId,
    Column::Data,
    Column::CreatedAt,
    Column::Attempts,
    Column::NextAttemptAt,
    Column::RetryUntil,
];

/// The row of an event, to be selected from the parts of a statement that make it true. They know its subject.
pub(super) fn selecting(
    event: &NewEvent,
    (user_id, lead_id): (Option<SimpleExpr>, Option<SimpleExpr>),
    now: DateTime<Utc>,
) -> SelectStatement {
    let none = || Expr::val(Option::<Uuid>::None);
    let mut select = Query::select();
    select
        .expr(Expr::val(event.id))
        .expr(Expr::val(event.kind))
        .expr(user_id.unwrap_or_else(none))
        .expr(lead_id.unwrap_or_else(none))
        .expr(Expr::val(event.data.as_str()))
        .expr(Expr::val(now))
        .expr(Expr::val(0_i64))
        .expr(Expr::val(now))
        .expr(Expr::val(now + RETRIED_FOR));
    select
}

/// Adds the events of these selects, in this order.
pub(super) fn inserting(selects: Vec<SelectStatement>) -> Result<Option<InsertStatement>, DbErr> {
    let mut selects = selects.into_iter();
    let Some(mut all) = selects.next() else { return Ok(None) };
    for select in selects {
        all.union(UnionType::All, select);
    }
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(COLUMNS);
    insert.select_from(all).map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok(Some(insert))
}

/// An event that is due.
#[derive(Debug)]
pub struct Due {
    /// The event.
    pub event: StoredEvent,
    /// Whether an earlier event of its subject waits.
    pub is_behind: bool,
}

/// The first events that are due, and whether each is behind another one.
pub async fn list_due(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
    most: u64,
) -> Result<Vec<Due>, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let select = Statement::from_sql_and_values(db.get_database_backend(), DUE, [now.into(), most.into()]);
    let mut due = Vec::new();
    for row in db.query_all_raw(select).await? {
        let is_behind: i64 = row.try_get("", "is_behind")?;
        due.push(Due { event: stored(Model::from_query_result(&row, "")?), is_behind: is_behind == 1 });
    }
    Ok(due)
}

/// Each `EXISTS` compares its own column, so that each has an index.
const DUE: &str = "SELECT outbox.*, CAST(CASE \
    WHEN EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.user_id = outbox.user_id \
    AND earlier.died_at IS NULL AND earlier.position < outbox.position) THEN 1 \
    WHEN EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.lead_id = outbox.lead_id \
    AND earlier.died_at IS NULL AND earlier.position < outbox.position) THEN 1 \
    ELSE 0 END AS BIGINT) AS is_behind \
    FROM outbox WHERE next_attempt_at <= $1 ORDER BY next_attempt_at, position LIMIT $2";

/// Parks events that are behind others. One that was released since it was read stays due: otherwise nothing would release it.
pub async fn park(db: &impl ConnectionTrait, events: &[StoredEvent]) -> Result<(), StoreError> {
    let as_read = events.iter().fold(Condition::any(), |any, event| {
        let is_event = Column::Position.eq(event.position);
        any.add(is_event.and(Column::NextAttemptAt.eq(event.next_attempt_at)))
    });
    if events.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::NextAttemptAt, Expr::value(Option::<DateTime<Utc>>::None))
        .filter(as_read)
        .exec(db)
        .await?;
    Ok(())
}

/// Removes events that were delivered, and releases the next ones.
pub async fn purge_sent(
    db: &impl ConnectionTrait,
    events: &[StoredEvent],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let positions = events.iter().map(|event| event.position);
    Entity::delete_many().filter(Column::Position.is_in(positions)).exec(db).await?;
    release(db, events.iter().map(|event| event.subject), Released::Parked, now).await
}

/// Stores that an event failed, and when it is sent again.
pub async fn set_failed(
    db: &impl ConnectionTrait,
    event: &StoredEvent,
    next_attempt_at: DateTime<Utc>,
    error: &str,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1_i64))
        .col_expr(Column::NextAttemptAt, Expr::value(next_attempt_at))
        .col_expr(Column::LastError, Expr::value(error))
        .filter(Column::Position.eq(event.position))
        .filter(Column::DiedAt.is_null())
        .exec(db)
        .await?;
    Ok(())
}

/// Gives an event up, and releases the next ones.
pub async fn set_dead(
    db: &impl ConnectionTrait,
    event: &StoredEvent,
    error: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1_i64))
        .col_expr(Column::NextAttemptAt, Expr::value(Option::<DateTime<Utc>>::None))
        .col_expr(Column::LastError, Expr::value(error))
        .col_expr(Column::DiedAt, Expr::value(now))
        .filter(Column::Position.eq(event.position))
        .filter(Column::DiedAt.is_null())
        .exec(db)
        .await?;
    release(db, [event.subject], Released::Parked, now).await
}

/// Which events are released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Released {
    /// Only one that is parked. For the sender, beside which no other one parks.
    Parked,
    /// Also one that is due, so that the sender, which may be about to park it, finds that it has changed.
    Any,
}

/// Lets the earliest event of each user and lead be sent.
async fn release(
    db: &impl ConnectionTrait,
    subjects: impl IntoIterator<Item = Subject>,
    which: Released,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut first = Vec::new();
    for Subject { user_id, lead_id } in subjects {
        first.extend(user_id.map(|id| earliest(Column::UserId.eq(id))));
        first.extend(lead_id.map(|id| earliest(Column::LeadId.eq(id))));
    }
    if first.is_empty() {
        return Ok(());
    }
    let parked = (which == Released::Parked).then(|| Column::NextAttemptAt.is_null());
    Entity::update_many()
        .col_expr(Column::NextAttemptAt, Expr::value(now))
        .filter(Expr::col(Column::Position).is_in(first))
        .filter(Condition::all().add(Column::DiedAt.is_null()).add_option(parked))
        .exec(db)
        .await?;
    Ok(())
}

/// The position of the earliest event that waits.
fn earliest(of: SimpleExpr) -> SimpleExpr {
    let first = Entity::find()
        .select_only()
        .column(Column::Position)
        .filter(of)
        .filter(Column::DiedAt.is_null())
        .order_by_asc(Column::Position)
        .limit(1)
        .into_query();
    SimpleExpr::SubQuery(None, Box::new(first.into()))
}

fn stored(row: Model) -> StoredEvent {
    StoredEvent {
        position: row.position,
        id: row.id,
        kind: row.kind,
        subject: Subject { user_id: row.user_id, lead_id: row.lead_id },
        data: row.data,
        created_at: row.created_at,
        attempts: row.attempts,
        next_attempt_at: row.next_attempt_at,
        retry_until: row.retry_until,
        died_at: row.died_at,
        last_error: row.last_error,
    }
}
