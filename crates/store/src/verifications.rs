//! Rows of `verifications`: checks of phones that other services asked for. A row is written by the statement that opens its challenge
//! ([`super::sends::open`]), and goes with its messages, by a trigger.
//!
//! What a verification comes to is decided by [`close`]: of a right code and a cancellation at once, one is first.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::verification::{ActiveModel, Column, Entity, Model},
};
use domain::{
    delivery::Channel,
    otp::Opening,
    phone::PhoneNumber,
    verification::{Status, Verification},
};

/// A verification whose code is about to be sent, for the first time or again.
#[derive(Debug, Clone, Copy)]
pub struct NewVerification<'a> {
    /// Its id.
    pub id: Uuid,
    /// The key of the service.
    pub api_key_id: Uuid,
    /// What the service calls it.
    pub reference: Option<&'a str>,
    /// Whether the phone had proved itself before.
    pub was_known: bool,
}

/// The row of a verification, and what is changed in it when its code is sent again.
pub(super) fn opening(
    phone: &PhoneNumber,
    new: NewVerification<'_>,
    channel: Channel,
    opening: &Opening<'_>,
) -> (ActiveModel, OnConflict) {
    let row = ActiveModel {
        id: Set(new.id),
        api_key_id: Set(new.api_key_id),
        phone: Set(phone.full().to_owned()),
        reference: Set(new.reference.map(str::to_owned)),
        channel: Set(channel.as_str().to_owned()),
        status: Set(Status::Pending.as_str().to_owned()),
        was_known: Set(new.was_known),
        challenge_id: Set(opening.id),
        created_at: Set(opening.now),
        expires_at: Set(opening.expires_at),
        ended_at: Set(None),
    };
    // A challenge of a verification is only kept, never renewed, so everything else stays as it is.
    (row, OnConflict::column(Column::Id).update_column(Column::Channel).to_owned())
}

/// Adds a verification whose challenge was opened without a message.
pub async fn insert(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    new: NewVerification<'_>,
    channel: Channel,
    with: &Opening<'_>,
) -> Result<(), StoreError> {
    let (row, conflict) = opening(phone, new, channel, with);
    Entity::insert(row).on_conflict(conflict).exec_without_returning(db).await?;
    Ok(())
}

/// The verification of this key with this id.
pub async fn find(
    db: &impl ConnectionTrait,
    api_key_id: Uuid,
    id: Uuid,
) -> Result<Option<Verification>, StoreError> {
    let own = Entity::find_by_id(id).filter(Column::ApiKeyId.eq(api_key_id));
    own.one(db).await?.map(verification).transpose()
}

/// The newest pending verification of a phone that this key calls by this reference, if its code is valid until this time at least.
pub async fn find_pending(
    db: &impl ConnectionTrait,
    api_key_id: Uuid,
    phone: &PhoneNumber,
    reference: Option<&str>,
    alive_at: DateTime<Utc>,
) -> Result<Option<Verification>, StoreError> {
    let is_same = match reference {
        Some(reference) => Column::Reference.eq(reference),
        None => Column::Reference.is_null(),
    };
    let pending =
        of_key(api_key_id, phone).add(is_same).add(is_pending()).add(Column::ExpiresAt.gte(alive_at));
    newest(db, pending).await
}

/// The newest verification of a phone by this key.
pub async fn find_newest(
    db: &impl ConnectionTrait,
    api_key_id: Uuid,
    phone: &PhoneNumber,
) -> Result<Option<Verification>, StoreError> {
    newest(db, of_key(api_key_id, phone)).await
}

async fn newest(db: &impl ConnectionTrait, which: Condition) -> Result<Option<Verification>, StoreError> {
    let newest = Entity::find().filter(which).order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
    newest.one(db).await?.map(verification).transpose()
}

/// Whether a verification of this phone was ever approved, for whatever service.
pub async fn has_approved(db: &impl ConnectionTrait, phone: &PhoneNumber) -> Result<bool, StoreError> {
    let approved = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Phone.eq(phone.full()))
        .filter(Column::Status.eq(Status::Approved.as_str()))
        .limit(1);
    Ok(approved.into_tuple::<Uuid>().one(db).await?.is_some())
}

/// Ends a verification, if this status may take the place of the one that it has. False when it may not: nothing has changed then.
pub async fn close(
    db: &impl ConnectionTrait,
    id: Uuid,
    status: Status,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let closed = Entity::update_many()
        .col_expr(Column::Status, Expr::value(status.as_str()))
        .col_expr(Column::EndedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.is_in(status.replaces().iter().map(|status| status.as_str())))
        .exec(db)
        .await?;
    Ok(closed.rows_affected == 1)
}

/// Stores the channel by which a code went in the end.
pub async fn set_channel(db: &impl ConnectionTrait, id: Uuid, channel: Channel) -> Result<(), StoreError> {
    let changed = Entity::update_many().col_expr(Column::Channel, Expr::value(channel.as_str()));
    changed.filter(Column::Id.eq(id)).exec(db).await?;
    Ok(())
}

fn of_key(api_key_id: Uuid, phone: &PhoneNumber) -> Condition {
    Condition::all().add(Column::Phone.eq(phone.full())).add(Column::ApiKeyId.eq(api_key_id))
}

fn is_pending() -> SimpleExpr {
    Column::Status.eq(Status::Pending.as_str())
}

fn verification(row: Model) -> Result<Verification, StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "verifications", column };
    Ok(Verification {
        id: row.id,
        api_key_id: row.api_key_id,
        phone: PhoneNumber::from_e164(&row.phone).ok_or(unreadable("phone"))?,
        reference: row.reference,
        channel: row.channel.parse().map_err(|_| unreadable("channel"))?,
        stored: Status::named(&row.status).ok_or(unreadable("status"))?,
        was_known: row.was_known,
        created_at: row.created_at,
        expires_at: row.expires_at,
    })
}
