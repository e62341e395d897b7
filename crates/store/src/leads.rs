//! Rows of `leads`: every phone that requested a code.
//!
//! `leads/list.rs` finds leads for lists and exports, `leads/notes.rs` has their notes, `leads/countries.rs` fills in the
//! countries of their numbers.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

mod countries;
mod list;
mod notes;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, UpdateMany,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

pub use self::{
    countries::{list_without_country, set_country},
    list::{AccountName, count, list, list_accounts},
    notes::{find_author, find_with_notes, insert_note, list_notes, list_notes_of},
};
use super::{
    StoreError,
    entities::lead::{ActiveModel, Column, Entity, Model},
};
use domain::{
    lead::{Change, Lead, LeadName, Source, State, country_of},
    phone::PhoneNumber,
    users::fold,
};

/// A request for a code, for the lead of its phone.
#[derive(Debug, Clone, Copy)]
pub struct NewLead {
    /// The id of the lead, if it is new.
    pub id: Uuid,
    /// Where the request comes from.
    pub source: Source,
}

/// The lead of this phone and what happens if there is one: one more request is counted, its state and source do not change.
pub(super) fn opening(phone: &PhoneNumber, lead: NewLead, now: DateTime<Utc>) -> (ActiveModel, OnConflict) {
    let row = ActiveModel {
        id: Set(lead.id),
        phone: Set(phone.full().to_owned()),
        source: Set(lead.source.as_str().to_owned()),
        state: Set(State::New.as_str().to_owned()),
        requests: Set(1),
        first_requested_at: Set(now),
        last_requested_at: Set(now),
        converted_at: Set(None),
        notes: Set(String::new()),
        region: Set(Some(country_of(phone))),
        name: Set(None),
        name_key: Set(None),
        changed_at: Set(None),
        changed_by: Set(None),
        version: Set(0),
    };
    let mut count_one_more = OnConflict::column(Column::Phone);
    count_one_more
        .value(Column::Requests, Expr::col((Entity, Column::Requests)).add(1))
        .value(Column::LastRequestedAt, now);
    (row, count_one_more)
}

/// Counts a sign-up that was refused, and makes the lead wait if nobody has worked on it. Returns its id, which is that of `lead`
/// if it is new.
pub async fn open_waiting(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    lead: NewLead,
    now: DateTime<Utc>,
) -> Result<Uuid, StoreError> {
    let (row, mut conflict) = opening(phone, lead, now);
    let row = ActiveModel { state: Set(State::Waiting.as_str().to_owned()), ..row };
    let column = |column: Column| Expr::col((Entity, column));
    let if_new = |then: Expr, column: Expr| Expr::case(is_new(), then).finally(column);
    let version = || column(Column::Version);
    conflict
        .value(Column::State, if_new(Expr::val(State::Waiting.as_str()), column(Column::State)))
        .value(Column::ChangedAt, if_new(Expr::val(now), column(Column::ChangedAt)))
        .value(Column::Version, if_new(version().add(1_i64), version()));
    let opened = Entity::insert(row).on_conflict(conflict).exec_with_returning(db).await?;
    Ok(opened.id)
}

/// Makes the lead of this phone wait, if nobody has worked on it: its code was right, and no account was made.
pub async fn set_waiting(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(State::Waiting.as_str()))
        .col_expr(Column::ChangedAt, Expr::value(now))
        .col_expr(Column::ChangedBy, Expr::value(Option::<Uuid>::None))
        .col_expr(Column::Version, Expr::col((Entity, Column::Version)).add(1_i64))
        .filter(Column::Phone.eq(phone.full()))
        .filter(is_new())
        .exec(db)
        .await?;
    Ok(())
}

fn is_new() -> Expr {
    Expr::col((Entity, Column::State)).eq(State::New.as_str())
}

/// Marks the lead of this phone as converted, by this staff member or by its code. False if there is no lead, or it was converted
/// before.
pub async fn set_converted(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    Ok(converting(phone, by, now).exec(db).await?.rows_affected > 0)
}

/// The same, and returns the id of the lead.
pub async fn set_converted_one(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, StoreError> {
    let converted = converting(phone, by, now).exec_with_returning(db).await?;
    Ok(converted.first().map(|lead| lead.id))
}

/// The statement that marks the lead of this phone as converted, unless it is.
pub(super) fn converting(phone: &PhoneNumber, by: Option<Uuid>, now: DateTime<Utc>) -> UpdateMany<Entity> {
    let converted = State::Converted.as_str();
    Entity::update_many()
        .col_expr(Column::State, Expr::value(converted))
        .col_expr(Column::ConvertedAt, Expr::value(now))
        .col_expr(Column::ChangedAt, Expr::value(now))
        .col_expr(Column::ChangedBy, Expr::value(by))
        .col_expr(Column::Version, Expr::col((Entity, Column::Version)).add(1_i64))
        .filter(Column::Phone.eq(phone.full()))
        .filter(Column::State.ne(converted))
}

/// The lead of this phone: when and how often a code was requested.
pub async fn find(db: &impl ConnectionTrait, phone: &PhoneNumber) -> Result<Option<Lead>, StoreError> {
    Entity::find().filter(Column::Phone.eq(phone.full())).one(db).await?.map(lead).transpose()
}

/// The lead with this id.
pub async fn find_by_id(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Lead>, StoreError> {
    Entity::find_by_id(id).one(db).await?.map(lead).transpose()
}

/// The leads with these ids, in no particular order.
pub async fn list_by_ids(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Lead>, StoreError> {
    Entity::find().filter(Column::Id.is_in(ids)).all(db).await?.into_iter().map(lead).collect()
}

/// Changes a lead, if it is still as it was seen. Returns whether it was.
pub async fn update(
    db: &impl ConnectionTrait,
    seen: &Lead,
    change: &Change,
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let name = change.name.as_ref().map(Option::as_ref);
    let key = |name: &LeadName| fold(name.as_str());
    let columns = ActiveModel {
        state: change.state.map_or(NotSet, |state| Set(state.as_str().to_owned())),
        name: name.map_or(NotSet, |name| Set(name.map(|name| name.as_str().to_owned()))),
        name_key: name.map_or(NotSet, |name| Set(name.map(key))),
        changed_at: Set(Some(now)),
        changed_by: Set(by),
        version: Set(seen.version + 1),
        ..Default::default()
    };
    let updated = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(seen.id))
        .filter(Column::Version.eq(seen.version))
        .exec(db)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Moves the lead of a user to the new phone. If that phone has a lead already, the old lead is removed, and its notes move to
/// that one.
pub async fn set_moved(
    db: &impl ConnectionTrait,
    from: &PhoneNumber,
    to: &PhoneNumber,
) -> Result<(), StoreError> {
    let removed = Entity::delete_many().filter(Column::Phone.eq(from.full())).exec_with_returning(db).await?;
    let Some(lead) = removed.into_iter().next() else {
        return Ok(());
    };
    let id = lead.id;
    let moved = ActiveModel {
        phone: Set(to.full().to_owned()),
        region: Set(Some(country_of(to))),
        version: Set(lead.version + 1),
        ..lead.into()
    };
    // A code can be requested for the new phone at this moment. The conflict must not be an error: on PostgreSQL an error
    // would abort the surrounding transaction.
    let mut unless_there = OnConflict::column(Column::Phone);
    unless_there.do_nothing();
    let inserted =
        Entity::insert(moved.reset_all()).on_conflict(unless_there).exec_without_returning(db).await?;
    if inserted == 0 {
        notes::set_lead(db, id, to).await?;
    }
    Ok(())
}

/// Removes the lead of this phone, and its notes.
pub async fn purge_of(db: &impl ConnectionTrait, phone: &PhoneNumber) -> Result<(), StoreError> {
    // The lead first: a note that is being added holds the lead, and is there when the notes are removed.
    let removed =
        Entity::delete_many().filter(Column::Phone.eq(phone.full())).exec_with_returning(db).await?;
    if let Some(lead) = removed.first() {
        notes::purge(db, lead.id).await?;
    }
    Ok(())
}

/// Reads a lead from a row.
fn lead(row: Model) -> Result<Lead, StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "leads", column };
    let phone = PhoneNumber::from_e164(&row.phone).ok_or(unreadable("phone"))?;
    Ok(Lead {
        id: row.id,
        country: row.region.unwrap_or_else(|| country_of(&phone)),
        phone,
        name: row.name,
        source: row.source.parse().map_err(|_| unreadable("source"))?,
        state: row.state.parse().map_err(|_| unreadable("state"))?,
        requests: row.requests,
        first_requested_at: row.first_requested_at,
        last_requested_at: row.last_requested_at,
        converted_at: row.converted_at,
        changed_at: row.changed_at,
        changed_by: row.changed_by,
        version: row.version,
    })
}
