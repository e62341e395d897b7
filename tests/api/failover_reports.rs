//! What follows a message that a report calls lost, where a country has two providers: the next provider, and then the next channel.

use futures_util::future::join_all;
use serde_json::{Value, json};
use wiremock::{Mock, ResponseTemplate, matchers::any};

use super::{
    failover::{Two, answer_with, rows, taken},
    provider_status::report_of_webhook,
    sms::{SENDER, accepted, first_request, rejected, sent_to},
    twilio_status::{MESSAGE, report_to},
};
use crate::{
    on_both,
    support::{PHONE, TestServer},
};

const WHATSAPP: [(&str, &str); 4] = [
    ("OTP_CHANNELS", "sms,whatsapp"),
    ("OTP_FALLBACK", "whatsapp"),
    ("TWILIO_WHATSAPP_SENDER", SENDER),
    ("TWILIO_WHATSAPP_CONTENT_SID", "HX0123456789abcdef0123456789abcdef"),
];

/// The address for reports about the first message to Twilio.
async fn address(two: &Two) -> String {
    sent_to(&two.twilio).await[0]["StatusCallback"].clone()
}

/// Twilio reports that its message was lost.
async fn lost(server: &TestServer, address: &str, status: &str, code: &str) {
    report_to(server, address, MESSAGE, status, &[("ErrorCode", code), ("To", PHONE)]).await;
}

/// The webhook reports about the last message to it.
async fn webhook_reports(server: &TestServer, two: &Two, report: Value) {
    let requests = two.webhook.received_requests().await.unwrap();
    let id = requests.last().unwrap().headers["webhook-id"].to_str().unwrap().to_owned();
    let Value::Object(mut body) = report else { panic!("an object") };
    body.insert("id".to_owned(), json!(id));
    let answer = report_of_webhook(server, 0, &Value::Object(body)).await;
    assert_eq!(answer.status.as_u16(), 204);
}

on_both! {
    async fn the_next_provider_follows_and_then_the_next_channel(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        let server = two.server(&server, &WHATSAPP).await;
        let answer = server.signup(PHONE).await;
        lost(&server, &address(&two).await, "undelivered", "30003").await;
        assert_eq!(two.requests().await, (1, 1));
        let code = two.webhooks_code().await;
        let now = server.delivery(&answer).await;
        assert_eq!((now.text_at("/channel"), now.text_at("/status")), ("sms".into(), "queued".into()));
        // The second provider loses it too. Twilio was tried by SMS, and is the first by WhatsApp.
        webhook_reports(&server, &two, json!({ "status": "undelivered", "error": "no route to +916205829376" })).await;
        assert_eq!(two.requests().await, (2, 1));
        assert_eq!(server.delivery(&answer).await.text_at("/channel"), "whatsapp");
        assert_eq!(server.text("SELECT error_text FROM messages WHERE attempt = 2").await, "no route to …");
        let tried = "SELECT COUNT(*) FROM audit WHERE action = 'code_sent'";
        server.services.audit.flush().await.unwrap();
        assert_eq!(server.count(tried).await, 3);
        assert_eq!(server.count("SELECT count FROM budgets WHERE key LIKE 'prefix/%'").await, 3);
        assert_eq!(server.count("SELECT count FROM budgets WHERE key LIKE 'phone/%/sends'").await, 1);
        server.verify_otp(PHONE, &code).await.assert_ok();
    }

    async fn reports_at_once_to_two_servers_send_one_message(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        let (one, other) = (two.server(&server, &WHATSAPP).await, two.server(&server, &WHATSAPP).await);
        let answer = one.signup(PHONE).await;
        answer.assert_ok();
        // The other server learns that the message was accepted.
        one.settle().await;
        let address = address(&two).await;
        let reports = (0..60).map(|number| {
            let server = if number % 2 == 0 { &one } else { &other };
            lost(server, &address, if number % 3 == 0 { "failed" } else { "undelivered" }, "30008")
        });
        join_all(reports).await;
        for server in [&one, &other] {
            assert_eq!(server.delivery(&answer).await.text_at("/status"), "queued");
        }
        assert_eq!(two.requests().await, (1, 1));
        let reports = (0..60).map(|number| {
            let server = if number % 2 == 0 { &one } else { &other };
            webhook_reports(server, &two, json!({ "status": "undelivered" }))
        });
        join_all(reports).await;
        assert_eq!(two.requests().await, (2, 1), "WhatsApp, once");
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 3);
        assert_eq!(server.count("SELECT count FROM budgets WHERE key LIKE 'prefix/%'").await, 3);
    }

    async fn a_server_that_did_not_send_it_leaves_it_to_the_one_that_did(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        let (one, other) = (two.server(&server, &[]).await, two.server(&server, &[]).await);
        one.signup(PHONE).await.assert_ok();
        lost(&other, &address(&two).await, "undelivered", "30008").await;
        assert_eq!(two.requests().await, (1, 0), "the request may have been refused, and have another provider");
        loopin_auth::flows::receipt_writer::finish(&one.services, std::time::Duration::from_secs(9)).await;
        assert_eq!(two.requests().await, (1, 1));
    }

    async fn what_is_refused_while_a_report_calls_it_lost_goes_on_once(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        let failed = json!({"sid": MESSAGE, "status": "failed", "error_code": 30002});
        let slow = std::time::Duration::from_millis(700);
        answer_with(&two.twilio, ResponseTemplate::new(201).set_delay(slow).set_body_json(failed)).await;
        let server = two.server(&server, &[]).await;
        let reporting = async {
            first_request(&two.twilio).await;
            lost(&server, &address(&two).await, "failed", "30002").await;
        };
        let (answer, ()) = tokio::join!(server.signup(PHONE), reporting);
        answer.assert_ok();
        assert_eq!(two.requests().await, (1, 1));
        assert_eq!(rows(&server).await, "1-twilio-failed 2-webhook-queued");
        lost(&server, &address(&two).await, "undelivered", "30008").await;
        assert_eq!(two.requests().await, (1, 1));
    }

    async fn nothing_follows_where_nothing_may(server: TestServer) {
        for (code, followed) in [
            ("21610", (1, 0)),
            ("30450", (1, 0)),
            // A landline: another channel may reach it, and another provider by SMS does not.
            ("30006", (2, 0)),
            // Our sender or our text: the next provider has others.
            ("30007", (1, 1)),
        ] {
            let two = Two::new(accepted(), taken()).await;
            let server = two.server(&server, &WHATSAPP).await;
            server.signup(PHONE).await.assert_ok();
            lost(&server, &address(&two).await, "undelivered", code).await;
            assert_eq!(two.requests().await, followed, "{code}");
            server.execute("DELETE FROM messages").await;
            server.advance(3_600);
        }
    }

    async fn after_an_unknown_outcome_a_report_sends_nothing(server: TestServer) {
        let two = Two::new(ResponseTemplate::new(500), taken()).await;
        let server = two.server(&server, &WHATSAPP).await;
        server.signup(PHONE).await.assert_error(503, "sms_unavailable");
        let before = two.requests().await;
        lost(&server, &address(&two).await, "undelivered", "30003").await;
        server.advance(61);
        lost(&server, &address(&two).await, "failed", "30003").await;
        assert_eq!(two.requests().await, before);
    }

    async fn a_code_that_ends_within_two_minutes_is_not_sent_again(server: TestServer) {
        for (seconds, webhook) in [(481, 0), (480, 1)] {
            let two = Two::new(accepted(), taken()).await;
            let server = two.server(&server, &[]).await;
            server.signup(PHONE).await.assert_ok();
            server.advance(seconds);
            lost(&server, &address(&two).await, "undelivered", "30003").await;
            assert_eq!(two.requests().await, (1, webhook), "{seconds}");
            server.advance(3_600);
        }
    }

    async fn a_provider_is_tried_once_for_a_request(server: TestServer) {
        let two = Two::new(accepted(), taken()).await;
        answer_with(&two.twilio, rejected(401, 20003)).await;
        let server = two.server(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        assert_eq!(two.requests().await, (1, 1));
        answer_with(&two.twilio, accepted()).await;
        webhook_reports(&server, &two, json!({ "status": "undelivered" })).await;
        assert_eq!(two.requests().await, (0, 1), "Twilio has refused this code");
        // The user asks again.
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        assert_eq!(two.requests().await, (1, 1));
    }

    async fn a_provider_that_refuses_what_follows_is_followed_too(server: TestServer) {
        let two = Two::new(accepted(), ResponseTemplate::new(429)).await;
        let server = two.server(&server, &WHATSAPP).await;
        let answer = server.signup(PHONE).await;
        let address = address(&two).await;
        lost(&server, &address, "undelivered", "30008").await;
        assert_eq!(two.requests().await, (2, 1));
        assert_eq!(server.delivery(&answer).await.text_at("/channel"), "whatsapp");
        // Where none is left, everything that was charged for it is returned.
        server.advance(3_600);
        two.twilio.reset().await;
        Mock::given(any()).respond_with(accepted()).up_to_n_times(1).mount(&two.twilio).await;
        Mock::given(any()).respond_with(ResponseTemplate::new(401)).mount(&two.twilio).await;
        let of_prefix = "SELECT count FROM budgets WHERE key LIKE 'prefix/%'";
        let before = server.count(of_prefix).await;
        server.signup(PHONE).await.assert_ok();
        let address = sent_to(&two.twilio).await[0]["StatusCallback"].clone();
        lost(&server, &address, "undelivered", "30008").await;
        assert_eq!(server.count(of_prefix).await, before + 1);
    }
}
