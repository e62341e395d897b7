//! A block of a phone, a prefix, a country or a network.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "blocks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    pub value: String,
    pub reason: String,
    pub reference: Option<String>,
    pub made_by: Option<Uuid>,
    pub made_at: DateTimeUtc,
    pub ends_at: Option<DateTimeUtc>,
    pub ended_at: Option<DateTimeUtc>,
    pub ended_by: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
