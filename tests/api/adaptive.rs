//! Adaptive routing: which messages count, and when the order of the providers changes.

use loopin_auth::{flows::adaptive, store::provider_orders::list_samples};

use super::{
    failover::{Two, answer_with, taken},
    sms::{accepted, rejected},
};
use crate::{
    on_both,
    support::{Database, OTHER_PHONE, PHONE, TestServer},
};

const ADAPTIVE: [(&str, &str); 1] = [("SMS_ROUTING", "adaptive")];

/// Copies the only message that was sent by hand: as messages of a provider, each to another phone, of which `verified` were entered.
/// `route` is `'*'` for samples, and `NULL` for messages to phones that never proved themselves.
async fn sent(server: &TestServer, provider: &str, route: &str, count: u32, verified: u32) {
    let (id, numbers) = match server.database {
        Database::Postgres => ("gen_random_uuid()", format!("generate_series(1, {count}) AS n")),
        Database::Sqlite => (
            "randomblob(16)",
            format!(
                "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) SELECT n FROM n)"
            ),
        ),
    };
    let first = if provider == "twilio" { 6_200_000_000_u64 } else { 6_300_000_000 };
    server
        .execute(&format!(
            "INSERT INTO messages (id, phone, channel, template, provider, status, created_at, updated_at, attempt, language, \
             region, route, verified_at) \
             SELECT {id}, '+91' || ({first} + n), channel, template, '{provider}', status, created_at, updated_at, 1, language, \
             region, {route}, CASE WHEN n <= {verified} THEN created_at END \
             FROM (SELECT * FROM messages WHERE phone = '{PHONE}' ORDER BY created_at DESC LIMIT 1) AS one, {numbers}"
        ))
        .await;
}

/// A server whose first message by hand was sent some minutes ago.
async fn with_message(server: &TestServer, two: &Two, settings: &[(&str, &str)]) -> TestServer {
    let server = two.server(server, settings).await;
    server.signup(PHONE).await.assert_ok();
    server
}

/// Which provider a new user's code goes to.
async fn first_asked(server: &TestServer, two: &Two, phone: &str) -> &'static str {
    answer_with(&two.twilio, accepted()).await;
    answer_with(&two.webhook, taken()).await;
    server.signup(phone).await.assert_ok();
    match two.requests().await {
        (1, 0) => "twilio",
        (0, 1) => "webhook",
        other => panic!("{other:?}"),
    }
}

async fn judge(server: &TestServer) {
    adaptive::judge_if_due(&server.services).await.unwrap();
}

const CHANGES: &str = "SELECT COUNT(*) FROM audit WHERE action = 'providers_reordered'";

on_both! {
    async fn a_provider_whose_codes_are_not_entered_goes_behind_and_returns(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        let one = with_message(&server, &two, &ADAPTIVE).await;
        let other = two.server(&server, &ADAPTIVE).await;
        sent(&one, "twilio", "'*'", 100, 18).await;
        sent(&one, "webhook", "'*'", 49, 45).await;
        one.advance(600);
        judge(&one).await;
        assert_eq!(first_asked(&one, &two, "+916205829371").await, "twilio", "too few of the other");
        one.execute("DELETE FROM messages WHERE provider = 'webhook'").await;
        sent(&one, "webhook", "'*'", 50, 45).await;
        one.advance(60);
        judge(&one).await;
        judge(&other).await;
        assert_eq!(first_asked(&one, &two, "+916205829372").await, "webhook");
        assert_eq!(first_asked(&other, &two, "+916205829373").await, "webhook", "another server reads it");
        assert_eq!(server.count(CHANGES).await, 1);
        let entry = server.text("SELECT detail FROM audit WHERE action = 'providers_reordered'").await;
        for part in ["webhook,twilio", "twilio,webhook", "twilio 18/100"] {
            assert!(entry.contains(part), "{part} in {entry}");
        }
        assert!(one.services.metrics.text().contains(r#"loopin_provider_place{country="*",provider="twilio"} 2"#));
        // A day later its bad messages do not count any more.
        one.advance(25 * 3_600);
        judge(&one).await;
        assert_eq!(first_asked(&one, &two, "+916205829374").await, "twilio");
        assert_eq!(server.count(CHANGES).await, 2);
    }

    async fn ten_thousand_sign_ups_of_strangers_change_no_route(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        let server = with_message(&server, &two, &ADAPTIVE).await;
        // What a sign-up of a stranger writes is no sample.
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE route IS NOT NULL").await, 0);
        sent(&server, "twilio", "'*'", 60, 54).await;
        sent(&server, "webhook", "'*'", 60, 54).await;
        sent(&server, "twilio", "NULL", 10_000, 0).await;
        server.advance(600);
        judge(&server).await;
        assert_eq!(first_asked(&server, &two, OTHER_PHONE).await, "twilio");
        assert_eq!(server.count(CHANGES).await, 0);
    }

    async fn only_a_user_who_comes_back_is_a_sample(server: TestServer) {
        server.sign_in(PHONE).await;
        let two = Two::new(accepted(), taken()).await;
        let server = two.server(&server, &ADAPTIVE).await;
        server.advance(3_600);
        server.login(PHONE).await.assert_ok();
        server.signup(OTHER_PHONE).await.assert_ok();
        assert_eq!(server.text("SELECT phone || ' ' || route FROM messages WHERE route IS NOT NULL").await, format!("{PHONE} *"));
    }

    async fn a_code_that_another_provider_sent_too_counts_for_that_one(server: TestServer) {
        server.sign_in(PHONE).await;
        let two = Two::new(rejected(401, 20003), taken()).await;
        let server = two.server(&server, &ADAPTIVE).await;
        server.advance(3_600);
        server.login(PHONE).await.assert_ok();
        let code = two.webhooks_code().await;
        server.advance(5);
        server.verify_login(PHONE, &code).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE route IS NOT NULL AND verified_at IS NOT NULL").await, 2);
        let now = server.now();
        let window = (now - chrono::Duration::hours(1), now);
        for (provider, expected) in [("twilio", false), ("webhook", true)] {
            let samples = list_samples(&server.services.store, ("*", provider), window, 10).await.unwrap();
            assert_eq!(samples.iter().map(|sample| sample.is_verified).collect::<Vec<_>>(), [expected], "{provider}");
        }
    }

    async fn without_the_setting_nothing_is_judged_and_nothing_counts(server: TestServer) {
        server.sign_in(PHONE).await;
        let two = Two::new(accepted(), taken()).await;
        let server = two.server(&server, &[]).await;
        server.advance(3_600);
        server.login(PHONE).await.assert_ok();
        sent(&server, "twilio", "'*'", 100, 0).await;
        sent(&server, "webhook", "'*'", 100, 90).await;
        server.advance(600);
        judge(&server).await;
        assert_eq!(first_asked(&server, &two, OTHER_PHONE).await, "twilio");
        assert_eq!(server.count("SELECT COUNT(*) FROM provider_orders").await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE route IS NOT NULL").await, 200);
    }
}
