//! The counts of a day that belong to no country or channel.

use sea_orm::entity::prelude::*;

use super::Counts;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "counted_days")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: Date,
    pub begins_at: DateTimeUtc,
    pub ends_at: DateTimeUtc,
    pub counted_at: DateTimeUtc,
    pub is_closed: bool,
    pub asked: i64,
    pub delivered: i64,
    pub verified: i64,
    pub completed: i64,
    pub locks: i64,
    pub refusals: Counts,
}

impl ActiveModelBehavior for ActiveModel {}
