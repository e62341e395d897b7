//! The schema that the migrations make, on both databases and by two servers at once.

use futures_util::future::join_all;
use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database as Driver, DatabaseConnection, DbBackend, Statement,
};

use crate::{
    on_both,
    support::{PHONE, TestServer},
};

const TABLES: [&str; 20] = [
    "accounts",
    "api_keys",
    "sessions",
    "challenges",
    "leads",
    "lead_notes",
    "messages",
    "event_interests",
    "imported_rows",
    "merged_accounts",
    "budgets",
    "blocks",
    "interest_counts",
    "invitations",
    "search_words",
    "second_factors",
    "recovery_codes",
    "used_tokens",
    "verifications",
    "versions",
];

/// A separate connection to the database of the server.
pub async fn connect(server: &TestServer) -> DatabaseConnection {
    let mut options = ConnectOptions::new(server.setting("DATABASE_URL"));
    options.max_connections(1).sqlx_logging(false);
    Driver::connect(options).await.expect("the database answers")
}

async fn texts(db: &DatabaseConnection, sql: String) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.expect("rows");
    rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
}

async fn columns(db: &DatabaseConnection, table: &str) -> Vec<String> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => format!(
            "SELECT column_name || CASE is_nullable WHEN 'YES' THEN '?' ELSE '' END FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name = '{table}'"
        ),
        _ => format!(
            "SELECT name || iif(\"notnull\" = 0 AND pk = 0, '?', '') FROM pragma_table_info('{table}')"
        ),
    };
    let mut columns = texts(db, sql).await;
    columns.sort();
    columns
}

/// The names of all tables with their columns, and of all indexes with their table.
async fn everything(db: &DatabaseConnection) -> Vec<String> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT tablename || ' ' || indexname FROM pg_indexes WHERE schemaname = 'public'"
        }
        _ => "SELECT tbl_name || ' ' || name FROM sqlite_master WHERE type = 'index'",
    };
    let mut found = texts(db, sql.to_owned()).await;
    for table in TABLES {
        found.push(format!("{table}: {}", columns(db, table).await.join(" ")));
    }
    found.sort();
    found
}

/// Every column of every table; a question mark means that it may be null. The same on both databases.
const COLUMNS: [(&str, &str); 22] = [
    (
        "accounts",
        "bio? birth_date? claimed_phone? created_at device_epoch email? email_key? event_interests external_id? first_name? \
         first_name_key? former_phone? gender? id invitation_id? is_active is_review last_name? last_name_key? location? name? name_key? password_hash? phone? \
         profile_id profile_pictures role seen_at? terms_accepted_at? terms_version? unlinked_at? updated_at username? username_key?",
    ),
    (
        "sessions",
        "account_id address created_at device ended_at? expires_at id last_used_at locale? opened_by parent_jti? proved_at? \
         refresh_issued_at refresh_jti role second_factor",
    ),
    (
        "challenges",
        "attempts consumed_at? expires_at holder id invitation_id? key_version opened_at phone purpose sent_at?",
    ),
    (
        "leads",
        "changed_at? changed_by? converted_at? first_requested_at id last_requested_at name? name_key? notes phone region? \
         requests source state version",
    ),
    ("lead_notes", "at author_id? author_name id lead_id text"),
    (
        "messages",
        "account_id? attempt challenge_id? channel created_at delivered_at? delivery_id? error_code? error_text? failed_at? id language \
         phone platform? price? price_unit? provider provider_id? queued_at? reason? region? route? segments? sent_at? status template \
         undelivered_at? updated_at verified_at?",
    ),
    ("event_interests", "changed_at? changed_by? description id is_active name name_key? version"),
    ("blocks", "ended_at? ended_by? ends_at? id kind made_at made_by? reason reference? value"),
    ("imported_rows", "key"),
    ("merged_accounts", "external_id? id into_id merged_at merged_by? snapshot?"),
    (
        "invitations",
        "ended_at? ended_by? expires_at? hash id last_used_at? made_at made_by? phone? uses uses_left",
    ),
    ("interest_counts", "accounts interest_id shard"),
    ("budgets", "answered closed_until? count ends_at held_until? is_alarm_sent key log rested_at?"),
    ("search_words", "subject subject_id word"),
    (
        "outbox",
        "attempts created_at data died_at? id kind last_error? lead_id? next_attempt_at? position retry_until user_id?",
    ),
    ("provider_orders", "behind changed_at route"),
    (
        "second_factors",
        "account_id closed_until? day_began_at? day_failures enrolled_at? failures last_step link_expires_at? link_hash? \
         link_used_at? locked_at? secret?",
    ),
    ("recovery_codes", "account_id code_hash"),
    ("used_tokens", "expires_at hash"),
    (
        "api_keys",
        "countries created_at ended_at? hash id last_used_at? name name_key scopes sends_per_day sends_per_hour wrong_codes_per_hour",
    ),
    (
        "verifications",
        "api_key_id challenge_id channel created_at ended_at? expires_at id phone reference? status was_known",
    ),
    ("versions", "name version"),
];

on_both! {
    async fn both_databases_have_the_same_columns(server: TestServer) {
        let db = connect(&server).await;
        for (table, expected) in COLUMNS {
            assert_eq!(columns(&db, table).await.join(" "), expected, "{table}");
        }
    }

    async fn migrating_again_changes_nothing(server: TestServer) {
        server.sign_in(PHONE).await;
        let db = connect(&server).await;
        let before = everything(&db).await;
        server.services.store.migrate().await.unwrap();
        server.services.store.migrate().await.unwrap();
        assert_eq!(everything(&db).await, before);
        assert_eq!(server.count("SELECT COUNT(*) FROM event_interests").await, 10);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
    }

    async fn down_and_up_again_is_a_new_database(server: TestServer) {
        let db = connect(&server).await;
        let before = everything(&db).await;
        Migrator::down(&db, None).await.unwrap();
        for table in TABLES {
            assert!(columns(&db, table).await.is_empty(), "{table}");
        }
        server.services.store.migrate().await.unwrap();
        assert_eq!(everything(&db).await, before);
        server.sign_in_and_complete(PHONE).await;
    }

    async fn the_step_of_retention_goes_both_ways_with_rows_there(server: TestServer) {
        server.sign_in(PHONE).await;
        let db = connect(&server).await;
        let (after, rows) = (everything(&db).await, "SELECT COUNT(*) FROM budgets");
        let budgets = server.count(rows).await;
        let steps = Migrator::migrations();
        let later = steps.iter().rev().take_while(|step| !step.name().ends_with("_retention")).count();
        Migrator::down(&db, Some(u32::try_from(later).unwrap() + 1)).await.unwrap();
        let before = everything(&db).await;
        assert!(before.iter().any(|found| found == "challenges challenges_expires_at_idx"), "{before:?}");
        assert!(!before.iter().any(|found| found.ends_with(" messages_account_id_idx")), "{before:?}");
        server.services.store.migrate().await.unwrap();
        assert_eq!(everything(&db).await, after);
        assert_eq!(server.count(rows).await, budgets);
        server.login(PHONE).await;
    }

    async fn ten_servers_that_start_at_once_migrate_once(server: TestServer) {
        let db = connect(&server).await;
        let servers = join_all((0..10).map(|_| server.second_server(&[]))).await;
        for _ in 0..3 {
            Migrator::down(&db, None).await.unwrap();
            // All of them also make these, which are there before the first step.
            for table in ["seaql_migrations", "migration_lock"] {
                db.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}")).await.unwrap();
            }
            for result in join_all(servers.iter().map(|server| server.services.store.migrate())).await {
                result.expect("each of them starts");
            }
            assert_eq!(server.count("SELECT COUNT(*) FROM event_interests").await, 10);
            let steps = i64::try_from(Migrator::migrations().len()).unwrap();
            assert_eq!(server.count("SELECT COUNT(*) FROM seaql_migrations").await, steps);
        }
        servers[0].sign_in_and_complete(PHONE).await;
    }
}
