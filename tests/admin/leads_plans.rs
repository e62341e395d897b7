//! Lists of leads on PostgreSQL read by indexes, whatever the filters: no request may read the whole table.

use sea_orm::ConnectionTrait;

use crate::{
    browser::Browser,
    support::{PHONE, TestServer, postgres},
};

const ROWS: u32 = 40_000;

/// How often one of these tables was read from its beginning.
async fn scans(server: &TestServer, table: &str) -> i64 {
    // The only connection reports what it did.
    server.execute("SELECT pg_stat_force_next_flush()").await;
    server.count(&format!("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = '{table}'")).await
}

async fn fill(server: &TestServer) {
    let store = &server.services.store;
    for statement in [
        format!(
            "INSERT INTO leads (id, phone, source, state, requests, first_requested_at, last_requested_at, converted_at, \
             notes, region, name, name_key) \
             SELECT gen_random_uuid(), '+9170' || lpad(n::text, 8, '0'), \
             CASE WHEN n % 100 = 0 THEN 'login' ELSE 'signup' END, \
             CASE WHEN n % 1000 = 0 THEN 'lost' WHEN n % 3 = 0 THEN 'new' ELSE 'converted' END, 1, \
             now() - n * interval '1 minute', now() - (n * 7 % 5000) * interval '1 minute', \
             CASE WHEN n % 1000 <> 0 AND n % 3 <> 0 THEN now() END, '', \
             CASE WHEN n % 500 = 0 THEN 'GB' ELSE 'IN' END, \
             CASE WHEN n % 5 = 0 THEN 'Name' || n END, CASE WHEN n % 5 = 0 THEN 'name' || n END \
             FROM generate_series(1, {ROWS}) n"
        ),
        format!(
            "INSERT INTO accounts (id, phone, is_active, created_at, updated_at, profile_id, event_interests, profile_pictures, \
             role, device_epoch, is_review, name, name_key) \
             SELECT gen_random_uuid(), '+9170' || lpad(n::text, 8, '0'), true, now(), now(), gen_random_uuid(), '[]', '[]', \
             'user', 0, false, 'Asha ' || n, 'asha' || n FROM generate_series(1, {ROWS}) n"
        ),
        "VACUUM ANALYZE".to_owned(),
    ] {
        store.execute_unprepared(&statement).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_of_leads_reads_the_whole_table() {
    if !postgres::is_there() {
        return;
    }
    let settings = [("DATABASE_MAX_CONNECTIONS", "1")];
    let server = TestServer::with(crate::support::Database::Postgres, &settings).await;
    let browser = Browser::staff(&server).await;
    server.signup(PHONE).await.assert_ok();
    fill(&server).await;
    let first = browser.get("/admin/leads?sort=first").await;
    let next = first.links().into_iter().find(|link| link.contains("cursor=")).expect("a further page");
    let queries = [
        "/admin/leads",
        "/admin/leads?sort=last",
        "/admin/leads?sort=-first",
        "/admin/leads?sort=first",
        "/admin/leads?state=lost",
        "/admin/leads?state=lost&sort=first",
        "/admin/leads?state=new&sort=-first",
        "/admin/leads?verified=no",
        "/admin/leads?verified=yes",
        "/admin/leads?country=GB",
        "/admin/leads?country=IN",
        "/admin/leads?source=signup",
        "/admin/leads?last_from=2020-01-01",
        "/admin/leads?first_from=2020-01-01",
        "/admin/leads?country=GB&sort=first",
        "/admin/leads?source=login&sort=first",
        "/admin/leads?first_from=2020-01-01&first_to=2020-01-02",
        "/admin/leads?state=lost&country=GB&source=login",
        "/admin/leads?q=9376",
        "/admin/leads?q=%2B917000012",
        "/admin/leads?q=name777",
        "/admin/leads?q=asha1234",
        "/admin/leads?q=asha123&state=new&sort=first",
        "/admin/leads?q=nobody",
        &next,
    ];
    for query in queries {
        for table in ["leads", "accounts", "search_words"] {
            let before = scans(&server, table).await;
            browser.get(query).await.assert_status(200);
            assert_eq!(scans(&server, table).await - before, 0, "{query} reads all of {table}");
        }
    }
}
