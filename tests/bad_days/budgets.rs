//! Budgets during an outage of the database: nothing is sent, judged or hashed, and no charge is lost.

use serde_json::json;

use crate::support::{Database, OTHER_PHONE, PHONE, TestServer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_lets_nobody_past_the_budgets() {
    let Some((server, proxy)) = TestServer::behind_proxy(&[]).await else { return };
    let server = server.from("203.0.113.7");
    let register = |name: &str| json!({"username": name, "email": format!("{name}@example.com"), "password": "purple-kettle-morning-71"});
    let log_in = json!({"username": "gaurav", "password": "copper-lantern-evening-38"});
    assert_eq!(server.post("/api/auth/register", register("gaurav")).await.status, 201);
    server.signup(PHONE).await.assert_ok();
    let wrong = server.wrong_code_for(PHONE);
    server.verify_otp(PHONE, &wrong).await.assert_error(400, "otp_invalid");
    for _ in 0..10 {
        server.post("/api/auth/login", log_in.clone()).await.assert_error(401, "credentials_invalid");
    }
    let (made, spent) = (server.services.hasher.made(), server.count("SELECT COUNT(*) FROM budgets").await);

    proxy.go_away().await;
    for _ in 0..3 {
        for answer in [
            server.signup(OTHER_PHONE).await,
            server.login(PHONE).await,
            // A request is counted before its fields are read.
            server.signup("1").await,
            server.verify_otp(PHONE, &server.last_code_for(PHONE)).await,
            server.verify_login(PHONE, &wrong).await,
            server.post("/api/auth/login", log_in.clone()).await,
            server.post("/api/token", log_in.clone()).await,
            server.post("/api/auth/register", register("asha")).await,
            server.post("/api/register", register("asha")).await,
        ] {
            answer.assert_error(503, "database_unavailable");
        }
    }
    assert_eq!(server.services.hasher.made(), made, "nothing was hashed or compared");
    assert!(server.codes_for(OTHER_PHONE).is_empty());
    assert_eq!(server.codes_for(PHONE).len(), 1);

    proxy.come_back();
    // None of these requests was counted, and the charges from before are still there.
    server.post("/api/auth/login", log_in).await.assert_error(429, "rate_limited");
    assert_eq!(server.count("SELECT COUNT(*) FROM budgets").await, spent);
    let answer = server.verify_otp(PHONE, &wrong).await;
    answer.assert_error(400, "otp_invalid");
    assert_eq!(answer.at("/error/attempts_remaining"), json!(1));
    server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    server.signup(OTHER_PHONE).await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_cannot_be_charged_is_not_judged_and_stays_taken() {
    let server = TestServer::on(Database::Sqlite).await.from("203.0.113.7");
    server.signup(PHONE).await.assert_ok();
    let code = server.last_code_for(PHONE);
    // The attempt can be written, but no charge.
    server
        .execute(
            "CREATE TRIGGER full BEFORE INSERT ON budgets BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
        )
        .await;
    for _ in 0..3 {
        let answer = server.verify_otp(PHONE, &code).await;
        assert!(answer.status.is_server_error(), "{}", answer.text);
    }
    server.execute("DROP TRIGGER full").await;
    // An attacker who can make charges fail gains no guesses.
    server.verify_otp(PHONE, &code).await.assert_error(429, "otp_attempts_exhausted");
}
