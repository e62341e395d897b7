//! Rows of `budgets`. One guarded statement charges all rows of a request or none, and one settles them.
//!
//! Rows are always written in the order of their keys, so that no two statements wait for each other.

use std::mem::discriminant;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait, FromQueryResult,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{
        Alias, BinOper, CaseStatement, Expr, Func, LockBehavior, LockType, OnConflict, Query,
        SelectStatement, SimpleExpr, ValueTuple,
    },
};

use super::{
    StoreError,
    entities::budget::{Column, Entity, Model},
    error,
};
use domain::{
    budget::{
        Bound, BudgetRow, Change, Charge, ChargeId, LONGEST_HOLD, PrefixPolicy, REMEMBERED, Rule, Settlement,
    },
    clocks::SKEW,
};

/// The name of the row that conflicts, in `ON CONFLICT`.
const NEW: &str = "excluded";

/// What a statement that charges is told.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// The name that the charges get.
    pub charge_id: &'a ChargeId,
    /// How many of them a log keeps.
    pub kept: usize,
    /// The time of the request.
    pub now: DateTime<Utc>,
}

/// Charges all of these rows, or none of them: each must bear it, and so must those that are only looked at. Returns the
/// rows after the charge; `None` when nothing was charged.
///
/// On PostgreSQL a row can change while the statement waits for its lock. The statement then fails as a whole. A part of
/// a charge would be seen by others, and could refuse them for a budget that is not spent.
///
/// # Errors
/// When the database does not answer: then nothing may be sent or judged.
pub async fn claim(
    db: &impl ConnectionTrait,
    charges: &[Charge],
    occasion: Occasion<'_>,
) -> Result<Option<Vec<BudgetRow>>, StoreError> {
    let Occasion { charge_id, kept, now } = occasion;
    let mut wanted: Vec<&Charge> = charges.iter().filter(|charge| charge.is_charged).collect();
    wanted.sort_by(|one, other| one.key.cmp(&other.key));
    if wanted.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let rows = wanted.iter().map(|charge| row(charge, charge_id, now));
    let mut select = Query::select();
    // SQLite takes ON CONFLICT after a SELECT for part of a join where there is no WHERE.
    select.columns(VALUES).from_values(rows, "wanted").and_where(Expr::val(true));
    if let Some(refusing) = refusing(charges, now) {
        select.and_where(Expr::not_exists(refusing));
    }
    let log = Func::cust("substr")
        .arg(Expr::col((NEW, Column::Log)).binary(BinOper::Custom("||"), Expr::col((Entity, Column::Log))))
        .arg(1_i32)
        .arg(position(kept));
    let rested = Func::coalesce([
        Expr::col((NEW, Column::CooldownStartedAt)),
        Expr::col((Entity, Column::CooldownStartedAt)),
    ]);
    let mut count: SimpleExpr = Expr::col((Entity, Column::Count)).add(1_i64);
    if db.get_database_backend() == DbBackend::Postgres
        && let Some(refuses) = any_refuses(wanted.iter().copied(), now)
    {
        count = Expr::case(refuses, failure()).finally(count).into();
    }
    let mut conflict = OnConflict::column(Column::Key);
    conflict
        .value(Column::Log, log)
        .value(Column::Count, count)
        .value(Column::CooldownStartedAt, rested)
        .value(Column::EndsAt, Expr::col((NEW, Column::EndsAt)));
    match write(db, select, conflict).await {
        Ok(charged) if charged.is_empty() => Ok(None),
        Ok(charged) => Ok(Some(charged)),
        Err(error) if error::is_bad_text(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Fails where PostgreSQL evaluates it: a text that is no number. The text is what PostgreSQL's log shows. It takes in a
/// column, because a constant would be evaluated when the statement is planned.
fn failure() -> SimpleExpr {
    let text = Expr::val("a budget was spent by another request, count ")
        .binary(BinOper::Custom("||"), Expr::col((Entity, Column::Count)));
    text.cast_as(Alias::new("bigint"))
}

/// The rows of these that do not bear another charge. `None` where there is nothing to bear.
pub(super) fn refusing(charges: &[Charge], now: DateTime<Utc>) -> Option<SelectStatement> {
    let refuses = any_refuses(charges.iter(), now)?;
    Some(Query::select().expr(Expr::val(1_i32)).from(Entity).cond_where(refuses).take())
}

fn any_refuses<'a>(charges: impl Iterator<Item = &'a Charge>, now: DateTime<Utc>) -> Option<Condition> {
    let any = charges.fold(Condition::any(), |any, charge| any.add_option(refuses(charge, now)));
    (!any.is_empty()).then_some(any)
}

/// Settles charges: each row in its own way.
///
/// # Errors
/// When the database does not answer.
pub async fn settle(
    db: &impl ConnectionTrait,
    settlements: &[Settlement],
    charge_id: &ChargeId,
    charged_at: DateTime<Utc>,
) -> Result<Vec<BudgetRow>, StoreError> {
    let mut sorted: Vec<&Settlement> = settlements.iter().collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    if sorted.is_empty() {
        return Ok(Vec::new());
    }
    // A row that was purged meanwhile comes back empty, and goes at once.
    let rows = sorted.iter().map(|settlement| blank(settlement.key.clone(), charged_at));
    let mut select = Query::select();
    select.columns(VALUES).from_values(rows, "settled").and_where(Expr::val(true));
    let mut changes = Changes::default();
    for settlement in sorted {
        changes.add(settlement, charge_id, charged_at);
    }
    let mut conflict = OnConflict::column(Column::Key);
    changes.write(&mut conflict);
    Ok(write(db, select, conflict).await?)
}

/// What an update sets, by row.
#[derive(Default)]
struct Changes(Vec<(Column, Option<CaseStatement>)>);

impl Changes {
    fn add(&mut self, settlement: &Settlement, charge_id: &ChargeId, charged_at: DateTime<Utc>) {
        let key = settlement.key.as_str();
        let col = |column: Column| Expr::col((Entity, column));
        let none = || Expr::value(Option::<DateTime<Utc>>::None);
        let log_without = || -> SimpleExpr {
            Func::cust("replace").arg(col(Column::Log)).arg(charge_id.as_str()).arg("").into()
        };
        let lifted = || {
            Expr::case(col(Column::CooldownStartedAt).eq(charged_at), none())
                .finally(col(Column::CooldownStartedAt))
                .into()
        };
        match settlement.change {
            Change::Refund => {
                let one_less = Expr::case(col(Column::Count).gt(0_i64), col(Column::Count).sub(1_i64));
                self.set(key, Column::Log, log_without());
                self.set(key, Column::Count, one_less.finally(0_i64).into());
                self.set(key, Column::CooldownStartedAt, lifted());
                // A row of which nothing is left goes with the next purge.
                let is_empty = Condition::all()
                    .add(col(Column::Count).lte(1_i64))
                    .add(log_without().eq(""))
                    .add(col(Column::Answered).eq(0_i64))
                    .add(
                        col(Column::CooldownStartedAt)
                            .is_null()
                            .or(col(Column::CooldownStartedAt).eq(charged_at)),
                    )
                    .add(col(Column::ClosedUntil).is_null())
                    .add(col(Column::HeldUntil).is_null());
                let ends = Expr::case(is_empty, Expr::value(charged_at)).finally(col(Column::EndsAt));
                self.set(key, Column::EndsAt, ends.into());
            }
            Change::ClearCooldown => self.set(key, Column::CooldownStartedAt, lifted()),
            Change::ResetFailures { locked_at, ends_at } => {
                let is_locked = || col(Column::Count).gte(locked_at);
                let count = Expr::case(is_locked(), col(Column::Count)).finally(0_i64);
                let ends = Expr::case(is_locked(), col(Column::EndsAt)).finally(ends_at);
                self.set(key, Column::Log, log_without());
                self.set(key, Column::Count, count.into());
                self.set(key, Column::EndsAt, ends.into());
            }
            Change::Answer { forgiven } => {
                let cooldown = Func::cust("substr").arg(col(Column::Log)).arg(position(forgiven) + 1);
                self.set(key, Column::Log, cooldown.into());
                self.set(key, Column::Answered, col(Column::Answered).add(1_i64));
            }
        }
    }

    fn set(&mut self, key: &str, column: Column, value: SimpleExpr) {
        let is_this = Expr::col((Entity, Column::Key)).eq(key);
        match self.0.iter_mut().find(|(known, _)| discriminant(known) == discriminant(&column)) {
            Some((_, cases)) => *cases = cases.take().map(|cases| cases.case(is_this, value)),
            None => self.0.push((column, Some(Expr::case(is_this, value)))),
        }
    }

    fn write(self, conflict: &mut OnConflict) {
        for (column, cases) in self.0 {
            if let Some(cases) = cases {
                conflict.value(column, cases.finally(Expr::col((Entity, column))));
            }
        }
    }
}

/// One row, as it is.
///
/// # Errors
/// When the database does not answer.
pub async fn find(db: &impl ConnectionTrait, key: &str) -> Result<Option<BudgetRow>, StoreError> {
    Ok(Entity::find_by_id(key).one(db).await?.map(BudgetRow::from))
}

/// These rows, as they are.
///
/// # Errors
/// When the database does not answer.
pub async fn list(db: &impl ConnectionTrait, charges: &[Charge]) -> Result<Vec<BudgetRow>, StoreError> {
    if charges.is_empty() {
        return Ok(Vec::new());
    }
    let keys = charges.iter().map(|charge| charge.key.as_str());
    let rows = Entity::find().filter(Column::Key.is_in(keys)).all(db).await?;
    Ok(rows.into_iter().map(BudgetRow::from).collect())
}

/// The rows whose keys begin so, in the order of their keys.
///
/// # Errors
/// When the database does not answer.
pub async fn list_under(db: &impl ConnectionTrait, beginning: &str) -> Result<Vec<BudgetRow>, StoreError> {
    let rows = Entity::find().filter(under(beginning)).order_by_asc(Column::Key);
    Ok(rows.all(db).await?.into_iter().map(BudgetRow::from).collect())
}

/// Lets what lies in the future in a row be now, and what a prefix waits for begin now. A row that is charged meanwhile stays
/// as it is: the next request that meets it calls this again.
///
/// # Errors
/// When the database does not answer.
pub async fn mark_past(
    db: &impl ConnectionTrait,
    key: &str,
    policy: &PrefixPolicy,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(row) = Entity::find_by_id(key).one(db).await? else {
        return Ok(());
    };
    let log = BudgetRow::log_until(&row.log, now);
    let at_most = |column: Column, most: DateTime<Utc>| {
        let kept = Expr::col((Entity, column));
        SimpleExpr::Case(Box::new(Expr::case(is_after(column, most), Expr::value(most)).finally(kept)))
    };
    // What staff closed is held closed for as long as it is closed.
    let held_for = if row.closed_until.is_some() { policy.closed_for } else { LONGEST_HOLD };
    Entity::update_many()
        .col_expr(Column::Log, Expr::value(log))
        .col_expr(Column::CooldownStartedAt, at_most(Column::CooldownStartedAt, now))
        .col_expr(Column::ClosedUntil, at_most(Column::ClosedUntil, now + policy.closed_for))
        .col_expr(Column::HeldUntil, at_most(Column::HeldUntil, now + held_for))
        .filter(Column::Key.eq(key))
        .filter(Column::Log.eq(row.log))
        .exec(db)
        .await?;
    Ok(())
}

/// Removes a row and those below it, and hands out what they held.
///
/// # Errors
/// When the database does not answer.
pub async fn purge_under(db: &impl ConnectionTrait, key: &str) -> Result<Vec<BudgetRow>, StoreError> {
    let below = under(&format!("{key}/"));
    // Locked in the order in which rows are written.
    let these = Entity::find()
        .select_only()
        .column(Column::Key)
        .filter(Condition::any().add(Column::Key.eq(key)).add(below))
        .order_by_asc(Column::Key)
        .lock(LockType::Update)
        .into_query();
    let delete = Entity::delete_many().filter(Column::Key.in_subquery(these));
    let gone = delete.exec_with_returning(db).await?;
    Ok(gone.into_iter().map(BudgetRow::from).collect())
}

/// Removes so many of the rows of which nothing matters any more, and says how many they were.
///
/// # Errors
/// When the database does not answer.
pub async fn purge(db: &impl ConnectionTrait, now: DateTime<Utc>, most: u64) -> Result<u64, StoreError> {
    let these = some(Column::EndsAt.lte(now), most);
    let purge = Entity::delete_many().filter(Column::Key.in_subquery(these)).filter(Column::EndsAt.lte(now));
    Ok(purge.exec(db).await?.rows_affected)
}

/// Lets so many of the rows that would be kept for longer than any be kept for as long as that, and says how many they were:
/// those of a clock that was wrong, and of versions that kept failures in a row for ever.
///
/// # Errors
/// When the database does not answer.
pub async fn mark_remembered(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let longest = now + REMEMBERED;
    let these = some(Column::EndsAt.gt(longest + SKEW), most);
    let bounded = Entity::update_many().col_expr(Column::EndsAt, Expr::value(longest));
    Ok(bounded.filter(Column::Key.in_subquery(these)).exec(db).await?.rows_affected)
}

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

/// The keys that begin so, as a range, which the primary key serves on both databases. The last byte is one of ASCII, and
/// not the last of it.
pub(super) fn under(beginning: &str) -> Condition {
    let mut end = beginning.to_owned();
    let next = end.pop().map(|last| char::from_u32(u32::from(last) + 1).unwrap_or(last));
    end.extend(next);
    Condition::all().add(Column::Key.gte(beginning)).add(Column::Key.lt(end))
}

async fn write(
    db: &impl ConnectionTrait,
    select: SelectStatement,
    conflict: OnConflict,
) -> Result<Vec<BudgetRow>, DbErr> {
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(COLUMNS);
    insert.select_from(select).map_err(|error| DbErr::Custom(error.to_string()))?;
    insert.on_conflict(conflict).returning_all();
    let rows = db.query_all(&insert).await?;
    rows.iter().map(|row| Ok(Model::from_query_result(row, "")?.into())).collect()
}

const COLUMNS: [Column; 8] = [
    Column::Key,
    Column::Log,
    Column::Count,
    Column::Answered,
    Column::CooldownStartedAt,
    Column::ClosedUntil,
    Column::HeldUntil,
    Column::EndsAt,
];

/// What both databases call the columns of a list of values.
const VALUES: [&str; 8] =
    ["column1", "column2", "column3", "column4", "column5", "column6", "column7", "column8"];

/// The row of a first charge.
fn row(charge: &Charge, charge_id: &ChargeId, now: DateTime<Utc>) -> ValueTuple {
    let log = if charge.is_logged { charge_id.as_str() } else { "" };
    let never = Option::<DateTime<Utc>>::None;
    ValueTuple::Many(vec![
        charge.key.as_str().into(),
        log.into(),
        1_i64.into(),
        0_i64.into(),
        charge.starts_cooldown.then_some(now).into(),
        never.into(),
        never.into(),
        charge.ends_at.into(),
    ])
}

fn blank(key: String, ends_at: DateTime<Utc>) -> ValueTuple {
    let never = Option::<DateTime<Utc>>::None;
    ValueTuple::Many(vec![
        key.into(),
        "".into(),
        0_i64.into(),
        0_i64.into(),
        never.into(),
        never.into(),
        never.into(),
        ends_at.into(),
    ])
}

/// Whether the row of this charge does not bear it: the rule of the domain, for the race. Never null, so that its opposite
/// is not, either.
fn refuses(charge: &Charge, now: DateTime<Utc>) -> Option<Condition> {
    if charge.rules.is_empty() {
        return None;
    }
    let rules = charge.rules.iter().fold(Condition::any(), |any, rule| any.add(broken(rule, now)));
    Some(Condition::all().add(Expr::col((Entity, Column::Key)).eq(charge.key.as_str())).add(rules))
}

fn broken(rule: &Rule, now: DateTime<Utc>) -> SimpleExpr {
    match &rule.bound {
        Bound::Window(limit) => {
            nth(position(limit.most.saturating_sub(1)) + 1).gt(ChargeId::time(now - limit.per))
        }
        Bound::Count { most, .. } => Expr::col((Entity, Column::Count)).gte(*most),
        Bound::Cooldown(cooldown) => is_after(Column::CooldownStartedAt, now - *cooldown),
        Bound::Open(policy) => is_shut(policy, now),
    }
}

fn is_shut(policy: &PrefixPolicy, now: DateTime<Utc>) -> SimpleExpr {
    is_after(Column::ClosedUntil, now).or(is_after(Column::HeldUntil, now).not().and(is_full(policy, now)))
}

/// Whether a prefix has as many messages that did not come back as it may have: of one that was closed, its trial ones.
pub(super) fn is_full(policy: &PrefixPolicy, now: DateTime<Utc>) -> SimpleExpr {
    let start = |most: usize| position(most.saturating_sub(1)) + 1;
    let was_closed = Expr::col((Entity, Column::ClosedUntil)).is_not_null();
    let most = Expr::case(was_closed, start(policy.probes)).finally(start(policy.unanswered.most));
    nth(most).gt(ChargeId::time(now - policy.unanswered.per))
}

/// Whether there is a time, and it lies after this one.
pub(super) fn is_after(column: Column, time: DateTime<Utc>) -> SimpleExpr {
    let column = || Expr::col((Entity, column));
    column().is_not_null().and(column().gt(time))
}

/// The time of the charge that begins there in a log; empty where there is none, which is before all times.
fn nth(start: impl Into<SimpleExpr>) -> SimpleExpr {
    let time = i32::try_from(ChargeId::TIME).unwrap_or(i32::MAX);
    Func::cust("substr").arg(Expr::col((Entity, Column::Log))).arg(start.into()).arg(time).into()
}

/// How long so many charges are in a log.
fn position(charges: usize) -> i32 {
    i32::try_from(charges * ChargeId::LENGTH).unwrap_or(i32::MAX)
}

impl From<Model> for BudgetRow {
    fn from(row: Model) -> Self {
        Self {
            log: Self::read_log(&row.log),
            key: row.key,
            count: row.count,
            answered: row.answered,
            cooldown_started_at: row.cooldown_started_at,
            closed_until: row.closed_until,
            held_until: row.held_until,
        }
    }
}
