//! Rows of `versions`: how often a table was changed of which every server keeps a copy. Triggers count.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use sea_orm::{ConnectionTrait, EntityTrait};

use super::{StoreError, entities::version::Entity};

/// A table of which every server keeps a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// `blocks`
    Blocks,
    /// `event_interests`
    Interests,
}

impl Copied {
    fn table(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Interests => "event_interests",
        }
    }
}

/// The version of a table. It is another one after each committed change.
pub async fn find(db: &impl ConnectionTrait, of: Copied) -> Result<Option<i64>, StoreError> {
    Ok(Entity::find_by_id(of.table()).one(db).await?.map(|row| row.version))
}
