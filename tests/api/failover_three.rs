//! Failover between three providers, and what is left of the ten seconds of a request for the later ones.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::{
    failover::{WEBHOOK_SECRET, answer_with, rows, taken},
    provider_status::report_of_webhook,
    sms::{SENDER, SID, TOKEN, rejected},
};
use crate::{
    on_both,
    support::{Answer, Database, PHONE, TestServer, WIDE_LIMITS},
};

/// Twilio first, then Vonage, and then the webhook, each with a stub.
struct Three {
    twilio: MockServer,
    vonage: MockServer,
    webhook: MockServer,
}

fn without_credit() -> ResponseTemplate {
    let body =
        json!({ "type": "https://developer.vonage.com/api-errors#low-balance", "title": "Low balance" });
    ResponseTemplate::new(402).set_body_json(body)
}

impl Three {
    async fn new(twilio_says: ResponseTemplate, vonage_says: ResponseTemplate) -> Self {
        let three = Self {
            twilio: MockServer::start().await,
            vonage: MockServer::start().await,
            webhook: MockServer::start().await,
        };
        answer_with(&three.twilio, twilio_says).await;
        answer_with(&three.vonage, vonage_says).await;
        answer_with(&three.webhook, taken()).await;
        three
    }

    async fn server(&self, server: &TestServer) -> TestServer {
        let (twilio, vonage, webhook) = (self.twilio.uri(), self.vonage.uri(), self.webhook.uri());
        let mut settings = vec![
            ("TWILIO_TEST_MODE", "false"),
            ("SMS_PROVIDERS", "*=twilio,vonage,webhook"),
            ("PUBLIC_BASE_URL", "https://auth.example.com"),
            ("TWILIO_ACCOUNT_SID", SID),
            ("TWILIO_AUTH_TOKEN", TOKEN),
            ("TWILIO_PHONE_NUMBER", SENDER),
            ("TWILIO_API_BASE_URL", &twilio),
            ("VONAGE_API_KEY", "abcd1234"),
            ("VONAGE_API_SECRET", "secret"),
            ("VONAGE_FROM", "Loopin"),
            ("VONAGE_API_BASE_URL", &vonage),
            ("SMS_WEBHOOK_URL", &webhook),
            ("SMS_WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
            ("LIMIT_SENDS_PER_DAY", "1000"),
        ];
        settings.extend(WIDE_LIMITS);
        server.second_server(&settings).await
    }

    /// How many requests each got.
    async fn requests(&self) -> [usize; 3] {
        let count = async |stub: &MockServer| stub.received_requests().await.unwrap().len();
        [count(&self.twilio).await, count(&self.vonage).await, count(&self.webhook).await]
    }

    /// The webhook reports that its last message was lost.
    async fn webhook_loses_it(&self, server: &TestServer) {
        let requests = self.webhook.received_requests().await.unwrap();
        let id = requests.last().unwrap().headers["webhook-id"].to_str().unwrap();
        let answer = report_of_webhook(server, 0, &json!({ "id": id, "status": "undelivered" })).await;
        assert_eq!(answer.status.as_u16(), 204);
    }
}

/// What was charged to these budgets.
async fn charged(server: &TestServer, key: &str) -> i64 {
    server.count(&format!("SELECT CAST(SUM(count) AS BIGINT) FROM budgets WHERE key LIKE '{key}'")).await
}

on_both! {
    async fn the_third_sends_what_two_refuse_and_none_is_asked_twice(server: TestServer) {
        let three = Three::new(rejected(401, 20003), without_credit()).await;
        let server = three.server(&server).await;
        let answer = server.signup(PHONE).await;
        answer.assert_ok();
        assert_eq!(three.requests().await, [1, 1, 1]);
        assert_eq!(rows(&server).await, "1-twilio-failed 2-vonage-failed 3-webhook-queued");
        assert_eq!(server.count("SELECT error_code FROM messages WHERE attempt = 2").await, 1070);
        assert_eq!(charged(&server, "phone/%/sends").await, 1, "the user's budget");
        assert_eq!(charged(&server, "day/%").await, 3, "the cap");
        let text = server.services.metrics.text();
        for next in ["from=\"twilio\",to=\"vonage\"", "from=\"vonage\",to=\"webhook\""] {
            let next = format!("{next},reason=\"rejected\"");
            assert!(text.contains(&format!("loopin_next_providers_total{{{next}}} 1")), "{text}");
        }
        three.webhook_loses_it(&server).await;
        assert_eq!(three.requests().await, [1, 1, 1], "no provider is left");
        assert_eq!(server.delivery(&answer).await.text_at("/status"), "undelivered");
        // A resend begins with the provider after the webhook, which is the first one again.
        answer_with(&three.vonage, ResponseTemplate::new(202)).await;
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        assert_eq!(three.requests().await, [2, 1, 1]);
    }

    async fn the_second_one_may_have_sent_it_and_the_third_is_not_asked(server: TestServer) {
        // An answer that was cut or is empty may have been Vonage's.
        for (vonage_says, tries) in [(ResponseTemplate::new(500), 3), (ResponseTemplate::new(200), 1)] {
            let three = Three::new(rejected(401, 20003), vonage_says).await;
            let server = three.server(&server).await;
            server.signup(PHONE).await.assert_error(503, "sms_unavailable");
            assert_eq!(three.requests().await, [1, tries, 0]);
            assert_eq!(rows(&server).await, "1-twilio-failed 2-vonage-unknown");
            assert_eq!(charged(&server, "day/%").await, 2, "it may have cost something");
            server.execute("DELETE FROM messages").await;
            server.execute("DELETE FROM challenges").await;
            server.execute("DELETE FROM budgets").await;
        }
    }

    async fn the_shortest_wait_of_three_is_named_and_nothing_is_charged(server: TestServer) {
        let busy = |seconds: &str| ResponseTemplate::new(429).insert_header("Retry-After", seconds);
        let three = Three::new(busy("40"), busy("30")).await;
        answer_with(&three.webhook, busy("50")).await;
        let server = three.server(&server).await;
        let answer = server.signup(PHONE).await;
        answer.assert_error(503, "sms_unavailable");
        assert_eq!(answer.headers["retry-after"], "30");
        assert_eq!(three.requests().await, [1, 1, 1]);
        assert_eq!((charged(&server, "day/%").await, charged(&server, "phone/%/sends").await), (0, 0));
    }
}

/// A server of its own, whose Twilio gives this answer after so many seconds. The answer, how long it took and who was asked.
async fn slow(says: ResponseTemplate, seconds: u64) -> (Answer, Duration, [usize; 3], String) {
    let server = TestServer::on(Database::Sqlite).await;
    let three = Three::new(says.set_delay(Duration::from_secs(seconds)), without_credit()).await;
    let server = three.server(&server).await;
    let began = Instant::now();
    let answer = server.signup(PHONE).await;
    (answer, began.elapsed(), three.requests().await, rows(&server).await)
}

/// In real time, because connections are real: ten seconds, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_providers_get_what_is_left_of_ten_seconds() {
    let busy = || ResponseTemplate::new(429);
    let (hangs, too_late, in_time) = tokio::join!(slow(taken(), 60), slow(busy(), 9), slow(busy(), 4));

    let (answer, took, asked, rows) = hangs;
    answer.assert_error(503, "sms_unavailable");
    assert!((10..14).contains(&took.as_secs()), "{took:?}");
    assert_eq!((asked, rows.as_str()), ([1, 0, 0], "1-twilio-unknown"), "it may have sent the code");

    // One second is too little for a provider. Nothing was sent, and the answer says when to come back.
    let (answer, took, asked, rows) = too_late;
    answer.assert_error(503, "sms_unavailable");
    assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
    assert!((9..14).contains(&took.as_secs()), "{took:?}");
    assert_eq!((asked, rows.as_str()), ([1, 0, 0], "1-twilio-failed 2-vonage-failed 3-webhook-failed"));

    let (answer, took, asked, rows) = in_time;
    answer.assert_ok();
    assert!((4..9).contains(&took.as_secs()), "{took:?}");
    assert_eq!((asked, rows.as_str()), ([1, 1, 1], "1-twilio-failed 2-vonage-failed 3-webhook-queued"));
}

on_both! {
    /// The first try may have sent the code, so the refusal of the second one does not let another channel follow.
    async fn a_refusal_of_the_number_after_a_fault_is_followed_by_nothing(server: TestServer) {
        let three = Three::new(rejected(500, 20500), taken()).await;
        three.twilio.reset().await;
        Mock::given(any()).respond_with(rejected(500, 20500)).up_to_n_times(1).mount(&three.twilio).await;
        Mock::given(any()).respond_with(rejected(400, 21614)).mount(&three.twilio).await;
        let server = three.server(&server).await;
        let server = server
            .second_server(&[
                ("SMS_PROVIDERS", "*=twilio,webhook"),
                ("OTP_CHANNELS", "sms,whatsapp"),
                ("OTP_CHANNEL_ORDER", "IN=sms,whatsapp"),
                ("TWILIO_WHATSAPP_SENDER", SENDER),
                ("TWILIO_WHATSAPP_CONTENT_SID", "HX0123456789abcdef0123456789abcdef"),
            ])
            .await;
        let answer = server.signup(PHONE).await;
        answer.assert_error(400, "phone_unreachable");
        assert_eq!(answer.at("/error/reason"), json!("not_mobile"));
        assert_eq!(three.requests().await, [2, 0, 0]);
        assert_eq!(rows(&server).await, "1-twilio-failed");
    }
}
