//! A stub of Twilio, and its signed reports.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use poem::http::Method;
use serde_json::json;
use sha1::Sha1;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::support::TestServer;

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "the auth token of the tests";
const PUBLIC: &str = "https://auth.example.com";
const PATH: &str = "/api/twilio/status";

/// The id that the stub gives to every message.
const MESSAGE: &str = "SM0123456789abcdef0123456789abcdef";

/// A second server on the same database, whose messages go to the stub.
pub async fn server_with(server: &TestServer, stub: &MockServer) -> TestServer {
    let uri = stub.uri();
    let settings = [
        ("TWILIO_TEST_MODE", "false"),
        ("TWILIO_ACCOUNT_SID", SID),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ("TWILIO_API_BASE_URL", &uri),
        ("PUBLIC_BASE_URL", PUBLIC),
    ];
    server.second_server(&settings).await
}

/// The same, with a webhook of this address as the next provider.
pub async fn server_before_webhook(server: &TestServer, stub: &MockServer, webhook: &str) -> TestServer {
    let settings = [
        ("SMS_PROVIDERS", "*=twilio,webhook"),
        ("SMS_WEBHOOK_URL", webhook),
        ("SMS_WEBHOOK_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
    ];
    server_with(server, stub).await.second_server(&settings).await
}

/// Lets the stub give this answer to every message.
pub async fn answer(stub: &MockServer, answer: ResponseTemplate) {
    stub.reset().await;
    Mock::given(method("POST")).respond_with(answer).mount(stub).await;
}

pub fn accepted() -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(json!({"sid": MESSAGE, "status": "queued", "error_code": null}))
}

pub fn refused(status: u16, code: u32) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"code": code, "message": "no", "status": status}))
}

/// Posts Twilio's report about the message, signed.
pub async fn report(server: &TestServer, status: &str, code: &str) {
    let mut fields = vec![("AccountSid", SID), ("MessageSid", MESSAGE), ("MessageStatus", status)];
    if !code.is_empty() {
        fields.push(("ErrorCode", code));
    }
    fields.sort_unstable();
    let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(format!("{PUBLIC}{PATH}").as_bytes());
    for (name, value) in &fields {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature.as_str())];
    let answer = server.send(Method::POST, PATH, &headers, Some(body)).await;
    assert_eq!(answer.status.as_u16(), 204, "{}", answer.text);
}
