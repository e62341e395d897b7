//! Rows of `second_factors` and `recovery_codes`. The database decides every race: a code and a link are used up by one
//! conditional statement each, and attempts are counted by one.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, UpdateMany,
    sea_query::{CaseStatement, Expr, OnConflict, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::{
        recovery_code,
        second_factor::{ActiveModel, Column, Entity, Model},
    },
};
use domain::second_factor::{
    CLOSED_FOR, DAY, EnrolmentLink, EnrolmentToken, Factor, FactorProof, MOST_IN_A_DAY, MOST_IN_A_ROW,
    ProofKind, SealedSecret,
};

/// The second factor of an account; `None` when it has not set one up.
pub async fn find(db: &impl ConnectionTrait, account_id: Uuid) -> Result<Option<Factor>, StoreError> {
    Ok(Entity::find_by_id(account_id).one(db).await?.and_then(factor))
}

/// Counts an attempt as a wrong code, if the second step is open. `None` when it is closed, or there is no factor. The attempt
/// that reaches a limit closes the step at once, so parallel attempts never get more.
pub async fn claim_attempt(
    db: &impl ConnectionTrait,
    account_id: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Factor>, StoreError> {
    let col = |column: Column| Expr::col((Entity, column));
    let in_a_row = || col(Column::Failures).add(1_i64);
    let closes = || in_a_row().gte(MOST_IN_A_ROW);
    let is_same_day = || col(Column::DayFailures).gt(0_i64).and(col(Column::DayBeganAt).gt(now - DAY));
    let in_the_day = || either(is_same_day(), col(Column::DayFailures).add(1_i64), Expr::value(1_i64));
    let locks = is_same_day().and(col(Column::DayFailures).add(1_i64).gte(MOST_IN_A_DAY));
    // A day that begins in the future was written by a clock that was ahead.
    let keeps_begin = is_same_day().and(col(Column::DayBeganAt).lte(now));
    let claimed = Entity::update_many()
        .col_expr(Column::Failures, either(closes(), Expr::value(0_i64), in_a_row()))
        .col_expr(
            Column::ClosedUntil,
            either(closes(), Expr::value(now + CLOSED_FOR), col(Column::ClosedUntil)),
        )
        .col_expr(Column::DayFailures, in_the_day())
        .col_expr(Column::DayBeganAt, either(keeps_begin, col(Column::DayBeganAt), Expr::value(now)))
        .col_expr(Column::LockedAt, either(locks, Expr::value(now), col(Column::LockedAt)))
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::Secret.is_not_null())
        .filter(Column::LockedAt.is_null())
        .filter(Column::ClosedUntil.is_null().or(Column::ClosedUntil.lte(now)))
        .exec_with_returning(db)
        .await?;
    Ok(claimed.into_iter().next().and_then(factor))
}

fn either(
    condition: impl Into<SimpleExpr>,
    then: impl Into<SimpleExpr>,
    otherwise: impl Into<SimpleExpr>,
) -> SimpleExpr {
    CaseStatement::new().case(condition.into(), then.into()).finally(otherwise.into()).into()
}

/// Makes a closure end at the given time at the latest.
pub async fn shorten_closure(
    db: &impl ConnectionTrait,
    account_id: Uuid,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::ClosedUntil, Expr::value(until))
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::ClosedUntil.gt(until))
        .exec(db)
        .await?;
    Ok(())
}

/// The proof that this transaction used up a code of the account's second factor. Only [`consume`] makes it.
#[derive(Debug)]
pub struct UsedFactor {
    left: Option<u64>,
}

impl UsedFactor {
    /// How many recovery codes are left, if one was used.
    #[must_use]
    pub fn recovery_codes_left(&self) -> Option<u64> {
        self.left
    }
}

/// Uses up a code, and takes its attempt back. `None` when it was used before, or the factor was changed since it was judged:
/// of several requests with one code, one gets the proof.
pub async fn consume(
    db: &impl ConnectionTrait,
    proof: &FactorProof,
) -> Result<Option<UsedFactor>, StoreError> {
    let id = proof.account_id();
    match proof.kind() {
        ProofKind::Step { secret, step, current, renewed } => {
            let is_newer =
                Condition::any().add(Column::LastStep.lt(*step)).add(Column::LastStep.gt(current + 1));
            let secret_now = renewed.as_ref().unwrap_or(secret);
            let used = forget_attempts(id)
                .col_expr(Column::LastStep, Expr::value(*step))
                .col_expr(Column::Secret, Expr::value(secret_now.as_str()))
                .filter(Column::Secret.eq(secret.as_str()))
                .filter(is_newer);
            Ok((used.exec(db).await?.rows_affected == 1).then_some(UsedFactor { left: None }))
        }
        ProofKind::Recovery(hashes) => {
            let code = recovery_code::Entity::delete_many()
                .filter(recovery_code::Column::AccountId.eq(id))
                .filter(recovery_code::Column::CodeHash.is_in(hashes));
            if code.exec(db).await?.rows_affected == 0 {
                return Ok(None);
            }
            forget_attempts(id).exec(db).await?;
            Ok(Some(UsedFactor { left: Some(count_recovery_codes(db, id).await?) }))
        }
    }
}

/// After a right code no wrong one counts towards a closure. Those of the day still do; only the attempt of the right code itself
/// is taken back, also if it was the one that reached the limit.
fn forget_attempts(account_id: Uuid) -> UpdateMany<Entity> {
    let fewer = Expr::col((Entity, Column::DayFailures)).sub(1_i64);
    Entity::update_many()
        .col_expr(Column::Failures, Expr::value(0_i64))
        .col_expr(Column::ClosedUntil, Expr::value(Option::<DateTime<Utc>>::None))
        .col_expr(Column::DayFailures, fewer)
        .col_expr(Column::LockedAt, Expr::value(Option::<DateTime<Utc>>::None))
        .filter(Column::AccountId.eq(account_id))
}

/// How many recovery codes an account has left.
pub async fn count_recovery_codes(db: &impl ConnectionTrait, account_id: Uuid) -> Result<u64, StoreError> {
    let of_account = recovery_code::Entity::find().filter(recovery_code::Column::AccountId.eq(account_id));
    Ok(of_account.count(db).await?)
}

/// Gives an account a new enrolment link; an earlier one stops working.
pub async fn open_link(
    db: &impl ConnectionTrait,
    account_id: Uuid,
    token: &EnrolmentToken,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = ActiveModel {
        account_id: Set(account_id),
        link_hash: Set(Some(token.hash())),
        link_expires_at: Set(Some(expires_at)),
        link_used_at: Set(None),
        secret: Set(None),
        enrolled_at: Set(None),
        closed_until: Set(None),
        day_began_at: Set(None),
        locked_at: Set(None),
        last_step: NotSet,
        failures: NotSet,
        day_failures: NotSet,
    };
    let mut newest = OnConflict::column(Column::AccountId);
    newest.update_columns([Column::LinkHash, Column::LinkExpiresAt, Column::LinkUsedAt]);
    Entity::insert(row).on_conflict(newest).exec_without_returning(db).await?;
    Ok(())
}

/// The newest link of an account, if this is its token.
pub async fn find_link(
    db: &impl ConnectionTrait,
    token: &EnrolmentToken,
) -> Result<Option<EnrolmentLink>, StoreError> {
    let row = Entity::find().filter(Column::LinkHash.eq(token.hash())).one(db).await?;
    Ok(row.and_then(|row| {
        Some(EnrolmentLink {
            account_id: row.account_id,
            expires_at: row.link_expires_at?,
            used_at: row.link_used_at,
        })
    }))
}

/// Uses up a link: its account has this second factor now, of which the code of one step is used. False when the link does not
/// work any more, or the account has a factor.
pub async fn consume_link(
    db: &impl ConnectionTrait,
    token: &EnrolmentToken,
    secret: &SealedSecret,
    step: i64,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let enrolled = Entity::update_many()
        .col_expr(Column::Secret, Expr::value(secret.as_str()))
        .col_expr(Column::EnrolledAt, Expr::value(now))
        .col_expr(Column::LastStep, Expr::value(step))
        .col_expr(Column::LinkUsedAt, Expr::value(now))
        .filter(Column::LinkHash.eq(token.hash()))
        .filter(Column::LinkUsedAt.is_null())
        .filter(Column::LinkExpiresAt.gt(now))
        .filter(Column::Secret.is_null())
        .exec(db)
        .await?;
    Ok(enrolled.rows_affected == 1)
}

/// Adds the recovery codes of a new factor. The account has none before.
pub async fn insert_recovery_codes(
    db: &impl ConnectionTrait,
    account_id: Uuid,
    hashes: Vec<String>,
) -> Result<(), StoreError> {
    let rows = hashes
        .into_iter()
        .map(|hash| recovery_code::ActiveModel { account_id: Set(account_id), code_hash: Set(hash) });
    recovery_code::Entity::insert_many(rows).exec_without_returning(db).await?;
    Ok(())
}

/// Removes the second factor of an account with its recovery codes, attempts and link. Returns whether it was set up.
pub async fn purge(db: &impl ConnectionTrait, account_id: Uuid) -> Result<bool, StoreError> {
    let codes = recovery_code::Entity::delete_many();
    codes.filter(recovery_code::Column::AccountId.eq(account_id)).exec(db).await?;
    let removed =
        Entity::delete_many().filter(Column::AccountId.eq(account_id)).exec_with_returning(db).await?;
    Ok(removed.iter().any(|row| row.secret.is_some()))
}

/// The factor of a row that is enrolled.
fn factor(row: Model) -> Option<Factor> {
    Some(Factor {
        account_id: row.account_id,
        secret: SealedSecret::stored(row.secret?),
        enrolled_at: row.enrolled_at?,
        last_step: row.last_step,
        failures: row.failures,
        closed_until: row.closed_until,
        locked_at: row.locked_at,
    })
}
