//! The fallback: what is sent next when a report says that a message was not delivered.

use futures_util::future::join_all;
use serde_json::json;
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{any, path_regex},
};

use super::sms::{accepted, first_request, sent_to, set_answer};
use crate::{
    on_both,
    support::PHONE,
    twilio_status::{MESSAGE, report, report_to, status, with_twilio},
};

/// Accepts every message, with numbers as SIDs.
struct Numbered(std::sync::atomic::AtomicU32);

impl Respond for Numbered {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let body = json!({"sid": format!("SM{number:032x}"), "status": "queued", "error_code": null});
        ResponseTemplate::new(201).set_body_json(body)
    }
}

/// Every channel: WhatsApp and then a call follow a message that is not delivered.
const ALL_CHANNELS: [(&str, &str); 4] = [
    ("OTP_CHANNELS", "sms,whatsapp,call"),
    ("OTP_FALLBACK", "whatsapp,call"),
    ("TWILIO_WHATSAPP_SENDER", "+15005550006"),
    ("TWILIO_WHATSAPP_CONTENT_SID", "HX0123456789abcdef0123456789abcdef"),
];

on_both! {
    async fn who_is_refused_at_once_is_sent_nothing_else(server: TestServer) {
        let stub = MockServer::start().await;
        let failed = json!({"sid": MESSAGE, "status": "failed", "error_code": 30006});
        let slow = std::time::Duration::from_millis(700);
        set_answer(&stub, ResponseTemplate::new(201).set_delay(slow).set_body_json(failed)).await;
        let settings = [("OTP_CHANNELS", "sms,call"), ("OTP_FALLBACK", "call")];
        let server = with_twilio(&server, &stub, &settings).await;
        let reporting = async {
            first_request(&stub).await;
            report(&server, MESSAGE, "failed", &[("To", PHONE), ("ErrorCode", "30006")]).await;
        };
        let (answer, ()) = tokio::join!(server.signup(PHONE), reporting);
        answer.assert_error(400, "phone_unreachable");
        assert_eq!(sent_to(&stub).await.len(), 1);
    }

    async fn a_message_that_arrived_after_all_is_enough(server: TestServer) {
        let stub = MockServer::start().await;
        Mock::given(any()).respond_with(Numbered(1.into())).mount(&stub).await;
        let server = with_twilio(&server, &stub, &ALL_CHANNELS).await;
        let answer = server.signup(PHONE).await;
        let sid = |number: u32| format!("SM{number:032x}");
        report(&server, &sid(1), "undelivered", &[("ErrorCode", "30003")]).await;
        report(&server, &sid(1), "delivered", &[]).await;
        report(&server, &sid(2), "undelivered", &[("ErrorCode", "63024")]).await;
        assert_eq!(sent_to(&stub).await.len(), 2, "no call follows a message that has arrived");
        let known = server.delivery(&answer).await;
        assert_eq!((known.text_at("/channel"), known.text_at("/status")), ("sms".into(), "delivered".into()));
    }

    async fn the_next_text_ends_as_the_first_would_have(server: TestServer) {
        let stub = MockServer::start().await;
        Mock::given(any()).respond_with(Numbered(1.into())).mount(&stub).await;
        let settings = [
            ("OTP_CHANNELS", "sms,whatsapp"),
            ("OTP_FALLBACK", "sms"),
            ("TWILIO_WHATSAPP_SENDER", "+15005550006"),
            ("TWILIO_WHATSAPP_CONTENT_SID", "HX0123456789abcdef0123456789abcdef"),
            ("SMS_WEBOTP_DOMAIN", "app.example.com"),
            ("SMS_ANDROID_APP_HASH", "FA+9qCX9VSu"),
        ];
        let server = with_twilio(&server, &stub, &settings).await;
        let fields = json!({"channel": "whatsapp", "platform": "android"});
        server.signup_with(PHONE, fields, "hi").await.assert_ok();
        report(&server, &format!("SM{:032x}", 1), "undelivered", &[("ErrorCode", "63024")]).await;
        let body = &sent_to(&stub).await[1]["Body"];
        assert!(body.contains("कोड") && body.ends_with("FA+9qCX9VSu"), "{body}");
    }

    async fn a_report_is_taken_though_nothing_can_follow(server: TestServer) {
        let stub = MockServer::start().await;
        set_answer(&stub, accepted()).await;
        let settings = [("OTP_CHANNELS", "sms,call"), ("OTP_FALLBACK", "call")];
        let one = with_twilio(&server, &stub, &settings).await;
        let answer = one.signup(PHONE).await;
        // This server does not have the key of the code, so it cannot send it again.
        let other_key = [settings[0], settings[1], ("SECRET_KEY", "another secret key of 32 bytes or more")];
        let other = with_twilio(&server, &stub, &other_key).await;
        let address = sent_to(&stub).await[0]["StatusCallback"].clone();
        report_to(&other, &address, MESSAGE, "undelivered", &[("ErrorCode", "30003")]).await;
        assert_eq!(status(&one, &answer).await, "undelivered");
        assert_eq!(sent_to(&stub).await.len(), 1);
    }

    async fn a_hundred_reports_at_once_of_a_lost_message_send_one_more(server: TestServer) {
        let stub = MockServer::start().await;
        Mock::given(any()).respond_with(Numbered(1.into())).mount(&stub).await;
        let one = with_twilio(&server, &stub, &ALL_CHANNELS).await;
        let other = with_twilio(&server, &stub, &ALL_CHANNELS).await;
        let answer = one.signup(PHONE).await;
        answer.assert_ok();
        let sid = format!("SM{:032x}", 1);
        let reports = (0..100).map(|number| {
            let server = if number % 2 == 0 { &one } else { &other };
            let word = if number % 3 == 0 { "failed" } else { "undelivered" };
            report(server, &sid, word, &[("ErrorCode", "30003"), ("To", PHONE)])
        });
        join_all(reports).await;
        let sent = sent_to(&stub).await;
        let to: Vec<&str> = sent.iter().map(|form| form["To"].as_str()).collect();
        assert_eq!(to, [PHONE, &format!("whatsapp:{PHONE}")]);
        // Each server first writes what it queued: either may have sent the second message.
        for server in [&one, &other] {
            assert_eq!(server.delivery(&answer).await.text_at("/channel"), "whatsapp");
        }
        // When that message is undelivered too, the last channel is tried, and then none is left.
        for sid in [2, 3] {
            let to = if sid == 2 { format!("whatsapp:{PHONE}") } else { PHONE.to_owned() };
            report(&one, &format!("SM{sid:032x}"), "undelivered", &[("To", &to)]).await;
        }
        assert_eq!(sent_to(&stub).await.len(), 3);
        assert!(sent_to(&stub).await[2].contains_key("Twiml"));
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 3);
    }

    async fn nothing_follows_where_nothing_should(server: TestServer) {
        let stub = MockServer::start().await;
        Mock::given(any()).respond_with(Numbered(1.into())).mount(&stub).await;
        let settings = [("OTP_CHANNELS", "sms,call"), ("OTP_FALLBACK", "call")];
        let server = with_twilio(&server, &stub, &settings).await;
        // The user answered STOP, or Twilio suspects pumping.
        for (sid, code, phone) in [(1, "21610", "+919876543211"), (2, "30450", "+919876543212")] {
            server.signup(phone).await.assert_ok();
            report(&server, &format!("SM{sid:032x}"), "undelivered", &[("ErrorCode", code)]).await;
        }
        assert_eq!(sent_to(&stub).await.len(), 2);
        // The user has requested a call meanwhile, so the undelivered SMS needs no fallback.
        server.signup(PHONE).await.assert_ok();
        server.advance(30);
        server.signup_with(PHONE, json!({"channel": "call"}), "").await.assert_ok();
        report(&server, &format!("SM{:032x}", 3), "undelivered", &[("ErrorCode", "30003")]).await;
        assert_eq!(sent_to(&stub).await.len(), 4);
    }

    async fn a_way_that_is_refused_is_followed_by_the_next(server: TestServer) {
        let stub = MockServer::start().await;
        Mock::given(any()).respond_with(Numbered(1.into())).up_to_n_times(1).mount(&stub).await;
        Mock::given(path_regex("/Calls.json$")).respond_with(Numbered(9.into())).mount(&stub).await;
        let refused = json!({"code": 63003, "message": "no", "status": 400});
        Mock::given(any()).respond_with(ResponseTemplate::new(400).set_body_json(refused)).mount(&stub).await;
        let server = with_twilio(&server, &stub, &ALL_CHANNELS).await;
        let answer = server.signup(PHONE).await;
        answer.assert_ok();
        report(&server, &format!("SM{:032x}", 1), "undelivered", &[]).await;
        let now = server.delivery(&answer).await;
        assert_eq!((now.text_at("/channel"), now.text_at("/status")), ("call".into(), "queued".into()));
        assert_eq!(sent_to(&stub).await.len(), 3);
    }
}
