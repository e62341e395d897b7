//! Event interests that staff edit: a name that is unique without regard to case, a version for forms that were opened before
//! another change, and how many accounts chose each.
//!
//! Triggers count, so no statement of the server and of an import can forget it, and a profile costs no further round trip.
//! The interests of an account are a JSON list in its row: counting them when a page is opened would read every account.

use crate::runner::prelude::*;
use crate::runner::schema::{big_integer, text_null, timestamp_with_time_zone_null, uuid_null};
use sea_orm::DbBackend;
use unicode_normalization::UnicodeNormalization;

pub struct Migration;

const NAME_KEY: &str = "event_interests_name_key_key";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in columns() {
            manager.alter_table(Table::alter().table("event_interests").add_column(column).take()).await?;
        }
        fill_name_keys(manager.get_connection()).await?;
        let unique = Index::create().name(NAME_KEY).table("event_interests").col("name_key").unique().take();
        manager.create_index(unique).await?;
        manager.create_table(counts()).await?;
        for statement in counting(manager.get_database_backend()) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in not_counting(manager.get_database_backend()) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        manager.drop_table(Table::drop().table("interest_counts").take()).await?;
        manager.drop_index(Index::drop().name(NAME_KEY).table("event_interests").to_owned()).await?;
        for column in ["changed_by", "changed_at", "version", "name_key"] {
            manager.alter_table(Table::alter().table("event_interests").drop_column(column).take()).await?;
        }
        Ok(())
    }
}

fn columns() -> [ColumnDef; 4] {
    [
        text_null("name_key").take(),
        big_integer("version").default(0).take(),
        timestamp_with_time_zone_null("changed_at").take(),
        uuid_null("changed_by").take(),
    ]
}

/// How many accounts chose an interest: the sum over the shards. Each connection of PostgreSQL counts in a shard of its own as
/// far as possible, so that two profiles that are saved at once do not wait for each other.
fn counts() -> TableCreateStatement {
    Table::create()
        .table("interest_counts")
        .col(big_integer("interest_id"))
        .col(big_integer("shard"))
        .col(big_integer("accounts"))
        .primary_key(Index::create().name("interest_counts_pkey").col("interest_id").col("shard"))
        .take()
}

/// Fills the folded names. Of two names that differ only in case, the later one gets none: it stays as it is until staff
/// rename it.
async fn fill_name_keys(db: &Connection<'_>) -> Result<(), DbErr> {
    let all =
        Query::select().columns(["id", "name"]).from("event_interests").order_by("id", Order::Asc).take();
    let mut keys = std::collections::BTreeSet::new();
    for row in db.query_all(&all).await? {
        let id: i64 = row.try_get("", "id")?;
        let name: String = row.try_get("", "name")?;
        let key = fold(&name);
        if keys.insert(key.clone()) {
            let written = Query::update()
                .table("event_interests")
                .value("name_key", key)
                .and_where(Expr::col("id").eq(id))
                .take();
            db.execute(&written).await?;
        }
    }
    Ok(())
}

/// The same folding as in the server.
fn fold(text: &str) -> String {
    text.nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

/// Counts what is there, and creates the triggers.
///
/// In a trigger of SQLite only one writes at a time, so it has one shard. On PostgreSQL one statement adds up both lists: an
/// interest that is in both changes nothing, and the rows are locked in the order of their ids, so that no two deadlock.
fn counting(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Postgres {
        &[
            "INSERT INTO interest_counts (interest_id, shard, accounts) \
             SELECT chosen.id::bigint, 0, count(*) FROM accounts, json_array_elements_text(event_interests) AS chosen(id) \
             GROUP BY 1",
            "CREATE FUNCTION count_interests() RETURNS trigger LANGUAGE plpgsql AS $$ \
             DECLARE lost json := '[]'; gained json := '[]'; \
             BEGIN \
             IF TG_OP <> 'INSERT' THEN lost := OLD.event_interests; END IF; \
             IF TG_OP <> 'DELETE' THEN gained := NEW.event_interests; END IF; \
             INSERT INTO interest_counts (interest_id, shard, accounts) \
             SELECT changes.id, pg_backend_pid() % 16, sum(changes.change) FROM ( \
             SELECT value::bigint AS id, -1 AS change FROM json_array_elements_text(lost) \
             UNION ALL SELECT value::bigint, 1 FROM json_array_elements_text(gained)) AS changes \
             GROUP BY changes.id HAVING sum(changes.change) <> 0 ORDER BY changes.id \
             ON CONFLICT (interest_id, shard) \
             DO UPDATE SET accounts = interest_counts.accounts + excluded.accounts; \
             RETURN NULL; \
             END $$",
            "CREATE TRIGGER accounts_count_interests_insert AFTER INSERT ON accounts FOR EACH ROW \
             WHEN (NEW.event_interests::text <> '[]') EXECUTE FUNCTION count_interests()",
            "CREATE TRIGGER accounts_count_interests_update AFTER UPDATE OF event_interests ON accounts FOR EACH ROW \
             WHEN (NEW.event_interests::text <> OLD.event_interests::text) EXECUTE FUNCTION count_interests()",
            "CREATE TRIGGER accounts_count_interests_delete AFTER DELETE ON accounts FOR EACH ROW \
             WHEN (OLD.event_interests::text <> '[]') EXECUTE FUNCTION count_interests()",
        ]
    } else {
        &[
            "INSERT INTO interest_counts (interest_id, shard, accounts) \
             SELECT chosen.value, 0, count(*) FROM accounts, json_each(accounts.event_interests) AS chosen GROUP BY 1",
            "CREATE TRIGGER accounts_count_interests_insert AFTER INSERT ON accounts \
             WHEN NEW.event_interests <> '[]' BEGIN \
             INSERT INTO interest_counts (interest_id, shard, accounts) \
             SELECT value, 0, 1 FROM json_each(NEW.event_interests) WHERE TRUE \
             ON CONFLICT (interest_id, shard) DO UPDATE SET accounts = accounts + 1; END",
            "CREATE TRIGGER accounts_count_interests_update AFTER UPDATE OF event_interests ON accounts \
             WHEN NEW.event_interests <> OLD.event_interests BEGIN \
             UPDATE interest_counts SET accounts = accounts - 1 \
             WHERE shard = 0 AND interest_id IN (SELECT value FROM json_each(OLD.event_interests)); \
             INSERT INTO interest_counts (interest_id, shard, accounts) \
             SELECT value, 0, 1 FROM json_each(NEW.event_interests) WHERE TRUE \
             ON CONFLICT (interest_id, shard) DO UPDATE SET accounts = accounts + 1; END",
            "CREATE TRIGGER accounts_count_interests_delete AFTER DELETE ON accounts \
             WHEN OLD.event_interests <> '[]' BEGIN \
             UPDATE interest_counts SET accounts = accounts - 1 \
             WHERE shard = 0 AND interest_id IN (SELECT value FROM json_each(OLD.event_interests)); END",
        ]
    }
}

fn not_counting(backend: DbBackend) -> &'static [&'static str] {
    if backend == DbBackend::Postgres {
        &[
            "DROP TRIGGER accounts_count_interests_insert ON accounts",
            "DROP TRIGGER accounts_count_interests_update ON accounts",
            "DROP TRIGGER accounts_count_interests_delete ON accounts",
            "DROP FUNCTION count_interests()",
        ]
    } else {
        &[
            "DROP TRIGGER accounts_count_interests_insert",
            "DROP TRIGGER accounts_count_interests_update",
            "DROP TRIGGER accounts_count_interests_delete",
        ]
    }
}
