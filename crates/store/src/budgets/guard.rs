//! The rule of `domain::budget::decide` as SQL, for requests that race: which rows refuse another charge.

use chrono::{DateTime, Utc};
use sea_orm::{
    Condition, ExprTrait,
    sea_query::{Expr, Query, SelectStatement, SimpleExpr},
};

use super::{key, log};
use crate::entities::budget::{Column, Entity};
use domain::budget::{Bound, Charge, PrefixPolicy, Rule};

/// Selects the rows that refuse one of these charges. `None` when no charge has a rule.
pub(crate) fn refusing(charges: &[Charge], now: DateTime<Utc>) -> Option<SelectStatement> {
    let refuses = any_refuses(charges.iter(), now)?;
    Some(Query::select().expr(Expr::val(1_i32)).from(Entity).cond_where(refuses).take())
}

/// Whether the row refuses one of these charges.
pub(super) fn any_refuses<'a>(
    charges: impl Iterator<Item = &'a Charge>,
    now: DateTime<Utc>,
) -> Option<Condition> {
    let any = charges.fold(Condition::any(), |any, charge| any.add_option(refuses(charge, now)));
    (!any.is_empty()).then_some(any)
}

/// Whether the row is that of this charge and refuses it. Never null, so its negation is not null either.
fn refuses(charge: &Charge, now: DateTime<Utc>) -> Option<Condition> {
    if charge.rules.is_empty() {
        return None;
    }
    let rules = charge.rules.iter().fold(Condition::any(), |any, rule| any.add(is_broken(rule, now)));
    let is_this = Expr::col((Entity, Column::Key)).eq(key::encode(&charge.key));
    Some(Condition::all().add(is_this).add(rules))
}

fn is_broken(rule: &Rule, now: DateTime<Utc>) -> SimpleExpr {
    match &rule.bound {
        Bound::Window(limit) => log::time_at(log::position(limit.most)).gt(log::time(now - limit.per)),
        Bound::Count { most, .. } => Expr::col((Entity, Column::Count)).gte(*most),
        Bound::Cooldown(cooldown) => is_after(Column::CooldownStartedAt, now - *cooldown),
        Bound::Open(policy) => is_closed(policy, now),
    }
}

fn is_closed(policy: &PrefixPolicy, now: DateTime<Utc>) -> SimpleExpr {
    is_after(Column::ClosedUntil, now).or(is_after(Column::HeldUntil, now).not().and(is_full(policy, now)))
}

/// Whether a prefix has as many unanswered messages as it may have; one that was closed, as many trial messages.
pub(crate) fn is_full(policy: &PrefixPolicy, now: DateTime<Utc>) -> SimpleExpr {
    let was_closed = Expr::col((Entity, Column::ClosedUntil)).is_not_null();
    let position =
        Expr::case(was_closed, log::position(policy.probes)).finally(log::position(policy.unanswered.most));
    log::time_at(position).gt(log::time(now - policy.unanswered.per))
}

/// Whether the column holds a time after this one.
pub(crate) fn is_after(column: Column, time: DateTime<Utc>) -> SimpleExpr {
    let column = || Expr::col((Entity, column));
    column().is_not_null().and(column().gt(time))
}
