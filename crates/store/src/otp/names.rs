//! Rows of names: they count the guesses of a client that wants a new password, whether an account has the name or not.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{claiming, conflict, find_row, has_key, unless_tombstone};
use crate::{
    StoreError,
    entities::challenge::{Column, Entity, Model},
};
use domain::{
    budget::Charge,
    otp::{Challenge, ChallengeRow, Opening, OtpPolicy},
    pseudonym::Pseudonym,
};

/// What a request for a new password found.
#[derive(Debug)]
pub enum OpenedName {
    /// The row is open, and a code may be sent.
    Open(Challenge),
    /// A code was requested for this name too recently.
    TooSoon(Challenge),
}

/// Opens the row of a name, or keeps the open one, as [`super::open`] does with that of a code.
pub async fn open_name(
    db: &impl ConnectionTrait,
    name: &Pseudonym,
    opening: &Opening<'_>,
) -> Result<Option<OpenedName>, StoreError> {
    let row = ChallengeRow::Name(name);
    let mut insert = unless_tombstone(row, opening, None)?;
    let opened = db.query_one(insert.on_conflict(conflict(opening)).returning_all()).await?;
    if let Some(opened) = opened {
        return Ok(Some(OpenedName::Open(Model::from_query_result(&opened, "")?.into())));
    }
    Ok(find_row(db, row).await?.map(OpenedName::TooSoon))
}

/// Takes an attempt of this row, if it accepts one and no row of these charges refuses. One statement, whether there is such a row
/// or not.
pub async fn claim_attempt_by_name(
    db: &impl ConnectionTrait,
    row: ChallengeRow<'_>,
    policy: &OtpPolicy,
    charges: &[Charge],
    now: DateTime<Utc>,
) -> Result<Option<Challenge>, StoreError> {
    let taken = claiming(row, policy, charges, now).exec_with_returning(db).await?;
    Ok(taken.into_iter().next().map(Challenge::from))
}

/// Ends the row of a name whose code was used.
pub async fn close_name(
    db: &impl ConnectionTrait,
    name: &Pseudonym,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::ConsumedAt, Expr::value(now))
        .filter(has_key(ChallengeRow::Name(name)))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}
