//! Replacing a refresh token in one statement of PostgreSQL, which also makes the checks that come before.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, FromQueryResult, JoinType,
    QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, Query, SelectStatement, WithClause},
};
use uuid::Uuid;

use super::{live, session};
use crate::{
    StoreError,
    accounts::account,
    blocks,
    entities::{
        account,
        session::{Column, Entity, Model},
    },
    parts,
};
use domain::{access::Session, account::Account};

/// A refresh token that is presented, and its successor.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// The session of the token.
    pub session: Uuid,
    /// The account of the token.
    pub account: Uuid,
    /// The presented token.
    pub presented: Uuid,
    /// The token that replaces it.
    pub successor: Uuid,
    /// When the session expires if it was opened after `opened_after`.
    pub expires_at: DateTime<Utc>,
    /// A session that was opened earlier expires at another time.
    pub opened_after: DateTime<Utc>,
}

/// Replaces the newest refresh token, in one statement with everything that has to be checked before. Returns session and
/// account as they are then. `None` when the token is not the newest, when anything else is not as usual, or when the database
/// has no such statement: nothing has changed then, and the caller has to look at the rows.
pub async fn rotate(
    db: &impl ConnectionTrait,
    exchange: Exchange,
    now: DateTime<Utc>,
) -> Result<Option<(Session, Account)>, StoreError> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(None);
    }
    let mut rotated = Query::update();
    rotated
        .table(Entity)
        .value(Column::RefreshJti, exchange.successor)
        .value(Column::RefreshIssuedAt, now)
        .value(Column::ParentJti, exchange.presented)
        .value(Column::ExpiresAt, exchange.expires_at)
        .value(Column::LastUsedAt, now)
        .cond_where(is_current(exchange, now).add(Expr::exists(may_enter(exchange.account, now))))
        .returning_all();
    let mut select = Query::select();
    parts::return_columns::<Entity>(&mut select, ROTATED, OF_ROTATED);
    parts::return_columns::<account::Entity>(&mut select, "accounts", OF_OWNER);
    let is_owner = Expr::col((account::Entity, account::Column::Id)).equals((ROTATED, Column::AccountId));
    select.from(ROTATED).join(JoinType::InnerJoin, account::Entity, is_owner);
    let with = WithClause::new().cte(parts::part(ROTATED, rotated)).to_owned();
    let Some(row) = db.query_one(&with.query(select)).await? else {
        return Ok(None);
    };
    let rotated = session(&Model::from_query_result(&row, OF_ROTATED)?)?;
    Ok(Some((rotated, account(account::Model::from_query_result(&row, OF_OWNER)?)?)))
}

/// The part of the statement that writes, and what begins the names of the columns that are returned.
const ROTATED: &str = "rotated";
const OF_ROTATED: &str = "rotated_";
const OF_OWNER: &str = "owner_";

/// Whether the presented token is the newest of a live session. Times in the future, which a wrong clock wrote, have to be
/// corrected first.
fn is_current(exchange: Exchange, now: DateTime<Utc>) -> Condition {
    let is_past = |column: Column| Expr::col((Entity, column)).lte(now);
    live(exchange.account, now)
        .add(Column::Id.eq(exchange.session))
        .add(Column::RefreshJti.eq(exchange.presented))
        .add(Column::CreatedAt.gt(exchange.opened_after))
        .add(is_past(Column::CreatedAt))
        .add(is_past(Column::LastUsedAt))
        .add(is_past(Column::RefreshIssuedAt))
        .add(Column::RecentAuthAt.is_null().or(is_past(Column::RecentAuthAt)))
}

/// Selects the account, if it is active and its phone is not blocked.
fn may_enter(account_id: Uuid, now: DateTime<Utc>) -> SelectStatement {
    let blocks = blocks::number_of(Expr::col((account::Entity, account::Column::Phone)), now);
    account::Entity::find()
        .select_only()
        .column(account::Column::Id)
        .filter(account::Column::Id.eq(account_id))
        .filter(account::Column::IsActive.eq(true))
        .filter(Expr::SubQuery(None, Box::new(blocks.into())).eq(0_i64))
        .into_query()
}
