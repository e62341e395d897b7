//! `device_token`: wrong guesses of strangers lock out strangers, but never a device that has signed in before.

use jsonwebtoken::Algorithm;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, confirm_by_code, post_as, post_empty_as},
    forge::{claims, signed_by, with},
    on_both,
    roles::{ADMIN, sign_in_with_role},
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens, wrong},
};

const HOME: &str = "203.0.113.7";
const ELSEWHERE: &str = "198.51.100.4";
const DAY: i64 = 24 * 60 * 60;

/// A body with a phone, a device token and more members.
fn body(phone: &str, token: &str, more: Value) -> Value {
    with(json!({ "phone_number": phone, "device_token": token }), more)
}

async fn signup(server: &TestServer, token: &str) -> Answer {
    server.post("/api/auth/signup", body(PHONE, token, json!({}))).await
}

async fn verify(server: &TestServer, token: &str, code: &str) -> Answer {
    server.post("/api/auth/verify-otp", body(PHONE, token, json!({ "otp_code": code }))).await
}

/// Signs in by phone. Returns the answer, which has a device token.
async fn sign_in(server: &TestServer) -> Answer {
    server.signup(PHONE).await.assert_ok();
    let answer = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
    answer.assert_ok();
    answer
}

fn token_of(answer: &Answer) -> String {
    let token = answer.text_at("/data/device_token");
    assert!(!token.is_empty(), "{}", answer.text);
    token
}

fn tokens_of(answer: &Answer) -> Tokens {
    Tokens {
        access: answer.text_at("/token"),
        refresh: answer.text_at("/data/refresh_token"),
        user_id: answer.text_at("/data/user_id"),
    }
}

/// A server without budgets, for the tests of cooldowns.
async fn without_budgets(server: &TestServer) -> TestServer {
    server.second_server(&[("RATE_LIMITS_ENABLED", "false")]).await
}

/// Whether a token is valid: the device does not wait for the cooldown of a stranger's request.
async fn is_live(server: &TestServer, phone: &str, token: &str) -> bool {
    server.advance(30);
    server.signup(phone).await.assert_ok();
    let answer = server.post("/api/auth/signup", body(phone, token, json!({}))).await;
    if answer.status.as_u16() != 200 {
        answer.assert_error(429, "otp_cooldown");
    }
    answer.status.as_u16() == 200
}

on_both! {
    async fn a_device_keeps_its_name_for_as_long_as_it_shows_its_token(server: TestServer) {
        let server = without_budgets(&server).await;
        let first = token_of(&sign_in(&server).await);
        let start = server.now().timestamp();
        let claimed = claims(&first);
        assert_eq!(claimed["token_type"], json!("device"));
        assert_eq!(claimed["exp"].as_i64().unwrap() - start, 180 * DAY);
        for name in ["user_id", "sid", "jti", "phone_number", "role"] {
            assert_eq!(claimed.get(name), None, "{name}");
        }
        server.advance(3600);
        signup(&server, &first).await.assert_ok();
        let second = token_of(&verify(&server, &first, &server.last_code_for(PHONE)).await);
        assert_eq!(claims(&second)["device_id"], claimed["device_id"]);
        assert_eq!(claims(&second)["exp"].as_i64().unwrap() - start, 180 * DAY + 3600);
        // A sign-in without a device token gets a new one, and so does `verify-login`.
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let other = token_of(&server.verify_login(PHONE, &server.last_code_for(PHONE)).await);
        assert_ne!(claims(&other)["device_id"], claimed["device_id"]);
        for token in [first, second, other] {
            assert!(is_live(&server, PHONE, &token).await);
        }
    }

    async fn a_lock_is_no_weapon(server: TestServer) {
        let server = server.second_server(&[("LIMIT_GUESSES_PER_PHONE", "3/24h")]).await;
        let (home, stranger) = (server.from(HOME), server.from(ELSEWHERE));
        let signed_in = sign_in(&home).await;
        let token = token_of(&signed_in);
        server.advance(30);
        stranger.signup(PHONE).await.assert_ok();
        let code = server.wrong_code_for(PHONE);
        for _ in 0..3 {
            stranger.verify_otp(PHONE, &code).await.assert_error(400, "otp_invalid");
        }
        for client in [&stranger, &home] {
            client.verify_otp(PHONE, &code).await.assert_error(429, "phone_locked");
        }
        server.advance(30);
        home.signup(PHONE).await.assert_error(429, "phone_locked");
        // Sessions continue, and the device signs in again from any address.
        home.get_as(&signed_in.text_at("/token"), "/api/auth/profile").await.assert_ok();
        for client in [&home, &stranger] {
            server.advance(30);
            signup(client, &token).await.assert_ok();
            let code = server.last_code_for(PHONE);
            verify(client, &token, &wrong(&code)).await.assert_error(400, "otp_invalid");
            verify(client, &token, &code).await.assert_ok();
        }
        // Strangers are still locked out.
        stranger.signup(PHONE).await.assert_error(429, "phone_locked");
    }

    async fn what_refuses_an_address_does_not_refuse_a_device(server: TestServer) {
        let server = server
            .second_server(&[("LIMIT_REQUESTS_PER_ADDRESS", "2/1h"), ("LIMIT_GUESSES_PER_ADDRESS", "1/1h")])
            .await
            .from(HOME);
        let token = token_of(&sign_in(&server).await);
        server.advance(30);
        server.signup(OTHER_PHONE).await.assert_ok();
        server.verify_otp(OTHER_PHONE, &server.wrong_code_for(OTHER_PHONE)).await.assert_error(400, "otp_invalid");
        server.verify_otp(OTHER_PHONE, "0000").await.assert_error(429, "rate_limited");
        server.signup(OTHER_PHONE).await.assert_error(429, "rate_limited");
        signup(&server, &token).await.assert_ok();
        let code = server.last_code_for(PHONE);
        verify(&server, &token, &wrong(&code)).await.assert_error(400, "otp_invalid");
        verify(&server, &token, &code).await.assert_ok();
        // A token of another phone, or one that was revoked, counts as a stranger's.
        for (phone, token) in [(OTHER_PHONE, token.as_str()), (PHONE, "nonsense")] {
            let answer = server.post("/api/auth/signup", body(phone, token, json!({}))).await;
            answer.assert_error(429, "rate_limited");
        }
    }

    async fn its_sends_are_three_a_day(server: TestServer) {
        let token = token_of(&sign_in(&server).await);
        let first = server.now();
        for _ in 0..2 {
            signup(&server, &token).await.assert_ok();
            server.advance(29);
            signup(&server, &token).await.assert_error(429, "otp_cooldown");
            server.advance(1);
        }
        let last = signup(&server, &token).await;
        assert_eq!(last.assert_ok().at("/data/resend_in"), json!(DAY - 60));
        server.advance(30);
        let refused = signup(&server, &token).await;
        refused.assert_error(429, "rate_limited");
        let wait = refused.at("/error/retry_after").as_i64().unwrap();
        assert_eq!(wait, DAY - 90);
        // Strangers have a challenge of their own, and its code is not valid for the device.
        server.signup(PHONE).await.assert_ok();
        server.advance(wait - 1);
        signup(&server, &token).await.assert_error(429, "rate_limited");
        server.advance(1);
        assert_eq!((server.now() - first).num_seconds(), DAY);
        signup(&server, &token).await.assert_ok();
    }

    async fn its_wrong_guesses_are_ten_a_day(server: TestServer) {
        // More sends than guesses are allowed, so that the guesses run out.
        let server = server.second_server(&[("LIMIT_SENDS_PER_DEVICE", "10/24h")]).await;
        let token = token_of(&sign_in(&server).await);
        let first = server.now();
        for guess in 0..10 {
            if guess % 3 == 0 {
                server.advance(30);
                signup(&server, &token).await.assert_ok();
            }
            let code = server.wrong_code_for(PHONE);
            verify(&server, &token, &code).await.assert_error(400, "otp_invalid");
        }
        let right = server.last_code_for(PHONE);
        let refused = verify(&server, &token, &right).await;
        refused.assert_error(429, "phone_locked");
        let wait = refused.at("/error/retry_after").as_i64().unwrap();
        // This does not lock out strangers.
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        // The last moment of the lock, and the first after it.
        server.advance(wait - 30 - 1);
        signup(&server, &token).await.assert_ok();
        verify(&server, &token, &server.last_code_for(PHONE)).await.assert_error(429, "phone_locked");
        server.advance(1);
        assert_eq!((server.now() - first).num_seconds(), DAY + 30);
        verify(&server, &token, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_right_code_by_device_ends_the_failures_in_a_row(server: TestServer) {
        let server = server.second_server(&[("LIMIT_FAILURES_IN_A_ROW", "4")]).await;
        let token = token_of(&sign_in(&server).await);
        for round in 0..2 {
            server.advance(30);
            let stranger = server.from(format!("198.51.100.{round}"));
            stranger.signup(PHONE).await.assert_ok();
            let code = server.wrong_code_for(PHONE);
            for _ in 0..3 {
                stranger.verify_otp(PHONE, &code).await.assert_error(400, "otp_invalid");
            }
            signup(&server, &token).await.assert_ok();
            verify(&server, &token, &server.last_code_for(PHONE)).await.assert_ok();
        }
    }

    async fn its_challenge_is_its_own(server: TestServer) {
        let server = without_budgets(&server).await.second_server(&[("OTP_LENGTH", "8")]).await;
        let token = token_of(&sign_in(&server).await);
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        let strangers = server.last_code_for(PHONE);
        verify(&server, &token, &strangers).await.assert_error(400, "otp_not_found");
        signup(&server, &token).await.assert_ok();
        let strangers_code = server.last_code_for(PHONE);
        verify(&server, &token, &strangers).await.assert_error(400, "otp_invalid");
        server.verify_otp(PHONE, &strangers_code).await.assert_error(400, "otp_invalid");
        // Three wrong guesses of a stranger use up the stranger's challenge, but not the device's.
        for _ in 0..2 {
            server.verify_otp(PHONE, &strangers_code).await.assert_error(400, "otp_invalid");
        }
        server.verify_otp(PHONE, &strangers).await.assert_error(429, "otp_attempts_exhausted");
        let login = body(PHONE, &token, json!({ "otp_code": strangers_code }));
        server.post("/api/auth/verify-login", login).await.assert_ok();
        verify(&server, &token, &strangers_code).await.assert_error(400, "otp_not_found");
        assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE account_id IS NOT NULL").await, 0);
    }

    async fn it_lives_for_180_days(server: TestServer) {
        let server = without_budgets(&server).await;
        let token = token_of(&sign_in(&server).await);
        server.signup(OTHER_PHONE).await.assert_ok();
        let other = token_of(&server.verify_otp(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await);
        // `is_live` moves the clock by 30 seconds.
        server.advance(180 * DAY - 1 - 30);
        assert!(is_live(&server, PHONE, &token).await);
        server.advance(1 - 30);
        assert!(!is_live(&server, OTHER_PHONE, &other).await);
    }

    async fn it_dies_with_logout_all(server: TestServer) {
        let server = without_budgets(&server).await;
        let answer = sign_in(&server).await;
        let (token, tokens) = (token_of(&answer), tokens_of(&answer));
        // Ending one session, or the others, does not revoke the device token.
        let bearer = format!("Bearer {}", tokens.access);
        let others = server.send(Method::DELETE, "/api/auth/sessions", &[("authorization", &bearer)], None).await;
        others.assert_ok();
        assert!(is_live(&server, PHONE, &token).await);
        post_empty_as(&server, &tokens, "/api/auth/logout-all").await.assert_ok();
        assert!(!is_live(&server, PHONE, &token).await);
        server.advance(30);
        let next = token_of(&sign_in(&server).await);
        assert!(is_live(&server, PHONE, &next).await);
    }

    async fn it_dies_with_a_change_of_phone(server: TestServer) {
        let server = without_budgets(&server).await;
        let answer = sign_in(&server).await;
        let (token, tokens) = (token_of(&answer), tokens_of(&answer));
        signup(&server, &token).await.assert_ok();
        let change = json!({ "phone_number": OTHER_PHONE });
        post_as(&server, &tokens, "/api/auth/change-phone", change).await.assert_ok();
        let code = json!({ "phone_number": OTHER_PHONE, "otp_code": server.last_code_for(OTHER_PHONE) });
        post_as(&server, &tokens, "/api/auth/verify-change-phone", code).await.assert_ok();
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM challenges WHERE phone = '{PHONE}'")).await, 0);
        assert!(!is_live(&server, PHONE, &token).await, "the old phone");
        assert!(!is_live(&server, OTHER_PHONE, &token).await, "the new one");
    }

    async fn it_dies_with_a_new_password(server: TestServer) {
        let server = without_budgets(&server).await;
        let answer = sign_in(&server).await;
        let token = token_of(&answer);
        let new = json!({ "new_password": PASSWORD });
        post_as(&server, &tokens_of(&answer), "/api/auth/password", new).await.assert_ok();
        assert!(!is_live(&server, PHONE, &token).await);
    }

    async fn it_dies_with_the_account_and_while_that_is_off(server: TestServer) {
        let server = without_budgets(&server).await;
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let answer = sign_in(&server).await;
        let (token, tokens) = (token_of(&answer), tokens_of(&answer));
        let path = format!("/api/users/{}", tokens.user_id);
        server.send_as(&admin.access, Method::DELETE, &path, json!({})).await.assert_ok();
        server.advance(30);
        signup(&server, &token).await.assert_error(403, "account_disabled");
        let path = format!("{path}/activate");
        server.send_as(&admin.access, Method::POST, &path, json!({})).await.assert_ok();
        assert!(!is_live(&server, PHONE, &token).await, "nor does it come back with the account");

        server.advance(30);
        let answer = sign_in(&server).await;
        let token = token_of(&answer);
        signup(&server, &token).await.assert_ok();
        post_empty_as(&server, &tokens_of(&answer), "/api/auth/delete-account").await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM challenges WHERE holder <> ''").await, 0);
        assert!(!is_live(&server, PHONE, &token).await, "it opens no new account either");
    }

    async fn it_never_passes_for_another_token_nor_another_for_it(server: TestServer) {
        let secret = server.setting("SECRET_KEY").to_owned();
        let same = [("JWT_SECRET_KEY", secret.as_str()), ("RATE_LIMITS_ENABLED", "false")];
        let server = server.second_server(&same).await;
        let answer = sign_in(&server).await;
        let (token, tokens) = (token_of(&answer), tokens_of(&answer));
        server.get_as(&token, "/api/auth/profile").await.assert_error(401, "token_invalid");
        server.refresh(&token).await.assert_error(401, "token_invalid");
        let signed = signed_by(&secret, Algorithm::HS256, &claims(&token));
        let renamed = signed_by(&secret, Algorithm::HS256, &with(claims(&tokens.access), json!({"token_type": "device"})));
        for text in [tokens.access.as_str(), &tokens.refresh, &signed, &renamed, "", "nonsense", "..."] {
            assert!(!is_live(&server, PHONE, text).await, "{text}");
        }
        assert!(is_live(&server, PHONE, &token).await);
    }

    async fn it_is_a_text_or_nothing_and_never_repeated(server: TestServer) {
        let server = without_budgets(&server).await;
        sign_in(&server).await;
        for path in ["signup", "login", "verify-otp", "verify-login"] {
            server.advance(30);
            let path = format!("/api/auth/{path}");
            for wrong in [json!(7), json!({}), json!([]), json!(true), json!("a\u{0}b")] {
                let more = json!({ "device_token": wrong, "otp_code": "0000" });
                let answer = server.post(&path, body(PHONE, "", more)).await;
                answer.assert_error(422, "validation_failed");
                assert!(answer.at("/error/fields/device_token").is_array(), "{}", answer.text);
            }
            let answer = server.post(&path, body(PHONE, "an-echo-of-this", json!({ "otp_code": "0000" }))).await;
            assert_ne!(answer.status.as_u16(), 422, "{}", answer.text);
            assert!(!answer.text.contains("an-echo"), "{}", answer.text);
            let null = json!({ "phone_number": PHONE, "device_token": null, "otp_code": "0000" });
            assert_ne!(server.post(&path, null).await.status.as_u16(), 422);
        }
    }

    async fn it_outlives_a_change_of_the_secret(server: TestServer) {
        // `SECRET_KEY_FALLBACKS` is separated by commas, so these keys contain none.
        let old = "an old secret key of the tests: 32 bytes or more";
        let new = ("SECRET_KEY", "a new secret key of the tests: 32 bytes or more");
        let server = without_budgets(&server).await.second_server(&[("SECRET_KEY", old)]).await;
        let token = token_of(&sign_in(&server).await);
        let changed = server.second_server(&[new, ("SECRET_KEY_FALLBACKS", old)]).await;
        assert!(is_live(&changed, PHONE, &token).await);
        let forgotten = server.second_server(&[new]).await;
        assert!(!is_live(&forgotten, PHONE, &token).await);
    }

    async fn signing_out_everywhere_and_in_at_once_leaves_no_old_token(server: TestServer) {
        let server = without_budgets(&server).await;
        let answer = sign_in(&server).await;
        let (token, tokens) = (token_of(&answer), tokens_of(&answer));
        confirm_by_code(&server, &tokens, PHONE).await;
        signup(&server, &token).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let (out, back) =
            tokio::join!(post_empty_as(&server, &tokens, "/api/auth/logout-all"), verify(&server, &token, &code));
        out.assert_ok();
        assert!(!is_live(&server, PHONE, &token).await, "the one of before");
        // The sign-in was before or after the revocation; its session and its device token agree.
        let goes_on = server.get_as(&back.text_at("/token"), "/api/auth/profile").await.status.as_u16() == 200;
        if back.status.as_u16() == 200 {
            assert_eq!(is_live(&server, PHONE, &token_of(&back)).await, goes_on);
        }
    }
}
