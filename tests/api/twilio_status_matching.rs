//! Reports that arrive before the server knows the id of the message: which message they belong to.

use serde_json::json;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, path_regex},
};

use super::sms::{accepted, first_request, sent_to, set_answer};
use crate::{
    on_both,
    support::{OTHER_PHONE, PHONE},
    twilio_status::{MESSAGE, report, status, with_twilio},
};

on_both! {
    async fn a_report_that_overtakes_the_answer_finds_its_message(server: TestServer) {
        let stub = MockServer::start().await;
        let slow = accepted().set_delay(std::time::Duration::from_millis(700));
        Mock::given(any()).respond_with(slow).mount(&stub).await;
        let other = with_twilio(&server, &stub, &[]).await;
        let signing_up = other.signup(PHONE);
        let reporting = async {
            first_request(&stub).await;
            report(&other, MESSAGE, "sent", &[("To", PHONE)]).await;
            assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'sent'").await, 1);
        };
        let (answer, ()) = tokio::join!(signing_up, reporting);
        answer.assert_ok();
        // The answer of Twilio does not replace the later status, but adds the SID.
        assert_eq!(status(&other, &answer).await, "sent");
        report(&other, MESSAGE, "delivered", &[("To", PHONE)]).await;
        assert_eq!(status(&other, &answer).await, "delivered");
        let named = format!("SELECT COUNT(*) FROM messages WHERE provider_id = '{MESSAGE}' AND queued_at IS NOT NULL");
        assert_eq!(server.count(&named).await, 1);
    }

    async fn a_report_tells_what_became_of_a_message_whose_answer_was_lost(server: TestServer) {
        let stub = MockServer::start().await;
        set_answer(&stub, ResponseTemplate::new(500)).await;
        let other = with_twilio(&server, &stub, &[("RATE_LIMITS_ENABLED", "false")]).await;
        other.signup(PHONE).await.assert_error(503, "sms_unavailable");
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'unknown'").await, 1);
        // Reports about another phone or another channel do not match.
        report(&other, MESSAGE, "delivered", &[("To", OTHER_PHONE)]).await;
        report(&other, MESSAGE, "delivered", &[("To", &format!("whatsapp:{PHONE}"))]).await;
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'unknown'").await, 1);
        report(&other, MESSAGE, "delivered", &[("To", PHONE)]).await;
        let known = format!("SELECT COUNT(*) FROM messages WHERE status = 'delivered' AND provider_id = '{MESSAGE}'");
        assert_eq!(server.count(&known).await, 1);
        // With two messages without a SID, it is unknown which one the report is about.
        for _ in 0..2 {
            other.signup(OTHER_PHONE).await.assert_error(503, "sms_unavailable");
        }
        report(&other, "SM00000000000000000000000000000009", "delivered", &[("To", OTHER_PHONE)]).await;
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'unknown'").await, 2);
    }

    async fn a_report_of_an_earlier_message_is_not_taken_for_one_of_the_next(server: TestServer) {
        let stub = MockServer::start().await;
        let failed = json!({"sid": MESSAGE, "status": "failed", "error_code": 30005});
        set_answer(&stub, ResponseTemplate::new(201).set_body_json(failed)).await;
        let settings = [("OTP_CHANNELS", "sms,call"), ("OTP_FALLBACK", "call")];
        let server = with_twilio(&server, &stub, &settings).await;
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
        // The user requests another code, and the report of the first message arrives before Twilio's answer.
        stub.reset().await;
        let taken = json!({"sid": "SM00000000000000000000000000000002", "status": "queued"});
        let slow = std::time::Duration::from_millis(700);
        Mock::given(any())
            .respond_with(ResponseTemplate::new(201).set_delay(slow).set_body_json(taken))
            .mount(&stub)
            .await;
        let reporting = async {
            first_request(&stub).await;
            report(&server, MESSAGE, "failed", &[("To", PHONE), ("ErrorCode", "30005")]).await;
        };
        let (answer, ()) = tokio::join!(server.signup(PHONE), reporting);
        answer.assert_ok();
        assert_eq!(status(&server, &answer).await, "queued");
        assert_eq!(sent_to(&stub).await.len(), 1, "no call follows");
        report(&server, "SM00000000000000000000000000000002", "delivered", &[("To", PHONE)]).await;
        assert_eq!(status(&server, &answer).await, "delivered");
    }

    async fn a_message_whose_answer_could_not_be_read_gets_its_reports(server: TestServer) {
        let stub = MockServer::start().await;
        set_answer(&stub, ResponseTemplate::new(201).set_body_string("<html>")).await;
        let settings = [("OTP_CHANNELS", "sms,call"), ("OTP_FALLBACK", "call")];
        let server = with_twilio(&server, &stub, &settings).await;
        let answer = server.signup(PHONE).await;
        assert_eq!(status(&server, answer.assert_ok()).await, "queued");
        let call = json!({"sid": "CA00000000000000000000000000000001", "status": "queued"});
        Mock::given(path_regex("/Calls.json$"))
            .respond_with(ResponseTemplate::new(201).set_body_json(call))
            .mount(&stub)
            .await;
        report(&server, MESSAGE, "undelivered", &[("To", PHONE), ("ErrorCode", "30006")]).await;
        let now = server.delivery(&answer).await;
        assert_eq!((now.text_at("/channel"), now.text_at("/status")), ("call".into(), "queued".into()));
    }
}
