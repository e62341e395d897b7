//! Rows of `event_interests`: what people can choose from.

use sea_orm::{ConnectionTrait, EntityTrait};

use super::{StoreError, entities::event_interest::Entity};
use domain::interests::Interest;

/// Every interest by name, those that cannot be chosen any more included.
///
/// # Errors
/// When the database does not answer.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Interest>, StoreError> {
    let mut rows = Entity::find().all(db).await?;
    // Sorted here, because the order of "&" and capitals is another one in every database's collation.
    rows.sort_by_cached_key(|row| row.name.to_lowercase());
    let interest = |row: super::entities::event_interest::Model| Interest {
        id: row.id,
        name: row.name,
        description: row.description,
        is_active: row.is_active,
    };
    Ok(rows.into_iter().map(interest).collect())
}
