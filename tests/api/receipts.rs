//! What the provider confirmed is written a moment later: reports, reads and fallbacks in between, and servers that end before.

use std::{sync::Arc, time::Duration};

use loopin_auth::flows::receipt_writer;
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::sms::{accepted, first_request, rejected, sent_to, set_answer};
use crate::{
    on_both,
    support::{Answer, PHONE, TestServer},
    twilio_status::{MESSAGE, report, report_to, status, with_twilio},
};

const PENDING: &str = "SELECT COUNT(*) FROM messages WHERE status = 'pending'";
const CALLS: [(&str, &str); 2] = [("OTP_CHANNELS", "sms,call"), ("OTP_FALLBACK", "call")];
const OTHER_ID: &str = "SM00000000000000000000000000000002";
const ENOUGH: Duration = Duration::from_secs(30);

/// A server, and the answer to a sign-up whose message was accepted, which is not written yet.
async fn signed_up(
    server: &TestServer,
    stub: &MockServer,
    settings: &[(&str, &str)],
) -> (TestServer, Answer) {
    set_answer(stub, accepted()).await;
    let server = with_twilio(server, stub, settings).await;
    let answer = server.signup(PHONE).await;
    answer.assert_ok();
    assert_eq!(server.count_unsettled(PENDING).await, 1);
    assert_eq!(server.services.receipts.waiting(), 1);
    (server, answer)
}

/// The address for reports that came with the message.
async fn address(stub: &MockServer) -> String {
    sent_to(stub).await[0]["StatusCallback"].clone()
}

/// Writes what is queued, as the server does at SIGTERM.
async fn finish(server: &TestServer) {
    receipt_writer::finish(&Arc::clone(&server.services), ENOUGH).await;
}

on_both! {
    async fn a_read_in_the_same_process_sees_what_is_not_written_yet(server: TestServer) {
        let stub = MockServer::start().await;
        let (one, answer) = signed_up(&server, &stub, &[]).await;
        let other = with_twilio(&server, &stub, &[]).await;
        // Another process reads the row, which says the same to a client.
        assert_eq!(status(&other, &answer).await, "queued");
        assert_eq!(server.count_unsettled(PENDING).await, 1);
        assert_eq!(status(&one, &answer).await, "queued");
        let written = format!(
            "SELECT COUNT(*) FROM messages WHERE status = 'queued' AND provider_id = '{MESSAGE}' AND queued_at = updated_at"
        );
        assert_eq!(server.count_unsettled(&written).await, 1);
    }

    async fn a_report_that_comes_first_finds_its_message_and_is_not_overwritten(server: TestServer) {
        let stub = MockServer::start().await;
        let (one, answer) = signed_up(&server, &stub, &[]).await;
        let (other, address) = (with_twilio(&server, &stub, &[]).await, address(&stub).await);
        // The recipient is not named, and the id is not stored: only the address says which message it is.
        other.advance(5);
        report_to(&other, &address, MESSAGE, "delivered", &[("Price", "-0.0075"), ("PriceUnit", "USD")]).await;
        let before = other.delivery(&answer).await;
        assert_eq!(before.text_at("/status"), "delivered");
        finish(&one).await;
        assert_eq!(other.delivery(&answer).await.json(), before.json());
        let both = format!(
            "SELECT COUNT(*) FROM messages WHERE status = 'delivered' AND provider_id = '{MESSAGE}' \
             AND price = '-0.0075' AND queued_at < delivered_at AND updated_at = delivered_at"
        );
        assert_eq!(server.count(&both).await, 1);
    }

    async fn reports_about_two_messages_to_one_phone_find_their_own(server: TestServer) {
        let stub = MockServer::start().await;
        set_answer(&stub, ResponseTemplate::new(500)).await;
        let server = with_twilio(&server, &stub, &[("RATE_LIMITS_ENABLED", "false")]).await;
        for _ in 0..2 {
            server.signup(PHONE).await.assert_error(503, "sms_unavailable");
        }
        let sent = sent_to(&stub).await;
        let addresses = [&sent[0]["StatusCallback"], &sent[sent.len() - 1]["StatusCallback"]];
        assert_ne!(addresses[0], addresses[1]);
        report_to(&server, addresses[1], OTHER_ID, "delivered", &[("To", PHONE)]).await;
        report_to(&server, addresses[0], MESSAGE, "undelivered", &[("To", PHONE)]).await;
        for (id, status) in [(MESSAGE, "undelivered"), (OTHER_ID, "delivered")] {
            let known = format!("SELECT COUNT(*) FROM messages WHERE provider_id = '{id}' AND status = '{status}'");
            assert_eq!(server.count(&known).await, 1, "{id}");
        }
    }

    async fn a_report_with_another_id_than_the_message_has_changes_nothing(server: TestServer) {
        let stub = MockServer::start().await;
        let (server, answer) = signed_up(&server, &stub, &CALLS).await;
        let address = address(&stub).await;
        report_to(&server, &address, OTHER_ID, "failed", &[("To", PHONE)]).await;
        assert_eq!(status(&server, &answer).await, "queued");
        for wrong in [address.replace("attempt=1", "attempt=2"), format!("{}0", &address[..address.len() - 12])] {
            report_to(&server, &wrong, OTHER_ID, "failed", &[]).await;
        }
        assert_eq!(status(&server, &answer).await, "queued");
        assert_eq!(sent_to(&stub).await.len(), 1);
    }

    async fn a_lost_message_is_followed_at_once_in_the_process_that_sent_it(server: TestServer) {
        let stub = MockServer::start().await;
        for is_named in [true, false] {
            let (one, answer) = signed_up(&server, &stub, &CALLS).await;
            let lost = [("ErrorCode", "30003"), ("To", PHONE)];
            if is_named {
                report_to(&one, &address(&stub).await, MESSAGE, "undelivered", &lost).await;
            } else {
                report(&one, MESSAGE, "undelivered", &lost).await;
            }
            assert_eq!(sent_to(&stub).await.len(), 2, "a call follows");
            assert_eq!(one.delivery(&answer).await.text_at("/channel"), "call");
            server.execute("DELETE FROM messages").await;
            server.advance(3600);
        }
    }

    async fn a_lost_message_is_followed_once_if_another_server_hears_of_it_first(server: TestServer) {
        let stub = MockServer::start().await;
        let (one, answer) = signed_up(&server, &stub, &CALLS).await;
        let (other, address) = (with_twilio(&server, &stub, &CALLS).await, address(&stub).await);
        report_to(&other, &address, MESSAGE, "undelivered", &[("ErrorCode", "30003")]).await;
        // The other server cannot know whether the request was refused.
        assert_eq!(sent_to(&stub).await.len(), 1);
        finish(&one).await;
        assert_eq!(sent_to(&stub).await.len(), 2);
        assert_eq!(one.delivery(&answer).await.text_at("/channel"), "call");
        for server in [&one, &other] {
            report_to(server, &address, MESSAGE, "failed", &[("ErrorCode", "30003")]).await;
            finish(server).await;
        }
        assert_eq!(sent_to(&stub).await.len(), 2);
    }

    async fn who_opted_out_is_not_called_afterwards_either(server: TestServer) {
        let stub = MockServer::start().await;
        let (one, _) = signed_up(&server, &stub, &CALLS).await;
        let (other, address) = (with_twilio(&server, &stub, &CALLS).await, address(&stub).await);
        report_to(&other, &address, MESSAGE, "undelivered", &[("ErrorCode", "21610")]).await;
        finish(&one).await;
        assert_eq!(sent_to(&stub).await.len(), 1);
    }

    async fn a_report_that_overtakes_the_answer_is_followed_when_the_message_was_accepted(server: TestServer) {
        let stub = MockServer::start().await;
        let slow = accepted().set_delay(Duration::from_millis(700));
        Mock::given(any()).respond_with(slow).mount(&stub).await;
        let server = with_twilio(&server, &stub, &CALLS).await;
        let reporting = async {
            first_request(&stub).await;
            report_to(&server, &address(&stub).await, MESSAGE, "failed", &[("ErrorCode", "30005")]).await;
            assert_eq!(sent_to(&stub).await.len(), 1);
        };
        let (answer, ()) = tokio::join!(server.signup(PHONE), reporting);
        answer.assert_ok();
        stub.reset().await;
        let call = json!({"sid": "CA00000000000000000000000000000001", "status": "queued"});
        Mock::given(any()).respond_with(ResponseTemplate::new(201).set_body_json(call)).mount(&stub).await;
        finish(&server).await;
        assert!(sent_to(&stub).await[0].contains_key("Twiml"));
        assert_eq!(status(&server, &answer).await, "queued");
    }

    async fn what_a_killed_server_had_not_written_is_found_by_its_reports(server: TestServer) {
        let stub = MockServer::start().await;
        let (killed, answer) = signed_up(&server, &stub, &CALLS).await;
        drop(killed);
        let (other, address) = (with_twilio(&server, &stub, &CALLS).await, address(&stub).await);
        assert_eq!(status(&other, &answer).await, "queued");
        assert_eq!(server.count(PENDING).await, 1);
        other.advance(61);
        report_to(&other, &address, MESSAGE, "undelivered", &[("ErrorCode", "30003")]).await;
        assert_eq!(sent_to(&stub).await.len(), 2, "the request waits for nothing any more, so a call follows");
        assert_eq!(other.delivery(&answer).await.text_at("/channel"), "call");
        let named = format!("SELECT COUNT(*) FROM messages WHERE provider_id = '{MESSAGE}' AND status = 'undelivered'");
        assert_eq!(server.count(&named).await, 1);
    }

    async fn a_refusal_is_written_before_the_answer(server: TestServer) {
        let stub = MockServer::start().await;
        let server = with_twilio(&server, &stub, &[]).await;
        for (template, written) in [
            (rejected(400, 21614), "failed"),
            (ResponseTemplate::new(500), "unknown"),
            (ResponseTemplate::new(201).set_body_string("<html>"), "queued"),
        ] {
            set_answer(&stub, template).await;
            server.signup(PHONE).await;
            let sql = format!("SELECT COUNT(*) FROM messages WHERE status = '{written}'");
            assert_eq!(server.count_unsettled(&sql).await, 1, "{written}");
            assert_eq!(server.services.receipts.waiting(), 0);
            server.execute("DELETE FROM messages").await;
            server.advance(60);
        }
    }

    async fn the_timeline_of_test_mode_is_written_with_the_rest(server: TestServer) {
        let answer = server.signup(PHONE).await;
        server.play(1).await;
        assert_eq!(server.count_unsettled(PENDING).await, 1);
        assert_eq!(server.services.receipts.waiting(), 3);
        assert_eq!(status(&server, &answer).await, "delivered");
        let whole = "SELECT COUNT(*) FROM messages WHERE queued_at IS NOT NULL AND sent_at IS NOT NULL \
                     AND delivered_at IS NOT NULL AND status = 'delivered'";
        assert_eq!(server.count_unsettled(whole).await, 1);
    }
}
