//! An account that was joined with another one.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "merged_accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub into_id: Uuid,
    #[sea_orm(unique)]
    pub external_id: Option<String>,
    pub merged_at: DateTimeUtc,
    pub merged_by: Option<Uuid>,
    pub snapshot: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
