//! The operator's endpoint: the exact signed request, the meaning of its answers, and its reports.

use outbound::{Endpoint, Rules, Secrets, Signed};

use super::*;
use domain::delivery::Ending;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_SECRET: &str = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const ID: &str = "0000000000000000000000000000000d-2";

fn settings(base: &str, allow_private_networks: bool) -> WebhookSettings {
    let rules = Rules { allow_http: true, allow_private_networks: true };
    WebhookSettings {
        endpoint: Endpoint::parse(&format!("{base}/send?key=1"), rules).unwrap(),
        secrets: SECRET.parse().unwrap(),
        allow_private_networks,
        limits: Limits { timeout: Duration::from_secs(5), ..Limits::default() },
    }
}

fn webhook(base: &str) -> Sms {
    Sms::Webhook(Box::new(Webhook::new(settings(base, true), Clock::fixed(now())).unwrap()))
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::days(20_000)
}

fn at_now() -> Message {
    Message { created_at: now(), ..message() }
}

async fn answer_to(answer: ResponseTemplate) -> Result<Receipt, SendError> {
    let server = stub(answer).await;
    webhook(&server.uri()).send(&at_now()).await
}

#[tokio::test]
async fn a_code_is_exactly_this_signed_request() {
    let server = stub(ResponseTemplate::new(204)).await;
    let receipt = webhook(&server.uri()).send(&at_now()).await.unwrap();
    assert_eq!((receipt.provider_id.as_deref(), receipt.status), (Some(ID), DeliveryStatus::Queued));
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].url.path(), requests[0].url.query()), ("/send", Some("key=1")));
    assert_eq!(requests[0].headers["content-type"], "application/json");
    let header = |name: &str| requests[0].headers[name].to_str().unwrap();
    assert_eq!(header("webhook-id"), ID);
    let signed = Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    SECRET.parse::<Secrets>().unwrap().verify(signed, &requests[0].body, now()).unwrap();
    assert_eq!(
        requests[0].body_json::<Value>().unwrap(),
        json!({
            "user": { "id": "00000000-0000-0000-0000-00000000000d", "phone": "919876543210" },
            "sms": { "otp": CODE, "sms_type": "sms_otp", "phone": "919876543210" },
            "phone": PHONE,
            "country": "IN",
            "channel": "sms",
            "language": "en",
            "text": message().text.body.expose_secret(),
            "ttl": 599,
        })
    );
}

#[tokio::test]
async fn a_text_that_is_registered_in_india_is_sent_with_its_ids() {
    let server = stub(ResponseTemplate::new(204)).await;
    let dlt = Some(Dlt { entity_id: "1".repeat(19), template_id: "2".repeat(19) });
    let text = Text { dlt, ..message().text };
    webhook(&server.uri()).send(&Message { text, ..at_now() }).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(
        requests[0].body_json::<Value>().unwrap()["dlt"],
        json!({ "entity_id": "1".repeat(19), "template_id": "2".repeat(19), "category": "service_implicit" })
    );
}

#[tokio::test]
async fn a_notice_has_no_code_that_a_function_could_send() {
    let server = stub(ResponseTemplate::new(200)).await;
    webhook(&server.uri()).send(&Message { otp_code: None, ..at_now() }).await.unwrap();
    let body: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert!(body.get("sms").is_none() && body["text"].is_string(), "{body}");
}

#[tokio::test]
async fn an_error_of_the_endpoint_is_tried_again_with_the_same_id() {
    let server =
        stub_in_turn([ResponseTemplate::new(503), ResponseTemplate::new(500), ResponseTemplate::new(200)]);
    let server = server.await;
    webhook(&server.uri()).send(&at_now()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let ids: Vec<_> =
        requests.iter().map(|request| request.headers["webhook-id"].to_str().unwrap()).collect();
    assert_eq!(ids, [ID; 3]);
    let error = answer_to(ResponseTemplate::new(500)).await;
    assert_eq!(error, Err(unavailable(Outcome::Unknown)));
}

#[tokio::test]
async fn answers_say_who_must_act() {
    let json = |status: u16, body: Value| ResponseTemplate::new(status).set_body_json(body);
    let rejected = |status| Err(SendError::Rejected { provider_code: None, http_status: Some(status) });
    // Any 2xx is a success, as it is for Supabase's hook.
    let sent = [json!({}), json!({ "error": null }), json!({ "error": false }), json!({ "error": "" })];
    let sent = sent.map(|body| json(200, body));
    for answer in sent.into_iter().chain([ResponseTemplate::new(200).set_body_string("<html>")]) {
        assert!(answer_to(answer).await.is_ok());
    }
    for (answer, expected) in [
        (ResponseTemplate::new(302).insert_header("Location", "https://example.com/"), rejected(302)),
        (ResponseTemplate::new(401), rejected(401)),
        (json(200, json!({ "error": { "message": "no" } })), rejected(422)),
        (json(200, json!({ "error": {} })), rejected(422)),
        (json(200, json!({ "error": true })), rejected(422)),
        (json(200, json!({ "error": "no" })), rejected(422)),
        (json(200, json!({ "error": { "http_code": 403, "message": "no" } })), rejected(403)),
        (
            json(200, json!({ "error": { "http_code": 500, "message": "no" } })),
            Err(unavailable(Outcome::Unknown)),
        ),
        (
            json(422, json!({ "error": { "reason": "not_mobile" } })),
            Err(SendError::Unreachable { reason: UnreachableReason::NotMobile, provider_code: None }),
        ),
        (json(422, json!({ "error": { "reason": "a reason of next year" } })), rejected(422)),
        (json(500, json!({ "error": { "reason": "not_mobile" } })), Err(unavailable(Outcome::Unknown))),
    ] {
        assert_eq!(answer_to(answer).await, expected);
    }
}

#[tokio::test]
async fn a_private_address_is_not_connected_to() {
    let server = stub(ResponseTemplate::new(200)).await;
    let settings = settings(&server.uri(), false);
    let sms = Sms::Webhook(Box::new(Webhook::new(settings, Clock::fixed(now())).unwrap()));
    let error = sms.send(&at_now()).await.unwrap_err();
    assert_eq!(error, unavailable(Outcome::NotSent));
    assert!(explain(Provider::Webhook, &error).contains("HOOKS_ALLOW_PRIVATE_NETWORKS"));
    assert_eq!(count(&server).await, 0);
}

fn read(secret: &str, at: DateTime<Utc>, body: &Value) -> Result<Vec<Report>, Forged> {
    let readers = ReportReaders {
        webhook: Some(WebhookReports::new(SECRET.parse().unwrap())),
        ..ReportReaders::default()
    };
    let body = body.to_string();
    let signature = secret.parse::<Secrets>().unwrap().sign("msg_1", at, body.as_bytes());
    let timestamp = at.timestamp().to_string();
    let incoming = Incoming::Webhook {
        id: "msg_1",
        timestamp: &timestamp,
        signature: &signature,
        body: body.as_bytes(),
    };
    readers.read(incoming, now())
}

#[test]
fn a_signed_report_names_its_message() {
    let report = read(SECRET, now(), &json!({ "id": ID, "status": "undelivered", "reason": "opted_out" }));
    let report = report.unwrap().remove(0);
    let ReportOf::Provider { id, attempt, .. } = &report.of else { panic!("{report:?}") };
    assert_eq!(id, ID);
    assert_eq!(*attempt, Some(message().attempt));
    assert_eq!(report.reason, Some(UnreachableReason::OptedOut));
    let Report { provider, status, reason, error_code, .. } = report;
    assert_eq!(ending_of_lost(provider, status, reason, error_code), Ending::OptedOut);
    for other in [
        json!({}),
        json!([]),
        json!({ "id": ID }),
        json!({ "id": ID, "status": "a status of next year" }),
        json!({ "id": "another", "status": "delivered" }),
        // The same attempt in another spelling.
        json!({ "id": "00000000-0000-0000-0000-00000000000d-2", "status": "delivered" }),
        json!({ "id": ID.replace("-2", "-02"), "status": "delivered" }),
    ] {
        assert_eq!(read(SECRET, now(), &other), Ok(Vec::new()), "{other}");
    }
}

#[test]
fn a_report_that_is_forged_or_old_is_refused() {
    let body = json!({ "id": ID, "status": "delivered" });
    let seconds = chrono::Duration::seconds;
    assert!(read(SECRET, now() - seconds(300), &body).is_ok());
    assert_eq!(read(SECRET, now() - seconds(301), &body), Err(Forged));
    assert_eq!(read(SECRET, now() + seconds(301), &body), Err(Forged));
    assert_eq!(read(OTHER_SECRET, now(), &body), Err(Forged));
}
