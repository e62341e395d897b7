//! `POST /api/vonage/status`, `/api/msg91/status/{secret}` and `/api/webhook/status`: sending by each of these providers, their
//! reports, and reports that are forged, old, repeated, or about a message of another provider.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use poem::http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::{
    sms::{accepted as accepted_by_twilio, server_that_sends_to, set_answer},
    twilio_status::status,
};
use crate::{
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS},
};

const PUBLIC: &str = "https://auth.example.com";
const VONAGE_ID: &str = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab";
const SIGNATURE_SECRET: &str = "the signature secret of the tests, of a good length";
const MSG91_ID: &str = "346d6b6b6d35373132343130";
const STATUS_SECRET: &str = "0123456789abcdef0123456789abcdef";
const WEBHOOK_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A stub that gives every request this answer.
async fn stub(answer: ResponseTemplate) -> MockServer {
    let stub = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&stub).await;
    stub
}

/// A server that sends by these providers, with all of their settings.
async fn sending_by(server: &TestServer, list: &str, stub: &MockServer) -> TestServer {
    let (uri, secret) = (stub.uri(), format!("whsec_{WEBHOOK_SECRET}"));
    let mut settings = vec![
        ("TWILIO_TEST_MODE", "false"),
        ("SMS_PROVIDERS", list),
        ("PUBLIC_BASE_URL", PUBLIC),
        ("VONAGE_API_KEY", "abcd1234"),
        ("VONAGE_API_SECRET", "secret"),
        ("VONAGE_SIGNATURE_SECRET", SIGNATURE_SECRET),
        ("VONAGE_FROM", "Loopin"),
        ("VONAGE_API_BASE_URL", &uri),
        ("MSG91_AUTH_KEY", "key"),
        ("MSG91_TEMPLATE_ID", "template"),
        ("MSG91_STATUS_SECRET", STATUS_SECRET),
        ("MSG91_API_BASE_URL", &uri),
        ("SMS_WEBHOOK_URL", &uri),
        ("SMS_WEBHOOK_SECRET", &secret),
        ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
    ];
    settings.extend(WIDE_LIMITS);
    server.second_server(&settings).await
}

fn vonage_accepts() -> ResponseTemplate {
    ResponseTemplate::new(202).set_body_json(json!({ "message_uuid": VONAGE_ID }))
}

fn msg91_accepts() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "type": "success", "message": MSG91_ID }))
}

async fn last_request(stub: &MockServer) -> Value {
    stub.received_requests().await.unwrap().last().unwrap().body_json().unwrap()
}

async fn report_of_vonage(server: &TestServer, seconds: i64, body: &Value) -> Answer {
    let body = body.to_string();
    let hash = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let claims = json!({ "iat": server.now().timestamp() + seconds, "payload_hash": hash });
    let key = EncodingKey::from_secret(SIGNATURE_SECRET.as_bytes());
    let bearer = format!("Bearer {}", encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap());
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    server.send(Method::POST, "/api/vonage/status", &headers, Some(body)).await
}

async fn report_of_msg91(server: &TestServer, secret: &str, body: &Value) -> Answer {
    let path = format!("/api/msg91/status/{secret}");
    let headers = [("content-type", "application/json")];
    server.send(Method::POST, &path, &headers, Some(body.to_string())).await
}

pub(crate) async fn report_of_webhook(server: &TestServer, seconds: i64, body: &Value) -> Answer {
    let (body, timestamp) = (body.to_string(), (server.now().timestamp() + seconds).to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(WEBHOOK_SECRET).unwrap()).unwrap();
    mac.update(format!("msg_1.{timestamp}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let headers = [
        ("content-type", "application/json"),
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", timestamp.as_str()),
        ("webhook-signature", signature.as_str()),
    ];
    server.send(Method::POST, "/api/webhook/status", &headers, Some(body)).await
}

fn assert_taken(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
}

on_both! {
    async fn vonage_sends_and_reports(server: TestServer) {
        let stub = stub(vonage_accepts()).await;
        let server = sending_by(&server, "*=vonage", &stub).await;
        let answer = server.signup(PHONE).await;
        let sent = last_request(&stub).await;
        assert_eq!(sent["webhook_url"], format!("{PUBLIC}/api/vonage/status"));
        assert_eq!(server.text("SELECT provider FROM messages").await, "vonage");
        let report = |status: &str| json!({
            "message_uuid": VONAGE_ID, "client_ref": sent["client_ref"], "status": status, "channel": "sms",
            "error": { "type": "https://developer.vonage.com/api-errors/messages#1240" },
        });
        report_of_vonage(&server, -301, &report("rejected")).await.assert_error(403, "forbidden");
        assert_eq!(status(&server, &answer).await, "queued", "an old report changes nothing");
        assert_taken(&report_of_vonage(&server, 0, &report("submitted")).await);
        assert_eq!(status(&server, &answer).await, "sent");
        assert_taken(&report_of_vonage(&server, 0, &report("rejected")).await);
        let failed = server.delivery(&answer).await;
        assert_eq!((failed.text_at("/status"), failed.text_at("/reason")), ("undelivered".into(), "opted_out".into()));
        // A repeated report changes nothing.
        server.advance(5);
        assert_taken(&report_of_vonage(&server, 0, &report("rejected")).await);
        assert_taken(&report_of_vonage(&server, 0, &report("submitted")).await);
        assert_eq!(server.delivery(&answer).await.json(), failed.json());
    }

    async fn a_report_of_vonage_finds_its_message_when_the_answer_was_lost(server: TestServer) {
        let stub = stub(ResponseTemplate::new(202)).await;
        let server = sending_by(&server, "*=vonage", &stub).await;
        let answer = server.signup(PHONE).await;
        let reference = last_request(&stub).await["client_ref"].clone();
        let without = json!({ "message_uuid": VONAGE_ID, "status": "delivered", "to": "916205829376" });
        assert_taken(&report_of_vonage(&server, 0, &without).await);
        assert_eq!(status(&server, &answer).await, "queued", "it names no message of ours");
        let body = json!({ "message_uuid": VONAGE_ID, "client_ref": reference, "status": "delivered" });
        assert_taken(&report_of_vonage(&server, 0, &body).await);
        assert_eq!(status(&server, &answer).await, "delivered");
    }

    async fn msg91_sends_and_reports_and_id_and_number_must_match(server: TestServer) {
        let stub = stub(msg91_accepts()).await;
        let server = sending_by(&server, "IN=msg91;*=vonage", &stub).await;
        let answer = server.signup(PHONE).await;
        assert_eq!(server.text("SELECT provider FROM messages").await, "msg91");
        let digits = PHONE.trim_start_matches('+');
        let report = |id: &str, number: &str, status: &str| json!({ "requestId": id, "number": number, "status": status });
        let right = report(MSG91_ID, digits, "1");
        for secret in ["x", &STATUS_SECRET.to_uppercase(), &STATUS_SECRET[1..]] {
            report_of_msg91(&server, secret, &right).await.assert_error(403, "forbidden");
        }
        let other = OTHER_PHONE.trim_start_matches('+');
        for wrong in [report(MSG91_ID, other, "1"), report("346d6b6b6d35373132343131", digits, "1")] {
            assert_taken(&report_of_msg91(&server, STATUS_SECRET, &wrong).await);
        }
        assert_eq!(status(&server, &answer).await, "queued");
        assert_taken(&report_of_msg91(&server, STATUS_SECRET, &right).await);
        assert_eq!(status(&server, &answer).await, "delivered");
        // What was delivered stays so.
        assert_taken(&report_of_msg91(&server, STATUS_SECRET, &report(MSG91_ID, digits, "2")).await);
        assert_eq!(status(&server, &answer).await, "delivered");
    }

    /// One after the other, these would take longer than a request may. The next provider is slow, in real time.
    async fn a_list_of_lost_messages_is_taken_whole_although_the_next_provider_is_slow(server: TestServer) {
        const MANY: usize = 20;
        let stub = MockServer::start().await;
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let answer = move |request: &wiremock::Request| {
            if !request.url.path().starts_with("/api/v5/flow") {
                return ResponseTemplate::new(200).set_delay(std::time::Duration::from_secs(1));
            }
            let number = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            ResponseTemplate::new(200).set_body_json(json!({ "type": "success", "message": format!("id{number}") }))
        };
        Mock::given(any()).respond_with(answer).mount(&stub).await;
        let server = sending_by(&server, "IN=msg91,webhook;*=vonage", &stub).await;
        let phones: Vec<String> = (0..MANY).map(|number| format!("+9198765432{number:02}")).collect();
        for phone in &phones {
            server.signup(phone).await.assert_ok();
        }
        let lost = phones.iter().enumerate().map(|(number, phone)| {
            json!({ "requestId": format!("id{number}"), "number": phone.trim_start_matches('+'), "status": "2" })
        });
        server.settle().await;
        assert_taken(&report_of_msg91(&server, STATUS_SECRET, &lost.collect()).await);
        let many = i64::try_from(MANY).unwrap();
        let undelivered = "SELECT COUNT(*) FROM messages WHERE provider = 'msg91' AND status = 'undelivered'";
        assert_eq!(server.count(undelivered).await, many);
        let followed = "SELECT COUNT(*) FROM messages WHERE provider = 'webhook' AND status = 'queued'";
        crate::support::wait_until("all codes were sent again", async || server.count(followed).await == many).await;
    }

    async fn an_error_of_msg91_is_ours_and_told_by_its_number(server: TestServer) {
        let body = json!({ "type": "error", "message": "Insufficient balance" });
        let stub = stub(ResponseTemplate::new(200).set_body_json(body)).await;
        let server = sending_by(&server, "*=msg91", &stub).await;
        server.signup(PHONE).await.assert_error(502, "sms_rejected");
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'failed' AND error_code = 301").await, 1);
    }

    async fn the_webhook_sends_and_reports(server: TestServer) {
        let stub = stub(ResponseTemplate::new(200).set_body_json(json!({}))).await;
        let server = sending_by(&server, "*=webhook", &stub).await;
        let answer = server.signup(PHONE).await;
        let sent = last_request(&stub).await;
        assert_eq!(sent["phone"], PHONE);
        server.verify_otp(PHONE, sent["sms"]["otp"].as_str().unwrap()).await.assert_ok();
        let id = stub.received_requests().await.unwrap()[0].headers["webhook-id"].to_str().unwrap().to_owned();
        let report = |id: &str, status: &str| json!({ "id": id, "status": status, "reason": "blocked" });
        report_of_webhook(&server, -301, &report(&id, "failed")).await.assert_error(403, "forbidden");
        server.post("/api/webhook/status", report(&id, "failed")).await.assert_error(403, "forbidden");
        assert_taken(&report_of_webhook(&server, 0, &report(&id.replace("-1", "-2"), "failed")).await);
        assert_eq!(status(&server, &answer).await, "queued");
        assert_taken(&report_of_webhook(&server, 0, &report(&id, "delivered")).await);
        assert_eq!(status(&server, &answer).await, "delivered");
        assert_eq!(server.text("SELECT provider FROM messages").await, "webhook");
    }

    async fn a_report_about_a_message_of_another_provider_is_not_taken(server: TestServer) {
        let vonage_stub = stub(vonage_accepts()).await;
        let server = sending_by(&server, "*=vonage", &vonage_stub).await;
        let answer = server.signup(PHONE).await;
        status(&server, &answer).await;
        let delivery = answer.text_at("/data/delivery_id");
        // Each knows what another provider knows of the message.
        let id = VONAGE_ID.replace('-', "");
        server.execute(&format!("UPDATE messages SET provider_id = '{id}'")).await;
        let msg91 = json!({ "requestId": id, "number": PHONE.trim_start_matches('+'), "status": "2" });
        assert_taken(&report_of_msg91(&server, STATUS_SECRET, &msg91).await);
        server.execute("UPDATE messages SET provider_id = NULL").await;
        let webhook = json!({ "id": format!("{}-1", delivery.replace('-', "")), "status": "failed" });
        assert_taken(&report_of_webhook(&server, 0, &webhook).await);
        assert_eq!(status(&server, &answer).await, "queued");
    }

    async fn a_report_of_vonage_about_a_message_of_twilio_is_not_taken(server: TestServer) {
        let twilio_stub = MockServer::start().await;
        set_answer(&twilio_stub, accepted_by_twilio()).await;
        let settings = [("VONAGE_SIGNATURE_SECRET", SIGNATURE_SECRET), ("VONAGE_API_KEY", "abcd1234")];
        let server = server_that_sends_to(&server, &twilio_stub.uri(), &settings).await;
        let answer = server.signup(PHONE).await;
        let reference = format!("{}:1", answer.text_at("/data/delivery_id"));
        for id in ["SM0123456789abcdef0123456789abcdef", VONAGE_ID] {
            let body = json!({ "message_uuid": id, "client_ref": reference, "status": "undelivered", "to": PHONE });
            assert_taken(&report_of_vonage(&server, 0, &body).await);
            let body = json!({ "message_uuid": id, "status": "rejected", "to": PHONE });
            assert_taken(&report_of_vonage(&server, 0, &body).await);
        }
        assert_eq!(status(&server, &answer).await, "queued");
        assert_eq!(server.text("SELECT provider FROM messages").await, "twilio");
    }

    async fn without_secrets_no_report_is_taken(server: TestServer) {
        let body = json!({ "requestId": MSG91_ID, "number": "916205829376", "status": "1" });
        report_of_msg91(&server, STATUS_SECRET, &body).await.assert_error(403, "forbidden");
        report_of_vonage(&server, 0, &json!({})).await.assert_error(403, "forbidden");
        report_of_webhook(&server, 0, &json!({})).await.assert_error(403, "forbidden");
    }

    async fn a_country_without_a_provider_is_not_served(server: TestServer) {
        let stub = stub(vonage_accepts()).await;
        let server = sending_by(&server, "US=vonage", &stub).await;
        let answer = server.signup(PHONE).await;
        answer.assert_error(400, "phone_unreachable");
        assert_eq!(stub.received_requests().await.unwrap().len(), 0);
        assert_eq!(server.text("SELECT provider FROM messages").await, "none");
    }
}
