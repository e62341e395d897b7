//! What is written before a code is sent: the charges of its budgets, its challenge, the lead of its phone, and its message.
//!
//! These are rows of four tables, but one decision and one commit. PostgreSQL writes them in one statement, whose parts depend
//! on each other: without the charges there is no challenge, and without the challenge no lead and no message. SQLite has no
//! such statements, and no network to save: there the same statements run in one transaction.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait, JoinType, QueryTrait,
    sea_query::{Expr, InsertStatement, Query, SelectStatement, WithClause, WithQuery},
};
use uuid::Uuid;

use super::{
    Store, StoreError, budgets,
    entities::{budget, challenge, lead, message, verification},
    error, leads,
    messages::{self, NewMessage},
    otp, outbox, parts,
    parts::{insert_from, part},
    verifications::{self, NewVerification},
};
use domain::{
    budget::{BudgetRow, Charge, ChargeId},
    events::{NewEvent, Subject},
    otp::{Challenge, ChallengeKey, Opening},
};

/// The parts of the statement.
const CHARGED: &str = "charged";
const OPENED: &str = "opened";
const COUNTED: &str = "counted";
const RECORDED: &str = "recorded";
const EVENTS: &str = "events";
const VERIFYING: &str = "verifying";

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
    /// The event that the lead was created, written if it is new.
    pub lead_created: Option<&'a NewEvent>,
    /// The verification that another service asked for.
    pub verification: Option<NewVerification<'a>>,
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
        let insert = lead::Entity::insert(row).on_conflict(conflict);
        match send.lead_created {
            None => {
                insert.exec_without_returning(&txn).await?;
            }
            Some(event) => {
                let counted = txn.query_one(insert.into_query().returning_col(lead::Column::Id)).await?;
                let id: Option<Uuid> = counted.map(|row| row.try_get("", "id")).transpose()?;
                if id == Some(lead.id) {
                    let subject = Subject { user_id: None, lead_id: id };
                    let event = NewEvent { subject, ..event.clone() };
                    outbox::insert_many(&txn, &[event], now).await?;
                }
            }
        }
    }
    if let Some(new) = send.verification {
        verifications::insert(&txn, send.key.phone, new, send.message.channel, send.opening).await?;
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
    let charged = if is_charged { parts::read_all(&rows, OF_CHARGED)? } else { Vec::new() };
    let charged = budgets::readable(&charged);
    Ok(match parts::read_one::<challenge::Model>(&rows, OF_OPENED)? {
        Some(challenge) => Opened::Code(challenge.into(), charged),
        None if is_charged && rows.is_empty() => Opened::Refused,
        None => Opened::TooSoon(charged),
    })
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
    let only_if = charging.as_ref().map(|_| parts::count_of(CHARGED).gt(0_i64));
    let result = result(charging.is_some());
    if let Some(charging) = charging {
        parts.cte(part(CHARGED, charging));
    }
    parts.cte(part(OPENED, otp::statement(send.key, send.opening, only_if)?));
    if let Some(lead) = send.lead {
        let (row, conflict) = leads::opening(send.key.phone, lead, now);
        let mut counting = insert_from::<_, challenge::Column>(OPENED, &row, None, None)?;
        counting.on_conflict(conflict);
        match send.lead_created {
            None => {
                parts.cte(part(COUNTED, counting));
            }
            Some(event) => {
                parts.cte(part(COUNTED, counting.returning_col(lead::Column::Id).take()));
                if let Some(writing_events) = writing_events(event, lead.id, now)? {
                    parts.cte(part(EVENTS, writing_events));
                }
            }
        }
    }
    if let Some(new) = send.verification {
        let (row, conflict) = verifications::opening(send.key.phone, new, send.message.channel, send.opening);
        let mut verifying =
            insert_from::<verification::ActiveModel, challenge::Column>(OPENED, &row, None, None)?;
        parts.cte(part(VERIFYING, verifying.on_conflict(conflict).take()));
    }
    let mut message = messages::row(&send.message, now);
    message.challenge_id = ActiveValue::NotSet;
    let of_challenge = (message::Column::ChallengeId, challenge::Column::Id);
    parts.cte(part(RECORDED, insert_from(OPENED, &message, Some(of_challenge), None)?));
    Ok(parts.query(result))
}

/// Adds the event that a lead was created, if the lead has the id of a new one.
fn writing_events(event: &NewEvent, id: Uuid, now: DateTime<Utc>) -> Result<Option<InsertStatement>, DbErr> {
    let lead_id = || Expr::col((COUNTED, lead::Column::Id));
    let mut created = outbox::selecting(event, (None, Some(lead_id())), now);
    outbox::inserting(vec![created.from(COUNTED).and_where(lead_id().eq(id)).take()])
}

/// What the statement returns.
fn result(is_charged: bool) -> SelectStatement {
    let mut select = Query::select();
    parts::return_columns::<challenge::Entity>(&mut select, OPENED, OF_OPENED);
    if !is_charged {
        return select.from(OPENED).take();
    }
    parts::return_columns::<budget::Entity>(&mut select, CHARGED, OF_CHARGED);
    select.from(CHARGED).join(JoinType::LeftJoin, OPENED, Expr::val(true)).take()
}
