//! Twilio is slow or down, and clients hang up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::Instant;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::{
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS, wait_until},
};

/// Long enough that all other requests end first, and short enough for a test.
const SLOW: Duration = Duration::from_millis(1500);

/// A Twilio that accepts every message after `SLOW`.
async fn slow_twilio() -> MockServer {
    let twilio = MockServer::start().await;
    Mock::given(any()).respond_with(accepted_slowly()).mount(&twilio).await;
    twilio
}

fn accepted_slowly() -> ResponseTemplate {
    ResponseTemplate::new(201)
        .set_delay(SLOW)
        .set_body_json(serde_json::json!({"sid": "SM00000000000000000000000000000001", "status": "queued"}))
}

/// The same, and the time at which each message arrived.
async fn timed_slow_twilio() -> (MockServer, Arc<Mutex<Vec<Instant>>>) {
    let twilio = MockServer::start().await;
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let answer = move |_: &Request| {
        noted.lock().unwrap().push(Instant::now());
        accepted_slowly()
    };
    Mock::given(any()).respond_with(answer).mount(&twilio).await;
    (twilio, times)
}

/// A second server on the same database, which sends through Twilio.
async fn with_twilio(server: &TestServer, twilio: &MockServer) -> TestServer {
    with_twilio_and(server, twilio, &[]).await
}

async fn with_twilio_and(server: &TestServer, twilio: &MockServer, more: &[(&str, &str)]) -> TestServer {
    let url = twilio.uri();
    let mut settings = vec![
        ("TWILIO_TEST_MODE", "false"),
        ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
        ("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ("TWILIO_API_BASE_URL", url.as_str()),
        // With one connection, a request that kept it while it waits for Twilio would stop all others.
        ("DATABASE_MAX_CONNECTIONS", "1"),
    ];
    settings.extend(WIDE_LIMITS);
    settings.extend(more);
    server.second_server(&settings).await
}

fn phone(number: usize) -> String {
    format!("+9198765{number:05}")
}

/// Changes the answer of Twilio, and forgets the requests so far.
async fn from_now_on(twilio: &MockServer, answer: ResponseTemplate) {
    twilio.reset().await;
    Mock::given(any()).respond_with(answer).mount(twilio).await;
}

/// Adds the codes in Twilio's requests to `known`, by phone. Each phone gets only one code. Returns the number of requests.
async fn codes(twilio: &MockServer, known: &mut HashMap<String, String>) -> usize {
    let requests = twilio.received_requests().await.unwrap();
    for request in &requests {
        let form: HashMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let words = form["Body"].split([' ', '.']);
        let code = words.filter(|word| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()));
        let code = code.collect::<Vec<_>>().pop().unwrap().to_owned();
        let first = known.entry(form["To"].clone()).or_insert_with(|| code.clone());
        assert_eq!(*first, code, "{} was sent another code", form["To"]);
    }
    requests.len()
}

/// Waits until Twilio has received a request: a message is on its way.
async fn first_request(twilio: &MockServer) {
    wait_until("Twilio has a request", async || !twilio.received_requests().await.unwrap().is_empty()).await;
}

on_both! {
    async fn a_client_that_hangs_up_leaves_nothing_half_done(server: TestServer) {
        let twilio = slow_twilio().await;
        let other = Arc::new(with_twilio(&server, &twilio).await);
        let signing_up = tokio::spawn({
            let other = Arc::clone(&other);
            async move { other.signup(PHONE).await }
        });
        first_request(&twilio).await;
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'pending'").await, 1);
        signing_up.abort();
        assert!(signing_up.await.unwrap_err().is_cancelled());

        wait_until("the outcome of the message is recorded", async || {
            server.count("SELECT COUNT(*) FROM messages WHERE status = 'queued'").await == 1
        })
        .await;
        // The message counts as sent, so the cooldown runs.
        other.signup(PHONE).await.assert_error(429, "otp_cooldown");
    }

    async fn a_client_that_hangs_up_while_verifying_keeps_a_whole_account(server: TestServer) {
        let server = Arc::new(server.second_server(&WIDE_LIMITS).await);
        for number in 10..40 {
            let phone = format!("+9198765432{number}");
            server.signup(&phone).await.assert_ok();
            let code = server.last_code_for(&phone);
            let verifying = tokio::spawn({
                let (server, phone) = (Arc::clone(&server), phone.clone());
                async move { server.verify_otp(&phone, &code).await }
            });
            // Each time at another point of the request.
            for _ in 10..number {
                tokio::task::yield_now().await;
            }
            verifying.abort();
            let _ = verifying.await;
        }
        // A request that began has completed, so no user has only a part of the rows.
        let half = "SELECT COUNT(*) FROM accounts WHERE phone NOT IN (SELECT phone FROM leads WHERE state = 'converted') \
                    OR id NOT IN (SELECT account_id FROM sessions) \
                    OR phone NOT IN (SELECT phone FROM challenges WHERE consumed_at IS NOT NULL)";
        let used = "SELECT COUNT(*) FROM challenges WHERE consumed_at IS NOT NULL \
                    AND phone NOT IN (SELECT phone FROM accounts)";
        assert_eq!((server.count(half).await, server.count(used).await), (0, 0));
        server.advance(30);
        for number in 10..40 {
            let phone = format!("+9198765432{number}");
            server.sign_in(&phone).await;
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 30);
    }

    async fn a_slow_twilio_slows_nobody_else(server: TestServer) {
        let tokens = server.sign_in(OTHER_PHONE).await;
        let twilio = slow_twilio().await;
        let server = Arc::new(with_twilio(&server, &twilio).await);
        let signing_up = tokio::spawn({
            let server = Arc::clone(&server);
            async move { server.signup(PHONE).await }
        });
        first_request(&twilio).await;
        for _ in 0..20 {
            server.get("/api/auth/event-interests").await.assert_ok();
            server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
            server.verify_otp(OTHER_PHONE, "0000").await.assert_error(400, "otp_not_found");
        }
        assert!(!signing_up.is_finished(), "sixty requests were answered while one waits for Twilio");
        signing_up.await.unwrap().assert_ok();
    }

    async fn twilio_is_down_for_a_minute_in_the_middle_of_a_load(server: TestServer) {
        let taken = || {
            ResponseTemplate::new(201).set_body_json(serde_json::json!({"sid": "SM1", "status": "queued"}))
        };
        let (mut known, mut lost) = (HashMap::new(), Vec::new());
        let twilio = MockServer::start().await;
        from_now_on(&twilio, taken()).await;
        let server = with_twilio(&server, &twilio).await;
        for answer in join_all((0..20).map(async |number| server.signup(&phone(number)).await)).await {
            answer.assert_ok();
        }
        codes(&twilio, &mut known).await;

        from_now_on(&twilio, ResponseTemplate::new(503)).await;
        for second in 0..12 {
            let signing_up = (0..5).map(async |number| {
                let phone = phone(100 + second * 5 + number);
                server.signup(&phone).await.assert_error(503, "sms_unavailable");
                phone
            });
            lost.extend(join_all(signing_up).await);
            server.advance(5);
        }
        let requests = codes(&twilio, &mut known).await;
        assert!(requests < 60, "most of the sixty are refused without Twilio, which got {requests} requests");

        // The server finds out by itself that Twilio is back, after half a minute.
        from_now_on(&twilio, taken()).await;
        server.advance(30);
        server.signup(&phone(999)).await.assert_ok();
        for answer in join_all(lost.iter().map(async |phone| server.signup(phone).await)).await {
            // At once: a message that was not sent starts no cooldown.
            answer.assert_ok();
        }
        codes(&twilio, &mut known).await;
        assert_eq!(known.len(), 81);
        for (phone, code) in &known {
            server.verify_otp(phone, code).await.assert_ok();
        }
    }

    async fn a_crowd_waits_for_twilio_and_nobody_else_does(server: TestServer) {
        let tokens = server.sign_in(OTHER_PHONE).await;
        let (twilio, times) = timed_slow_twilio().await;
        let settings = [("TWILIO_MAX_IN_FLIGHT", "40"), ("DATABASE_MAX_CONNECTIONS", "8")];
        let server = Arc::new(with_twilio_and(&server, &twilio, &settings).await);
        let signing_up: Vec<_> = (0..160)
            .map(|number| {
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.signup(&phone(number)).await })
            })
            .collect();
        first_request(&twilio).await;
        for _ in 0..20 {
            server.get("/api/auth/event-interests").await.assert_ok();
            server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
            server.verify_otp(OTHER_PHONE, "0000").await.assert_error(400, "otp_not_found");
        }
        assert!(signing_up.iter().any(|signing_up| !signing_up.is_finished()), "all of that happens while sign-ups wait");
        for answer in join_all(signing_up).await {
            answer.unwrap().assert_ok();
        }
        // Each is answered `SLOW` after it arrived, so the requests within that time were in flight at once.
        let times = times.lock().unwrap();
        let at_once = |until: &Instant| times.iter().filter(|at| **at <= *until && **at + SLOW > *until).count();
        let most = times.iter().map(at_once).max().unwrap();
        assert!((1..=40).contains(&most), "Twilio gets {most} requests at once");
    }
}
