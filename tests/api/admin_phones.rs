//! `/api/admin/phones`: the verdict on a phone, and sending a code to a user. What each verdict says is tested in
//! `tests/admin`.

use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    prefixes::entries,
    roles::{STAFF, sign_in_with_role},
    support::{Answer, PHONE, TestServer, Tokens},
};

const PATH: &str = "/api/admin/phones/+916205829376";
const RESEND: &str = "/api/admin/phones/062058%2029376/resend";

async fn resend(server: &TestServer, who: &Tokens, body: Value) -> Answer {
    server.send_as(&who.access, Method::POST, RESEND, body).await
}

on_both! {
    async fn only_staff_and_admins_may(server: TestServer) {
        let user = server.sign_in("+919876543210").await;
        for (method, path) in [(Method::GET, PATH), (Method::POST, RESEND)] {
            server.send(method.clone(), path, &[], None).await.assert_error(401, "token_missing");
            server.send_as(&user.access, method, path, json!({})).await.assert_error(403, "forbidden");
        }
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        for path in ["/api/admin/phones/12", "/api/admin/phones/%20", "/api/admin/phones/nonsense"] {
            server.get_as(&staff.access, path).await.assert_error(422, "validation_failed");
        }
        assert!(entries(&server, Action::PhoneShown).await.is_empty());
    }

    async fn a_phone_has_a_verdict_and_a_timeline(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let unknown = server.get_as(&staff.access, PATH).await;
        assert_eq!(
            unknown.assert_ok().json(),
            json!({
                "phone_number": PHONE,
                "verdict": {
                    "code": "never_asked",
                    "sentence": "No code was ever requested for this number.",
                    "advice": unknown.text_at("/verdict/advice"),
                },
                "timeline": [],
            })
        );
        server.from("203.0.113.7").signup(PHONE).await.assert_ok();
        server.play(1).await;
        server.from("203.0.113.7").verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        server.advance(1);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let known = server.get_as(&staff.access, PATH).await;
        known.assert_ok();
        assert_eq!(known.text_at("/verdict/code"), "verified");
        let timeline = known.at("/timeline");
        let kinds: Vec<&str> = timeline.as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds.first(), Some(&"signed_in"));
        assert_eq!(kinds.len(), 6, "{timeline}");
        let wrong = timeline.as_array().unwrap().iter().find(|entry| entry["kind"] == "wrong_code").unwrap();
        assert_eq!((&wrong["text"], &wrong["address"]), (&json!("A wrong code was entered."), &json!("203.0.113.7")));
        let statuses: Vec<&Value> = timeline.as_array().unwrap().iter().filter(|entry| entry["kind"] == "message").map(|entry| &entry["status"]).collect();
        assert_eq!(statuses, ["delivered", "sent", "queued", "pending"]);
        let shown = entries(&server, Action::PhoneShown).await;
        assert_eq!(shown.len(), 2, "each reading is recorded");
        assert_eq!(shown[1].actor_id.unwrap().to_string(), staff.user_id);
    }

    async fn staff_send_the_code_again(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        server.from("203.0.113.7").signup_with(PHONE, json!({}), "hi").await.assert_ok();
        server.advance(30);
        let sent = resend(&server, &staff, json!({})).await;
        sent.assert_ok();
        assert_eq!((sent.text_at("/channel"), sent.at("/expires_in"), sent.at("/resend_in")), ("sms".into(), json!(570), json!(30)));
        let codes = server.codes_for(PHONE);
        assert_eq!((codes.len(), &codes[0]), (2, &codes[1]), "the same code");
        assert_eq!(server.inbox_of(PHONE)[0].language, "hi", "in the language of the user");
        assert!(!sent.text.contains(&codes[0]));
        let entry = &entries(&server, Action::CodeResentByStaff).await[0];
        assert_eq!((entry.actor_kind.as_ref(), entry.actor_id.unwrap().to_string()), ("staff", staff.user_id.clone()));
        assert_eq!(entry.phone_masked.as_deref(), Some("+91******9376"));
        let outcome = entries(&server, Action::CodeSent).await.pop().unwrap();
        assert_eq!(outcome.actor_id.unwrap().to_string(), staff.user_id);
        // Nobody's address is charged for it.
        let charged = "SELECT COUNT(*) FROM budgets WHERE key LIKE 'phone/%/sends/%'";
        assert_eq!(server.count(charged).await, 2, "those of the two sign-ups");
        server.verify_otp(PHONE, &codes[0]).await.assert_ok();
        // A phone that never asked gets a new code, and is no lead by that.
        let new = server.send_as(&staff.access, Method::POST, "/api/admin/phones/+919876543210/resend", json!({})).await;
        new.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE phone = '+919876543210'").await, 0);
        server.verify_otp("+919876543210", &server.last_code_for("+919876543210")).await.assert_ok();
    }

    async fn a_code_for_a_known_device_works_on_that_device(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        server.signup(PHONE).await.assert_ok();
        let token = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok().text_at("/data/device_token");
        let body = json!({"phone_number": PHONE, "device_token": token});
        server.post("/api/auth/login", body).await.assert_ok();
        server.advance(30);
        resend(&server, &staff, json!({})).await.assert_ok();
        let body = json!({"phone_number": PHONE, "device_token": token, "otp_code": server.last_code_for(PHONE)});
        server.post("/api/auth/verify-login", body).await.assert_ok();
    }

    async fn the_limits_of_the_phone_hold(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        server.signup(PHONE).await.assert_ok();
        let soon = resend(&server, &staff, json!({})).await;
        soon.assert_error(429, "otp_cooldown");
        assert_eq!(soon.at("/error/retry_after"), json!(30));
        for _ in 0..4 {
            server.advance(30);
            resend(&server, &staff, json!({})).await.assert_ok();
        }
        server.advance(30);
        let full = resend(&server, &staff, json!({})).await;
        full.assert_error(429, "rate_limited");
        assert_eq!(full.text_at("/message"), "Nothing was sent: this number has got as many codes as it may. Try again in 58 minutes.");
        assert_eq!(server.codes_for(PHONE).len(), 5);
        let refused = entries(&server, Action::CodeRefused).await;
        assert_eq!(refused.iter().map(|entry| entry.detail.get("budget").unwrap().as_str().unwrap()).collect::<Vec<_>>(), ["cooldown", "phone-sends"]);
        assert!(refused.iter().all(|entry| entry.actor_id.unwrap().to_string() == staff.user_id));
    }

    async fn what_refuses_a_user_refuses_staff(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let code = |answer: &Answer| (answer.status.as_u16(), answer.text_at("/error/code"), answer.text_at("/message"));
        let off = resend(&server, &staff, json!({"channel": "whatsapp"})).await;
        off.assert_error(422, "validation_failed");
        let abroad = server.second_server(&[("SMS_ALLOWED_COUNTRIES", "GB")]).await;
        let refused = resend(&abroad, &staff, json!({})).await;
        assert_eq!(code(&refused), (400, "phone_unreachable".into(), "Nothing was sent: this server sends no messages to this country.".into()));
        assert_eq!(refused.text_at("/error/reason"), "region_not_allowed");
        let blocked = server.second_server(&[("SMS_BLOCKED_PREFIXES", "+916205")]).await;
        let refused = resend(&blocked, &staff, json!({})).await;
        assert_eq!(code(&refused).2, "Nothing was sent: an admin, the settings or the operator's check before sending block this number, or all that begin like it.");
        let review = server.second_server(&[("OTP_REVIEW_NUMBERS", "+916205829376=4821@2026-03-14")]).await;
        let refused = resend(&review, &staff, json!({})).await;
        assert_eq!(code(&refused).2, "Nothing was sent: this number is for app review, and its code is fixed.");
        let locked = server.second_server(&[("LIMIT_GUESSES_PER_PHONE", "1/24h")]).await;
        server.signup(PHONE).await.assert_ok();
        locked.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        server.advance(30);
        let refused = resend(&locked, &staff, json!({})).await;
        assert_eq!(code(&refused), (429, "phone_locked".into(), "Nothing was sent: wrong codes have locked this number. Unlock it first.".into()));
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        server.disable(PHONE).await;
        let refused = resend(&server, &staff, json!({})).await;
        assert_eq!(code(&refused), (403, "account_disabled".into(), "Nothing was sent: the account is disabled. Activate it first.".into()));
        assert_eq!(server.codes_for(PHONE).len(), 1);
    }

    async fn what_the_provider_refuses_is_said(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        for (phone, status, code) in [
            ("+15005550004", 400, "phone_unreachable"),
            ("+15005550012", 503, "sms_unavailable"),
            ("+15005550013", 502, "sms_rejected"),
        ] {
            let path = format!("/api/admin/phones/{phone}/resend");
            server.send_as(&staff.access, Method::POST, &path, json!({})).await.assert_error(status, code);
        }
    }
}
