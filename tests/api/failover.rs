//! Failover between two providers: what follows each outcome of the first one, and what staff and limits see of it.

use poem::http::Method;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::sms::{SENDER, SID, TOKEN, accepted, rejected};
use crate::{
    on_both,
    support::{Answer, PHONE, TestServer, WIDE_LIMITS},
};

pub(crate) const WEBHOOK_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Twilio first, and then the webhook, each with a stub.
pub(crate) struct Two {
    pub(crate) twilio: MockServer,
    pub(crate) webhook: MockServer,
}

pub(crate) async fn answer_with(stub: &MockServer, answer: ResponseTemplate) {
    stub.reset().await;
    Mock::given(any()).respond_with(answer).mount(stub).await;
}

pub(crate) fn taken() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({}))
}

impl Two {
    pub(crate) async fn new(twilio_says: ResponseTemplate, webhook_says: ResponseTemplate) -> Self {
        let two = Self { twilio: MockServer::start().await, webhook: MockServer::start().await };
        answer_with(&two.twilio, twilio_says).await;
        answer_with(&two.webhook, webhook_says).await;
        two
    }

    pub(crate) async fn server(&self, server: &TestServer, settings: &[(&str, &str)]) -> TestServer {
        let (twilio, webhook) = (self.twilio.uri(), self.webhook.uri());
        let mut all = vec![
            ("TWILIO_TEST_MODE", "false"),
            ("SMS_PROVIDERS", "*=twilio,webhook"),
            ("PUBLIC_BASE_URL", "https://auth.example.com"),
            ("TWILIO_ACCOUNT_SID", SID),
            ("TWILIO_AUTH_TOKEN", TOKEN),
            ("TWILIO_PHONE_NUMBER", SENDER),
            ("TWILIO_API_BASE_URL", &twilio),
            ("SMS_WEBHOOK_URL", &webhook),
            ("SMS_WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
        ];
        all.extend(WIDE_LIMITS);
        all.extend(settings);
        server.second_server(&all).await
    }

    /// How many requests each got.
    pub(crate) async fn requests(&self) -> (usize, usize) {
        let count = async |stub: &MockServer| stub.received_requests().await.unwrap().len();
        (count(&self.twilio).await, count(&self.webhook).await)
    }

    /// The code in the first message to Twilio.
    async fn twilios_code(&self) -> String {
        let requests = self.twilio.received_requests().await.unwrap();
        let form: std::collections::HashMap<String, String> =
            url::form_urlencoded::parse(&requests[0].body).into_owned().collect();
        form["Body"].chars().filter(char::is_ascii_digit).take(4).collect()
    }

    /// The code in the last message to the webhook.
    pub(crate) async fn webhooks_code(&self) -> String {
        let requests = self.webhook.received_requests().await.unwrap();
        let body: Value = requests.last().unwrap().body_json().unwrap();
        body["sms"]["otp"].as_str().unwrap().to_owned()
    }
}

/// The rows of the messages: attempt, provider and status.
pub(crate) async fn rows(server: &TestServer) -> String {
    let aggregate = match server.database {
        crate::support::Database::Sqlite => "group_concat(row, ' ')",
        crate::support::Database::Postgres => "string_agg(row, ' ' ORDER BY row)",
    };
    let rows = "SELECT attempt || '-' || provider || '-' || status AS row FROM messages ORDER BY attempt";
    server.text(&format!("SELECT COALESCE({aggregate}, '') FROM ({rows}) AS rows")).await
}

async fn again(server: &TestServer) {
    server.execute("DELETE FROM messages").await;
    server.execute("DELETE FROM challenges").await;
    server.advance(3_600);
}

fn unavailable(answer: &Answer) -> i64 {
    answer.assert_error(503, "sms_unavailable");
    answer.at("/error/retry_after").as_i64().unwrap()
}

on_both! {
    // The rows of the table in docs/PROVIDERS.md. A connection that is not made and an open breaker are below.
    async fn every_outcome_of_the_first_provider_has_what_follows(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        let server = two.server(&server, &[("RATE_LIMITS_ENABLED", "false")]).await;
        let cut = ResponseTemplate::new(200).set_body_string("<html>");
        for (outcome, twilio_says, webhook_asked, status, rows_then) in [
            ("accepted", accepted(), 0, 200, "1-twilio-queued"),
            ("credentials", rejected(401, 20003), 1, 200, "1-twilio-failed 2-webhook-queued"),
            ("money", rejected(400, 30002), 1, 200, "1-twilio-failed 2-webhook-queued"),
            ("sender", rejected(400, 21606), 1, 200, "1-twilio-failed 2-webhook-queued"),
            ("template", rejected(400, 63016), 1, 200, "1-twilio-failed 2-webhook-queued"),
            ("no answer of the API", cut, 1, 200, "1-twilio-failed 2-webhook-queued"),
            ("country", rejected(400, 21408), 1, 200, "1-twilio-failed 2-webhook-queued"),
            ("429", rejected(429, 20429), 1, 200, "1-twilio-failed 2-webhook-queued"),
            ("the number", rejected(400, 21614), 0, 400, "1-twilio-failed"),
            ("invalid number", rejected(400, 21211), 0, 400, "1-twilio-failed"),
            ("blocked number", rejected(400, 30004), 0, 400, "1-twilio-failed"),
            ("STOP", rejected(400, 21610), 0, 400, "1-twilio-failed"),
            ("pumping", rejected(400, 60410), 0, 400, "1-twilio-failed"),
            ("fault of the provider", rejected(500, 20500), 0, 503, "1-twilio-unknown"),
            ("gateway", ResponseTemplate::new(502), 0, 503, "1-twilio-unknown"),
            ("time-out of the provider", rejected(408, 20408), 0, 503, "1-twilio-unknown"),
        ] {
            again(&server).await;
            answer_with(&two.twilio, twilio_says).await;
            answer_with(&two.webhook, taken()).await;
            let answer = server.signup(PHONE).await;
            assert_eq!(answer.status.as_u16(), status, "{outcome}: {}", answer.text);
            assert_eq!(two.requests().await.1, webhook_asked, "{outcome}");
            assert_eq!(rows(&server).await, rows_then, "{outcome}");
        }
    }

    async fn a_fault_that_is_followed_by_a_refusal_is_still_unknown(server: TestServer) {
        let two = Two::new(rejected(401, 20003), taken()).await;
        two.twilio.reset().await;
        Mock::given(any()).respond_with(rejected(500, 20500)).up_to_n_times(1).mount(&two.twilio).await;
        Mock::given(any()).respond_with(rejected(401, 20003)).mount(&two.twilio).await;
        let server = two.server(&server, &[]).await;
        unavailable(&server.signup(PHONE).await);
        assert_eq!(two.requests().await, (2, 0), "the first request may have sent the code");
        assert_eq!(rows(&server).await, "1-twilio-unknown");
    }

    async fn a_connection_that_is_not_made_and_an_open_breaker_are_followed(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let server = two.server(&server, &[("TWILIO_API_BASE_URL", &closed)]).await;
        // Five failures open the breaker, and the clock stands still.
        for sent in 1..=6 {
            server.signup(&format!("+91987654321{sent}")).await.assert_ok();
            assert_eq!(two.requests().await, (0, sent));
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE provider = 'twilio' AND status = 'failed'").await, 6);
        let text = server.services.metrics.text();
        assert!(text.contains("loopin_next_providers_total{from=\"twilio\",to=\"webhook\",reason=\"unavailable\"} 6"), "{text}");
    }

    async fn it_is_the_same_code_and_the_user_is_charged_once(server: TestServer) {
        let two = Two::new(rejected(401, 20003), taken()).await;
        let server = two.server(&server, &[("LIMIT_SENDS_PER_DAY", "100")]).await;
        let answer = server.signup(PHONE).await;
        assert_eq!(answer.assert_ok().at("/data/resend_in"), json!(30));
        let code = two.webhooks_code().await;
        assert_eq!(two.twilios_code().await, code);
        let count = |key: &str| format!("SELECT SUM(count) FROM budgets WHERE key LIKE '{key}'");
        let of = async |key: &str| server.count(&format!("SELECT CAST(({}) AS BIGINT)", count(key))).await;
        assert_eq!(of("phone/%/sends").await, 1, "the user's budget");
        assert_eq!((of("day/%").await, of("prefix/%").await), (2, 2), "the caps");
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
        assert_eq!(server.delivery(&answer).await.text_at("/status"), "queued");
        server.verify_otp(PHONE, &code).await.assert_ok();
    }

    async fn a_cap_stops_the_next_provider(server: TestServer) {
        let two = Two::new(rejected(401, 20003), taken()).await;
        // One message for phones without an account.
        let server = two.server(&server, &[("LIMIT_SENDS_PER_DAY", "2")]).await;
        server.signup(PHONE).await.assert_error(502, "sms_rejected");
        assert_eq!(two.requests().await, (1, 0));
        let day = "SELECT count FROM budgets WHERE key LIKE 'day/%'";
        assert_eq!(server.count(day).await, 0, "nothing was sent");
    }

    async fn when_every_provider_is_away_the_shortest_wait_is_named(server: TestServer) {
        let busy = |seconds: &str| ResponseTemplate::new(429).insert_header("Retry-After", seconds);
        let two = Two::new(busy("40"), busy("25")).await;
        let server = two.server(&server, &[]).await;
        assert_eq!(unavailable(&server.signup(PHONE).await), 25);
        assert_eq!(two.requests().await, (1, 1), "each provider once");
        assert_eq!(rows(&server).await, "1-twilio-failed 2-webhook-failed");
        // The next request may come at once.
        answer_with(&two.twilio, busy("15")).await;
        assert_eq!(unavailable(&server.signup(PHONE).await), 15);
        // One that only the operator can mend does not hide one that passes.
        answer_with(&two.twilio, rejected(401, 20003)).await;
        assert_eq!(unavailable(&server.signup(PHONE).await), 25);
        answer_with(&two.webhook, ResponseTemplate::new(401)).await;
        server.signup(PHONE).await.assert_error(502, "sms_rejected");
        assert_eq!(server.count("SELECT count FROM budgets WHERE key LIKE 'phone/%/sends'").await, 0);
    }

    async fn a_refusal_of_the_number_by_the_second_provider_is_the_answer(server: TestServer) {
        let says = json!({ "error": { "reason": "not_mobile", "message": "landline +916205829376" } });
        let two = Two::new(rejected(401, 20003), ResponseTemplate::new(400).set_body_json(says)).await;
        let server = two.server(&server, &[]).await;
        let answer = server.signup(PHONE).await;
        answer.assert_error(400, "phone_unreachable");
        assert_eq!(answer.at("/error/reason"), json!("not_mobile"));
        assert!(!answer.text.contains("landline"), "the provider's words are not for the app");
        let text = "SELECT error_text FROM messages WHERE attempt = 2";
        assert_eq!(server.text(text).await, "landline …");
    }

    async fn the_number_that_is_not_on_whatsapp_gets_an_sms_at_once(server: TestServer) {
        let two = Two::new(rejected(400, 63003), taken()).await;
        let settings = [
            ("SMS_PROVIDERS", "*=twilio,webhook"),
            ("OTP_CHANNELS", "sms,whatsapp"),
            ("OTP_CHANNEL_ORDER", "IN=whatsapp,sms"),
            ("TWILIO_WHATSAPP_SENDER", SENDER),
            ("TWILIO_WHATSAPP_CONTENT_SID", "HX0123456789abcdef0123456789abcdef"),
        ];
        let server = two.server(&server, &settings).await;
        two.twilio.reset().await;
        Mock::given(any()).respond_with(rejected(400, 63003)).up_to_n_times(1).mount(&two.twilio).await;
        Mock::given(any()).respond_with(accepted()).mount(&two.twilio).await;
        let answer = server.signup(PHONE).await;
        assert_eq!(server.delivery(answer.assert_ok()).await.text_at("/channel"), "sms");
        assert_eq!(two.requests().await, (2, 0), "the webhook would not reach it by WhatsApp either");
        // A request that names its channel gets no other one.
        again(&server).await;
        answer_with(&two.twilio, rejected(400, 63003)).await;
        let by_whatsapp = server.signup_with(PHONE, json!({ "channel": "whatsapp" }), "").await;
        by_whatsapp.assert_error(400, "phone_unreachable");
        // Another country has no order of its own.
        again(&server).await;
        answer_with(&two.twilio, accepted()).await;
        let answer = server.signup("+12025550123").await;
        assert_eq!(server.delivery(answer.assert_ok()).await.text_at("/channel"), "sms");
    }

    async fn a_resend_goes_by_the_next_provider_unless_the_last_message_arrived(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        let server = two.server(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        assert_eq!(two.requests().await, (1, 0));
        let code = two.twilios_code().await;
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        assert_eq!(two.requests().await, (1, 1));
        assert_eq!(two.webhooks_code().await, code);
        let newest = "SELECT provider FROM messages ORDER BY created_at DESC LIMIT 1";
        assert_eq!(server.text(newest).await, "webhook");
        // What the webhook sent has arrived, so it sends again.
        let delivered = "UPDATE messages SET status = 'delivered' WHERE provider = 'webhook'";
        server.execute(delivered).await;
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        assert_eq!(two.requests().await, (1, 2));
        // It did not arrive: Twilio is the next one again.
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        assert_eq!(two.requests().await, (2, 2));
        // A new code begins anew.
        server.advance(700);
        server.signup(PHONE).await.assert_ok();
        assert_eq!(two.requests().await, (3, 2));
    }

    async fn a_resend_does_not_go_around_a_stop(server: TestServer) {
        for code in [21610, 60410, 21614] {
            let two = Two::new(rejected(400, code), taken()).await;
            let server = two.server(&server, &[]).await;
            for requests in 1..=2 {
                server.signup(PHONE).await.assert_error(400, "phone_unreachable");
                assert_eq!(two.requests().await, (requests, 0), "{code}");
            }
            again(&server).await;
        }
    }

    async fn after_an_unknown_outcome_only_the_user_can_ask_for_another_message(server: TestServer) {
        let two = Two::new(rejected(500, 20500), taken()).await;
        let server = two.server(&server, &[]).await;
        unavailable(&server.signup(PHONE).await);
        assert_eq!(two.requests().await.1, 0);
        server.advance(1);
        server.signup(PHONE).await.assert_ok();
        assert_eq!(two.requests().await.1, 1);
        assert_eq!(two.webhooks_code().await, two.twilios_code().await);
    }

    async fn a_user_who_changes_the_phone_is_told_by_the_next_provider(server: TestServer) {
        let user = server.sign_in(PHONE).await;
        server.advance(30);
        let two = Two::new(rejected(401, 20003), taken()).await;
        let other = two.server(&server, &[]).await;
        let phone = "+919876543210";
        let post = async |path, body| {
            let answer = other.send_as(&user.access, Method::POST, path, body).await;
            answer.assert_ok();
        };
        post("/api/auth/change-phone", json!({ "phone_number": phone })).await;
        let code = two.webhooks_code().await;
        post("/api/auth/verify-change-phone", json!({ "phone_number": phone, "otp_code": code })).await;
        crate::support::wait_until("both numbers got a message", async || two.requests().await.1 == 2).await;
        let notice: Value = two.webhook.received_requests().await.unwrap()[1].body_json().unwrap();
        assert_eq!((notice["phone"].as_str(), notice.get("sms")), (Some(PHONE), None));
    }
}
