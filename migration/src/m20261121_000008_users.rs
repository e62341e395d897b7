//! Columns and an index for searching and listing users.

use crate::runner::prelude::*;
use crate::runner::schema::text_null;
use unicode_normalization::UnicodeNormalization;

pub struct Migration;

/// A column that is searched, and the column with its folded form. SQLite lowers ASCII letters only, and PostgreSQL those of its
/// locale, so texts are folded before they are written.
const KEYS: [(&str, &str); 3] =
    [("name", "name_key"), ("first_name", "first_name_key"), ("last_name", "last_name_key")];

/// How many rows are read at once.
const BATCH: u64 = 500;

const NEWEST: &str = "accounts_created_at_id_idx";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (_, key) in KEYS {
            let column = text_null(key);
            manager.alter_table(Table::alter().table("accounts").add_column(column).take()).await?;
        }
        for (column, key) in KEYS {
            fill(manager.get_connection(), column, key).await?;
        }
        let newest = Index::create().name(NEWEST).table("accounts").col("created_at").col("id").take();
        manager.create_index(newest).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(NEWEST).table("accounts").to_owned()).await?;
        for (_, key) in KEYS {
            manager.alter_table(Table::alter().table("accounts").drop_column(key).take()).await?;
        }
        Ok(())
    }
}

/// Fills the folded columns of existing accounts.
async fn fill(
    db: &Connection<'_>,
    column: &'static str,
    key: &'static str,
) -> Result<(), DbErr> {
    let lacking = Query::select()
        .columns(["id", column])
        .from("accounts")
        .and_where(Expr::col(column).is_not_null())
        .and_where(Expr::col(key).is_null())
        .limit(BATCH)
        .take();
    loop {
        let rows = db.query_all(&lacking).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let id: sea_orm::prelude::Uuid = row.try_get("", "id")?;
            let text: String = row.try_get("", column)?;
            let written = Query::update()
                .table("accounts")
                .value(key, fold(&text))
                .and_where(Expr::col("id").eq(id))
                .take();
            db.execute(&written).await?;
        }
    }
}

/// The same folding as in the server.
fn fold(text: &str) -> String {
    text.nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}
