//! `POST /api/twilio/status`: reports of Twilio about a message, in any order, and forged reports.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use poem::http::Method;
use serde_json::json;
use sha1::Sha1;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path_regex},
};

use super::sms::{SID, TOKEN, accepted, sent_to, server_that_sends_to, set_answer};
use crate::{
    on_both,
    support::{Answer, PHONE, TestServer, WIDE_LIMITS},
};

const PATH: &str = "/api/twilio/status";

/// The public URL of the server. The tests send no request to it.
const PUBLIC: &str = "https://auth.example.com";

/// The SID that the stub gives to every message.
pub(crate) const MESSAGE: &str = "SM0123456789abcdef0123456789abcdef";

/// A description, the fields, and the signature.
type Forgery<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>);

/// As Twilio signs: the URL, then each field's name and value, sorted by name.
fn signature(url: &str, fields: &[(&str, &str)]) -> String {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Posts these fields with this signature.
async fn post(server: &TestServer, path: &str, fields: &[(&str, &str)], signature: Option<&str>) -> Answer {
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    headers.extend(signature.map(|signature| ("x-twilio-signature", signature)));
    server.send(Method::POST, path, &headers, Some(form(fields))).await
}

/// Posts the report of Twilio that a message has this status, as about a message of an earlier version, whose address for reports
/// does not name it.
pub(crate) async fn report(server: &TestServer, sid: &str, status: &str, more: &[(&str, &str)]) -> Answer {
    report_to(server, &format!("{PUBLIC}{PATH}"), sid, status, more).await
}

/// Posts the report to the address that Twilio was given with the message.
pub(crate) async fn report_to(
    server: &TestServer,
    address: &str,
    sid: &str,
    status: &str,
    more: &[(&str, &str)],
) -> Answer {
    let mut fields = vec![
        ("ApiVersion", "2010-04-01"),
        ("AccountSid", SID),
        ("From", "+15005550006"),
        ("MessageSid", sid),
        ("SmsSid", sid),
        ("SmsStatus", status),
        ("MessageStatus", status),
    ];
    fields.extend(more);
    let signature = signature(address, &fields);
    let path = address.strip_prefix(PUBLIC).expect("the public address of the server");
    let answer = post(server, path, &fields, Some(&signature)).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    answer
}

/// A server that sends to the stub and accepts its reports.
pub(crate) async fn with_twilio(
    server: &TestServer,
    stub: &MockServer,
    settings: &[(&str, &str)],
) -> TestServer {
    let mut all = vec![("PUBLIC_BASE_URL", PUBLIC)];
    all.extend(WIDE_LIMITS);
    all.extend(settings);
    server_that_sends_to(server, &stub.uri(), &all).await
}

/// A server, and the answer to a sign-up whose message Twilio accepted.
async fn signed_up(server: &TestServer, stub: &MockServer) -> (TestServer, Answer) {
    set_answer(stub, accepted()).await;
    let server = with_twilio(server, stub, &[]).await;
    let answer = server.signup(PHONE).await;
    answer.assert_ok();
    (server, answer)
}

pub(crate) async fn status(server: &TestServer, answer: &Answer) -> String {
    server.delivery(answer).await.assert_ok().text_at("/status")
}

/// The number of messages that no report has changed.
async fn unchanged_messages(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM messages WHERE status = 'queued' AND sent_at IS NULL AND error_code IS NULL").await
}

on_both! {
    async fn twilio_is_told_where_to_report(server: TestServer) {
        let stub = MockServer::start().await;
        let (_, answer) = signed_up(&server, &stub).await;
        let delivery = answer.text_at("/data/delivery_id");
        assert_eq!(
            sent_to(&stub).await[0]["StatusCallback"],
            format!("{PUBLIC}{PATH}?delivery_id={delivery}&attempt=1")
        );
    }

    async fn reports_make_a_timeline_in_any_order(server: TestServer) {
        let stub = MockServer::start().await;
        for order in [["sent", "delivered"], ["delivered", "sent"]] {
            let (other, answer) = signed_up(&server, &stub).await;
            assert_eq!(status(&other, &answer).await, "queued");
            for word in order {
                other.advance(5);
                report(&other, MESSAGE, word, &[]).await;
            }
            assert_eq!(status(&other, &answer).await, "delivered");
            let whole = "SELECT COUNT(*) FROM messages WHERE queued_at IS NOT NULL AND sent_at IS NOT NULL \
                         AND delivered_at IS NOT NULL";
            assert_eq!(server.count(whole).await, 1);
            server.execute("DELETE FROM messages").await;
            server.advance(600);
        }
    }

    async fn a_repeated_report_changes_nothing(server: TestServer) {
        let stub = MockServer::start().await;
        let (server, answer) = signed_up(&server, &stub).await;
        server.advance(5);
        report(&server, MESSAGE, "undelivered", &[("ErrorCode", "30006"), ("To", PHONE)]).await;
        let once = server.delivery(&answer).await;
        assert_eq!((once.text_at("/status"), once.text_at("/reason")), ("undelivered".into(), "not_mobile".into()));
        server.advance(5);
        for word in ["undelivered", "sent", "queued", "sending", "accepted"] {
            report(&server, MESSAGE, word, &[("ErrorCode", "30006"), ("To", PHONE)]).await;
        }
        assert_eq!(server.delivery(&answer).await.json(), once.json());
        // A later report that the message was delivered replaces the failure.
        report(&server, MESSAGE, "delivered", &[]).await;
        let after_all = server.delivery(&answer).await;
        assert_eq!(after_all.text_at("/status"), "delivered");
        assert!(after_all.at("/reason").is_null(), "{}", after_all.text);
    }

    async fn each_code_of_a_failure_is_a_reason_that_an_app_can_act_on(server: TestServer) {
        let stub = MockServer::start().await;
        for (code, reason) in [
            ("30003", "invalid"),
            ("30005", "invalid"),
            ("30006", "not_mobile"),
            ("30007", "blocked"),
            ("30450", "blocked"),
            ("21610", "opted_out"),
            ("21408", "region_not_allowed"),
            ("30008", ""),
            ("", ""),
            ("30034", ""),
            ("99999999999", ""),
        ] {
            let (other, answer) = signed_up(&server, &stub).await;
            report(&other, MESSAGE, "failed", &[("ErrorCode", code)]).await;
            let failed = other.delivery(&answer).await;
            assert_eq!((failed.text_at("/status"), failed.text_at("/reason")), ("failed".into(), reason.into()), "{code}");
            server.execute("DELETE FROM messages").await;
            server.advance(600);
        }
    }

    async fn what_twilio_did_not_sign_changes_nothing(server: TestServer) {
        let stub = MockServer::start().await;
        let (other, _) = signed_up(&server, &stub).await;
        let fields = [("MessageSid", MESSAGE), ("MessageStatus", "sent"), ("ErrorCode", "")];
        let right = signature(&format!("{PUBLIC}{PATH}"), &fields);
        let other_key = STANDARD.encode([7; 20]);
        let forgeries: &[Forgery<'_>] = &[
            ("no signature", &fields, None),
            ("an empty one", &fields, Some("")),
            ("none that is base64", &fields, Some("!")),
            ("of another key", &fields, Some(&other_key)),
            ("cut short", &fields, Some(&right[..20])),
            ("replayed with another status", &[fields[0], ("MessageStatus", "failed"), fields[2]], Some(&right)),
            ("replayed with a field more", &[fields[0], fields[1], fields[2], ("X", "")], Some(&right)),
            ("replayed with a field less", &fields[..2], Some(&right)),
            ("replayed without a body", &[], Some(&right)),
        ];
        for (what, fields, signature) in forgeries {
            let answer = post(&other, PATH, fields, *signature).await;
            assert_eq!((answer.status.as_u16(), answer.text_at("/error/code")), (403, "forbidden".into()), "{what}");
        }
        post(&other, &format!("{PATH}?x=1"), &fields, Some(&right)).await.assert_error(403, "forbidden");
        let as_json = [("content-type", "application/json"), ("x-twilio-signature", right.as_str())];
        let body = json!({"MessageSid": MESSAGE, "MessageStatus": "sent"}).to_string();
        other.send(Method::POST, PATH, &as_json, Some(body)).await.assert_error(403, "forbidden");
        assert_eq!(unchanged_messages(&server).await, 1, "nothing has changed");
        // The same report is accepted with its own signature, also twice.
        for _ in 0..2 {
            assert_eq!(post(&other, PATH, &fields, Some(&right)).await.status.as_u16(), 204);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'sent'").await, 1);
    }

    async fn a_server_that_cannot_tell_takes_no_report(server: TestServer) {
        let fields = [("MessageSid", MESSAGE), ("MessageStatus", "sent")];
        let signed = signature(&format!("{PUBLIC}{PATH}"), &fields);
        post(&server, PATH, &fields, Some(&signed)).await.assert_error(403, "forbidden");
        let empty = [("TWILIO_AUTH_TOKEN", ""), ("PUBLIC_BASE_URL", PUBLIC), ("TWILIO_TEST_MODE", "true")];
        let server = server.second_server(&empty).await;
        post(&server, PATH, &fields, Some(&signed)).await.assert_error(403, "forbidden");
    }

    async fn behind_a_proxy_the_public_address_is_what_was_signed(server: TestServer) {
        let stub = MockServer::start().await;
        set_answer(&stub, accepted()).await;
        for base in ["https://auth.example.com/loopin", "https://auth.example.com:8443", "http://auth.example.com/"] {
            let other = server_that_sends_to(&server, &stub.uri(), &[("PUBLIC_BASE_URL", base)]).await;
            let answer = other.signup(PHONE).await;
            let url = sent_to(&stub).await.last().unwrap()["StatusCallback"].clone();
            let path = format!("{PATH}?{}", url.split_once('?').unwrap().1);
            assert!(url.starts_with(&format!("{}{path}", base.trim_end_matches('/'))), "{url}");
            let fields = [("MessageSid", MESSAGE), ("MessageStatus", "delivered")];
            let reached = format!("http://127.0.0.1:8000{path}");
            let forged = post(&other, &path, &fields, Some(&signature(&reached, &fields))).await;
            forged.assert_error(403, "forbidden");
            let taken = post(&other, &path, &fields, Some(&signature(&url, &fields))).await;
            assert_eq!(taken.status.as_u16(), 204);
            assert_eq!(status(&other, &answer).await, "delivered", "{base}");
            server.execute("DELETE FROM messages").await;
            server.advance(600);
        }
    }

    async fn a_call_reports_as_calls_do(server: TestServer) {
        let stub = MockServer::start().await;
        let call = json!({"sid": "CA0123456789abcdef0123456789abcdef", "status": "queued", "price": null});
        Mock::given(method("POST"))
            .and(path_regex("/Calls.json$"))
            .respond_with(ResponseTemplate::new(201).set_body_json(call))
            .mount(&stub)
            .await;
        let other = with_twilio(&server, &stub, &[("OTP_CHANNELS", "sms,call")]).await;
        for (word, expected) in
            [("ringing", "sent"), ("in-progress", "sent"), ("completed", "delivered"), ("no-answer", "undelivered"), ("busy", "undelivered"), ("failed", "failed")]
        {
            let answer = other.signup_with(PHONE, json!({"channel": "call"}), "").await;
            answer.assert_ok();
            let fields = [
                ("CallSid", "CA0123456789abcdef0123456789abcdef"),
                ("CallStatus", word),
                ("To", PHONE),
                ("SipResponseCode", "487"),
            ];
            let signature = signature(&format!("{PUBLIC}{PATH}"), &fields);
            assert_eq!(post(&other, PATH, &fields, Some(&signature)).await.status.as_u16(), 204);
            assert_eq!(status(&other, &answer).await, expected, "{word}");
            server.execute("DELETE FROM messages").await;
            server.advance(600);
        }
    }

    async fn a_report_of_a_stranger_s_message_is_taken_and_forgotten(server: TestServer) {
        let stub = MockServer::start().await;
        let (other, _) = signed_up(&server, &stub).await;
        let none = "SM99999999999999999999999999999999";
        report(&other, none, "delivered", &[("To", PHONE)]).await;
        report(&other, none, "delivered", &[("To", "client:anna")]).await;
        report(&other, MESSAGE, "receiving", &[]).await;
        report(&other, "' OR 1=1; --", "delivered", &[]).await;
        assert_eq!(unchanged_messages(&server).await, 1);
    }
}
