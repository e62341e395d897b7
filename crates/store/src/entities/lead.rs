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
    /// Empty: notes are rows of their own since migration 16. The version before still writes this column.
    pub notes: String,
    /// Null until the housekeeping run has found the country.
    pub region: Option<String>,
    pub name: Option<String>,
    pub name_key: Option<String>,
    pub changed_at: Option<DateTimeUtc>,
    pub changed_by: Option<Uuid>,
    pub version: i64,
}

impl ActiveModelBehavior for ActiveModel {}
