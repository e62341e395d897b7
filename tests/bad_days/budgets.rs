//! Budgets on bad days: while the database is away nothing is sent, judged or hashed, and nothing is forgotten.

use serde_json::json;

use crate::support::{Database, OTHER_PHONE, PHONE, TestHouse, postgres, proxy::Proxy};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_lets_nobody_past_the_budgets() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    let (server, _) = postgres::through(&url, 0);
    let proxy = Proxy::to(server).await;
    let (_, url) = postgres::through(&url, proxy.address.port());
    let house = TestHouse::with(Database::Postgres, &[("DATABASE_URL", &url)]).await.from("203.0.113.7");
    let register = |name: &str| json!({"username": name, "email": format!("{name}@example.com"), "password": "purple-kettle-morning-71"});
    let log_in = json!({"username": "gaurav", "password": "copper-lantern-evening-38"});
    assert_eq!(house.post("/api/auth/register", register("gaurav")).await.status, 201);
    house.signup(PHONE).await.assert_ok();
    let wrong = house.wrong_code_for(PHONE);
    house.verify_otp(PHONE, &wrong).await.assert_error(400, "otp_invalid");
    for _ in 0..10 {
        house.post("/api/auth/login", log_in.clone()).await.assert_error(401, "credentials_invalid");
    }
    let (made, spent) = (house.services.hasher.made(), house.count("SELECT COUNT(*) FROM budgets").await);

    proxy.go_away().await;
    for _ in 0..3 {
        for answer in [
            house.signup(OTHER_PHONE).await,
            house.login(PHONE).await,
            // Fields are not even looked at before the request is counted.
            house.signup("1").await,
            house.verify_otp(PHONE, &house.last_code_for(PHONE)).await,
            house.verify_login(PHONE, &wrong).await,
            house.post("/api/auth/login", log_in.clone()).await,
            house.post("/api/token", log_in.clone()).await,
            house.post("/api/auth/register", register("asha")).await,
            house.post("/api/register", register("asha")).await,
        ] {
            answer.assert_error(503, "database_unavailable");
        }
    }
    assert_eq!(house.services.hasher.made(), made, "nothing was hashed or compared");
    assert!(house.codes_for(OTHER_PHONE).is_empty());
    assert_eq!(house.codes_for(PHONE).len(), 1);

    proxy.come_back();
    // Nothing of it was counted, and nothing of what was counted before is gone.
    house.post("/api/auth/login", log_in).await.assert_error(429, "rate_limited");
    assert_eq!(house.count("SELECT COUNT(*) FROM budgets").await, spent);
    let answer = house.verify_otp(PHONE, &wrong).await;
    answer.assert_error(400, "otp_invalid");
    assert_eq!(answer.at("/error/attempts_remaining"), json!(1));
    house.verify_otp(PHONE, &house.last_code_for(PHONE)).await.assert_ok();
    house.signup(OTHER_PHONE).await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_cannot_be_charged_is_not_judged_and_stays_taken() {
    let house = TestHouse::on(Database::Sqlite).await.from("203.0.113.7");
    house.signup(PHONE).await.assert_ok();
    let code = house.last_code_for(PHONE);
    // The attempt is written, and nothing after it can be.
    house
        .execute(
            "CREATE TRIGGER full BEFORE INSERT ON budgets BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
        )
        .await;
    for _ in 0..3 {
        let answer = house.verify_otp(PHONE, &code).await;
        assert!(answer.status.is_server_error(), "{}", answer.text);
    }
    house.execute("DROP TRIGGER full").await;
    // Whoever found a way to break the charge has no more guesses by it.
    house.verify_otp(PHONE, &code).await.assert_error(429, "otp_attempts_exhausted");
}
