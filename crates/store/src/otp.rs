//! Rows of `challenges`. Each function is one guarded statement: the database decides every race.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

mod names;
mod owned;
mod tombstones;

use chrono::{DateTime, Duration, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, UpdateMany, Value,
    sea_query::{
        Alias, Expr, InsertStatement, LockBehavior, LockType, OnConflict, Query, SelectStatement, SimpleExpr,
    },
};
use uuid::Uuid;

use self::tombstones::is_tombstone;
pub use self::{
    names::{OpenedName, claim_attempt_by_name, close_name, open_name},
    owned::{IssuedCode, list_of, list_to, purge_bound, purge_of, purge_unbound},
    tombstones::{find_tombstone, insert_tombstone, shorten_tombstone},
};
use super::{
    StoreError, budgets,
    entities::challenge::{Column, Entity, Model},
};
use domain::{
    budget::Charge,
    otp::{Accepted, Challenge, ChallengeKey, ChallengeRow, Claim, Holder, Opening, OtpPolicy, Purpose},
    phone::PhoneNumber,
};

/// Opens a challenge, or keeps the open one for a resend, and stores the time of the send. `None` when the last code was sent
/// too recently: nothing has changed then.
pub async fn open(
    db: &impl ConnectionTrait,
    key: ChallengeKey<'_>,
    opening: &Opening<'_>,
) -> Result<Option<Challenge>, StoreError> {
    let row = db.query_one(&statement(key, opening, None)?).await?;
    Ok(row.map(|row| Model::from_query_result(&row, "")).transpose()?.map(Challenge::from))
}

/// The statement of [`open`]. Where a condition is given, nothing is opened unless it holds.
pub(super) fn statement(
    key: ChallengeKey<'_>,
    opening: &Opening<'_>,
    only_if: Option<SimpleExpr>,
) -> Result<InsertStatement, DbErr> {
    let mut insert = unless_tombstone(key.into(), opening, only_if)?;
    let mut conflict = conflict(opening);
    if key.purpose == Purpose::Verification {
        // Its end is final: it is canceled, approved or used up, and the next one has an id of its own.
        conflict.action_and_where(still_open(opening));
    }
    insert.on_conflict(conflict).returning_all();
    Ok(insert)
}

/// Whether the challenge of a row that exists is open.
fn still_open(opening: &Opening<'_>) -> SimpleExpr {
    Expr::col((Entity, Column::ConsumedAt))
        .is_null()
        .and(Expr::col((Entity, Column::Attempts)).lt(opening.max_attempts))
        .and(Expr::col((Entity, Column::ExpiresAt)).gte(opening.keep_if_alive_at))
        .and(Expr::col((Entity, Column::KeyVersion)).is_in(opening.keep_versions.iter().copied()))
}

/// What becomes of a row that exists: its challenge is kept while it is open, else a new one takes its place.
fn conflict(opening: &Opening<'_>) -> OnConflict {
    let still_open = still_open(opening);
    let keep_or_renew = |column: Column| {
        let kept = Expr::case(still_open.clone(), Expr::col((Entity, column)));
        (column, kept.finally(Expr::col((Alias::new("excluded"), column))).into())
    };
    // After the clock was set back, a code must not live longer than a new one.
    let end = || Expr::col((Entity, Column::ExpiresAt));
    let new_end = || Expr::col((Alias::new("excluded"), Column::ExpiresAt));
    let kept_end = Expr::case(still_open.clone().and(end().lte(new_end())), end()).finally(new_end());
    // The last valid invitation wins; without one, an open challenge keeps its own.
    let (invitation, kept_or_none) = keep_or_renew(Column::InvitationId);
    let given = Expr::col((Alias::new("excluded"), Column::InvitationId));
    let invitation_now = if opening.invitation.is_some() { given } else { kept_or_none };
    let mut conflict = OnConflict::columns([Column::Phone, Column::Purpose, Column::Holder]);
    conflict
        .values([Column::Id, Column::KeyVersion, Column::Attempts, Column::OpenedAt].map(keep_or_renew))
        .value(Column::ExpiresAt, kept_end)
        .value(invitation, invitation_now)
        .value(Column::ConsumedAt, Option::<DateTime<Utc>>::None)
        .value(Column::SentAt, opening.now);
    if let Some(last_sent) = opening.refuse_if_sent_after {
        let sent_at = Expr::col((Entity, Column::SentAt));
        conflict.action_and_where(sent_at.clone().is_null().or(sent_at.lte(last_sent)));
    }
    conflict
}

/// The insert of a new challenge. It is a SELECT, so that the tombstone of a deleted account stops it in the same statement.
fn unless_tombstone(
    row: ChallengeRow<'_>,
    opening: &Opening<'_>,
    only_if: Option<SimpleExpr>,
) -> Result<InsertStatement, DbErr> {
    let (phone, purpose, holder) = columns(row);
    let values: [(Column, Value); 11] = [
        (Column::Phone, phone.into()),
        (Column::Purpose, purpose.as_str().into()),
        (Column::Holder, holder.into()),
        (Column::Id, opening.id.into()),
        (Column::KeyVersion, opening.key_version.into()),
        (Column::Attempts, 0_i64.into()),
        (Column::OpenedAt, opening.now.into()),
        (Column::ExpiresAt, opening.expires_at.into()),
        (Column::SentAt, opening.now.into()),
        (Column::ConsumedAt, Option::<DateTime<Utc>>::None.into()),
        (Column::InvitationId, opening.invitation.into()),
    ];
    let mut insert = Query::insert();
    let mut select = Query::select();
    insert.into_table(Entity).columns(values.each_ref().map(|(column, _)| *column));
    select.exprs(values.map(|(_, value)| Expr::val(value)));
    // A name has no tombstone, and that of a review number does not count.
    if !opening.phone_hashes.is_empty() {
        let tombstone = Entity::find().filter(is_tombstone(&opening.phone_hashes, purpose, opening.now));
        select.and_where(Expr::not_exists(tombstone.into_query()));
    }
    select.and_where_option(only_if);
    insert.select_from(select).map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok(insert)
}

/// Takes an attempt, if the challenge accepts one and no row of these charges refuses. Runs in a statement of its own, so that
/// no later failure undoes it. After an error no code may be judged.
pub async fn claim_attempt<'a>(
    db: &impl ConnectionTrait,
    row: impl Into<ChallengeRow<'a>>,
    policy: &OtpPolicy,
    charges: &[Charge],
    now: DateTime<Utc>,
) -> Result<Claim, StoreError> {
    let row = row.into();
    match claiming(row, policy, charges, now).exec_with_returning(db).await?.into_iter().next() {
        Some(taken) => Ok(Claim::Taken(taken.into())),
        None => Ok(Claim::NotTaken(find_row(db, row).await?)),
    }
}

/// The statement that takes an attempt.
fn claiming(
    row: ChallengeRow<'_>,
    policy: &OtpPolicy,
    charges: &[Charge],
    now: DateTime<Utc>,
) -> UpdateMany<Entity> {
    // A challenge that a wrong clock opened lives no longer than one opened now.
    let (end, latest) = (|| Expr::col(Column::ExpiresAt), now + policy.life);
    let take = Entity::update_many()
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::ExpiresAt, Expr::case(end().gt(latest), Expr::value(latest)).finally(end()).into())
        .filter(accepts_guess(row, policy.max_attempts, now));
    match budgets::refusing(charges, now) {
        Some(refusing) => take.filter(Expr::not_exists(refusing)),
        None => take,
    }
}

/// Whether the challenge accepts a guess.
fn accepts_guess(row: ChallengeRow<'_>, max_attempts: i64, now: DateTime<Utc>) -> Condition {
    has_key(row)
        .add(Column::ConsumedAt.is_null())
        .add(Column::ExpiresAt.gte(now))
        .add(Column::Attempts.lt(max_attempts))
}

/// The challenge, in any state.
pub async fn find(db: &impl ConnectionTrait, key: ChallengeKey<'_>) -> Result<Option<Challenge>, StoreError> {
    find_row(db, key.into()).await
}

async fn find_row(db: &impl ConnectionTrait, row: ChallengeRow<'_>) -> Result<Option<Challenge>, StoreError> {
    Ok(Entity::find().filter(has_key(row)).one(db).await?.map(Challenge::from))
}

/// The challenge of this id, with its purpose and holder.
pub async fn find_by_id(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    id: Uuid,
) -> Result<Option<(Purpose, Option<Holder>, Challenge)>, StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "challenges", column };
    // Found by the first part of the primary key: a phone has few challenges.
    let found =
        Entity::find().filter(Column::Phone.eq(phone.full())).filter(Column::Id.eq(id)).one(db).await?;
    let Some(row) = found else {
        return Ok(None);
    };
    let purpose = Purpose::named(&row.purpose).ok_or(unreadable("purpose"))?;
    let holder = match row.holder.as_str() {
        "" => None,
        holder => Some(Holder::parse(holder).ok_or(unreadable("holder"))?),
    };
    Ok(Some((purpose, holder, row.into())))
}

/// The challenges of these phones with these ids, in no order.
pub async fn list_by_ids(
    db: &impl ConnectionTrait,
    phones: impl IntoIterator<Item = &PhoneNumber>,
    ids: Vec<Uuid>,
) -> Result<Vec<Challenge>, StoreError> {
    // Found by the first part of the primary key: an id has no index.
    let to_these = Column::Phone.is_in(phones.into_iter().map(PhoneNumber::full));
    let rows = Entity::find().filter(to_these).filter(Column::Id.is_in(ids)).all(db).await?;
    Ok(rows.into_iter().map(Challenge::from).collect())
}

/// The proof that this request consumed a challenge. Only [`consume`] and [`super::sign_ins::open`] make one, so that no other
/// code path can sign a user in by code or assign a phone.
#[derive(Debug)]
#[must_use = "a consumed challenge cannot be answered again: do what its code was for"]
pub struct Consumed {
    phone: PhoneNumber,
}

impl Consumed {
    /// The statement that was just run consumed the challenge of this key.
    pub(super) fn of(key: ChallengeKey<'_>) -> Self {
        Self { phone: key.phone.clone() }
    }

    /// The phone that the code proved.
    #[must_use]
    pub fn phone(&self) -> &PhoneNumber {
        &self.phone
    }
}

/// The invitation with which a code was requested, as a part of another statement.
pub(super) fn invitation_of(key: ChallengeKey<'_>) -> SelectStatement {
    Entity::find().select_only().column(Column::InvitationId).filter(has_key(key.into())).into_query()
}

/// Uses up the challenge. `None` when another request used it up first. A trigger writes this time to the messages with its
/// code.
pub async fn consume(
    db: &impl ConnectionTrait,
    key: ChallengeKey<'_>,
    accepted: &Accepted,
    now: DateTime<Utc>,
) -> Result<Option<Consumed>, StoreError> {
    let used = consuming(key, accepted, now).exec(db).await?;
    Ok((used.rows_affected == 1).then(|| Consumed::of(key)))
}

/// The statement of [`consume`].
pub(super) fn consuming(
    key: ChallengeKey<'_>,
    accepted: &Accepted,
    now: DateTime<Utc>,
) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::ConsumedAt, Expr::value(now))
        .filter(has_key(key.into()))
        .filter(Column::Id.eq(accepted.challenge_id()))
        .filter(Column::ConsumedAt.is_null())
}

/// Ends the pending codes of a phone, of every purpose. Waits for a transaction that uses one up at this moment.
pub async fn close_all(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    closing(now).filter(Column::Phone.eq(phone.full())).exec(db).await?;
    Ok(())
}

fn closing(now: DateTime<Utc>) -> UpdateMany<Entity> {
    Entity::update_many()
        // A code is valid in the moment of its end too.
        .col_expr(Column::ExpiresAt, Expr::value(now - Duration::microseconds(1)))
        .filter(Column::ConsumedAt.is_null())
        .filter(Column::ExpiresAt.gte(now))
}

/// Ends the code of a challenge, if it is pending. Waits for a transaction that uses it up at this moment.
pub async fn close(
    db: &impl ConnectionTrait,
    key: ChallengeKey<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    closing(now).filter(has_key(key.into())).exec(db).await?;
    Ok(())
}

/// Returns the last attempt to a challenge whose right code was not used up, so that the code can still be entered. Wrong
/// guesses stay counted, and a client that has the right code gains nothing.
pub async fn set_last_attempt_unused<'a>(
    db: &impl ConnectionTrait,
    row: impl Into<ChallengeRow<'a>>,
    id: Uuid,
    max_attempts: i64,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Attempts, Expr::value(max_attempts - 1))
        .filter(has_key(row.into()))
        .filter(Column::Id.eq(id))
        .filter(Column::Attempts.gte(max_attempts))
        .exec(db)
        .await?;
    Ok(())
}

/// Removes the time at which a code was sent, so that the next one can be requested at once.
pub async fn set_unsent(
    db: &impl ConnectionTrait,
    key: ChallengeKey<'_>,
    id: Uuid,
    sent_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    set_sent(db, key, id, (sent_at, None)).await
}

/// Replaces the time at which a code was sent, if it is still the old one.
pub async fn set_sent<'a>(
    db: &impl ConnectionTrait,
    row: impl Into<ChallengeRow<'a>>,
    id: Uuid,
    (sent_at, new): (DateTime<Utc>, Option<DateTime<Utc>>),
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::SentAt, Expr::value(new))
        .filter(has_key(row.into()))
        .filter(Column::Id.eq(id))
        .filter(Column::SentAt.eq(sent_at))
        .exec(db)
        .await?;
    Ok(())
}

/// Removes up to `most` challenges that were opened before this time and had ended by then. Returns how many.
pub async fn purge(
    db: &impl ConnectionTrait,
    ended_before: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let key = [Column::Phone, Column::Purpose, Column::Holder];
    let these = Entity::find()
        .select_only()
        .columns(key)
        // In the order of the index: there is none on the end of a challenge.
        .filter(Column::OpenedAt.lt(ended_before))
        .filter(Column::ExpiresAt.lt(ended_before))
        .order_by_asc(Column::OpenedAt)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let is_one = Expr::tuple(key.map(Expr::col)).in_subquery(these.into_query());
    Ok(Entity::delete_many().filter(is_one).exec(db).await?.rows_affected)
}

/// The row, by its primary key. A statement for one challenge also compares its id, which has no index.
fn has_key(row: ChallengeRow<'_>) -> Condition {
    let (phone, purpose, holder) = columns(row);
    Condition::all()
        .add(Column::Phone.eq(phone))
        .add(Column::Purpose.eq(purpose.as_str()))
        .add(Column::Holder.eq(holder))
}

/// The columns of the primary key. In the place of a phone there can be the hash of a name.
fn columns(row: ChallengeRow<'_>) -> (String, Purpose, String) {
    match row {
        ChallengeRow::Code(ChallengeKey { phone, purpose, holder }) => {
            (phone.full().to_owned(), purpose, holder.map_or_else(String::new, |holder| holder.to_string()))
        }
        ChallengeRow::Name(name) => {
            (format!("name:{}", name.as_str()), Purpose::ResetPassword, String::new())
        }
        ChallengeRow::NoCode(name) => {
            (format!("none:{}", name.as_str()), Purpose::ResetPassword, String::new())
        }
    }
}

impl From<Model> for Challenge {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            key_version: row.key_version,
            attempts: row.attempts,
            expires_at: row.expires_at,
            sent_at: row.sent_at,
            consumed_at: row.consumed_at,
        }
    }
}
