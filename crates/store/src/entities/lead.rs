//! A phone that requested a code.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "leads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub phone: String,
    pub source: String,
    pub state: String,
    pub requests: i64,
    pub first_requested_at: DateTimeUtc,
    pub last_requested_at: DateTimeUtc,
    pub converted_at: Option<DateTimeUtc>,
    pub notes: String,
}

impl ActiveModelBehavior for ActiveModel {}
