//! What a right code does: its charges are settled, its challenge is consumed, and a session of the phone's account is opened.
//!
//! PostgreSQL does the usual case in one statement, whose parts depend on each other, in the order in which all transactions
//! take their locks: budgets, challenge, account. In any other case the statement fails as a whole, and the caller takes the
//! same steps one by one in a transaction, where each can be decided.
//!
//! All parts see the database as it was when the statement began. What another request may have changed while the statement
//! waited for a lock is therefore asked of a function of the database (`may_open_session`), whose queries see everything that
//! was committed by then.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait, JoinType, QueryFilter,
    QuerySelect, QueryTrait,
    sea_query::{
        CommonTableExpression, Expr, Func, InsertStatement, Query, SelectStatement, SimpleExpr, WithClause,
        WithQuery,
    },
};

use super::{
    Store, StoreError,
    accounts::{self, NewIds, OpenOptions, used},
    budgets,
    entities::{account, budget, challenge, lead, session},
    error, leads,
    otp::{self, Consumed},
    outbox, owners, parts,
    parts::{count_of, insert_from, part},
    sessions,
};
use domain::{
    access::Session,
    account::Account,
    budget::{BudgetRow, ChargeId, Settlement},
    events::NewEvent,
    otp::{Accepted, ChallengeKey},
};

/// The parts of the statement.
const SETTLED: &str = "settled";
const CONSUMED: &str = "consumed";
const OWNER: &str = "owner";
const CONVERTED: &str = "converted";
const OPENED: &str = "opened";
const EVENTS: &str = "events";

/// The column with the number of sessions that were opened.
const SESSIONS: &str = "sessions_opened";

/// What begins the names of the columns that the statement returns.
const OF_OWNER: &str = "owner_";
const OF_SETTLED: &str = "settled_";

/// What PostgreSQL logs when the case is not the usual one.
const UNUSUAL: &str = "a sign-in is repeated step by step, sessions opened ";

/// A sign-in by a right code.
#[derive(Debug)]
pub struct NewSignIn<'a> {
    /// The challenge of the code.
    pub key: ChallengeKey<'a>,
    /// The proof that the code is right.
    pub accepted: &'a Accepted,
    /// The ids of the account if it is new. `None` if no account is created.
    pub may_create: Option<NewIds>,
    /// An account that was not used after this time is not opened.
    pub used_after: Option<DateTime<Utc>>,
    /// The session. It gets the id of the account.
    pub session: &'a Session,
    /// How many live sessions an account may have.
    pub most_sessions: u64,
    /// How the charges of the guess are settled.
    pub settlements: &'a [Settlement],
    /// Their id.
    pub charge_id: ChargeId,
    /// Whether only a new account forgives its prefix unanswered messages.
    pub new_forgives: bool,
    /// The events that are written, if they are sent at all.
    pub events: Option<&'a SignInEvents>,
}

/// The events of a sign-in. The statement knows their subjects, and which of them are true.
#[derive(Debug)]
pub struct SignInEvents {
    /// The account is new.
    pub user_created: NewEvent,
    /// A session was opened.
    pub session_started: NewEvent,
    /// The lead was not converted before.
    pub lead_converted: NewEvent,
}

/// The outcome of [`open`].
#[derive(Debug)]
pub enum AtOnce {
    /// The user is signed in. Everything was written.
    In {
        /// The account.
        account: Box<Account>,
        /// The proof that the challenge was consumed.
        consumed: Consumed,
        /// The rows that were settled.
        settled: Vec<BudgetRow>,
    },
    /// There is no account, and none was to be created. Nothing was written.
    NoAccount,
    /// Not the usual case. Nothing was written.
    Unusual,
}

/// Signs in by a right code in one statement, if the database can do that and the case is the usual one.
pub async fn open(store: &Store, sign_in: NewSignIn<'_>, now: DateTime<Utc>) -> Result<AtOnce, StoreError> {
    if store.get_database_backend() != DbBackend::Postgres {
        return Ok(AtOnce::Unusual);
    }
    let rows = match store.query_all(&statement(&sign_in, now)?).await {
        Err(error) if error::is_bad_text(&error) => return Ok(AtOnce::Unusual),
        rows => rows?,
    };
    let Some(owner) = parts::read_one::<account::Model>(&rows, OF_OWNER)? else {
        return Ok(AtOnce::NoAccount);
    };
    let settled = match sign_in.settlements {
        [] => Vec::new(),
        _ => parts::read_all(&rows, OF_SETTLED)?,
    };
    Ok(AtOnce::In {
        account: Box::new(accounts::account(owner)?),
        consumed: Consumed::of(sign_in.key),
        settled: budgets::readable(&settled),
    })
}

/// The statement. It returns a row for each settled row, with the account beside it; without settlements, the account alone.
/// The account is null where none is to be created and there is none.
fn statement(sign_in: &NewSignIn<'_>, now: DateTime<Utc>) -> Result<WithQuery, DbErr> {
    let NewSignIn { key, settlements, charge_id, .. } = *sign_in;
    let mut parts = WithClause::new();
    let needs_account = sign_in.may_create.is_none().then(|| has_account(sign_in));
    let forgives = sign_in.new_forgives.then(|| has_account(sign_in).not());
    let settling = budgets::settling(settlements, charge_id, needs_account.clone(), forgives)?;
    // Counted, so that all rows are locked before the challenge, as in a send.
    let follows = settling.as_ref().map(|_| count_of(SETTLED).gt(0_i64));
    if let Some(settling) = settling {
        parts.cte(part(SETTLED, settling));
    }
    let mut consuming = otp::consuming(key, sign_in.accepted, now).into_query();
    consuming.and_where_option(follows).and_where_option(needs_account);
    parts.cte(part(CONSUMED, consuming.returning_col(challenge::Column::Id).take()));
    parts.cte(owner(sign_in, now)?);
    let mut converting = leads::converting(key.phone, None, now).into_query();
    converting.and_where(count_of(OWNER).gt(0_i64));
    if sign_in.events.is_some() {
        converting.returning_col(lead::Column::Id);
    }
    parts.cte(part(CONVERTED, converting));
    let session_row = session::ActiveModel { account_id: NotSet, ..sessions::row(sign_in.session, now) };
    let of_owner = (session::Column::AccountId, account::Column::Id);
    let mut opening = insert_from(OWNER, &session_row, Some(of_owner), Some(may_open_session(sign_in, now)))?;
    parts.cte(part(OPENED, opening.returning_col(session::Column::Id).take()));
    if let Some(events) = sign_in.events
        && let Some(writing_events) = writing_events(sign_in, events, now)?
    {
        parts.cte(part(EVENTS, writing_events));
    }
    Ok(parts.query(result(sign_in)))
}

/// Adds the events, in the order in which the steps of a transaction write them.
fn writing_events(
    sign_in: &NewSignIn<'_>,
    events: &SignInEvents,
    now: DateTime<Utc>,
) -> Result<Option<InsertStatement>, DbErr> {
    let owner = || Expr::col((OWNER, account::Column::Id));
    let mut selects = Vec::new();
    if let Some(ids) = sign_in.may_create {
        let mut created = outbox::selecting(&events.user_created, (Some(owner()), None), now);
        selects.push(created.from(OWNER).and_where(owner().eq(ids.account)).take());
    }
    let lead_id = Expr::col((CONVERTED, lead::Column::Id));
    let mut converted = outbox::selecting(&events.lead_converted, (Some(owner()), Some(lead_id)), now);
    selects.push(converted.from(OWNER).join(JoinType::InnerJoin, CONVERTED, Expr::val(true)).take());
    let mut started = outbox::selecting(&events.session_started, (Some(owner()), None), now);
    selects.push(started.from(OWNER).join(JoinType::InnerJoin, OPENED, Expr::val(true)).take());
    outbox::inserting(selects)
}

/// Finds the account of the phone, or creates it if that is allowed, and locks it.
fn owner(sign_in: &NewSignIn<'_>, now: DateTime<Utc>) -> Result<CommonTableExpression, DbErr> {
    let NewSignIn { key, used_after, .. } = *sign_in;
    let Some(ids) = sign_in.may_create else {
        let mut claiming = owners::claiming(key.phone, used_after, now).into_query();
        return Ok(part(OWNER, claiming.and_where(count_of(CONSUMED).gt(0_i64)).returning_all().take()));
    };
    let options = OpenOptions { ids, is_review: false, used_after };
    let (row, found) = accounts::opening(key.phone, options, accounts::seen(now), now);
    let mut opening = insert_from::<_, challenge::Column>(CONSUMED, &row, None, None)?;
    Ok(part(OWNER, opening.on_conflict(found).returning_all().take()))
}

/// Whether the account is active, and the function of the database allows one more session. It runs for the account, so after
/// the account was locked.
fn may_open_session(sign_in: &NewSignIn<'_>, now: DateTime<Utc>) -> SimpleExpr {
    let allows = Func::cust("may_open_session")
        .arg(Expr::col((OWNER, account::Column::Id)))
        .arg(Expr::val(sign_in.key.phone.full()))
        .arg(Expr::val(i64::try_from(sign_in.most_sessions).unwrap_or(i64::MAX)))
        .arg(Expr::val(now));
    Expr::col((OWNER, account::Column::IsActive)).and(allows)
}

/// Whether the phone had an account when the statement began.
fn has_account(sign_in: &NewSignIn<'_>) -> SimpleExpr {
    let accounts = account::Entity::find()
        .select_only()
        .column(account::Column::Id)
        .filter(account::Column::Phone.eq(sign_in.key.phone.full()))
        .filter(used(sign_in.used_after));
    Expr::exists(accounts.into_query())
}

/// What the statement returns. It fails unless the session was opened, or there was no account and none was to be created.
fn result(sign_in: &NewSignIn<'_>) -> SelectStatement {
    let mut is_usual = Condition::any().add(Expr::col(SESSIONS).gt(0_i64));
    match sign_in.may_create {
        None => is_usual = is_usual.add(has_account(sign_in).not()),
        Some(_) if !sign_in.new_forgives => {}
        // Otherwise another request created the account since the statement began, and the prefix was forgiven too much.
        Some(ids) => {
            let mut found = Query::select();
            let is_old = Expr::col((OWNER, account::Column::Id)).ne(ids.account);
            found.expr(Expr::val(1_i32)).from(OWNER).and_where(is_old);
            let agrees = Expr::exists(found).eq(has_account(sign_in));
            is_usual = Condition::all().add(is_usual).add(agrees);
        }
    }
    let is_usual = Expr::case(is_usual, 1_i64).finally(parts::failure(UNUSUAL, Expr::col(SESSIONS)));
    let counted = Query::select().expr_as(count_of(OPENED), SESSIONS).take();
    let mut select = Query::select();
    parts::return_columns::<account::Entity>(&mut select, OWNER, OF_OWNER);
    select.from_subquery(counted, "counted").join(JoinType::LeftJoin, OWNER, Expr::val(true));
    if !sign_in.settlements.is_empty() {
        parts::return_columns::<budget::Entity>(&mut select, SETTLED, OF_SETTLED);
        select.join(JoinType::LeftJoin, SETTLED, Expr::val(true));
    }
    select.and_where(Expr::expr(is_usual).eq(1_i64)).take()
}
