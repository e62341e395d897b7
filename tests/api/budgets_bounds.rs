//! The scope of locks and limits: what they affect, in which order they are reported, what they survive, and what does not
//! depend on them.

use poem::http::Method;
use serde_json::json;

use crate::{
    again::{post_as, post_empty_as, sign_in_from},
    budgets::{DAY, Guesser, HOUR, assert_judged, assert_refused, phone, row, stranger},
    on_both,
    support::{OTHER_PHONE, PHONE},
};

const OFF: (&str, &str) = ("RATE_LIMITS_ENABLED", "false");

on_both! {
    async fn a_lock_is_told_before_everything_else(server: TestServer) {
        let (mut guesser, one) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        for _ in 0..10 {
            assert_judged(&guesser.guess(&one, 30).await);
        }
        // A pending code, one without guesses, an expired one, a used one, and none.
        let locked = async |server: &TestServer| {
            for answer in [one.verify_otp(PHONE, "0000").await, one.verify_login(PHONE, "0000").await] {
                answer.assert_error(429, "phone_locked");
            }
            server.advance(30);
        };
        locked(&server).await;
        let another = stranger(&server, 1);
        for _ in 0..2 {
            assert_judged(&another.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await);
        }
        another.verify_otp(PHONE, "0000").await.assert_error(429, "otp_attempts_exhausted");
        locked(&server).await;
        server.advance(601);
        another.verify_otp(PHONE, "0000").await.assert_error(400, "otp_expired");
        locked(&server).await;
        server.advance(HOUR);
        stranger(&server, 2).signup(PHONE).await.assert_ok();
        another.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        another.verify_otp(PHONE, "0000").await.assert_error(400, "otp_not_found");
        locked(&server).await;
        server.execute("DELETE FROM challenges").await;
        another.verify_otp(PHONE, "0000").await.assert_error(400, "otp_not_found");
        locked(&server).await;
        // Errors in the body come first, because the body has no code to compare.
        one.verify_otp(PHONE, "12").await.assert_error(422, "validation_failed");
    }

    async fn a_lock_is_told_before_the_limit_of_an_address(server: TestServer) {
        let (mut guesser, one) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        for _ in 0..10 {
            assert_judged(&guesser.guess(&one, 30).await);
        }
        for number in 0..20 {
            let phone = phone(number / 3);
            if number % 3 == 0 {
                stranger(&server, 100 + number).signup(&phone).await.assert_ok();
            }
            assert_judged(&one.verify_otp(&phone, &server.wrong_code_for(&phone)).await);
        }
        one.verify_otp(PHONE, "0000").await.assert_error(429, "phone_locked");
        one.verify_otp(OTHER_PHONE, "0000").await.assert_error(429, "rate_limited");
    }

    async fn a_lock_refuses_the_codes_of_every_purpose(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        let (mut guesser, one) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        for _ in 0..10 {
            assert_judged(&guesser.guess(&one, 30).await);
        }
        server.advance(30);
        let sent = server.codes_for(PHONE).len();
        one.signup(PHONE).await.assert_error(429, "phone_locked");
        post_empty_as(&one, &tokens, "/api/auth/confirm-code").await.assert_error(429, "phone_locked");
        let change = json!({ "phone_number": PHONE });
        let answer = post_as(&one, &other, "/api/auth/change-phone", change).await;
        assert!([409, 429].contains(&answer.status.as_u16()), "{}", answer.text);
        assert_eq!(server.codes_for(PHONE).len(), sent);
        // Sessions continue, and an address without guesses may request a code.
        server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
        server.refresh(&tokens.refresh).await.assert_ok();
        stranger(&server, 1).signup(PHONE).await.assert_error(429, "rate_limited");
        server.advance(HOUR);
        stranger(&server, 1).signup(PHONE).await.assert_ok();
    }

    async fn guesses_of_every_purpose_are_counted_together(server: TestServer) {
        let one = server.from("203.0.113.7");
        let tokens = server.sign_in(PHONE).await;
        server.advance(30);
        post_empty_as(&stranger(&server, 1), &tokens, "/api/auth/confirm-code").await.assert_ok();
        let wrong = json!({ "otp_code": server.wrong_code_for(PHONE) });
        for _ in 0..3 {
            post_as(&one, &tokens, "/api/auth/confirm", wrong.clone()).await.assert_error(400, "otp_invalid");
        }
        let mut guesser = Guesser::new(&server, PHONE);
        for _ in 0..7 {
            assert_judged(&guesser.guess(&one, 30).await);
        }
        one.verify_otp(PHONE, "0000").await.assert_error(429, "phone_locked");
        let answer = post_as(&one, &tokens, "/api/auth/confirm", wrong.clone()).await;
        answer.assert_error(429, "phone_locked");
        post_as(&stranger(&server, 2), &tokens, "/api/auth/confirm", wrong)
            .await
            .assert_error(429, "otp_attempts_exhausted");
    }

    async fn what_is_spent_outlives_the_account(server: TestServer) {
        let (mut guesser, one) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        for _ in 0..10 {
            assert_judged(&guesser.guess(&one, 30).await);
        }
        server.advance(HOUR);
        let tokens = sign_in_from(&stranger(&server, 1), PHONE, "Device").await;
        server.send_as(&tokens.access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
        server.advance(HOUR);
        one.verify_otp(PHONE, "0000").await.assert_error(429, "phone_locked");
        one.signup(PHONE).await.assert_error(429, "phone_locked");
        // A server that starts now knows it too.
        let restarted = server.second_server(&[]).await.from("203.0.113.7");
        restarted.verify_otp(PHONE, "0000").await.assert_error(429, "phone_locked");
        // Five of the ten sends of the day are still used up.
        for number in 0..5 {
            stranger(&server, 10 + number).signup(PHONE).await.assert_ok();
            server.advance(HOUR);
        }
        stranger(&server, 20).signup(PHONE).await.assert_error(429, "rate_limited");
        let with_phone = "SELECT COUNT(*) FROM budgets WHERE key LIKE '%6205829376%' OR log LIKE '%+91%'";
        assert_eq!(server.count(with_phone).await, 0);
    }

    async fn switched_off_are_the_budgets_and_nothing_else(server: TestServer) {
        let settings = [OFF, ("SMS_ALLOWED_COUNTRIES", "IN"), ("GUARD_REQUESTS_PER_SECOND", "1")];
        let server = TestServer::with(server.database, &settings).await;
        let one = server.from("203.0.113.7");
        for number in 0..40_i64 {
            // The cooldown and the expiry of a code still apply.
            one.signup(PHONE).await.assert_ok();
            one.signup(PHONE).await.assert_error(429, "otp_cooldown");
            let wrong = server.wrong_code_for(PHONE);
            for left in [2, 1, 0] {
                let answer = one.verify_otp(PHONE, &wrong).await;
                assert_judged(&answer);
                assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
                assert_eq!(answer.header("ratelimit"), None);
            }
            one.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(429, "otp_attempts_exhausted");
            server.advance(if number % 2 == 0 { 30 } else { 601 });
        }
        one.verify_otp(PHONE, "0000").await.assert_error(400, "otp_expired");
        one.signup(PHONE).await.assert_ok();
        one.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        one.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(400, "otp_not_found");
        let answer = one.signup("+12025550123").await;
        answer.assert_error(400, "phone_unreachable");
        assert_eq!(answer.at("/error/reason"), json!("region_not_allowed"));
        for _ in 0..12 {
            let by_name = json!({"username": "nobody", "password": "purple-kettle-morning-71"});
            one.post("/api/auth/login", by_name).await.assert_error(401, "credentials_invalid");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM budgets").await, 0);
    }

    async fn what_was_counted_holds_when_the_limits_are_on_again(server: TestServer) {
        let one = server.from("203.0.113.7");
        for number in 0..20 {
            one.login(&phone(number)).await.assert_error(404, "user_not_found");
        }
        let off = server.second_server(&[OFF]).await.from("203.0.113.7");
        off.login(PHONE).await.assert_error(404, "user_not_found");
        assert_refused(&one.login(PHONE).await, "rate_limited", "address-requests", (20, HOUR), HOUR);
    }

    async fn rows_that_say_nothing_any_more_can_go(server: TestServer) {
        let one = server.from("203.0.113.7");
        one.signup(PHONE).await.assert_ok();
        assert_judged(&one.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await);
        let rows = async |server: &TestServer| server.count("SELECT COUNT(*) FROM budgets").await;
        let all = rows(&server).await;
        for (seconds, left) in [(HOUR - 1, all), (1, all - 2), (DAY - HOUR, 2)] {
            server.advance(seconds);
            loopin_auth::store::budgets::purge(&server.services.store, server.now(), 1000).await.unwrap();
            assert_eq!(rows(&server).await, left, "after {seconds} s more");
        }
        // The failures in a row and the row of the prefix remain.
        let kept = format!("SELECT COUNT(*) FROM budgets WHERE key = '{}' AND count = 1", row(&server, PHONE, "guesses"));
        assert_eq!(server.count(&kept).await, 1);
    }
}
