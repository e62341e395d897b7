//! The database goes away and comes back while the server keeps running.

use poem::http::Method;
use serde_json::json;

use crate::support::{
    Answer, Database, OTHER_PHONE, PHONE, TestServer, Tokens, proxy::Proxy, whole_profile, wrong,
};

const THIRD_PHONE: &str = "+919811112222";

/// A server whose PostgreSQL is behind a proxy. One user is signed in, another waits for a code.
struct Setup {
    server: TestServer,
    proxy: Proxy,
    tokens: Tokens,
    code: String,
}

impl Setup {
    async fn new() -> Option<Self> {
        let (server, proxy) = TestServer::behind_proxy(&[]).await?;
        let tokens = server.sign_in_and_complete(PHONE).await;
        server.signup(OTHER_PHONE).await.assert_ok();
        let code = server.last_code_for(OTHER_PHONE);
        server.advance(30);
        Some(Self { server, proxy, tokens, code })
    }

    /// Sends one request of every operation that needs the database. Returns its name and the answer.
    async fn every_operation(&self) -> Vec<(&'static str, Answer)> {
        let (server, access) = (&self.server, self.tokens.access.as_str());
        vec![
            ("ready", server.get("/api/health/ready").await),
            ("signup", server.signup(THIRD_PHONE).await),
            ("login", server.login(PHONE).await),
            ("verify-otp", server.verify_otp(OTHER_PHONE, &self.code).await),
            ("verify-login", server.verify_login(OTHER_PHONE, &self.code).await),
            ("verify-otp, wrong", server.verify_otp(OTHER_PHONE, &wrong(&self.code)).await),
            (
                "complete-profile",
                server.send_as(access, Method::POST, "/api/auth/complete-profile", whole_profile()).await,
            ),
            ("profile", server.get_as(access, "/api/auth/profile").await),
            (
                "change profile",
                server.send_as(access, Method::PUT, "/api/auth/profile", json!({"bio": "Lost."})).await,
            ),
            ("refresh", server.refresh(&self.tokens.refresh).await),
            ("logout", server.send_as(access, Method::POST, "/api/auth/logout", json!({})).await),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_nothing_is_sent_and_nobody_is_let_in() {
    let Some(setup) = Setup::new().await else { return };
    setup.proxy.go_away().await;
    for (name, answer) in setup.every_operation().await {
        println!("{name}: {}", answer.text);
        answer.assert_error(503, "database_unavailable");
        assert!(answer.header("retry-after").is_some(), "{name}");
    }
    setup.server.get("/api/health").await.assert_ok();
    assert_eq!(setup.server.codes_for(THIRD_PHONE), Vec::<String>::new());
    assert_eq!(setup.server.codes_for(PHONE).len(), 1);

    // What is in memory is still served.
    setup.server.get("/api/auth/event-interests").await.assert_ok();

    setup.proxy.come_back();
    // The first request afterwards works, and none of the requests above has had an effect.
    let answer = setup.server.verify_otp(OTHER_PHONE, &wrong(&setup.code)).await;
    answer.assert_error(400, "otp_invalid");
    assert_eq!(answer.at("/error/attempts_remaining"), json!(2));
    setup.server.verify_otp(OTHER_PHONE, &setup.code).await.assert_ok();
    let profile = setup.server.get_as(&setup.tokens.access, "/api/auth/profile").await;
    profile.assert_ok();
    assert_eq!(profile.at("/bio"), json!(null));
    setup.server.refresh(&setup.tokens.refresh).await.assert_ok();
    assert_eq!(
        setup.server.count(&format!("SELECT COUNT(*) FROM leads WHERE phone = '{THIRD_PHONE}'")).await,
        0
    );
    setup.server.signup(THIRD_PHONE).await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_that_were_taken_stay_taken_over_an_outage() {
    let Some(setup) = Setup::new().await else { return };
    let wrong = wrong(&setup.code);
    for left in [2, 1] {
        let answer = setup.server.verify_otp(OTHER_PHONE, &wrong).await;
        assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
    }
    setup.proxy.go_away().await;
    for _ in 0..5 {
        setup.server.verify_otp(OTHER_PHONE, &setup.code).await.assert_error(503, "database_unavailable");
    }
    setup.proxy.come_back();
    let answer = setup.server.verify_otp(OTHER_PHONE, &wrong).await;
    assert_eq!(answer.at("/error/attempts_remaining"), json!(0));
    setup.server.verify_otp(OTHER_PHONE, &setup.code).await.assert_error(429, "otp_attempts_exhausted");
}

/// Sends every operation, in an order in which each can succeed. Before each request all connections are lost.
async fn each_operation_works_right_after(setup: &Setup, lose: impl AsyncFn(&Setup)) {
    let (server, tokens) = (&setup.server, &setup.tokens);
    lose(setup).await;
    server.get("/api/health/ready").await.assert_ok();
    lose(setup).await;
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
    lose(setup).await;
    let changed = json!({"bio": "I like live music."});
    server.send_as(&tokens.access, Method::PUT, "/api/auth/profile", changed).await.assert_ok();
    lose(setup).await;
    server.verify_otp(OTHER_PHONE, &wrong(&setup.code)).await.assert_error(400, "otp_invalid");
    lose(setup).await;
    server.verify_otp(OTHER_PHONE, &setup.code).await.assert_ok();
    lose(setup).await;
    server.signup(THIRD_PHONE).await.assert_ok();
    lose(setup).await;
    server.login(PHONE).await.assert_ok();
    lose(setup).await;
    server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    lose(setup).await;
    let answer = server.refresh(&tokens.refresh).await;
    answer.assert_ok();
    lose(setup).await;
    let access = answer.text_at("/access");
    server.send_as(&access, Method::POST, "/api/auth/logout", json!({})).await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_request_works_after_every_connection_was_cut() {
    let Some(setup) = Setup::new().await else { return };
    each_operation_works_right_after(&setup, async |_| setup.proxy.cut().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_request_works_after_the_database_ended_every_connection() {
    let Some(setup) = Setup::new().await else { return };
    let url = setup.server.setting("DATABASE_URL").to_owned();
    let administrator = TestServer::with(Database::Postgres, &[("DATABASE_URL", &url)]).await;
    each_operation_works_right_after(&setup, async |_| {
        administrator
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_requests_work_after_a_busy_pool_was_cut() {
    let Some(setup) = Setup::new().await else { return };
    let reads = |_| setup.server.get_as(&setup.tokens.access, "/api/auth/profile");
    // Opens many connections, all of which are dead after the outage.
    for answer in futures_util::future::join_all((0..40).map(reads)).await {
        answer.assert_ok();
    }
    setup.proxy.go_away().await;
    reads(0).await.assert_error(503, "database_unavailable");
    setup.proxy.come_back();
    for answer in futures_util::future::join_all((0..40).map(reads)).await {
        answer.assert_ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_interests_that_were_never_read_are_not_made_up() {
    let Some(setup) = Setup::new().await else { return };
    let second = setup.server.second_server(&[]).await;
    setup.proxy.go_away().await;
    second.get("/api/auth/event-interests").await.assert_error(503, "database_unavailable");
    setup.proxy.come_back();
    second.get("/api/auth/event-interests").await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_sqlite_that_goes_away_is_an_outage_and_no_new_database() {
    let server = TestServer::on(Database::Sqlite).await;
    let second = server.second_server(&[]).await;
    let file = std::path::PathBuf::from(server.setting("DATABASE_URL").trim_start_matches("sqlite://"));
    let away = file.with_extension("away");
    std::fs::rename(&file, &away).expect("the file goes");
    // This server has no connection yet.
    second.signup(PHONE).await.assert_error(503, "database_unavailable");
    assert!(!file.exists(), "nothing took its place");
    std::fs::rename(&away, &file).expect("the file comes back");
    second.signup(PHONE).await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_holds_sqlite_makes_others_wait_and_then_say_so() {
    let server = TestServer::on(Database::Sqlite).await;
    let tokens = server.sign_in(PHONE).await;
    let other = server.second_server(&[]).await;
    let writing = other.services.store.begin().await.unwrap();
    // Reading works beside a writer.
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
    server.get("/api/health/ready").await.assert_ok();
    // The first one waits for the lock, and the others for the first one.
    for answer in futures_util::future::join_all((0..8).map(|_| server.signup(OTHER_PHONE))).await {
        answer.assert_error(503, "database_unavailable");
    }
    assert_eq!(server.codes_for(OTHER_PHONE), Vec::<String>::new());
    writing.rollback().await.unwrap();
    server.signup(OTHER_PHONE).await.assert_ok();

    // The same within one server.
    let writing = server.services.store.begin().await.unwrap();
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
    server.get("/api/health/ready").await.assert_ok();
    writing.rollback().await.unwrap();

    // A writer that ends in time is waited for.
    let writing = other.services.store.begin().await.unwrap();
    let code = server.last_code_for(OTHER_PHONE);
    let verifying = server.verify_otp(OTHER_PHONE, &code);
    let (answer, ()) = tokio::join!(verifying, async {
        tokio::task::yield_now().await;
        writing.rollback().await.unwrap();
    });
    answer.assert_ok();
}
