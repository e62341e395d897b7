//! The second factor of an account, and the link with which one is set up.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "second_factors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    pub secret: Option<String>,
    pub enrolled_at: Option<DateTimeUtc>,
    pub last_step: i64,
    pub failures: i64,
    pub closed_until: Option<DateTimeUtc>,
    pub day_failures: i64,
    pub day_began_at: Option<DateTimeUtc>,
    pub locked_at: Option<DateTimeUtc>,
    #[sea_orm(unique)]
    pub link_hash: Option<String>,
    pub link_expires_at: Option<DateTimeUtc>,
    pub link_used_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
