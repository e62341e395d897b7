//! The countries of leads from before leads had one.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    StoreError,
    entities::lead::{Column, Entity},
};
use domain::phone::PhoneNumber;

/// Some leads whose country is not known yet, with their phones; no phone if it cannot be read.
pub async fn list_without_country(
    db: &impl ConnectionTrait,
    limit: u64,
) -> Result<Vec<(Uuid, Option<PhoneNumber>)>, StoreError> {
    let unknown = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Phone])
        .filter(Column::Region.is_null())
        .order_by_asc(Column::Id)
        .limit(limit);
    let rows: Vec<(Uuid, String)> = unknown.into_tuple().all(db).await?;
    Ok(rows.into_iter().map(|(id, phone)| (id, PhoneNumber::from_e164(&phone))).collect())
}

/// Writes the country of these leads, if none is written yet.
pub async fn set_country(
    db: &impl ConnectionTrait,
    country: &str,
    leads: impl IntoIterator<Item = Uuid>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Region, Expr::value(country))
        .filter(Column::Id.is_in(leads))
        .filter(Column::Region.is_null())
        .exec(db)
        .await?;
    Ok(())
}
