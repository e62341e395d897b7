//! An interest that users can choose.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "event_interests")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub name: String,
    pub description: String,
    pub is_active: bool,
    #[sea_orm(unique)]
    pub name_key: Option<String>,
    pub version: i64,
    pub changed_at: Option<DateTimeUtc>,
    pub changed_by: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
