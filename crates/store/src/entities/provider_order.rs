//! Which providers of a list go behind the others.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_orders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub route: String,
    pub behind: String,
    pub changed_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}
