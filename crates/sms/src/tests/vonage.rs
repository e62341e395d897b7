//! Vonage: the exact requests, the meaning of its answers, and its reports.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use sha2::{Digest as _, Sha256};

use super::{secrets::Log, *};

const KEY: &str = "abcd1234";
const SECRET: &str = "the api secret of the tests";
const SIGNATURE_SECRET: &str = "the signature secret of the tests, of a good length";
const MESSAGE_ID: &str = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab";
const REFERENCE: &str = "00000000-0000-0000-0000-00000000000d:2";

fn settings(base: &str) -> VonageSettings {
    VonageSettings {
        api_key: KEY.to_owned(),
        api_secret: SECRET.into(),
        from: Some("Loopin".to_owned()),
        whatsapp: None,
        status_callback: None,
        api_base_url: Url::parse(base).unwrap(),
        limits: Limits { timeout: Duration::from_secs(5), ..Limits::default() },
    }
}

fn vonage(settings: VonageSettings) -> Sms {
    Sms::Vonage(Box::new(Vonage::new(settings, Clock::fixed(DateTime::UNIX_EPOCH)).unwrap()))
}

fn accepted() -> ResponseTemplate {
    ResponseTemplate::new(202).set_body_json(json!({ "message_uuid": MESSAGE_ID }))
}

fn problem(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({
        "type": format!("https://developer.vonage.com/api-errors/messages#{code}"),
        "title": "No good",
        "detail": format!("The number {PHONE} of {KEY}"),
        "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf",
    }))
}

async fn answer_to(answer: ResponseTemplate) -> Result<Receipt, SendError> {
    let server = stub(answer).await;
    vonage(settings(&server.uri())).send(&message()).await
}

#[tokio::test]
async fn an_sms_is_exactly_this_request() {
    let server = stub(accepted()).await;
    let status_callback = Some(Url::parse("https://auth.example.com/api/vonage/status").unwrap());
    let sms = vonage(VonageSettings { status_callback, ..settings(&format!("{}/stub/", server.uri())) });
    let receipt = sms.send(&message()).await.unwrap();
    assert_eq!(receipt.provider_id.as_deref(), Some(MESSAGE_ID));
    assert_eq!(receipt.status, DeliveryStatus::Queued);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method.as_str(), requests[0].url.path()), ("POST", "/stub/v1/messages"));
    assert_eq!(requests[0].headers["content-type"], "application/json");
    let basic = STANDARD.encode(format!("{KEY}:{SECRET}"));
    assert_eq!(requests[0].headers["authorization"], format!("Basic {basic}").as_str());
    assert_eq!(
        requests[0].body_json::<Value>().unwrap(),
        json!({
            "channel": "sms",
            "message_type": "text",
            "to": "919876543210",
            "from": "Loopin",
            "text": message().text.body.expose_secret(),
            "ttl": 599,
            "sms": { "encoding_type": "auto" },
            "client_ref": REFERENCE,
            "webhook_url": "https://auth.example.com/api/vonage/status",
        })
    );
}

#[tokio::test]
async fn a_text_that_is_registered_in_india_is_sent_with_its_ids() {
    let server = stub(accepted()).await;
    let dlt = Some(Dlt { entity_id: "1".repeat(19), template_id: "2".repeat(19) });
    let text = Text { dlt, ..message().text };
    vonage(settings(&server.uri())).send(&Message { text, ..message() }).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let expected =
        json!({ "encoding_type": "auto", "entity_id": "1".repeat(19), "content_id": "2".repeat(19) });
    assert_eq!(requests[0].body_json::<Value>().unwrap()["sms"], expected);
}

#[tokio::test]
async fn a_code_by_whatsapp_is_exactly_this_request() {
    let server = stub(accepted()).await;
    let whatsapp = VonageWhatsApp { from: "12015550123".to_owned(), template: "login_code".to_owned() };
    let sms = vonage(VonageSettings { whatsapp: Some(whatsapp), ..settings(&server.uri()) });
    let text = Text { language: "pt-BR".to_owned(), ..message().text };
    sms.send(&Message { channel: Channel::WhatsApp, text, ..message() }).await.unwrap();
    let parameters = json!([{ "type": "text", "text": CODE }]);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(
        requests[0].body_json::<Value>().unwrap(),
        json!({
            "channel": "whatsapp",
            "message_type": "custom",
            "to": "919876543210",
            "from": "12015550123",
            "client_ref": REFERENCE,
            "custom": { "type": "template", "template": {
                "name": "login_code",
                "language": { "code": "pt_BR", "policy": "deterministic" },
                "components": [
                    { "type": "body", "parameters": parameters },
                    { "type": "button", "sub_type": "url", "index": "0", "parameters": parameters },
                ],
            } },
        })
    );
}

#[tokio::test]
async fn what_is_not_set_up_is_ours_to_mend() {
    let server = stub(accepted()).await;
    let no_sender = VonageSettings { from: None, ..settings(&server.uri()) };
    for (settings, channel) in [
        (no_sender, Channel::Sms),
        (settings(&server.uri()), Channel::WhatsApp),
        (settings(&server.uri()), Channel::Call),
    ] {
        let sms = vonage(settings);
        assert!(!sms.carries(Kind::code_by(channel)));
        let error = sms.send(&Message { channel, ..message() }).await.unwrap_err();
        assert_eq!(error, SendError::Rejected { provider_code: None, http_status: None });
        assert!(explain(Provider::Vonage, &error).contains("VONAGE_"));
    }
    assert_eq!(count(&server).await, 0);
}

#[tokio::test]
async fn refusals_say_who_must_act() {
    use UnreachableReason::{Blocked, Invalid, OptedOut, RegionNotAllowed};
    for (code, reason) in
        [(1170, Invalid), (1190, Invalid), (1240, OptedOut), (1250, RegionNotAllowed), (1280, Blocked)]
    {
        let error = answer_to(problem(422, &code.to_string())).await.unwrap_err();
        assert_eq!(error, SendError::Unreachable { reason, provider_code: Some(code) });
    }
    for (status, code, expected, words) in [
        (422, "1120", Some(1120), "VONAGE_FROM"),
        (402, "low-balance", Some(1070), "top it up"),
        (401, "unauthorized", None, "VONAGE_API_KEY"),
        (404, "not-found", None, "VONAGE_API_BASE_URL"),
        (422, "9999", Some(9999), "look the code up"),
    ] {
        let error = answer_to(problem(status, code)).await.unwrap_err();
        assert_eq!(error, SendError::Rejected { provider_code: expected, http_status: Some(status) });
        let explanation = explain(Provider::Vonage, &error);
        assert!(explanation.contains(words), "{explanation}");
    }
    let (_, log) = Log::capture(answer_to(problem(401, "unauthorized"))).await;
    assert!(log.contains("provider=\"vonage\"") && log.contains("VONAGE_API_SECRET"), "{log}");
    assert!(!log.contains(PHONE) && !log.contains(KEY) && !log.contains(SECRET), "{log}");
}

#[tokio::test]
async fn what_is_not_an_answer_of_vonage_is_understood() {
    let html = |status| ResponseTemplate::new(status).set_body_string("<html>It works!</html>");
    for (answer, status) in [
        (html(200), 200),
        (ResponseTemplate::new(302).insert_header("Location", "https://example.com/"), 302),
        (html(404), 404),
    ] {
        let error = answer_to(answer).await.unwrap_err();
        assert_eq!(error, SendError::Rejected { provider_code: None, http_status: Some(status) });
    }
    // A success that is empty or was cut may have been Vonage's: no other provider may send the code too.
    assert_eq!(answer_to(ResponseTemplate::new(200)).await, Err(unavailable(Outcome::Unknown)));
    // A success with an error inside.
    let error = answer_to(problem(200, "1120")).await.unwrap_err();
    assert_eq!(error, SendError::Rejected { provider_code: Some(1120), http_status: Some(200) });
    let error = answer_to(problem(202, "1190")).await.unwrap_err();
    assert_eq!(error.reason(), Some(UnreachableReason::Invalid));
    // Accepted, but the answer was cut: another message would be a second one.
    let until = b"\"ttl\"";
    let base = hangs_up(until, b"HTTP/1.1 202 Accepted\r\nContent-Length: 900\r\n\r\n{\"mess");
    let receipt = vonage(settings(&base)).send(&message()).await.unwrap();
    assert_eq!(receipt.provider_id, None);
    // Cut before the answer.
    let base = hangs_up(until, b"");
    assert_eq!(vonage(settings(&base)).send(&message()).await, Err(unavailable(Outcome::Unknown)));
}

#[tokio::test]
async fn an_error_of_vonages_own_is_asked_again_and_stays_unknown() {
    let server = stub(ResponseTemplate::new(503)).await;
    let sms = vonage(settings(&server.uri()));
    assert_eq!(sms.send(&message()).await, Err(unavailable(Outcome::Unknown)));
    assert_eq!(count(&server).await, 3);
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::days(20_000)
}

fn authorization(body: &str, secret: &str, seconds: i64, account: &str) -> String {
    let hash = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let claims = json!({
        "iat": now().timestamp() + seconds, "jti": "c5ba8f24", "iss": "Vonage", "payload_hash": hash,
        "api_key": account,
    });
    let key = EncodingKey::from_secret(secret.as_bytes());
    format!("Bearer {}", encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap())
}

fn body(status: &str) -> String {
    json!({
        "message_uuid": MESSAGE_ID, "to": "919876543210", "from": "Loopin",
        "timestamp": "2026-11-28T10:00:00Z", "status": status, "channel": "sms", "client_ref": REFERENCE,
        "error": { "type": "https://developer.vonage.com/api-errors/messages#1190", "title": "1190" },
        "usage": { "currency": "EUR", "price": "0.0333" },
    })
    .to_string()
}

fn read(authorization: &str, body: &str) -> Result<Vec<Report>, Forged> {
    let vonage = Some(VonageReports::new(Some(KEY.to_owned()), SIGNATURE_SECRET.into()));
    let readers = ReportReaders { vonage, ..ReportReaders::default() };
    readers.read(Incoming::Vonage { authorization, body: body.as_bytes() }, now())
}

fn signed(body: &str) -> Vec<Report> {
    read(&authorization(body, SIGNATURE_SECRET, 0, KEY), body).unwrap()
}

#[test]
fn a_signed_report_says_which_message_got_how_far() {
    let report = signed(&body("rejected")).remove(0);
    let attempt = Some(Attempt { delivery_id: Uuid::from_u128(0xd), number: 2 });
    assert_eq!(
        report,
        Report {
            provider: Provider::Vonage,
            of: ReportOf::Provider {
                id: MESSAGE_ID.to_owned(),
                attempt,
                to: PhoneNumber::from_e164(PHONE),
                channel: Channel::Sms,
            },
            status: DeliveryStatus::Undelivered,
            error_code: Some(1190),
            error_text: None,
            reason: Some(UnreachableReason::Invalid),
            price: Some(Price { amount: "-0.0333".to_owned(), unit: "EUR".to_owned() }),
        }
    );
    for (word, status) in [
        ("submitted", DeliveryStatus::Sent),
        ("delivered", DeliveryStatus::Delivered),
        ("read", DeliveryStatus::Delivered),
        ("undeliverable", DeliveryStatus::Undelivered),
    ] {
        assert_eq!(signed(&body(word))[0].status, status);
    }
    // An error beside a success is a warning.
    assert_eq!(signed(&body("delivered"))[0].error_code, None);
    for other in ["", "[]", "<html>", r#"{"status": "delivered"}"#, &body("a status of next year")] {
        assert_eq!(signed(other), [], "{other}");
    }
}

#[test]
fn a_report_that_is_not_vonages_is_refused() {
    let body = body("delivered");
    let right = |seconds| authorization(&body, SIGNATURE_SECRET, seconds, KEY);
    for seconds in [-300, 0, 300] {
        assert!(read(&right(seconds), &body).is_ok(), "{seconds}");
    }
    let unsigned = {
        // The algorithm `none`.
        let token = right(0);
        let claims = token.trim_start_matches("Bearer ").split('.').nth(1).unwrap().to_owned();
        format!("Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
    };
    let other_algorithm = {
        let key = EncodingKey::from_secret(SIGNATURE_SECRET.as_bytes());
        let claims = json!({ "iat": now().timestamp(), "payload_hash": "0" });
        format!("Bearer {}", encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap())
    };
    for (why, authorization) in [
        ("unsigned", String::new()),
        ("no token", "Bearer ".to_owned()),
        ("another scheme", right(0).replace("Bearer", "Basic")),
        ("another secret", authorization(&body, "another signature secret", 0, KEY)),
        ("another body", authorization("{}", SIGNATURE_SECRET, 0, KEY)),
        ("another account", authorization(&body, SIGNATURE_SECRET, 0, "efgh5678")),
        ("old", right(-301)),
        ("of the future", right(301)),
        ("the algorithm none", unsigned),
        ("another algorithm", other_algorithm),
    ] {
        assert_eq!(read(&authorization, &body), Err(Forged), "{why}");
    }
    let none = ReportReaders::default();
    let incoming = Incoming::Vonage { authorization: &right(0), body: body.as_bytes() };
    assert_eq!(none.read(incoming, now()), Err(Forged), "without a secret none can be verified");
}
