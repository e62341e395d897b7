//! `GET /dev/inbox` and `GET /dev/inbox.json`.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{Answer, OTHER_PHONE, PHONE},
};

/// The recipients of the messages.
fn receivers(answer: &Answer) -> Vec<String> {
    answer.assert_ok();
    let messages = answer.at("/messages");
    messages.as_array().unwrap().iter().map(|one| one["to"].as_str().unwrap().to_owned()).collect()
}

on_both! {
    async fn a_message_is_there_as_it_would_have_gone_out(server: TestServer) {
        assert_eq!(server.get("/dev/inbox.json").await.json(), json!({"messages": []}));
        server.signup(PHONE).await.assert_ok();
        let answer = server.get("/dev/inbox.json").await;
        answer.assert_ok();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let message = answer.at("/messages/0");
        let code = server.last_code_for(PHONE);
        assert!(uuid::Uuid::parse_str(message["id"].as_str().unwrap()).is_ok());
        assert_eq!(answer.json(), json!({"messages": [{
            "id": message["id"],
            "to": PHONE,
            "channel": "sms",
            "language": "en",
            "body": format!("Your Loopin verification code is: {code}. This code is valid for 10 min."),
            "otp_code": code,
            "code_state": "live",
            "created_at": "2026-03-14T09:26:53.589793+00:00",
            "status": "queued",
            "timeline": [{"status": "queued", "at": "2026-03-14T09:26:53.589793+00:00"}],
        }]}));
        server.verify_otp(PHONE, message["otp_code"].as_str().unwrap()).await.assert_ok();
    }

    async fn its_timeline_shows_what_has_happened_by_now(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let queued = json!({"status": "queued", "at": "2026-03-14T09:26:53.589793+00:00"});
        let sent = json!({"status": "sent", "at": "2026-03-14T09:26:53.889793+00:00"});
        let delivered = json!({"status": "delivered", "at": "2026-03-14T09:26:54.589793+00:00"});
        for (millis, status, timeline) in [
            (0, "queued", json!([queued])), (299, "queued", json!([queued])), (1, "sent", json!([queued, sent])),
            (699, "sent", json!([queued, sent])), (1, "delivered", json!([queued, sent, delivered])),
            (86_400_000, "delivered", json!([queued, sent, delivered])),
        ] {
            server.clock.advance(chrono::Duration::milliseconds(millis));
            let message = server.get("/dev/inbox.json").await.at("/messages/0");
            assert_eq!((&message["status"], &message["timeline"]), (&json!(status), &timeline), "after {millis} ms more");
        }
    }

    async fn a_message_that_comes_back_says_why(server: TestServer) {
        let number = "+15005550011";
        server.signup(number).await.assert_ok();
        server.advance(2);
        assert_eq!(server.get("/dev/inbox.json").await.text_at("/messages/0/status"), "sent");
        server.advance(1);
        let message = server.get("/dev/inbox.json").await.at("/messages/0");
        assert_eq!(message["status"], "undelivered");
        assert_eq!(
            message["timeline"][2],
            json!({"status": "undelivered", "at": "2026-03-14T09:26:56.589793+00:00", "error_code": 30_005})
        );
        // The code is valid all the same.
        server.verify_otp(number, message["otp_code"].as_str().unwrap()).await.assert_ok();
    }

    async fn the_slow_number_waits(server: TestServer) {
        server.signup("+15005550010").await.assert_ok();
        for (seconds, status) in [(19, "queued"), (1, "sent"), (9, "sent"), (1, "delivered")] {
            server.advance(seconds);
            assert_eq!(server.get("/dev/inbox.json").await.text_at("/messages/0/status"), status);
        }
    }

    async fn the_magic_numbers_fail_as_twilios_do(server: TestServer) {
        for (number, reason) in [
            ("+15005550001", "invalid"), ("+15005550002", "region_not_allowed"), ("+15005550003", "region_not_allowed"),
            ("+15005550004", "opted_out"), ("+15005550009", "not_mobile"),
        ] {
            let answer = server.signup(number).await;
            answer.assert_error(400, "phone_unreachable");
            assert_eq!(answer.text_at("/error/reason"), reason, "{number}");
        }
        server.signup("+15005550012").await.assert_error(503, "sms_unavailable");
        server.signup("+15005550013").await.assert_error(502, "sms_rejected");
        assert_eq!(server.get("/dev/inbox.json").await.json(), json!({"messages": []}));
        // Nothing was sent, so there is no cooldown.
        server.signup("+15005550004").await.assert_error(400, "phone_unreachable");
    }

    async fn a_message_is_in_the_language_of_the_person(server: TestServer) {
        server.signup_with(PHONE, json!({}), "hi-IN,hi;q=0.9,en;q=0.5").await.assert_ok();
        let message = server.get("/dev/inbox.json").await.at("/messages/0");
        assert_eq!(message["language"], "hi");
        let expected = format!("Loopin कोड {} है, 10 मिनट तक मान्य।", server.last_code_for(PHONE));
        assert_eq!(message["body"], expected.as_str());
    }

    async fn the_newest_comes_first(server: TestServer) {
        for phone in [PHONE, OTHER_PHONE, "+6591234567"] {
            server.signup(phone).await.assert_ok();
            server.advance(1);
        }
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        let answer = server.get("/dev/inbox.json").await;
        assert_eq!(receivers(&answer), [PHONE, "+6591234567", OTHER_PHONE, PHONE]);
        let times: Vec<String> = (0..4).map(|at| answer.text_at(&format!("/messages/{at}/created_at"))).collect();
        assert!(times.is_sorted_by(|newer, older| newer > older), "{times:?}");
    }

    async fn it_can_be_asked_for_one_phone_in_any_spelling(server: TestServer) {
        for phone in [PHONE, "+6591234567"] {
            server.signup(phone).await.assert_ok();
        }
        for (asked, found) in [
            ("%2B916205829376", PHONE), ("6205829376", PHONE), ("%2B91%2062058-29376", PHONE), ("916205829376", PHONE),
            ("%2B6591234567", "+6591234567"),
            // A plus that is not escaped arrives as a space.
            ("+916205829376", PHONE), ("+6591234567", "+6591234567"), ("+65+9123+4567", "+6591234567"),
        ] {
            let answer = server.get(&format!("/dev/inbox.json?phone_number={asked}")).await;
            assert_eq!(receivers(&answer), [found], "{asked}");
        }
        assert!(receivers(&server.get("/dev/inbox.json?phone_number=%2B919876543210").await).is_empty());
        for all in ["/dev/inbox.json?phone_number=", "/dev/inbox.json?phone_number=%20", "/dev/inbox.json?other=1", "/dev/inbox.json/"] {
            assert_eq!(receivers(&server.get(all).await).len(), 2, "{all}");
        }
    }

    async fn it_can_be_asked_for_a_part_of_a_number(server: TestServer) {
        for phone in [PHONE, "+6591234567"] {
            server.signup(phone).await.assert_ok();
        }
        for (asked, found) in [
            ("9376", &[PHONE][..]), ("%2B916", &[PHONE]), ("+65", &["+6591234567"]), ("4567", &["+6591234567"]),
            ("058-29", &[PHONE]), ("9", &["+6591234567", PHONE]), ("%2B9", &[PHONE]), ("00000", &[]), ("%2B123", &[]),
        ] {
            let answer = server.get(&format!("/dev/inbox.json?phone_number={asked}")).await;
            assert_eq!(receivers(&answer), found, "{asked}");
        }
    }

    async fn a_code_that_was_used_or_is_dead_is_told_from_a_live_one(server: TestServer) {
        let states = |answer: Answer| -> Vec<String> {
            let messages = answer.at("/messages");
            messages.as_array().unwrap().iter().map(|one| one["code_state"].as_str().unwrap_or("none").to_owned()).collect()
        };
        for phone in [PHONE, OTHER_PHONE, "+6591234567"] {
            server.signup(phone).await.assert_ok();
            server.advance(1);
        }
        assert_eq!(states(server.get("/dev/inbox.json").await), ["live", "live", "live"]);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        for _ in 0..3 {
            let answer = server.verify_otp(OTHER_PHONE, &server.wrong_code_for(OTHER_PHONE)).await;
            assert!(answer.status.is_client_error(), "{}", answer.text);
        }
        assert_eq!(states(server.get("/dev/inbox.json").await), ["live", "exhausted", "used"]);
        server.advance(10 * 60);
        assert_eq!(states(server.get("/dev/inbox.json").await), ["expired", "expired", "used"]);
        server.signup("+6591234567").await.assert_ok();
        assert_eq!(states(server.get("/dev/inbox.json").await), ["live", "replaced", "expired", "used"]);
    }

    async fn a_filter_that_is_no_part_of_a_phone_is_named(server: TestServer) {
        for asked in ["abc", "12a", "1%2B2", "%2B", "%00", "%D9%A6%D9%A2"] {
            let answer = server.get(&format!("/dev/inbox.json?phone_number={asked}")).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/phone_number").is_array(), "{}", answer.text);
        }
        let twice = server.get("/dev/inbox.json?phone_number=1&phone_number=2").await;
        assert!([400, 422].contains(&twice.status.as_u16()), "{}", twice.text);
        assert_eq!(twice.at("/data"), Value::Null);
        assert!(!twice.text_at("/error/code").is_empty(), "{}", twice.text);
    }

    async fn the_page_loads_its_own_script_and_style_and_nothing_else(server: TestServer) {
        let page = server.get("/dev/inbox").await;
        page.assert_ok();
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        for (path, content_type) in [
            ("/dev/inbox.css", "text/css; charset=utf-8"), ("/dev/inbox.js", "text/javascript; charset=utf-8"),
        ] {
            assert!(page.text.contains(path), "{path}");
            let asset = server.get(path).await;
            assert_eq!(asset.assert_ok().header("content-type"), Some(content_type));
            for foreign in ["\"http", "'http", "`http", "(http", "\"//", "@import"] {
                assert!(!asset.text.contains(foreign), "{path}: {foreign}");
            }
        }
        let policy = page.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        // What the policy forbids would not work.
        for inline in ["<style", " style=", " onclick=", "javascript:", "src=\"http", "href=\"http"] {
            assert!(!page.text.contains(inline), "{inline}");
        }
    }

    async fn the_page_shows_the_messages_without_its_script(server: TestServer) {
        let page = server.get("/dev/inbox").await;
        assert!(page.assert_ok().text.contains("<h2>No messages yet</h2>"), "{}", page.text);
        server.signup(PHONE).await.assert_ok();
        server.advance(2);
        server.signup("+6591234567").await.assert_ok();
        let code = server.last_code_for(PHONE);
        let page = server.get("/dev/inbox").await;
        let expected = [
            "2 messages", PHONE, "SMS · en", &format!(">{code}</span>"), "Works now", "2 s ago", "just now",
            "Queued <time", ">09:26:53 UTC</time>", "Delivered <time", ">+1 s</time>",
        ];
        for part in expected {
            assert!(page.text.contains(part), "{part} is not in {}", page.text);
        }
        for (filter, other) in [("%2B916205829376", "+6591234567"), ("9376", "+6591234567"), ("+65", PHONE)] {
            let page = server.get(&format!("/dev/inbox?phone_number={filter}")).await;
            assert!(page.assert_ok().text.contains("1 message<") && !page.text.contains(other), "{}", page.text);
        }
        let none = server.get("/dev/inbox?phone_number=%2B919876543210").await;
        assert!(none.assert_ok().text.contains("No messages to numbers with +919876543210 yet"), "{}", none.text);
        let wrong = server.get("/dev/inbox?phone_number=%22%3E%3Cb%3E").await;
        assert_eq!((wrong.status.as_u16(), wrong.header("content-type")), (422, Some("text/html; charset=utf-8")));
        assert!(wrong.text.contains("value=\"&quot;&gt;&lt;b&gt;\"") && !wrong.text.contains("<b>"), "{}", wrong.text);
    }

    async fn outside_of_test_mode_there_is_no_inbox(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let server = server.second_server(&[
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"), ("TWILIO_AUTH_TOKEN", "none"),
            ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ]).await;
        for path in ["/dev/inbox", "/dev/inbox/", "/dev/inbox.json", "/dev/inbox.css", "/dev/inbox.js", "/dev/inbox.json?phone_number=12"] {
            server.get(path).await.assert_error(404, "not_found");
            server.send(Method::POST, path, &[], None).await.assert_error(404, "not_found");
        }
    }
}
