//! PgBouncer in transaction mode: each transaction can get another backend, so no state of a database session persists.

use futures_util::future::join_all;

use crate::support::{Database, PHONE, TestServer, pgbouncer::PgBouncer, postgres, wrong};

/// Fewer backends than requests, so that requests share them all the time. Everything else is PgBouncer's default.
const SMALL: &str = "default_pool_size = 3";

fn phone(number: usize) -> String {
    format!("+9198765{number:05}")
}

/// Two servers on one database through PgBouncer, with these settings.
async fn two_servers(bouncer: &PgBouncer, url: &str, settings: &[(&str, &str)]) -> [TestServer; 2] {
    let url = bouncer.url(url);
    let mut all = vec![("DATABASE_URL", url.as_str()), ("LIMIT_REQUESTS_PER_ADDRESS", "1000/1h")];
    all.extend_from_slice(settings);
    all.extend([("LIMIT_GUESSES_PER_ADDRESS", "1000/1h"), ("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "1000/1h")]);
    let one = TestServer::with(Database::Postgres, &all).await;
    let other = one.second_server(&[]).await;
    [one, other]
}

/// Signs up, signs in and reads profiles of forty users at both servers, all at once.
async fn forty_people_sign_up(servers: &[TestServer; 2]) {
    let all = 0..40_usize;
    for answer in join_all(all.clone().map(async |i| servers[i % 2].signup(&phone(i)).await)).await {
        answer.assert_ok();
    }
    let verify = async |i: usize| {
        let answer =
            servers[(i + 1) % 2].verify_otp(&phone(i), &servers[i % 2].last_code_for(&phone(i))).await;
        let profile = servers[i % 2].get_as(&answer.text_at("/token"), "/api/auth/profile").await;
        (answer, profile)
    };
    for (answer, profile) in join_all(all.map(verify)).await {
        answer.assert_ok();
        profile.assert_ok();
    }
}

/// Of many parallel right codes one is accepted, and of many parallel wrong codes three are checked.
async fn races_have_one_winner(servers: &[TestServer; 2]) {
    servers[0].signup(PHONE).await.assert_ok();
    let code = servers[0].last_code_for(PHONE);
    let answers = join_all((0..50).map(async |i| servers[i % 2].verify_otp(PHONE, &code).await)).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        let code = answer.text_at("/error/code");
        assert!(["otp_not_found", "otp_attempts_exhausted"].contains(&code.as_str()), "{}", answer.text);
    }
    servers[0].advance(30);
    let other = phone(99);
    servers[0].signup(&other).await.assert_ok();
    let wrong = wrong(&servers[0].last_code_for(&other));
    let answers = join_all((0..60).map(async |i| servers[i % 2].verify_otp(&other, &wrong).await)).await;
    let count = |code| answers.iter().filter(|answer| answer.text_at("/error/code") == code).count();
    assert_eq!((count("otp_invalid"), count("otp_attempts_exhausted")), (3, 57));
}

async fn serves_through_pgbouncer(pooler: &[(&str, &str)]) {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    let Some(bouncer) = PgBouncer::before(&url, "transaction", SMALL) else { return };
    let servers = two_servers(&bouncer, &url, pooler).await;
    forty_people_sign_up(&servers).await;
    races_have_one_winner(&servers).await;
    servers[0].get("/api/health/ready").await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_serve_through_pgbouncer_in_transaction_mode() {
    serves_through_pgbouncer(&[("DATABASE_POOLER", "transaction")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_do_so_where_nobody_told_them() {
    serves_through_pgbouncer(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_in_session_mode_serves_as_the_database_does() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    let Some(bouncer) = PgBouncer::before(&url, "session", "default_pool_size = 40") else { return };
    forty_people_sign_up(&two_servers(&bouncer, &url, &[("DATABASE_POOLER", "session")]).await).await;
}

/// SeaORM names the prepared statements of the migrations. With a single backend, the names of an earlier start must not
/// exist any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_is_migrated_through_pgbouncer_at_every_start() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    let Some(bouncer) = PgBouncer::before(&url, "transaction", "default_pool_size = 1") else { return };
    let direct = TestServer::with(Database::Postgres, &[("DATABASE_URL", &url)]).await;
    direct.execute("DROP SCHEMA public CASCADE").await;
    direct.execute("CREATE SCHEMA public").await;
    let servers = two_servers(&bouncer, &url, &[("DATABASE_POOLER", "transaction")]).await;
    let [one, other] = &servers;
    let (first, second) = tokio::join!(one.services.store.migrate(), other.services.store.migrate());
    first.expect("the first one migrates");
    second.expect("the second one migrates");
    assert_eq!(direct.count("SELECT COUNT(*) FROM event_interests").await, 10);
    forty_people_sign_up(&servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_is_found_at_rest_and_under_load_and_where_there_is_none_none_is() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    let more = "default_pool_size = 3\nignore_startup_parameters = extra_float_digits,options";
    let modes = [("transaction", SMALL), ("transaction", more), ("session", "default_pool_size = 40")];
    for (mode, more) in modes {
        let Some(bouncer) = PgBouncer::before(&url, mode, more) else { return };
        let url = bouncer.url(&url);
        let server = TestServer::with(Database::Postgres, &[("DATABASE_URL", &url)]).await;
        assert_pooler_found(&server, true).await;
    }
    assert_pooler_found(&TestServer::with(Database::Postgres, &[("DATABASE_URL", &url)]).await, false).await;
}

async fn assert_pooler_found(server: &TestServer, is_there: bool) {
    let store = &server.services.store;
    for _ in 0..5 {
        assert_eq!(store.find_pooler().await.expect("an answer"), is_there, "at rest");
    }
    let found = join_all((0..10).map(async |_| store.find_pooler().await.expect("an answer")));
    let load = join_all((0..60).map(async |_| server.get("/api/health/ready").await.assert_ok().status));
    let (found, _) = tokio::join!(found, load);
    assert_eq!(found, [is_there; 10], "under load");
}
