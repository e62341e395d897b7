//! Rows of `accounts`: who there is.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::account::{ActiveModel, Column, Entity, InterestIds, Model, Pictures},
};
use crate::domain::{
    account::{Account, Profile},
    phone::PhoneNumber,
    profile::{BirthDate, Gender},
};

/// The ids that a new account would get.
#[derive(Debug, Clone, Copy)]
pub struct NewIds {
    /// Of the account.
    pub account: Uuid,
    /// Of its profile.
    pub profile: Uuid,
}

/// The account that this phone is verified for.
///
/// # Errors
/// When the database does not answer.
pub async fn find_by_phone(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
) -> Result<Option<Account>, StoreError> {
    let row = Entity::find().filter(Column::Phone.eq(phone.full())).one(db).await?;
    row.map(account).transpose()
}

/// Finds the account of this phone or makes it, in one statement, so that two of these at once are one account.
///
/// # Errors
/// When the database does not answer.
pub async fn open(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    ids: NewIds,
    now: DateTime<Utc>,
) -> Result<Account, StoreError> {
    let new = ActiveModel {
        id: Set(ids.account),
        phone: Set(Some(phone.full().to_owned())),
        username: Set(None),
        email: Set(None),
        first_name: Set(None),
        last_name: Set(None),
        is_active: Set(true),
        created_at: Set(now),
        updated_at: Set(now),
        profile_id: Set(ids.profile),
        name: Set(None),
        birth_date: Set(None),
        gender: Set(None),
        bio: Set(None),
        location: Set(None),
        event_interests: Set(InterestIds::default()),
        profile_pictures: Set(Pictures::default()),
    };
    // Updating the phone to itself changes nothing, but makes the statement return the row that was there.
    let mut found = OnConflict::column(Column::Phone);
    found.update_column(Column::Phone);
    let row = Entity::insert(new).on_conflict(found).exec_with_returning(db).await?;
    account(row)
}

/// The account that a row says.
pub(super) fn account(row: Model) -> Result<Account, StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "accounts", column };
    let phone = row.phone.map(|text| PhoneNumber::from_e164(&text).ok_or(unreadable("phone"))).transpose()?;
    let gender =
        row.gender.map(|text| Gender::stored(&text).map_err(|_| unreadable("gender"))).transpose()?;
    Ok(Account {
        id: row.id,
        phone,
        username: row.username,
        email: row.email,
        first_name: row.first_name,
        last_name: row.last_name,
        is_active: row.is_active,
        profile: Profile {
            id: row.profile_id,
            name: row.name,
            birth_date: row.birth_date.map(BirthDate::stored),
            gender,
            bio: row.bio,
            location: row.location,
            event_interests: row.event_interests.0,
            profile_pictures: row.profile_pictures.0,
        },
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
