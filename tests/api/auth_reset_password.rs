//! `POST /api/auth/reset-password`: a new password by a code.

use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::{
    again::{PASSWORD, confirm_by_code, post_as, register},
    auth_forgot_password::{FORGOT, RESET, forgot, owner, reset},
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer, Tokens, hook::Hook, wrong},
};

const NEW: &str = "copper-lantern-evening-38";
const OTHER: &str = "violet-canoe-7350";

async fn is_in(server: &TestServer, tokens: &Tokens) -> bool {
    server.get_as(&tokens.access, "/api/auth/profile").await.status == 200
}

async fn can_log_in(server: &TestServer, name: &str, password: &str) -> bool {
    let answer = server.post("/api/auth/login", json!({"username": name, "password": password})).await;
    if answer.status == 401 {
        answer.assert_error(401, "credentials_invalid");
        return false;
    }
    answer.assert_ok();
    true
}

on_both! {
    async fn the_new_password_counts_and_all_sessions_end(server: TestServer) {
        let old = owner(&server, "gaurav", PHONE).await;
        let by_code = server.login(PHONE).await;
        by_code.assert_ok();
        let signed_in = server.verify_login(PHONE, &server.last_code_for(PHONE)).await;
        let device_token = signed_in.assert_ok().text_at("/data/device_token");
        let stranger = server.sign_in(OTHER_PHONE).await;
        server.advance(30);
        forgot(&server, "gaurav").await.assert_ok();
        let code = server.last_code_for(PHONE);
        let headers = [("content-type", "application/json"), ("accept-language", "hi")];
        let body = json!({"username": "Gaurav", "otp_code": code, "new_password": NEW}).to_string();
        let answer = server.send(poem::http::Method::POST, RESET, &headers, Some(body)).await;
        assert_eq!(answer.assert_ok().at("/success"), json!(true), "{}", answer.text);
        assert_eq!((answer.at("/data"), answer.at("/token")), (json!({}), json!(null)));
        server.services.lifecycle.all_done().await;
        assert!(!is_in(&server, &old).await && is_in(&server, &stranger).await);
        server.get_as(&signed_in.text_at("/token"), "/api/auth/profile").await.assert_error(401, "token_revoked");
        for refresh in [old.refresh, signed_in.text_at("/data/refresh_token")] {
            server.refresh(&refresh).await.assert_error(401, "token_revoked");
        }
        assert!(can_log_in(&server, "gaurav", NEW).await && !can_log_in(&server, "gaurav", PASSWORD).await);
        // The device token is over, too: a person who knew the old password may have it.
        assert_eq!(server.count("SELECT device_epoch FROM accounts WHERE username = 'gaurav'").await, 2);
        assert!(!device_token.is_empty());
        // The notice, in the language of the request, and without a code.
        let notice = &server.inbox_of(PHONE)[0];
        assert_eq!((notice.otp_code.as_ref(), notice.language.as_str()), (None, "hi"));
        assert!(!notice.body.contains(&code), "{}", notice.body);
        let rows = format!("SELECT COUNT(*) FROM messages WHERE phone = '{PHONE}' AND template = 'password_changed'");
        assert_eq!(server.count(&rows).await, 1);
        server.services.audit.flush().await.unwrap();
        let sql = "SELECT COUNT(*) FROM audit WHERE action = 'password_changed' AND CAST(detail AS TEXT) LIKE '%\"code\"%'";
        assert_eq!(server.count(sql).await, 1);
    }

    async fn the_code_is_used_once(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        forgot(&server, "gaurav").await.assert_ok();
        let code = server.last_code_for(PHONE);
        reset(&server, "gaurav", &code, NEW).await.assert_ok();
        reset(&server, "gaurav", &code, OTHER).await.assert_error(400, "otp_not_found");
        // By another name of the same account it was never asked for.
        reset(&server, "gaurav@example.com", &code, OTHER).await.assert_error(400, "otp_not_found");
        assert!(can_log_in(&server, "gaurav", NEW).await);
    }

    async fn of_two_resets_with_one_code_one_wins(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        forgot(&server, "gaurav").await.assert_ok();
        server.advance(30);
        forgot(&server, "gaurav@example.com").await.assert_ok();
        let code = server.last_code_for(PHONE);
        let (one, other) = join(
            reset(&server, "gaurav", &code, NEW),
            reset(&server, "gaurav@example.com", &code, OTHER),
        )
        .await;
        let won = [&one, &other].map(|answer| answer.status == 200);
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{} {}", one.text, other.text);
        let lost = if won[0] { &other } else { &one };
        assert!(["otp_not_found", "otp_invalid"].contains(&lost.text_at("/error/code").as_str()), "{}", lost.text);
        assert_eq!([can_log_in(&server, "gaurav", NEW).await, can_log_in(&server, "gaurav", OTHER).await], won);
        let notices = "SELECT COUNT(*) FROM messages WHERE template = 'password_changed'";
        assert_eq!(server.count(notices).await, 1);
    }

    async fn a_password_that_is_refused_uses_no_guess(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        forgot(&server, "gaurav").await.assert_ok();
        let code = server.last_code_for(PHONE);
        for password in ["short", "12345678901", "letmein123", "gaurav-2026", &"x".repeat(129)] {
            let before = server.services.hasher.made();
            let answer = reset(&server, "gaurav", &code, password).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/new_password/0").is_string(), "{}", answer.text);
            assert!(!answer.text.contains(password), "{}", answer.text);
            assert_eq!(server.services.hasher.made(), before);
        }
        assert_eq!(server.count("SELECT MAX(attempts) FROM challenges WHERE purpose = 'reset_password'").await, 0);
        let answer = server.post(RESET, json!({"otp_code": "12", "new_password": "1"})).await;
        answer.assert_error(422, "validation_failed");
        let fields = answer.at("/error/fields");
        assert_eq!(fields.as_object().unwrap().keys().collect::<Vec<_>>(), ["new_password", "otp_code", "username"]);
        // The other names of the account are compared after the right code only: they are a secret.
        server.execute("UPDATE accounts SET first_name = 'Venkatesan' WHERE username = 'gaurav'").await;
        reset(&server, "gaurav", &wrong(&code), "venkatesan-71").await.assert_error(400, "otp_invalid");
        for _ in 0..3 {
            let answer = reset(&server, "gaurav", &code, "venkatesan-71").await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/new_password/0").is_string(), "{}", answer.text);
        }
        assert!(can_log_in(&server, "gaurav", PASSWORD).await);
        reset(&server, "gaurav", &code, NEW).await.assert_ok();
    }

    async fn guesses_are_counted_whatever_the_name_and_never_exceed_those_of_one_code(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        for name in ["gaurav", "gaurav@example.com", PHONE] {
            forgot(&server, name).await.assert_ok();
            server.advance(30);
        }
        let code = server.last_code_for(PHONE);
        // Three names have nine guesses as they are told, but the code has three.
        for name in ["gaurav", "gaurav@example.com"] {
            for left in [2, 1, 0] {
                let answer = reset(&server, name, &wrong(&code), NEW).await;
                answer.assert_error(400, "otp_invalid");
                assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
            }
            reset(&server, name, &code, NEW).await.assert_error(429, "otp_attempts_exhausted");
        }
        reset(&server, PHONE, &code, NEW).await.assert_error(400, "otp_invalid");
        assert!(can_log_in(&server, "gaurav", PASSWORD).await);
    }

    async fn a_hundred_guesses_at_once_are_three(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        forgot(&server, "gaurav").await.assert_ok();
        forgot(&server, "nobody").await.assert_ok();
        let code = wrong(&server.last_code_for(PHONE));
        for name in ["gaurav", "nobody"] {
            let guesses = (0..100).map(|place| {
                let from = server.from(format!("203.0.113.{place}"));
                let code = code.clone();
                async move { reset(&from, name, &code, NEW).await }
            });
            let answers = join_all(guesses).await;
            let judged = answers.iter().filter(|answer| answer.text_at("/error/code") == "otp_invalid").count();
            assert_eq!(judged, 3, "{name}");
        }
    }

    async fn wrong_guesses_lock_the_phone_for_every_purpose(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        let stranger = server.from("203.0.113.7");
        for round in 0..4 {
            forgot(&stranger, "gaurav").await.assert_ok();
            let code = wrong(&server.last_code_for(PHONE));
            for guess in 0..3 {
                let answer = reset(&stranger, "gaurav", &code, NEW).await;
                if round * 3 + guess < 10 {
                    answer.assert_error(400, "otp_invalid");
                } else {
                    answer.assert_error(429, "phone_locked");
                }
            }
            server.advance(60 * 60);
        }
        stranger.login(PHONE).await.assert_error(429, "phone_locked");
        stranger.verify_otp(PHONE, "0000").await.assert_error(429, "phone_locked");
        forgot(&stranger, "gaurav").await.assert_error(429, "phone_locked");
        // Not from elsewhere.
        server.login(PHONE).await.assert_ok();
        // An unknown name is locked in the same way.
        for round in 0..4 {
            forgot(&stranger, "nobody").await.assert_ok();
            for guess in 0..3 {
                let answer = reset(&stranger, "nobody", "0000", NEW).await;
                let is_judged = round * 3 + guess < 10;
                answer.assert_error(if is_judged { 400 } else { 429 }, if is_judged { "otp_invalid" } else { "phone_locked" });
            }
            server.advance(60 * 60);
        }
        forgot(&stranger, "nobody").await.assert_error(429, "phone_locked");
    }

    async fn a_right_code_returns_the_charges(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        for password in [NEW, OTHER, PASSWORD] {
            forgot(&server, "gaurav").await.assert_ok();
            let code = server.last_code_for(PHONE);
            reset(&server, "gaurav", &wrong(&code), password).await.assert_error(400, "otp_invalid");
            reset(&server, "gaurav", &code, password).await.assert_ok();
            server.advance(60 * 60);
        }
        // Three wrong codes are left of six, and none in a row.
        let key = "SELECT COUNT(*) FROM budgets WHERE key LIKE '%guesses%' AND count > 3";
        assert_eq!(server.count(key).await, 0);
    }

    async fn a_code_is_of_one_purpose(server: TestServer) {
        let tokens = owner(&server, "gaurav", PHONE).await;
        forgot(&server, "gaurav").await.assert_ok();
        let code = server.last_code_for(PHONE);
        server.verify_otp(PHONE, &code).await.assert_error(400, "otp_not_found");
        server.verify_login(PHONE, &code).await.assert_error(400, "otp_not_found");
        post_as(&server, &tokens, "/api/auth/confirm", json!({"otp_code": code})).await.assert_error(400, "otp_not_found");
        // A code of sign-in resets nothing, although both are pending.
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let of_sign_in = server.last_code_for(PHONE);
        assert_ne!(of_sign_in, code);
        reset(&server, "gaurav", &of_sign_in, NEW).await.assert_error(400, "otp_invalid");
        server.verify_otp(PHONE, &code).await.assert_error(400, "otp_invalid");
        server.verify_otp(PHONE, &of_sign_in).await.assert_ok();
        reset(&server, "gaurav", &code, NEW).await.assert_ok();
        // Nor does a code that confirms.
        server.advance(60 * 60);
        let tokens = server.post("/api/auth/login", json!({"username": "gaurav", "password": NEW})).await;
        let tokens = crate::again::password_tokens(tokens.assert_ok());
        forgot(&server, "gaurav").await.assert_ok();
        server.advance(30);
        confirm_by_code(&server, &tokens, PHONE).await;
        reset(&server, "gaurav", &server.last_code_for(PHONE), OTHER).await.assert_error(400, "otp_invalid");
    }

    async fn an_account_without_a_password_gets_its_first_one(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(30);
        forgot(&server, PHONE).await.assert_ok();
        reset(&server, PHONE, &server.last_code_for(PHONE), NEW).await.assert_ok();
        assert!(!is_in(&server, &tokens).await);
        assert!(can_log_in(&server, PHONE, NEW).await);
    }

    async fn a_resend_is_the_same_code_and_a_code_ends(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        forgot(&server, "gaurav").await.assert_ok();
        let code = server.last_code_for(PHONE);
        server.advance(60);
        let answer = forgot(&server, "gaurav").await;
        assert_eq!(answer.assert_ok().at("/data/expires_in"), json!(540));
        assert_eq!(server.codes_for(PHONE), [code.clone(), code.clone()]);
        server.advance(540);
        let pending = reset(&server, "gaurav", &wrong(&code), NEW).await;
        pending.assert_error(400, "otp_invalid");
        server.advance(1);
        reset(&server, "gaurav", &code, NEW).await.assert_error(400, "otp_expired");
    }

    async fn a_name_without_a_request_has_no_code(server: TestServer) {
        owner(&server, "gaurav", PHONE).await;
        register(&server, "no.phone").await;
        for name in ["gaurav", "gaurav@example.com", PHONE, "no.phone", "nobody", "nobody@example.com", OTHER_PHONE] {
            reset(&server, name, "0000", NEW).await.assert_error(400, "otp_not_found");
        }
        assert_eq!(server.services.lifecycle.running(), 0);
    }

    async fn an_account_that_is_deleted_leaves_no_code(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(30);
        forgot(&server, PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let export = server.get_as(&tokens.access, "/api/auth/export").await;
        assert!(export.assert_ok().text.contains("reset_password"), "{}", export.text);
        server.send_as(&tokens.access, poem::http::Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM challenges WHERE phone = '{PHONE}'")).await, 0);
        reset(&server, PHONE, &code, NEW).await.assert_error(400, "otp_invalid");
    }

    async fn the_answer_waits_for_no_provider(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.asked_by(&server, &[]).await;
        owner(&server, "gaurav", PHONE).await;
        let slow = ResponseTemplate::new(200).set_delay(Duration::from_millis(500));
        hook.answer(slow.set_body_json(json!({"decision": "allow"})));
        server.post(FORGOT, json!({"username": "gaurav"})).await.assert_ok();
        assert!(server.services.lifecycle.running() > 0, "the hook has not decided yet");
        assert!(server.inbox_of(PHONE).is_empty());
        server.services.lifecycle.all_done().await;
        assert_eq!(server.codes_for(PHONE).len(), 1);
    }

    async fn the_hook_before_sending_is_asked_and_can_refuse(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.asked_by(&server, &[]).await;
        owner(&server, "gaurav", PHONE).await;
        hook.forget().await;
        for (decision, sent) in [("deny", 0), ("challenge", 0), ("allow", 1)] {
            hook.decide(decision);
            forgot(&server, "gaurav").await.assert_ok();
            assert_eq!(server.codes_for(PHONE).len(), sent, "{decision}");
            server.advance(30);
        }
        let questions = hook.questions(&server).await;
        assert_eq!(questions.len(), 3);
        assert!(questions.iter().all(|question| question.to_string().contains("reset_password")), "{questions:?}");
    }
}
