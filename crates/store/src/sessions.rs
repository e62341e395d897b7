//! Rows of `sessions`: one for each pair of tokens.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

mod rotation;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, UpdateMany,
    sea_query::{Expr, LockBehavior, LockType, Query, ReturningClause, SimpleExpr},
};
use uuid::Uuid;

pub use self::rotation::{Exchange, rotate};
use super::{
    StoreError,
    accounts::account,
    blocks,
    entities::{
        account,
        session::{ActiveModel, Column, Entity, Model},
    },
};
use domain::{
    access::{Client, OpenedBy, Session},
    account::{Account, Role},
    phone::PhoneNumber,
};

/// What is known when a session was opened.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    /// How many other live sessions the account has.
    pub others: u64,
    /// Whether the phone of the account is blocked: the transaction must not be committed then.
    pub is_blocked: bool,
}

/// Opens a session of an account with this phone. A caller claims the account first ([`super::owners::claim`]): of two sessions
/// that are opened at once on PostgreSQL, neither sees the other, and neither would a session and a block see each other.
pub async fn open(
    db: &impl ConnectionTrait,
    session: &Session,
    phone: Option<&PhoneNumber>,
    now: DateTime<Utc>,
) -> Result<Opened, StoreError> {
    // In this statement SQLite sees the new row and PostgreSQL does not.
    let others = Entity::find()
        .select_only()
        .column_as(Column::Id.count(), "others")
        .filter(live(session.account_id, now))
        .filter(Column::Id.ne(session.id))
        .into_query();
    let blocks = blocks::number_of(Expr::val(phone.map_or("", PhoneNumber::full)), now);
    let mut insert = Entity::insert(row(session, now)).into_query();
    let row =
        db.query_one(insert.returning(ReturningClause::Exprs(vec![others.into(), blocks.into()]))).await?;
    let row = row.ok_or_else(|| DbErr::Custom("a session was written and not returned".to_owned()))?;
    let (others, blocks): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    Ok(Opened { others: u64::try_from(others).unwrap_or_default(), is_blocked: blocks > 0 })
}

/// The row of a new session.
pub(super) fn row(session: &Session, now: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        id: Set(session.id),
        account_id: Set(session.account_id),
        role: Set(session.role.as_str().to_owned()),
        refresh_jti: Set(session.refresh_jti),
        refresh_issued_at: Set(session.refresh_issued_at),
        parent_jti: Set(session.parent_jti),
        created_at: Set(now),
        last_used_at: Set(now),
        expires_at: Set(session.expires_at),
        ended_at: Set(session.ended_at),
        opened_by: Set(session.opened_by.as_str().to_owned()),
        device: Set(session.client.device.clone()),
        address: Set(session.client.address.clone()),
        locale: Set(session.client.locale.clone()),
        recent_auth_at: Set(session.recent_auth_at),
        has_second_factor: Set(session.has_second_factor),
    }
}

/// The live sessions of an account, the last used first.
pub async fn list(
    db: &impl ConnectionTrait,
    account_id: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Session>, StoreError> {
    let rows = Entity::find()
        .filter(live(account_id, now))
        .order_by_desc(Column::LastUsedAt)
        .order_by_desc(Column::Id)
        .all(db)
        .await?;
    rows.iter().map(session).collect()
}

/// All sessions of an account that were not purged yet, oldest first.
pub async fn list_all(db: &impl ConnectionTrait, account_id: Uuid) -> Result<Vec<Session>, StoreError> {
    let rows = Entity::find()
        .filter(Column::AccountId.eq(account_id))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?;
    rows.iter().map(session).collect()
}

/// The last sessions of an account, ended ones too, newest first.
pub async fn list_last(
    db: &impl ConnectionTrait,
    account_id: Uuid,
    most: u64,
) -> Result<Vec<Session>, StoreError> {
    let of_account = Entity::find().filter(Column::AccountId.eq(account_id));
    let newest = of_account.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(most);
    newest.all(db).await?.iter().map(session).collect()
}

/// A session and its account, in one statement. After an error no request may be let in.
pub async fn find_with_account(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<(Session, Account)>, StoreError> {
    let row = Entity::find_by_id(id).find_both_related(account::Entity).one(db).await?;
    row.map(|(row, owner)| Ok((session(&row)?, account(owner)?))).transpose()
}

/// Replaces the newest refresh token, if it is still that of `old` and the session is live. False when another request was
/// first.
pub async fn set_rotated(
    db: &impl ConnectionTrait,
    old: &Session,
    new: &Session,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rotated = Entity::update_many()
        .col_expr(Column::RefreshJti, Expr::value(new.refresh_jti))
        .col_expr(Column::RefreshIssuedAt, Expr::value(new.refresh_issued_at))
        .col_expr(Column::ParentJti, Expr::value(new.parent_jti))
        .col_expr(Column::ExpiresAt, Expr::value(new.expires_at))
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.eq(old.id))
        .filter(Column::RefreshJti.eq(old.refresh_jti))
        .filter(Column::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(rotated.rows_affected == 1)
}

/// Stores a session whose times in the future were replaced by now, if it was not refreshed meanwhile.
pub async fn correct_future_times(db: &impl ConnectionTrait, session: &Session) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::CreatedAt, Expr::value(session.created_at))
        .col_expr(Column::LastUsedAt, Expr::value(session.last_used_at))
        .col_expr(Column::RefreshIssuedAt, Expr::value(session.refresh_issued_at))
        .col_expr(Column::RecentAuthAt, Expr::value(session.recent_auth_at))
        .col_expr(Column::ExpiresAt, Expr::value(session.expires_at))
        .filter(Column::Id.eq(session.id))
        .filter(Column::RefreshJti.eq(session.refresh_jti))
        .exec(db)
        .await?;
    Ok(())
}

/// Which sessions are ended. A session that has ended does not change.
#[derive(Debug, Clone, Copy)]
pub enum Ending<'a> {
    /// A session, whether or not it has expired.
    One(Uuid),
    /// A live session of this account.
    Own {
        /// The account.
        account_id: Uuid,
        /// The session.
        id: Uuid,
    },
    /// The live sessions of an account, all of them or all but one.
    All {
        /// The account.
        account_id: Uuid,
        /// The session that stays.
        except: Option<Uuid>,
    },
    /// The live sessions of an account that have the rights of staff, or may get them: those of the console.
    Privileged(Uuid),
    /// The least recently used live sessions of an account, so that this number is left beside the new one.
    Oldest {
        /// The new one.
        new: &'a Session,
        /// How many others stay.
        left: u64,
    },
}

impl Ending<'_> {
    /// All live sessions of an account.
    #[must_use]
    pub fn all(account_id: Uuid) -> Self {
        Self::All { account_id, except: None }
    }

    fn condition(self, now: DateTime<Utc>) -> Condition {
        match self {
            Self::One(id) => Condition::all().add(Column::Id.eq(id)).add(Column::EndedAt.is_null()),
            Self::Own { account_id, id } => live(account_id, now).add(Column::Id.eq(id)),
            Self::All { account_id, except } => {
                live(account_id, now).add_option(except.map(|id| Column::Id.ne(id)))
            }
            Self::Privileged(account_id) => {
                let privileged = Condition::any()
                    .add(Column::Role.ne(Role::User.as_str()))
                    .add(Column::OpenedBy.eq(OpenedBy::Console.as_str()));
                live(account_id, now).add(privileged)
            }
            Self::Oldest { new, left } => {
                let others = || live(new.account_id, now).add(Column::Id.ne(new.id));
                let stay = Entity::find()
                    .select_only()
                    .column(Column::Id)
                    .filter(others())
                    .order_by_desc(Column::LastUsedAt)
                    .order_by_desc(Column::Id)
                    .limit(left)
                    .into_query();
                others().add(Column::Id.not_in_subquery(stay))
            }
        }
    }
}

/// Ends sessions. Returns how many.
pub async fn close(
    db: &impl ConnectionTrait,
    which: Ending<'_>,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    Ok(ending(which, now).exec(db).await?.rows_affected)
}

/// Ends sessions. Returns which, each with its account.
pub async fn close_each(
    db: &impl ConnectionTrait,
    which: Ending<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let ended = ending(which, now).exec_with_returning(db).await?;
    Ok(ended.into_iter().map(|row| (row.id, row.account_id)).collect())
}

fn ending(which: Ending<'_>, now: DateTime<Utc>) -> UpdateMany<Entity> {
    Entity::update_many().col_expr(Column::EndedAt, Expr::value(now)).filter(which.condition(now))
}

/// Stores that a live session of the console was used now, and when it ends without further use. False when it has ended.
pub async fn set_used(
    db: &impl ConnectionTrait,
    id: Uuid,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let used = Entity::update_many()
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .col_expr(Column::ExpiresAt, Expr::value(expires_at))
        .filter(Column::Id.eq(id))
        .filter(Column::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(used.rows_affected == 1)
}

/// Stores that the user of a live session authenticated again. False when the session has ended.
pub async fn set_recent_auth(
    db: &impl ConnectionTrait,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let accepted = Entity::update_many()
        .col_expr(Column::RecentAuthAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(accepted.rows_affected == 1)
}

/// Removes up to `most` sessions that expired or were ended before this time. Returns how many. The last use of their accounts
/// is stored first: it decides whether a number may have a new owner.
pub async fn purge(
    db: &impl ConnectionTrait,
    ended_before: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let dead: Vec<(Uuid, Uuid)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::AccountId])
        .filter(Column::ExpiresAt.lt(ended_before).or(Column::EndedAt.lt(ended_before)))
        .order_by_asc(Column::Id)
        .limit(most)
        .into_tuple()
        .all(db)
        .await?;
    if dead.is_empty() {
        return Ok(0);
    }
    let (ids, accounts): (Vec<Uuid>, Vec<Uuid>) = dead.into_iter().unzip();
    keep_last_use(db, accounts).await?;
    let owner = || (account::Entity, account::Column::SeenAt);
    let is_kept = Query::select()
        .expr(Expr::val(1_i32))
        .from(account::Entity)
        .and_where(of_its_account())
        .and_where(Expr::col(owner()).gte(Expr::col((Entity, Column::LastUsedAt))))
        .take();
    let these = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.is_in(ids))
        .filter(Expr::exists(is_kept))
        .order_by_asc(Column::Id)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let purge = Entity::delete_many().filter(Column::Id.in_subquery(these.into_query()));
    Ok(purge.exec(db).await?.rows_affected)
}

/// When the sessions of these accounts were last used. An account without a session is left out.
pub async fn list_last_uses(
    db: &impl ConnectionTrait,
    accounts: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, DateTime<Utc>>, StoreError> {
    let uses = Entity::find()
        .select_only()
        .column(Column::AccountId)
        .column_as(Column::LastUsedAt.max(), "last_use")
        .filter(Column::AccountId.is_in(accounts))
        .group_by(Column::AccountId);
    let uses: Vec<(Uuid, DateTime<Utc>)> = uses.into_tuple().all(db).await?;
    Ok(uses.into_iter().collect())
}

fn of_its_account() -> SimpleExpr {
    Expr::col((Entity, Column::AccountId)).equals((account::Entity, account::Column::Id))
}

/// Stores in these accounts when their sessions were last used, unless a later time is stored. An account that another
/// transaction has locked is skipped.
async fn keep_last_use(db: &impl ConnectionTrait, accounts: Vec<Uuid>) -> Result<(), StoreError> {
    let last = || {
        let uses = Query::select()
            .expr(Expr::col((Entity, Column::LastUsedAt)).max())
            .from(Entity)
            .and_where(of_its_account())
            .take();
        SimpleExpr::SubQuery(None, Box::new(uses.into()))
    };
    let seen_at = || Expr::col((account::Entity, account::Column::SeenAt));
    let these = account::Entity::find()
        .select_only()
        .column(account::Column::Id)
        .filter(account::Column::Id.is_in(accounts))
        .filter(seen_at().is_null().or(seen_at().lt(last())))
        .order_by_asc(account::Column::Id)
        .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked);
    account::Entity::update_many()
        .col_expr(account::Column::SeenAt, last())
        .filter(account::Column::Id.in_subquery(these.into_query()))
        .exec(db)
        .await?;
    Ok(())
}

/// The sessions of an account that are live at this time.
fn live(account_id: Uuid, now: DateTime<Utc>) -> Condition {
    Condition::all()
        .add(Column::AccountId.eq(account_id))
        .add(Column::EndedAt.is_null())
        .add(Column::ExpiresAt.gt(now))
}

fn session(row: &Model) -> Result<Session, StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "sessions", column };
    let role = Role::parse(&row.role).ok_or(unreadable("role"))?;
    let opened_by = OpenedBy::parse(&row.opened_by).ok_or(unreadable("opened_by"))?;
    Ok(Session {
        opened_by,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        client: Client {
            device: row.device.clone(),
            address: row.address.clone(),
            locale: row.locale.clone(),
        },
        recent_auth_at: row.recent_auth_at,
        has_second_factor: row.has_second_factor,
        id: row.id,
        account_id: row.account_id,
        role,
        refresh_jti: row.refresh_jti,
        refresh_issued_at: row.refresh_issued_at,
        parent_jti: row.parent_jti,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
    })
}
