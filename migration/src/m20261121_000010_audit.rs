//! The audit log: who did what, when and from where. On both databases triggers allow only inserts.

use crate::runner::prelude::*;
use crate::runner::schema::{text, text_null, timestamp_with_time_zone, uuid, uuid_null};

use crate::audit_guard;

pub struct Migration;

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // No foreign keys: an entry stays when its account is deleted.
        manager
            .create_table(
                Table::create()
                    .table("audit")
                    .col(uuid("id").primary_key())
                    .col(timestamp_with_time_zone("at"))
                    .col(text("action"))
                    .col(text("actor_kind"))
                    .col(uuid_null("actor_id"))
                    .col(uuid_null("user_id"))
                    .col(text_null("phone_mark"))
                    .col(text_null("phone_masked"))
                    .col(text_null("address"))
                    .col(text("detail"))
                    .take(),
            )
            .await?;
        for (name, columns) in INDEXES {
            let mut index = Index::create().name(name).table("audit").take();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        let backend = manager.get_database_backend();
        for statement in audit_guard::MAKING.of(backend).iter().chain(audit_guard::CLOSING.of(backend)) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // This drops its triggers too.
        manager.drop_table(Table::drop().table("audit").take()).await?;
        let backend = manager.get_database_backend();
        for statement in audit_guard::UNMAKING.of(backend) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// By time, the order in which it is read; and by account and by phone, each in the order of time.
const INDEXES: [(&str, &[&str]); 3] = [
    ("audit_at_id_idx", &["at", "id"]),
    ("audit_user_id_at_idx", &["user_id", "at"]),
    ("audit_phone_mark_at_idx", &["phone_mark", "at"]),
];
