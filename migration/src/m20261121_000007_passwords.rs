//! Passwords, roles, and what a user sees of a session.

use crate::runner::prelude::*;
use crate::runner::schema::{text, text_null, timestamp_with_time_zone_null, uuid_null};

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite adds one column per statement.
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        for (index, column) in KEYS {
            let unique = Index::create().name(index).table("accounts").col(column).unique().take();
            manager.create_index(unique).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (index, _) in KEYS {
            manager.drop_index(Index::drop().name(index).table("accounts").to_owned()).await?;
        }
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).take()).await?;
        }
        Ok(())
    }
}

/// Unique indexes.
const KEYS: [(&str, &str); 2] =
    [("accounts_username_key_key", "username_key"), ("accounts_email_key_key", "email_key")];

/// `username_key` and `email_key` are the folded forms by which names are compared. `claimed_phone` is what the user entered at
/// registration and is not verified, so any number of accounts can have the same. `proved_at` is when the user of a session
/// last authenticated; `opened_by` is how the session was opened. A message has an `account_id` if it belongs to an account and
/// not only to a phone: a code that is bound to the account, or a notice.
fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        ("accounts", text_null("username_key")),
        ("accounts", text_null("email_key")),
        ("accounts", text_null("password_hash")),
        ("accounts", text_null("claimed_phone")),
        ("accounts", text("role").default("user").take()),
        ("messages", uuid_null("account_id")),
        ("sessions", text("opened_by").default("code").take()),
        ("sessions", text("device").default("").take()),
        ("sessions", text("address").default("").take()),
        ("sessions", timestamp_with_time_zone_null("proved_at")),
    ]
}
