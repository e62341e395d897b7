//! What is done with events beside sending them: the operator lists, repeats and skips them, and old ones are removed.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, Order, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Statement, UpdateMany,
    sea_query::{Expr, LockBehavior, LockType, Query, SimpleExpr, SubQueryStatement, UnionType},
};
use uuid::Uuid;

use super::{Column, Entity, Released, release, stored};
use crate::{StoreError, entities::merged_account};
use domain::events::{RETRIED_FOR, StoredEvent, Subject};

/// Of how many users and leads one statement releases what was behind a removed event.
const RELEASED_AT_ONCE: usize = 100;

/// Which events are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those that wait, in their order.
    Waiting,
    /// Those that were given up, in their order.
    Dead,
}

impl Wanted {
    fn condition(self) -> SimpleExpr {
        match self {
            Self::Waiting => Column::DiedAt.is_null(),
            Self::Dead => Column::DiedAt.is_not_null(),
        }
    }
}

/// The first events, of all users or of one.
pub async fn list(
    db: &impl ConnectionTrait,
    wanted: Wanted,
    user_id: Option<Uuid>,
    most: u64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let of_user = user_id.map(|id| of_user(db.get_database_backend(), id));
    let position = Column::Position.into_expr();
    // A user has few events: they are sorted. By the bare column PostgreSQL may walk through the events of all users in their order.
    let order = if user_id.is_some() { position.add(0) } else { position };
    let rows = Entity::find()
        .filter(Condition::all().add(wanted.condition()).add_option(of_user))
        .order_by(order, Order::Asc)
        .limit(most)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(stored).collect())
}

/// All events of a user that were not delivered, in their order.
pub async fn list_of_user(db: &impl ConnectionTrait, user_id: Uuid) -> Result<Vec<StoredEvent>, StoreError> {
    let mut events = list(db, Wanted::Waiting, Some(user_id), u64::from(u32::MAX)).await?;
    events.extend(list(db, Wanted::Dead, Some(user_id), u64::from(u32::MAX)).await?);
    events.sort_by_key(|event| event.position);
    Ok(events)
}

/// The event with this id.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
    Ok(Entity::find().filter(Column::Id.eq(id)).one(db).await?.map(stored))
}

/// Gives up an event that waits, and releases the next one of its subject. `None` when there is none with this id. Runs in a
/// transaction.
pub async fn close(
    db: &impl ConnectionTrait,
    id: Uuid,
    why: &str,
    now: DateTime<Utc>,
) -> Result<Option<StoredEvent>, StoreError> {
    let closed = Entity::update_many()
        .col_expr(Column::NextAttemptAt, Expr::value(Option::<DateTime<Utc>>::None))
        .col_expr(Column::DiedAt, Expr::value(now))
        .col_expr(Column::LastError, Expr::value(why))
        .filter(Column::Id.eq(id))
        .filter(Column::DiedAt.is_null())
        .exec_with_returning(db)
        .await?;
    let closed = closed.into_iter().next().map(stored);
    release(db, closed.iter().map(|event| event.subject), Released::Any, now).await?;
    Ok(closed)
}

/// Lets an event be sent that was given up. `None` when there is none with this id.
pub async fn set_waiting(
    db: &impl ConnectionTrait,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<StoredEvent>, StoreError> {
    let waiting = waiting(now).filter(Column::Id.eq(id)).exec_with_returning(db).await?;
    Ok(waiting.into_iter().next().map(stored))
}

/// Lets all events be sent that were given up, of all users or of one. Returns how many.
pub async fn set_waiting_of(
    db: &impl ConnectionTrait,
    user_id: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let of_user = Condition::all().add_option(user_id.map(|id| Column::UserId.eq(id)));
    Ok(waiting(now).filter(of_user).exec(db).await?.rows_affected)
}

/// Its place stays, so that it is sent before later events of its subject that still wait.
fn waiting(now: DateTime<Utc>) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Attempts, Expr::value(0_i64))
        .col_expr(Column::NextAttemptAt, Expr::value(now))
        .col_expr(Column::RetryUntil, Expr::value(now + RETRIED_FOR))
        .col_expr(Column::DiedAt, Expr::value(Option::<DateTime<Utc>>::None))
        .filter(Column::DiedAt.is_not_null())
}

/// Removes an event that was held, because it is not true any more, and releases what was behind it. Runs in a transaction.
pub async fn purge_held(db: &impl ConnectionTrait, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    let held = Entity::delete_many().filter(Column::Id.eq(id)).exec_with_returning(db).await?;
    release(db, held.into_iter().map(|row| stored(row).subject), Released::Any, now).await
}

/// The events of an account, and those of the accounts that were joined with it: they are about the same user.
fn of_user(backend: DbBackend, id: Uuid) -> SimpleExpr {
    use merged_account::{Column as MergedColumn, Entity as Merged};
    let merged = Merged::find().select_only().column(MergedColumn::Id).filter(MergedColumn::IntoId.eq(id));
    let ids = Query::select().expr(Expr::val(id)).union(UnionType::All, merged.into_query()).take();
    if backend == DbBackend::Postgres {
        // As an array the ids are known before the plan begins, so that the index on users can find each. The plan of a subquery
        // may read all events instead.
        let ids = SimpleExpr::SubQuery(None, Box::new(SubQueryStatement::SelectStatement(ids)));
        Expr::cust_with_exprs("$1 = ANY(ARRAY $2)", [Expr::col(Column::UserId), ids])
    } else {
        Column::UserId.in_subquery(ids)
    }
}

/// Removes all events of a user and of a lead, and releases what was behind them. Runs in a transaction.
pub async fn purge_of(
    db: &impl ConnectionTrait,
    subject: Subject,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Subject { user_id, lead_id } = subject;
    let of_user = user_id.map(|id| of_user(db.get_database_backend(), id));
    let of_lead = lead_id.map(|id| Column::LeadId.eq(id));
    let mut subjects = Vec::new();
    for of in of_user.into_iter().chain(of_lead) {
        // One index has those that wait, another one those that were given up.
        for state in [Wanted::Waiting, Wanted::Dead] {
            let these = Entity::delete_many().filter(of.clone()).filter(state.condition());
            subjects.extend(these.exec_with_returning(db).await?.into_iter().map(|row| stored(row).subject));
        }
    }
    // Nothing is left of the user and of the lead themselves.
    let others = subjects.into_iter().map(|other| Subject {
        user_id: other.user_id.filter(|id| Some(*id) != user_id),
        lead_id: other.lead_id.filter(|id| Some(*id) != lead_id),
    });
    release(db, others, Released::Any, now).await
}

/// Removes up to `most` events that were given up before this time. Returns how many.
pub async fn purge_dead(
    db: &impl ConnectionTrait,
    died_before: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let these = Entity::find()
        .select_only()
        .column(Column::Position)
        .filter(Column::DiedAt.lt(died_before))
        .order_by_asc(Column::DiedAt)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let purge = Entity::delete_many().filter(Column::Position.in_subquery(these));
    Ok(purge.exec(db).await?.rows_affected)
}

/// Removes up to `most` of the oldest events, if they happened before this time: where no events are sent any more. What was
/// behind them is released, because events may be sent again later. Returns how many. Runs in a transaction.
pub async fn purge_old(
    db: &impl ConnectionTrait,
    before: DateTime<Utc>,
    most: u64,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    // The oldest ones first, by their place: there is no index on the time.
    let oldest: Vec<(i64, DateTime<Utc>)> = Entity::find()
        .select_only()
        .columns([Column::Position, Column::CreatedAt])
        .order_by_asc(Column::Position)
        .limit(most)
        .into_tuple()
        .all(db)
        .await?;
    let old = oldest.into_iter().filter(|(_, at)| *at < before).map(|(position, _)| position);
    let old: Vec<i64> = old.collect();
    if old.is_empty() {
        return Ok(0);
    }
    let removed = Entity::delete_many().filter(Column::Position.is_in(old)).exec_with_returning(db).await?;
    let count = u64::try_from(removed.len()).unwrap_or(u64::MAX);
    let mut subjects: Vec<Subject> = removed.into_iter().map(|row| stored(row).subject).collect();
    subjects.sort_unstable_by_key(|subject| (subject.user_id, subject.lead_id));
    subjects.dedup();
    for some in subjects.chunks(RELEASED_AT_ONCE) {
        release(db, some.iter().copied(), Released::Any, now).await?;
    }
    Ok(count)
}

/// What was not delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many events wait, up to the limit.
    pub waiting: i64,
    /// How many were given up, up to the limit.
    pub dead: i64,
    /// When the oldest one that waits happened.
    pub oldest: Option<DateTime<Utc>>,
}

/// Counts what was not delivered: no more than `most` events of each kind, so that a long queue costs no more.
pub async fn count(db: &impl ConnectionTrait, most: u64) -> Result<Backlog, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let select = Statement::from_sql_and_values(db.get_database_backend(), COUNTS, [most.into()]);
    let Some(row) = db.query_one_raw(select).await? else { return Ok(Backlog::default()) };
    // The first one in order of their places, because a minimum of the times would have no index.
    let oldest = Entity::find()
        .select_only()
        .column(Column::CreatedAt)
        .filter(Column::NextAttemptAt.is_not_null())
        .order_by_asc(Column::Position)
        .limit(1);
    let oldest: Option<DateTime<Utc>> = oldest.into_tuple().one(db).await?;
    Ok(Backlog { waiting: row.try_get("", "waiting")?, dead: row.try_get("", "dead")?, oldest })
}

const COUNTS: &str = "SELECT (SELECT count(*) FROM \
    (SELECT 1 FROM outbox WHERE died_at IS NULL LIMIT $1) AS counted) AS waiting, \
    (SELECT count(*) FROM (SELECT 1 FROM outbox WHERE died_at IS NOT NULL LIMIT $1) AS counted) AS dead";
