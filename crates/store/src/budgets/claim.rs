//! Charging the rows of a request: one guarded statement, all of them or none.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExprTrait,
    sea_query::{BinOper, Expr, Func, InsertStatement, OnConflict, SimpleExpr},
};

use super::{
    guard, key, log, readable,
    upsert::{self, NewRow},
};
use crate::{
    StoreError,
    entities::budget::{Column, Entity},
    error, parts,
};
use domain::budget::{BudgetRow, Charge, ChargeId};

/// The name of the row that conflicts, in `ON CONFLICT`.
const NEW: &str = "excluded";

/// What PostgreSQL logs when it refuses.
const SPENT: &str = "a budget was spent by another request, count ";

/// Charges all of these rows, or none of them: no row may refuse, and neither may those that are only checked. A log keeps
/// `kept` entries. Returns the rows after the charge; `None` when nothing was charged.
pub async fn claim(
    db: &impl ConnectionTrait,
    charges: &[Charge],
    charge_id: ChargeId,
    kept: usize,
) -> Result<Option<Vec<BudgetRow>>, StoreError> {
    let Some(statement) = statement(db.get_database_backend(), charges, charge_id, kept)? else {
        return Ok(Some(Vec::new()));
    };
    match upsert::run(db, &statement).await {
        Ok(written) if written.is_empty() => Ok(None),
        Ok(written) => Ok(Some(readable(&written))),
        Err(error) if error::is_bad_text(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The statement of [`claim`]. `None` when there is nothing to charge.
///
/// On PostgreSQL a row can change while the statement waits for its lock. The statement then fails as a whole, as
/// [`error::is_bad_text`] tells: others would see a part of a charge, and could be refused for a budget that is not spent.
pub(crate) fn statement(
    backend: DbBackend,
    charges: &[Charge],
    charge_id: ChargeId,
    kept: usize,
) -> Result<Option<InsertStatement>, DbErr> {
    let now = charge_id.at;
    let to_charge = || charges.iter().filter(|charge| charge.is_charged);
    let mut first_rows: Vec<NewRow> = to_charge().map(|charge| first_charge(charge, charge_id)).collect();
    first_rows.sort_by(|one, other| one.key.cmp(&other.key));
    if first_rows.is_empty() {
        return Ok(None);
    }
    let mut select = upsert::values(first_rows.into_iter(), "wanted");
    if let Some(refusing) = guard::refusing(charges, now) {
        select.and_where(Expr::not_exists(refusing));
    }
    let entries = Func::cust("substr")
        .arg(Expr::col((NEW, Column::Log)).binary(BinOper::Custom("||"), Expr::col((Entity, Column::Log))))
        .arg(1_i32)
        .arg(log::length(kept));
    let cooldown_started_at = Func::coalesce([
        Expr::col((NEW, Column::CooldownStartedAt)),
        Expr::col((Entity, Column::CooldownStartedAt)),
    ]);
    let mut count: SimpleExpr = Expr::col((Entity, Column::Count)).add(1_i64);
    if backend == DbBackend::Postgres
        && let Some(refuses) = guard::any_refuses(to_charge(), now)
    {
        count = Expr::case(refuses, parts::failure(SPENT, Expr::col((Entity, Column::Count))))
            .finally(count)
            .into();
    }
    let mut conflict = OnConflict::column(Column::Key);
    conflict
        .value(Column::Log, entries)
        .value(Column::Count, count)
        .value(Column::CooldownStartedAt, cooldown_started_at)
        .value(Column::EndsAt, Expr::col((NEW, Column::EndsAt)));
    upsert::statement(select, conflict).map(Some)
}

/// The row that a first charge inserts.
fn first_charge(charge: &Charge, charge_id: ChargeId) -> NewRow {
    NewRow {
        key: key::encode(&charge.key),
        log: if charge.is_logged { log::entry(charge_id) } else { String::new() },
        count: 1,
        cooldown_started_at: charge.starts_cooldown.then_some(charge_id.at),
        ends_at: charge.ends_at,
    }
}
