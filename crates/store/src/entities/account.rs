//! An account with its profile.

use sea_orm::{FromJsonQueryResult, entity::prelude::*};
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub phone: Option<String>,
    pub username: Option<String>,
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub is_active: bool,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(unique)]
    pub profile_id: Uuid,
    pub name: Option<String>,
    pub birth_date: Option<Date>,
    pub gender: Option<String>,
    pub bio: Option<String>,
    pub location: Option<String>,
    pub event_interests: InterestIds,
    pub profile_pictures: Pictures,
    #[sea_orm(unique)]
    pub username_key: Option<String>,
    #[sea_orm(unique)]
    pub email_key: Option<String>,
    pub password_hash: Option<String>,
    pub claimed_phone: Option<String>,
    pub role: String,
    pub name_key: Option<String>,
    pub first_name_key: Option<String>,
    pub last_name_key: Option<String>,
    pub device_epoch: i64,
    pub seen_at: Option<DateTimeUtc>,
    pub is_review: bool,
    pub former_phone: Option<String>,
    pub unlinked_at: Option<DateTimeUtc>,
    #[sea_orm(unique)]
    pub external_id: Option<String>,
    pub invitation_id: Option<Uuid>,
    pub terms_version: Option<String>,
    pub terms_accepted_at: Option<DateTimeUtc>,
}

/// Ids of chosen interests, a JSON array in the row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct InterestIds(pub Vec<i64>);

/// URLs of pictures, a JSON array in the row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Pictures(pub Vec<String>);

impl ActiveModelBehavior for ActiveModel {}
