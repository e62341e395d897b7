//! Rows of `event_interests`: what users can choose from.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use sea_orm::{ConnectionTrait, EntityTrait};

use super::{StoreError, entities::event_interest::Entity};
use domain::interests::Interest;

/// All interests in the order of their names, including those that can no longer be chosen.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Interest>, StoreError> {
    let mut rows = Entity::find().all(db).await?;
    // Sorted here, because collations of databases order "&" and capital letters differently.
    rows.sort_by_cached_key(|row| row.name.to_lowercase());
    let interest = |row: super::entities::event_interest::Model| Interest {
        id: row.id,
        name: row.name,
        description: row.description,
        is_active: row.is_active,
    };
    Ok(rows.into_iter().map(interest).collect())
}
