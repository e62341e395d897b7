//! An event that waits to be sent to the operator's receiver, or was given up.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub position: i64,
    pub id: Uuid,
    pub kind: String,
    pub user_id: Option<Uuid>,
    pub lead_id: Option<Uuid>,
    pub data: String,
    pub created_at: DateTimeUtc,
    pub attempts: i64,
    pub next_attempt_at: Option<DateTimeUtc>,
    pub retry_until: DateTimeUtc,
    pub died_at: Option<DateTimeUtc>,
    pub last_error: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
