//! An entry of the audit log. Triggers refuse changes.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub at: DateTimeUtc,
    pub action: String,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    pub user_id: Option<Uuid>,
    pub phone_mark: Option<String>,
    pub phone_masked: Option<String>,
    pub address: Option<String>,
    pub detail: String,
}

impl ActiveModelBehavior for ActiveModel {}
