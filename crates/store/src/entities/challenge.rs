//! A challenge that waits for its code. The code itself is not stored.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "challenges")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub phone: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub purpose: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub holder: String,
    pub id: Uuid,
    pub key_version: String,
    pub attempts: i64,
    pub opened_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    pub sent_at: Option<DateTimeUtc>,
    pub consumed_at: Option<DateTimeUtc>,
    pub invitation_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
