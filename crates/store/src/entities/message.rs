//! A message that was given to the provider. Its text is not stored.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub phone: String,
    pub channel: String,
    pub template: String,
    pub provider: String,
    pub status: String,
    pub provider_id: Option<String>,
    pub error_code: Option<i64>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub delivery_id: Option<Uuid>,
    pub challenge_id: Option<Uuid>,
    pub account_id: Option<Uuid>,
    pub attempt: i64,
    pub language: String,
    pub platform: Option<String>,
    pub reason: Option<String>,
    pub segments: Option<i64>,
    pub price: Option<String>,
    pub price_unit: Option<String>,
    pub queued_at: Option<DateTimeUtc>,
    pub sent_at: Option<DateTimeUtc>,
    pub delivered_at: Option<DateTimeUtc>,
    pub undelivered_at: Option<DateTimeUtc>,
    pub failed_at: Option<DateTimeUtc>,
    pub region: Option<String>,
    pub verified_at: Option<DateTimeUtc>,
    pub error_text: Option<String>,
    pub route: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
