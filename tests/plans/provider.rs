//! The reports of Twilio about messages.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use loopin_auth::flows::adaptive;
use poem::http::Method;
use serde_json::json;
use sha1::Sha1;
use sha2::Sha256;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::observed::Observed;
use crate::support::{Answer, TestServer};

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "the auth token of the tests";
const PATH: &str = "/api/twilio/status";
const PUBLIC: &str = "https://auth.example.com";

/// Posts a signed report that a message has this status.
async fn report(
    server: &TestServer,
    message: &str,
    phone: &str,
    status: &str,
    error: Option<&str>,
) -> Answer {
    let mut fields =
        vec![("AccountSid", SID), ("MessageSid", message), ("MessageStatus", status), ("To", phone)];
    fields.extend(error.map(|code| ("ErrorCode", code)));
    fields.sort_unstable();
    let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(format!("{PUBLIC}{PATH}").as_bytes());
    for (name, value) in &fields {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature.as_str())];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    server.send(Method::POST, PATH, &headers, Some(form)).await
}

pub async fn ask_all(observed: &mut Observed, settings: &[(&str, &str)], phone: &str) {
    let stub = MockServer::start().await;
    let uri = stub.uri();
    let twilio = [
        ("TWILIO_TEST_MODE", "false"),
        ("TWILIO_ACCOUNT_SID", SID),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ("TWILIO_API_BASE_URL", uri.as_str()),
        ("PUBLIC_BASE_URL", PUBLIC),
        ("OTP_CHANNELS", "sms,call"),
        ("OTP_FALLBACK", "call"),
    ];
    let sending = observed.server.second_server(&[settings, &twilio].concat()).await;
    let phone = format!("{}7", &phone[..phone.len() - 1]);
    for (name, number, status, error) in [
        ("POST /api/twilio/status, delivered", "1", "delivered", None),
        ("POST /api/twilio/status, undelivered", "2", "undelivered", Some("30003")),
    ] {
        let message = format!("SM{number}{}", phone.trim_start_matches('+').repeat(2));
        let body = json!({"sid": message, "status": "queued", "error_code": null});
        stub.reset().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(201).set_body_json(body)).mount(&stub).await;
        observed
            .watch("POST /api/auth/signup, by Twilio", async |_| {
                sending.advance(30);
                sending.signup(&phone).await
            })
            .await
            .assert_ok();
        observed.ask(name, 204, async |_| report(&sending, &message, &phone, status, error).await).await;
    }
    observed
        .ask("POST /api/twilio/status, unknown", 204, async |_| {
            report(&sending, "SM00000000000000000000000000000009", &phone, "delivered", None).await
        })
        .await;
    ask_others(observed, settings, &phone).await;
    judge(observed, settings).await;
}

/// Adaptive routing, with a thousand samples that the statistics do not know.
async fn judge(observed: &mut Observed, settings: &[(&str, &str)]) {
    let webhook_secret = format!("whsec_{}", STANDARD.encode([7; 32]));
    let adaptive = [
        ("TWILIO_TEST_MODE", "false"),
        ("SMS_PROVIDERS", "*=twilio,webhook"),
        ("SMS_ROUTING", "adaptive"),
        ("TWILIO_ACCOUNT_SID", SID),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ("SMS_WEBHOOK_URL", "https://sms.example.com/send"),
        ("SMS_WEBHOOK_SECRET", webhook_secret.as_str()),
    ];
    let server = observed.server.second_server(&[settings, &adaptive].concat()).await;
    let at = (server.now() - chrono::Duration::minutes(10)).to_rfc3339();
    let samples = format!(
        "UPDATE messages SET route = '*', provider = 'twilio', created_at = '{at}' \
         WHERE id IN (SELECT id FROM messages ORDER BY created_at DESC LIMIT 1000)"
    );
    assert_eq!(server.execute(&samples).await, 1_000);
    server.execute("DELETE FROM leases WHERE name = 'routing'").await;
    observed
        .watch("judging providers", async |_| adaptive::judge_if_due(&server.services).await)
        .await
        .expect("the database answers");
}

/// The reports of the other providers. MSG91's are found by another condition than the rest.
async fn ask_others(observed: &mut Observed, settings: &[(&str, &str)], phone: &str) {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let stub = MockServer::start().await;
    let (uri, webhook_secret) = (stub.uri(), format!("whsec_{}", STANDARD.encode([7; 32])));
    let msg91 = [
        ("TWILIO_TEST_MODE", "false"),
        ("SMS_PROVIDERS", "*=msg91"),
        ("MSG91_AUTH_KEY", "key"),
        ("MSG91_TEMPLATE_ID", "template"),
        ("MSG91_STATUS_SECRET", SECRET),
        ("MSG91_API_BASE_URL", uri.as_str()),
        ("SMS_WEBHOOK_SECRET", webhook_secret.as_str()),
    ];
    let sending = observed.server.second_server(&[settings, &msg91].concat()).await;
    let path = format!("/api/msg91/status/{SECRET}");
    let body =
        json!({ "requestId": "1", "number": phone.trim_start_matches('+'), "status": "1" }).to_string();
    let headers = [("content-type", "application/json")];
    observed
        .ask("POST /api/msg91/status/{secret}", 204, async |_| {
            sending.send(Method::POST, &path, &headers, Some(body.clone())).await
        })
        .await;
    // Found by delivery and attempt, as Vonage's are.
    observed.ask("POST /api/webhook/status", 204, async |_| report_of_webhook(&sending).await).await;
    observed
        .ask("POST /api/vonage/status, forged", 403, async |_| {
            sending.post("/api/vonage/status", json!({})).await
        })
        .await;
}

async fn report_of_webhook(server: &TestServer) -> Answer {
    let body = json!({ "id": format!("{}-1", "0".repeat(32)), "status": "delivered" }).to_string();
    let timestamp = server.now().timestamp().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
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
