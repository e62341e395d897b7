//! What is written before a code is sent: the charges of its budgets, its challenge, the lead of its phone, and its message.
//!
//! These are rows of four tables, but one decision and one commit. PostgreSQL writes them in one statement, whose parts depend
//! on each other: without the charges there is no challenge, and without the challenge no lead and no message. SQLite has no
//! such statements, and no network to save: there the same statements run in one transaction.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait,
    FromQueryResult, IdenStatic, Iterable, JoinType, QueryResult,
    sea_query::{
        Asterisk, CommonTableExpression, Expr, Func, InsertStatement, Query, SelectStatement,
        SubQueryStatement, WithClause, WithQuery,
    },
};

use super::{
    Store, StoreError, budgets,
    entities::{budget, challenge, lead, message},
    error, leads,
    messages::{self, NewMessage},
    otp,
};
use domain::{
    budget::{BudgetRow, Charge, ChargeId},
    otp::{Challenge, ChallengeKey, Opening},
};

/// The parts of the statement.
const CHARGED: &str = "charged";
const OPENED: &str = "opened";
const COUNTED: &str = "counted";
const RECORDED: &str = "recorded";

/// What begins the names of the columns that the statement returns.
const OF_CHARGED: &str = "charged_";
const OF_OPENED: &str = "opened_";

/// A code that is about to be sent.
#[derive(Debug)]
pub struct NewSend<'a> {
    /// The charges, all of which are made, or none.
    pub charges: &'a [Charge],
    /// Their id.
    pub charge_id: ChargeId,
    /// How many entries the log of a budget keeps.
    pub kept: usize,
    /// The challenge that the code belongs to.
    pub key: ChallengeKey<'a>,
    /// How it is opened.
    pub opening: &'a Opening<'a>,
    /// The lead of the phone. `None` if the request makes none.
    pub lead: Option<leads::NewLead>,
    /// The message. It gets the id of the challenge.
    pub message: NewMessage<'a>,
}

/// The outcome of [`open`].
#[derive(Debug)]
pub enum Opened {
    /// A budget refuses. Nothing was written.
    Refused,
    /// The charges were made, and nothing else: a code was sent to this phone too recently.
    TooSoon(Vec<BudgetRow>),
    /// Everything was written.
    Code(Challenge, Vec<BudgetRow>),
}

/// Writes everything that a code needs before it is sent. After an error nothing may be sent.
pub async fn open(store: &Store, send: NewSend<'_>, now: DateTime<Utc>) -> Result<Opened, StoreError> {
    match store.get_database_backend() {
        DbBackend::Postgres => in_one_statement(store, send, now).await,
        _ => in_one_transaction(store, send, now).await,
    }
}

async fn in_one_transaction(
    store: &Store,
    send: NewSend<'_>,
    now: DateTime<Utc>,
) -> Result<Opened, StoreError> {
    let txn = store.begin().await?;
    let Some(charged) = budgets::claim(&txn, send.charges, send.charge_id, send.kept).await? else {
        txn.rollback().await?;
        return Ok(Opened::Refused);
    };
    let Some(challenge) = otp::open(&txn, send.key, send.opening).await? else {
        txn.commit().await?;
        return Ok(Opened::TooSoon(charged));
    };
    if let Some(lead) = send.lead {
        let (row, conflict) = leads::opening(send.key.phone, lead, now);
        lead::Entity::insert(row).on_conflict(conflict).exec_without_returning(&txn).await?;
    }
    let message = NewMessage { challenge_id: Some(challenge.id), ..send.message };
    message::Entity::insert(messages::row(&message, now)).exec_without_returning(&txn).await?;
    txn.commit().await?;
    Ok(Opened::Code(challenge, charged))
}

async fn in_one_statement(
    store: &Store,
    send: NewSend<'_>,
    now: DateTime<Utc>,
) -> Result<Opened, StoreError> {
    let backend = store.get_database_backend();
    let charging = budgets::charging(backend, send.charges, send.charge_id, send.kept)?;
    let is_charged = charging.is_some();
    let rows = match store.query_all(&statement(&send, charging, now)?).await {
        Err(error) if error::is_bad_text(&error) => return Ok(Opened::Refused),
        rows => rows?,
    };
    let charged = if is_charged { read_charged(&rows)? } else { Vec::new() };
    let challenge = rows.first().map(|row| challenge::Model::from_query_result_optional(row, OF_OPENED));
    Ok(match challenge.transpose()?.flatten() {
        Some(challenge) => Opened::Code(challenge.into(), charged),
        None if is_charged && rows.is_empty() => Opened::Refused,
        None => Opened::TooSoon(charged),
    })
}

fn read_charged(rows: &[QueryResult]) -> Result<Vec<BudgetRow>, DbErr> {
    let models = rows.iter().map(|row| budget::Model::from_query_result(row, OF_CHARGED));
    Ok(budgets::readable(&models.collect::<Result<Vec<_>, _>>()?))
}

/// The statement. It returns a row for each charge, with the challenge beside it; without charges, the challenge alone.
fn statement(
    send: &NewSend<'_>,
    charging: Option<InsertStatement>,
    now: DateTime<Utc>,
) -> Result<WithQuery, DbErr> {
    let mut parts = WithClause::new();
    // Counted, so that all charges are made before the challenge is locked: after `EXISTS` the other charges would follow it, and two
    // sends to a phone, of which one is charged to no address, could wait for each other.
    let only_if = charging.as_ref().map(|_| {
        let charges = Query::select().expr(Func::count(Expr::col(Asterisk))).from(CHARGED).take();
        Expr::SubQuery(None, Box::new(charges.into())).gt(0_i64)
    });
    let result = result(charging.is_some());
    if let Some(charging) = charging {
        parts.cte(part(CHARGED, charging));
    }
    parts.cte(part(OPENED, otp::statement(send.key, send.opening, only_if)?));
    if let Some(lead) = send.lead {
        let (row, conflict) = leads::opening(send.key.phone, lead, now);
        let mut counting = insert_if_opened(&row, None)?;
        parts.cte(part(COUNTED, counting.on_conflict(conflict).take()));
    }
    let mut message = messages::row(&send.message, now);
    message.challenge_id = ActiveValue::NotSet;
    let of_challenge = (message::Column::ChallengeId, challenge::Column::Id);
    parts.cte(part(RECORDED, insert_if_opened(&message, Some(of_challenge))?));
    Ok(parts.query(result))
}

fn part(name: &'static str, query: impl Into<SubQueryStatement>) -> CommonTableExpression {
    CommonTableExpression::new().table_name(name).query(query).to_owned()
}

/// Inserts this row if the challenge was opened. One column may get a value of the challenge.
fn insert_if_opened<A: ActiveModelTrait>(
    row: &A,
    of_challenge: Option<(Column<A>, challenge::Column)>,
) -> Result<InsertStatement, DbErr> {
    let (mut insert, mut select) = (Query::insert(), Query::select());
    let mut columns = Vec::new();
    for column in Column::<A>::iter() {
        if let ActiveValue::Set(value) = row.get(column) {
            columns.push(column);
            select.expr(Expr::val(value));
        }
    }
    if let Some((column, value)) = of_challenge {
        columns.push(column);
        select.expr(Expr::col((OPENED, value)));
    }
    insert.into_table(A::Entity::default()).columns(columns);
    insert.select_from(select.from(OPENED).take()).map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok(insert)
}

type Column<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

/// What the statement returns.
fn result(is_charged: bool) -> SelectStatement {
    let mut select = Query::select();
    for column in challenge::Column::iter() {
        select.expr_as(Expr::col((OPENED, column)), format!("{OF_OPENED}{}", column.as_str()));
    }
    if !is_charged {
        return select.from(OPENED).take();
    }
    for column in budget::Column::iter() {
        select.expr_as(Expr::col((CHARGED, column)), format!("{OF_CHARGED}{}", column.as_str()));
    }
    select.from(CHARGED).join(JoinType::LeftJoin, OPENED, Expr::val(true)).take()
}
