//! The server purges old rows, one server at a time, and without reading whole tables.

use chrono::Duration;
use loopin_auth::{
    domain::{audit::Actor, retention::Retention},
    flows::{housekeeping, purge::purge},
};
use poem::http::Method;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;

use crate::{
    on_both,
    support::{Database, OTHER_PHONE, PHONE, TestServer, postgres},
};

const DAY: i64 = 86_400;

async fn rows(server: &TestServer) -> [i64; 4] {
    let mut found = [0; 4];
    for (count, table) in found.iter_mut().zip(["challenges", "messages", "sessions", "audit"]) {
        *count = server.count(&format!("SELECT COUNT(*) FROM {table}")).await;
    }
    found
}

on_both! {
    async fn each_kind_is_kept_for_as_long_as_its_setting_says(server: TestServer) {
        server.sign_in(PHONE).await;
        server.execute("UPDATE sessions SET ended_at = created_at").await;
        server.services.audit.flush().await.unwrap();
        let all = rows(&server).await;
        assert_eq!(&all[..3], [1, 1, 1]);
        // Just before, and after. The audit log goes by whole months.
        for (days, expected) in [
            (6, [1, 1, 1, all[3]]),
            (2, [0, 1, 1, all[3]]),
            (81, [0, 1, 1, all[3]]),
            (2, [0, 1, 0, all[3]]),
            (273, [0, 1, 0, all[3]]),
            (2, [0, 0, 0, all[3]]),
        ] {
            server.advance(days * DAY);
            housekeeping::purge_if_due(&server.services).await.unwrap().expect("it is time");
            server.services.audit.flush().await.unwrap();
            assert_eq!(rows(&server).await, expected, "{days} more days");
        }
        server.advance(31 * DAY);
        let purged = housekeeping::purge_if_due(&server.services).await.unwrap().expect("it is time");
        assert_eq!(purged.audit, u64::try_from(all[3]).unwrap());
        let entry = "SELECT COUNT(*) FROM audit WHERE action = 'audit_dropped' AND actor_kind = 'system'";
        assert_eq!((server.count("SELECT COUNT(*) FROM audit").await, server.count(entry).await), (1, 1));
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
    }

    async fn one_server_removes_it_in_an_hour(server: TestServer) {
        let other = server.second_server(&[]).await;
        let both = async || {
            let (one, another) = tokio::join!(housekeeping::purge_if_due(&server.services), housekeeping::purge_if_due(&other.services));
            [one.unwrap().is_some(), another.unwrap().is_some()].into_iter().filter(|did| *did).count()
        };
        for (seconds, did) in [(0, 1), (3599, 0), (1, 1), (3599, 0), (-365 * DAY, 1), (3600, 1)] {
            server.advance(seconds);
            assert_eq!(both().await, did, "after {seconds} s");
        }
    }

    async fn however_many_they_are(server: TestServer) {
        server.sign_in(PHONE).await;
        let copies = match server.database {
            Database::Postgres => "generate_series(1, 2500) AS n",
            Database::Sqlite => "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500) SELECT n FROM n)",
        };
        server.execute(&format!(
            "INSERT INTO budgets (key, ends_at) SELECT 'x/' || n, sent_at FROM challenges, {copies}"
        )).await;
        server.execute(&format!(
            "INSERT INTO challenges (phone, purpose, holder, id, key_version, opened_at, expires_at) \
             SELECT phone, purpose, 'n' || n, id, key_version, opened_at, expires_at FROM challenges, {copies}"
        )).await;
        server.advance(8 * DAY);
        let purged = housekeeping::purge_if_due(&server.services).await.unwrap().expect("it is time");
        assert_eq!(purged.challenges, 2501);
        assert!(purged.budgets >= 2500, "{purged:?}");
    }

    async fn a_row_that_was_kept_for_a_hundred_years_is_kept_for_400_days(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        let budgets = "SELECT COUNT(*) FROM budgets";
        let far = "UPDATE budgets SET ends_at = '2126-01-01 00:00:00.000000 +00:00'";
        server.execute(far).await;
        housekeeping::purge_if_due(&server.services).await.unwrap().expect("it is time");
        assert!(server.count(budgets).await > 0);
        server.advance(400 * DAY);
        housekeeping::purge_if_due(&server.services).await.unwrap().expect("it is time");
        assert_eq!(server.count(budgets).await, 0);
    }

    async fn what_was_given_back_leaves_nothing(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        purge(&server.services, &Retention::new(Duration::days(1)), Actor::System).await.unwrap();
        let guesses = "SELECT COUNT(*) FROM budgets WHERE key LIKE '%guesses%' AND key NOT LIKE 'phone/%/guesses'";
        assert_eq!(server.count(guesses).await, 0);
        server.advance(DAY);
        purge(&server.services, &Retention::new(Duration::days(1)), Actor::System).await.unwrap();
        assert_eq!(server.count("SELECT COUNT(*) FROM budgets WHERE key LIKE 'phone/%'").await, 0);
    }
}

/// How often each of these tables was read as a whole since the last call. The server has a single connection.
async fn whole_reads(server: &TestServer) -> Vec<(String, i64)> {
    let store = &server.services.store;
    let statement = |sql: &str| Statement::from_string(DbBackend::Postgres, sql.to_owned());
    // The counters are published at the end of the next statement.
    store.query_all_raw(statement("SELECT pg_stat_force_next_flush()")).await.unwrap();
    store.query_all_raw(statement("SELECT 1")).await.unwrap();
    let counts = "SELECT relname::text, seq_scan FROM pg_stat_user_tables WHERE relname IN \
                  ('messages', 'challenges', 'sessions', 'budgets', 'accounts', 'leads') ORDER BY relname";
    let rows = store.query_all_raw(statement(counts)).await.unwrap();
    rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_table_is_read_as_a_whole() {
    if !postgres::is_there() {
        return;
    }
    let server = TestServer::with(Database::Postgres, &[("DATABASE_MAX_CONNECTIONS", "1")]).await;
    let tokens = server.sign_in(PHONE).await;
    server.signup(OTHER_PHONE).await.assert_ok();
    // PostgreSQL reads small tables as a whole because that is cheap. This setting avoids it where an index can be used.
    server.execute("SET enable_seqscan = off").await;
    let before = whole_reads(&server).await;
    server.get_as(&tokens.access, "/api/auth/export").await.assert_ok();
    assert_eq!(whole_reads(&server).await, before, "export");
    server.send_as(&tokens.access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
    assert_eq!(whole_reads(&server).await, before, "delete-account");
    server.advance(30);
    server.sign_in(OTHER_PHONE).await;
    let before = whole_reads(&server).await;
    server.advance(366 * DAY);
    let purged = purge(&server.services, &server.services.retention, Actor::System).await.unwrap();
    assert!(
        purged.messages > 0 && purged.sessions > 0 && purged.challenges > 0 && purged.budgets > 0,
        "{purged:?}"
    );
    assert_eq!(whole_reads(&server).await, before, "purge");
    server.get("/api/health").await.assert_ok();
    // The counter works.
    server.count("SELECT COUNT(*) FROM messages WHERE language <> ''").await;
    assert_ne!(whole_reads(&server).await, before);
}
