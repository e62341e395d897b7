//! What was imported from another system: the rows that came, by a keyed hash, and the password hashes that came with them.
//!
//! A second import takes no row again, also where the account was changed, merged or deleted here since: it could not tell that
//! from the account. The hash leads back to nobody, so the row outlives the account.

use crate::runner::prelude::*;
use crate::runner::schema::text;

pub struct Migration;

/// The beginnings of old password hashes, with their kind and cost: the sign-in looks for the largest. Current hashes begin with
/// `$` and are not in the index.
const OLD_HASHES: &str = "CREATE INDEX accounts_old_hash_idx ON accounts (substr(password_hash, 1, 17)) \
                          WHERE substr(password_hash, 1, 1) <> '$'";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create().table("imported_rows").col(text("key").primary_key()).take();
        manager.create_table(table).await?;
        manager.get_connection().execute_unprepared(OLD_HASHES).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("accounts_old_hash_idx").table("accounts").to_owned()).await?;
        manager.drop_table(Table::drop().table("imported_rows").to_owned()).await
    }
}
