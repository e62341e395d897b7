//! `POST /api/auth/forgot-password`: who gets a code, and that nobody is told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    admin_blocks::{admin, block},
    again::{PASSWORD, post_as, register},
    on_both,
    roles::{STAFF, sign_in_with_role},
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens, WIDE_LIMITS, wrong},
};

pub const FORGOT: &str = "/api/auth/forgot-password";
pub const RESET: &str = "/api/auth/reset-password";
const NEW: &str = "copper-lantern-evening-38";
const DAY: i64 = 24 * 60 * 60;

/// Asks for a code, and waits for the message that leaves after the answer.
pub async fn forgot(server: &TestServer, name: &str) -> Answer {
    let answer = server.post(FORGOT, json!({ "username": name })).await;
    server.services.lifecycle.all_done().await;
    answer
}

pub async fn reset(server: &TestServer, name: &str, code: &str, password: &str) -> Answer {
    let body = json!({ "username": name, "otp_code": code, "new_password": password });
    let answer = server.post(RESET, body).await;
    server.services.lifecycle.all_done().await;
    answer
}

/// An account with a username, an e-mail address, a password and a verified phone. A minute later.
pub async fn owner(server: &TestServer, name: &str, phone: &str) -> Tokens {
    let open = server.without_limits().await;
    let tokens = register(&open, name).await;
    let body = json!({ "phone_number": phone });
    post_as(&open, &tokens, "/api/auth/change-phone", body).await.assert_ok();
    let code: Value = open.last_code_for(phone).into();
    let body = json!({ "phone_number": phone, "otp_code": code });
    post_as(&open, &tokens, "/api/auth/verify-change-phone", body).await.assert_ok();
    server.advance(60);
    tokens
}

/// Everything of an answer but the id of the request and the time of day.
fn shown(answer: &Answer) -> String {
    let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in &answer.headers {
        if !["x-request-id", "date"].contains(&name.as_str()) {
            headers.entry(name.as_str()).or_default().push(value.to_str().unwrap());
        }
    }
    format!("{} {headers:?} {}", answer.status, answer.text)
}

/// A kind of name: the name, and whether it gets a code.
struct Kind {
    kind: &'static str,
    name: String,
    phone: Option<&'static str>,
}

/// A name of each kind.
async fn kinds(server: &TestServer) -> Vec<Kind> {
    let kind = |kind, name: &str, phone| Kind { kind, name: name.to_owned(), phone };
    let open = server.without_limits().await;
    owner(server, "by.name", "+919876500001").await;
    owner(server, "by.mail", "+919876500002").await;
    open.sign_in("+919876500003").await;
    owner(server, "disabled", "+919876500004").await;
    server.disable("+919876500004").await;
    owner(server, "staff", "+919876500005").await;
    server.execute("UPDATE accounts SET role = 'staff' WHERE username = 'staff'").await;
    register(&open, "no.phone").await;
    owner(server, "blocked", "+919876500006").await;
    let boss = admin(&open).await;
    block(&open, &boss, "phone", "+919876500006").await;
    owner(server, "out.of.reach", "+919876500007").await;
    server.execute("UPDATE accounts SET phone = '+15005550012' WHERE username = 'out.of.reach'").await;
    owner(server, "refused", "+919876500008").await;
    server.execute("UPDATE accounts SET phone = '+15005550001' WHERE username = 'refused'").await;
    owner(server, "not.served", "+919876500010").await;
    server.execute("UPDATE accounts SET phone = '+447911123456' WHERE username = 'not.served'").await;
    owner(server, "cooling", "+919876500009").await;
    vec![
        kind("unknown", "nobody", None),
        kind("unknown address", "nobody@example.com", None),
        kind("unknown phone", "+919876500099", Some("+919876500099")),
        kind("no name at all", "!? 12", None),
        kind("known", "by.name", Some("+919876500001")),
        kind("known address", "by.mail@example.com", Some("+919876500002")),
        kind("known phone", "098765 00003", Some("+919876500003")),
        kind("disabled", "disabled", Some("+919876500004")),
        kind("staff", "staff", Some("+919876500005")),
        kind("without a phone", "no.phone", None),
        kind("blocked", "blocked", Some("+919876500006")),
        kind("provider down", "out.of.reach", None),
        kind("refused by the provider", "refused", None),
        kind("country not served", "not.served", Some("+447911123456")),
        kind("in cooldown", "cooling", Some("+919876500009")),
    ]
}

/// The settings of the walks: a country that is not served.
const INDIA_ONLY: (&str, &str) = ("SMS_ALLOWED_COUNTRIES", "IN,US");

on_both! {
    async fn the_code_comes_by_every_name_in_every_spelling(server: TestServer) {
        owner(&server, "Gaurav", PHONE).await;
        for name in [
            "Gaurav", "gaurav", " GAURAV ", "gaurav@example.com", "Gaurav@EXAMPLE.com", "+916205829376", "62058 29376",
            "(062058) 29376", "0091 62058-29376",
        ] {
            // A server with an inbox of its own.
            let server = server.without_limits().await;
            server.advance(30);
            let answer = forgot(&server, name).await;
            answer.assert_ok();
            assert_eq!((answer.at("/success"), answer.at("/token")), (json!(true), Value::Null));
            assert_eq!(answer.at("/data"), json!({"expires_in": 600, "resend_in": 30}), "{name}");
            assert_eq!(server.inbox_of(PHONE).len(), 1, "{name}");
            reset(&server, name, &server.last_code_for(PHONE), NEW).await.assert_ok();
        }
    }

    async fn every_name_is_answered_alike(server: TestServer) {
        let server = server.second_server(&[INDIA_ONLY]).await;
        let kinds = kinds(&server).await;
        server.from("198.51.100.9").login("+919876500009").await.assert_ok();
        let sent = |server: &TestServer| server.services.sms.inbox().unwrap().list(None).len();
        let before = sent(&server);
        let mut steps: Vec<(String, Vec<String>)> = Vec::new();
        let mut keep = |step: &str, answers: Vec<String>| steps.push((step.to_owned(), answers));
        let from = |place: usize| server.from(format!("203.0.113.{place}"));
        let all = async |step: &str| {
            let mut answers = Vec::new();
            for (place, kind) in kinds.iter().enumerate() {
                let from = from(place);
                answers.push(shown(&match step {
                    "forgot" => forgot(&from, &kind.name).await,
                    _ => reset(&from, &kind.name, step, NEW).await,
                }));
            }
            answers
        };
        keep("a code that nobody asked for", all("0000").await);
        keep("forgot", all("forgot").await);
        let after_first = sent(&server);
        keep("forgot, too soon", all("forgot").await);
        server.advance(20);
        keep("forgot, still too soon", all("forgot").await);
        assert_eq!(sent(&server), after_first, "a resend that is too soon sends nothing");
        keep("a wrong code", all("0000").await);
        server.advance(10);
        keep("a resend", all("forgot").await);
        keep("the second wrong code", all("0001").await);
        keep("the third wrong code", all("0002").await);
        keep("exhausted", all("0003").await);
        server.advance(30);
        keep("a new code", all("forgot").await);
        keep("a wrong code again", all("0000").await);
        server.advance(601);
        keep("expired", all("0000").await);
        keep("the hour's requests are used up", all("forgot").await);
        server.advance(DAY);
        keep("forgot on the next day", all("forgot").await);
        for (step, answers) in &steps {
            for (kind, answer) in kinds.iter().zip(answers) {
                assert_eq!(answer, &answers[0], "{step}, {}", kind.kind);
            }
        }
        let told = |place: usize| steps[place].1[0].as_str();
        assert!(told(0).contains("otp_not_found"), "{}", told(0));
        assert!(told(1).contains(r#""data":{"expires_in":600,"resend_in":30}"#), "{}", told(1));
        assert!(told(3).contains(r#""data":{"expires_in":580,"resend_in":10}"#), "{}", told(3));
        assert!(told(4).contains(r#""attempts_remaining":2"#), "{}", told(4));
        assert!(told(7).contains(r#""attempts_remaining":0"#), "{}", told(7));
        assert!(told(8).contains("otp_attempts_exhausted"), "{}", told(8));
        assert!(told(11).contains("otp_expired"), "{}", told(11));
        assert!(told(12).starts_with("429") && told(12).contains("rate_limited"), "{}", told(12));
        // Who can reset got a code each time. In the cooldown of a code of sign-in the first one was left out.
        for kind in &kinds {
            let Some(phone) = kind.phone else { continue };
            let expected = match kind.kind {
                // In a cooldown one was sent before, and three later.
                "known" | "known address" | "known phone" | "in cooldown" => 4,
                _ => 0,
            };
            assert_eq!(server.codes_for(phone).len(), expected, "{}", kind.kind);
        }
        assert_eq!(after_first - before, 3);
    }

    async fn a_name_that_gets_no_code_has_nothing_to_guess(server: TestServer) {
        for (name, account) in [("nobody", None), ("staff", Some("role = 'staff'")), ("disabled", Some("is_active = FALSE"))] {
            if let Some(account) = account {
                owner(&server, name, PHONE).await;
                server.execute(&format!("UPDATE accounts SET {account}, phone = '{OTHER_PHONE}' WHERE username = '{name}'")).await;
            }
            server.execute("DELETE FROM challenges").await;
            forgot(&server, name).await.assert_ok();
            assert_eq!(server.count("SELECT COUNT(*) FROM challenges WHERE phone LIKE 'name:%'").await, 1);
            assert_eq!(server.count("SELECT COUNT(*) FROM challenges").await, 1, "{name}");
            reset(&server, name, "0000", NEW).await.assert_error(400, "otp_invalid");
            server.execute("UPDATE accounts SET phone = NULL").await;
        }
    }

    async fn a_code_of_a_time_before_the_account_changed_is_wrong(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        forgot(&server, "gaurav").await.assert_ok();
        let code = server.last_code_for(PHONE);
        for change in ["is_active = FALSE", "is_active = TRUE, role = 'staff'", "role = 'user', phone = '+919876500001'"] {
            server.execute(&format!("UPDATE accounts SET {change} WHERE username = 'gaurav'")).await;
            let answer = reset(&server, "gaurav", &code, NEW).await;
            answer.assert_error(400, "otp_invalid");
        }
        // Another account has the name by now.
        server.execute(&format!("UPDATE accounts SET phone = '{PHONE}', username_key = 'old' WHERE username = 'gaurav'")).await;
        owner(&server, "gaurav.2", OTHER_PHONE).await;
        server.execute("UPDATE accounts SET username_key = 'gaurav' WHERE username = 'gaurav.2'").await;
        reset(&server, "gaurav", &code, NEW).await.assert_error(429, "otp_attempts_exhausted");
        forgot(&server, "gaurav").await.assert_ok();
        reset(&server, "gaurav", &code, NEW).await.assert_error(400, "otp_invalid");
    }

    async fn a_locked_phone_gets_nothing_and_its_name_is_told_nothing(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        let (stranger, own) = (server.from("198.51.100.1"), server.from("203.0.113.1"));
        // Ten wrong codes of sign-in from one address.
        for _ in 0..4 {
            stranger.login(PHONE).await.assert_ok();
            let code = wrong(&server.last_code_for(PHONE));
            for _ in 0..3 {
                stranger.verify_otp(PHONE, &code).await;
            }
            server.advance(60 * 60);
        }
        stranger.login(PHONE).await.assert_error(429, "phone_locked");
        let sent = server.inbox_of(PHONE).len();
        forgot(&stranger, "gaurav").await.assert_ok();
        assert_eq!(server.inbox_of(PHONE).len(), sent);
        // From another address the phone is not locked.
        server.advance(30);
        forgot(&own, "gaurav").await.assert_ok();
        assert_eq!(server.inbox_of(PHONE).len(), sent + 1);
        // The right code from the address that is locked out is as good as a wrong one.
        let code = server.last_code_for(PHONE);
        reset(&stranger, "gaurav", &code, NEW).await.assert_error(400, "otp_invalid");
        reset(&own, "gaurav", &code, NEW).await.assert_ok();
    }

    async fn an_account_that_was_not_used_for_long_cannot_be_reset_by_the_next_owner_of_its_number(server: TestServer) {
        let settings = [("PHONE_STALE_DAYS", "90"), ("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "365"), ("SESSION_MAX_DAYS", "3650")];
        let server = server.second_server(&settings).await;
        owner(&server, "gaurav", PHONE).await;
        server.advance(60 * DAY);
        forgot(&server, "gaurav").await.assert_ok();
        let code = server.last_code_for(PHONE);
        let sent = server.inbox_of(PHONE).len();
        // The code is pending when the account becomes stale.
        server.execute("UPDATE challenges SET expires_at = '2027-01-01 00:00:00+00:00'").await;
        server.advance(31 * DAY);
        reset(&server, "gaurav", &code, NEW).await.assert_error(400, "otp_invalid");
        for name in ["gaurav", "gaurav@example.com", PHONE] {
            forgot(&server, name).await.assert_ok();
            assert_eq!(server.inbox_of(PHONE).len(), sent, "{name}");
        }
        // The next owner of the number gets an account of their own, and no way into the old one.
        let next = server.sign_in(PHONE).await;
        server.advance(30);
        for name in ["gaurav", "gaurav@example.com"] {
            let sent = server.inbox_of(PHONE).len();
            forgot(&server, name).await.assert_ok();
            assert_eq!(server.inbox_of(PHONE).len(), sent, "{name}");
        }
        forgot(&server, PHONE).await.assert_ok();
        reset(&server, PHONE, &server.last_code_for(PHONE), NEW).await.assert_ok();
        let login = server.post("/api/auth/login", json!({"username": PHONE, "password": NEW})).await;
        assert_eq!(crate::forge::claim(&login.assert_ok().text_at("/access"), "user_id"), next.user_id);
        server.post("/api/auth/login", json!({"username": "gaurav", "password": PASSWORD})).await.assert_ok();
    }

    async fn a_name_and_an_address_have_their_requests(server: TestServer) {
        let from = |place: u32| server.from(format!("203.0.113.{place}"));
        for name in ["nobody", "gaurav"] {
            if name == "gaurav" {
                owner(&server, "gaurav", PHONE).await;
            }
            // Three an hour of one name from one address.
            for _ in 0..3 {
                forgot(&from(1), name).await.assert_ok();
                server.advance(30);
            }
            let refused = forgot(&from(1), &name.to_uppercase()).await;
            refused.assert_error(429, "rate_limited");
            assert!(refused.at("/error/retry_after").as_i64().unwrap() > 3000, "{}", refused.text);
            forgot(&from(1), "another").await.assert_ok();
            // Five an hour of one name from anywhere.
            for place in 2..4 {
                forgot(&from(place), name).await.assert_ok();
                server.advance(30);
            }
            forgot(&from(4), name).await.assert_error(429, "rate_limited");
            server.advance(60 * 60);
            forgot(&from(4), name).await.assert_ok();
            server.advance(DAY);
        }
        // Twenty an hour of one address, together with signup and login.
        let busy = from(9);
        for place in 0..20 {
            match place % 3 {
                0 => busy.login("1").await.assert_error(422, "validation_failed"),
                1 => busy.post(FORGOT, json!({})).await.assert_error(422, "validation_failed"),
                _ => drop(forgot(&busy, &format!("nobody.{place}")).await.assert_ok()),
            }
        }
        forgot(&busy, "nobody.99").await.assert_error(429, "rate_limited");
        busy.login(OTHER_PHONE).await.assert_error(429, "rate_limited");
    }

    async fn the_messages_are_those_of_the_phone(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        // Three an hour to one phone from one address, by whatever name.
        for name in ["gaurav", "gaurav@example.com", PHONE] {
            forgot(&server, name).await.assert_ok();
            server.advance(30);
        }
        assert_eq!(server.codes_for(PHONE).len(), 3);
        server.login(PHONE).await.assert_error(429, "rate_limited");
        forgot(&server, "gaurav").await.assert_ok();
        assert_eq!(server.codes_for(PHONE).len(), 3);
    }

    async fn it_wants_a_name(server: TestServer) {
        for (body, field) in [
            (json!({}), "username"),
            (json!({"username": ""}), "username"),
            (json!({"username": 7}), "username"),
            (json!({"username": null}), "username"),
            (json!({"username": "a\u{0}b"}), "username"),
            (json!({"username": "a", "channel": "fax"}), "channel"),
            (json!({"username": "a", "channel": "call"}), "channel"),
            (json!({"username": "a", "platform": "toaster"}), "platform"),
            (json!({"username": "a", "challenge_response": 7}), "challenge_response"),
        ] {
            let answer = server.post(FORGOT, body).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at(&format!("/error/fields/{field}/0")).is_string(), "{}", answer.text);
        }
        let answer = server.post(FORGOT, json!({"channel": "fax", "platform": "toaster"})).await;
        assert_eq!(answer.at("/error/fields").as_object().unwrap().len(), 3, "{}", answer.text);
        server.post_text(FORGOT, "[]").await.assert_error(400, "malformed_request");
        assert_eq!(server.count("SELECT COUNT(*) FROM challenges").await, 0);
    }

    async fn a_busy_address_proves_that_it_is_no_bot_whatever_the_name(server: TestServer) {
        let settings = [&WIDE_LIMITS[1..], &[("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "8")]].concat();
        let server = server.second_server(&settings).await;
        owner(&server, "gaurav", PHONE).await;
        let busy = server.from("203.0.113.7");
        for _ in 0..10 {
            busy.login("1").await.assert_error(422, "validation_failed");
        }
        for name in ["gaurav", "nobody"] {
            let refused = forgot(&busy, name).await;
            refused.assert_error(403, "challenge_required");
            let challenge = refused.text_at("/error/challenge/challenge");
            let solved = crate::bot_check::work(&challenge, true);
            let body = json!({"username": name, "challenge_response": solved});
            // The proof is of this name alone.
            let other = json!({"username": "another", "challenge_response": solved});
            busy.post(FORGOT, other).await.assert_error(403, "challenge_required");
            busy.post(FORGOT, body.clone()).await.assert_ok();
            server.advance(30);
            busy.post(FORGOT, body).await.assert_error(403, "challenge_required");
        }
        server.services.lifecycle.all_done().await;
        assert_eq!(server.codes_for(PHONE).len(), 1);
    }

    async fn a_blocked_address_is_refused_for_every_name(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        let boss = admin(&server).await;
        block(&server, &boss, "address", "203.0.113.0/24").await;
        let blocked = server.from("203.0.113.7");
        for name in ["gaurav", "nobody"] {
            forgot(&blocked, name).await.assert_error(403, "forbidden");
            reset(&blocked, name, "0000", NEW).await.assert_error(403, "forbidden");
        }
    }

    async fn staff_read_in_the_audit_log_why_nothing_was_sent(server: TestServer) {
        sign_in_with_role(&server, STAFF, "staff").await;
        forgot(&server, STAFF).await.assert_ok();
        forgot(&server, "nobody").await.assert_ok();
        server.services.audit.flush().await.unwrap();
        for (reason, whose) in [("staff", "user_id IS NOT NULL"), ("no_account", "user_id IS NULL")] {
            let sql = format!(
                "SELECT COUNT(*) FROM audit WHERE action = 'code_refused' AND CAST(detail AS TEXT) LIKE '%{reason}%' AND {whose}"
            );
            assert_eq!(server.count(&sql).await, 1, "{reason}");
        }
    }
}
