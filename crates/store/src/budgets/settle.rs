//! Settling charges: what a request gives back or earns once its result is known, in one statement.

use std::mem::discriminant;

use chrono::{DateTime, Utc};
use sea_orm::{
    Condition, ConnectionTrait, DbErr, ExprTrait,
    sea_query::{CaseStatement, Expr, Func, InsertStatement, OnConflict, SimpleExpr},
};

use super::{
    key, log, readable,
    upsert::{self, NewRow},
};
use crate::{
    StoreError,
    entities::budget::{Column, Entity},
};
use domain::budget::{BudgetRow, Change, ChargeId, Settlement};

/// Settles charges: each row in its own way. Returns the rows as they are then.
pub async fn settle(
    db: &impl ConnectionTrait,
    settlements: &[Settlement],
    charge_id: ChargeId,
) -> Result<Vec<BudgetRow>, StoreError> {
    let Some(statement) = statement(settlements, charge_id, None, None)? else {
        return Ok(Vec::new());
    };
    Ok(readable(&upsert::run(db, &statement).await?))
}

/// The statement of [`settle`]. `None` when there is nothing to settle. Where a condition is given, nothing is settled unless
/// it holds. An answered message forgives others only if `forgives_if` holds, where it is given.
pub(crate) fn statement(
    settlements: &[Settlement],
    charge_id: ChargeId,
    only_if: Option<SimpleExpr>,
    forgives_if: Option<SimpleExpr>,
) -> Result<Option<InsertStatement>, DbErr> {
    let with_key = |settlement: &Settlement| (key::encode(&settlement.key), settlement.change);
    let mut changes: Vec<(String, Change)> = settlements.iter().map(with_key).collect();
    changes.sort_by(|(one, _), (other, _)| one.cmp(other));
    if changes.is_empty() {
        return Ok(None);
    }
    // A row that was purged meanwhile comes back empty, and the next purge removes it.
    let blank = |key: &String| NewRow {
        key: key.clone(),
        log: String::new(),
        count: 0,
        cooldown_started_at: None,
        ends_at: charge_id.at,
    };
    let mut select = upsert::values(changes.iter().map(|(key, _)| blank(key)), "settlements");
    select.and_where_option(only_if);
    let mut updates = Updates { forgives_if, columns: Vec::new() };
    for (key, change) in &changes {
        updates.add(key, *change, charge_id);
    }
    let mut conflict = OnConflict::column(Column::Key);
    updates.write(&mut conflict);
    upsert::statement(select, conflict).map(Some)
}

/// What the statement sets.
struct Updates {
    /// For each column a `CASE` over the keys.
    columns: Vec<(Column, Option<CaseStatement>)>,
    forgives_if: Option<SimpleExpr>,
}

impl Updates {
    fn add(&mut self, key: &str, change: Change, charge_id: ChargeId) {
        match change {
            Change::Refund => self.add_refund(key, charge_id),
            Change::ClearCooldown => self.set(key, Column::CooldownStartedAt, cleared_cooldown(charge_id)),
            Change::ResetFailures { locked_at, ends_at } => {
                let is_locked = || col(Column::Count).gte(locked_at);
                let count = Expr::case(is_locked(), col(Column::Count)).finally(0_i64);
                let ends = Expr::case(is_locked(), col(Column::EndsAt)).finally(ends_at);
                self.set(key, Column::Log, log_without(charge_id));
                self.set(key, Column::Count, count.into());
                self.set(key, Column::EndsAt, ends.into());
            }
            Change::Answer { forgiven } => {
                let (none, forgiven) = (log::position(1), log::position(forgiven + 1));
                let from = match self.forgives_if.clone() {
                    Some(forgives) => Expr::case(forgives, forgiven).finally(none).into(),
                    None => SimpleExpr::from(forgiven),
                };
                let rest = Func::cust("substr").arg(col(Column::Log)).arg(from);
                self.set(key, Column::Log, rest.into());
                self.set(key, Column::Answered, col(Column::Answered).add(1_i64));
            }
        }
    }

    fn add_refund(&mut self, key: &str, charge_id: ChargeId) {
        let one_less = Expr::case(col(Column::Count).gt(0_i64), col(Column::Count).sub(1_i64));
        self.set(key, Column::Log, log_without(charge_id));
        self.set(key, Column::Count, one_less.finally(0_i64).into());
        self.set(key, Column::CooldownStartedAt, cleared_cooldown(charge_id));
        // The next purge removes a row that holds nothing any more.
        let is_empty = Condition::all()
            .add(col(Column::Count).lte(1_i64))
            .add(log_without(charge_id).eq(""))
            .add(col(Column::Answered).eq(0_i64))
            .add(col(Column::IsAlarmSent).not())
            .add(col(Column::CooldownStartedAt).is_null().or(col(Column::CooldownStartedAt).eq(charge_id.at)))
            .add(col(Column::ClosedUntil).is_null())
            .add(col(Column::HeldUntil).is_null());
        let ends = Expr::case(is_empty, Expr::value(charge_id.at)).finally(col(Column::EndsAt));
        self.set(key, Column::EndsAt, ends.into());
    }

    fn set(&mut self, key: &str, column: Column, value: SimpleExpr) {
        let is_this = col(Column::Key).eq(key);
        match self.columns.iter_mut().find(|(known, _)| discriminant(known) == discriminant(&column)) {
            Some((_, cases)) => *cases = cases.take().map(|cases| cases.case(is_this, value)),
            None => self.columns.push((column, Some(Expr::case(is_this, value)))),
        }
    }

    fn write(self, conflict: &mut OnConflict) {
        for (column, cases) in self.columns {
            if let Some(cases) = cases {
                conflict.value(column, cases.finally(col(column)));
            }
        }
    }
}

fn col(column: Column) -> Expr {
    Expr::col((Entity, column))
}

/// The log without the entry of this charge.
fn log_without(charge_id: ChargeId) -> SimpleExpr {
    Func::cust("replace").arg(col(Column::Log)).arg(log::entry(charge_id)).arg("").into()
}

/// The start of the cooldown; none when this charge started it.
fn cleared_cooldown(charge_id: ChargeId) -> SimpleExpr {
    let none = Expr::value(Option::<DateTime<Utc>>::None);
    let started_at = || col(Column::CooldownStartedAt);
    Expr::case(started_at().eq(charge_id.at), none).finally(started_at()).into()
}
