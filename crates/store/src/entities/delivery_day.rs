//! The messages of a day to one country by one channel and provider.

use sea_orm::entity::prelude::*;

use super::Counts;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_days")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: Date,
    #[sea_orm(primary_key, auto_increment = false)]
    pub region: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub provider: String,
    pub messages: i64,
    pub codes: i64,
    pub delivered: i64,
    pub verified: i64,
    pub lost: i64,
    pub priced: i64,
    pub failures: Counts,
    pub delivered_in: Counts,
    pub verified_in: Counts,
    pub costs: Counts,
}

impl ActiveModelBehavior for ActiveModel {}
