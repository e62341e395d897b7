//! `budgets`. `answered` counts the verified messages of a prefix; `is_alarm_sent` belongs to daily caps.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "budgets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub log: String,
    pub count: i64,
    pub answered: i64,
    #[sea_orm(column_name = "rested_at")]
    pub cooldown_started_at: Option<DateTime<Utc>>,
    pub closed_until: Option<DateTime<Utc>>,
    pub held_until: Option<DateTime<Utc>>,
    pub ends_at: DateTime<Utc>,
    pub is_alarm_sent: bool,
}

impl ActiveModelBehavior for ActiveModel {}
