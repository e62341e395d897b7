//! A session: the row of a pair of tokens.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: Uuid,
    pub role: String,
    pub refresh_jti: Uuid,
    pub refresh_issued_at: DateTimeUtc,
    pub parent_jti: Option<Uuid>,
    pub created_at: DateTimeUtc,
    pub last_used_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    pub ended_at: Option<DateTimeUtc>,
    pub opened_by: String,
    pub device: String,
    pub address: String,
    pub locale: Option<String>,
    #[sea_orm(column_name = "proved_at")]
    pub recent_auth_at: Option<DateTimeUtc>,
    #[sea_orm(column_name = "second_factor")]
    pub has_second_factor: bool,
    #[sea_orm(belongs_to, from = "account_id", to = "id")]
    pub account: BelongsTo<super::account::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
