//! Indexes for reading the audit log by action, by who acted, and by address, each in the order of time.

use crate::runner::prelude::*;

pub struct Migration;

/// Most entries have no account that acted, and many have no address: these are not in the index. A search for one value implies
/// that there is one, so both databases use the index.
const INDEXES: [(&str, &str); 4] = [
    ("audit_action_at_id_idx", "(action, at, id)"),
    ("audit_actor_kind_at_id_idx", "(actor_kind, at, id)"),
    ("audit_actor_id_at_id_idx", "(actor_id, at, id) WHERE actor_id IS NOT NULL"),
    ("audit_address_at_id_idx", "(address, at, id) WHERE address IS NOT NULL"),
];

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, columns) in INDEXES {
            let statement = format!("CREATE INDEX {name} ON audit {columns}");
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table("audit").to_owned()).await?;
        }
        Ok(())
    }
}
