//! How many accounts chose an interest. Triggers write it.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "interest_counts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub interest_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub shard: i64,
    pub accounts: i64,
}

impl ActiveModelBehavior for ActiveModel {}
