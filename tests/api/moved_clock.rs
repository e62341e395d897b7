//! Clocks that are set back: stored times are in the future then, and count as now.

use poem::http::Method;
use serde_json::json;

use crate::{
    on_both,
    support::{Answer, OTHER_PHONE, PHONE},
};

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;
const BACK: [i64; 3] = [60, HOUR, YEAR];

fn wait(answer: &Answer) -> i64 {
    answer.at("/error/retry_after").as_i64().unwrap_or_default()
}

on_both! {
    async fn a_cooldown_is_never_longer_than_its_setting(server: TestServer) {
        for (number, back) in BACK.into_iter().enumerate() {
            let phone = format!("+91620582937{number}");
            server.signup(&phone).await.assert_ok();
            server.advance(-back);
            let refused = server.signup(&phone).await;
            refused.assert_error(429, "otp_cooldown");
            assert_eq!(wait(&refused), 30, "{back}");
            server.advance(29);
            assert_eq!(wait(&server.signup(&phone).await), 1, "{back}");
            // A client that waits for `retry_after` is served.
            server.advance(1);
            let answer = server.signup(&phone).await;
            answer.assert_ok();
            assert!(answer.at("/data/expires_in").as_i64().unwrap() <= 600, "{}", answer.text);
            assert_eq!(answer.at("/data/resend_in"), json!(30), "{}", answer.text);
            server.advance(back);
        }
    }

    async fn so_is_one_without_limits(server: TestServer) {
        let off = server.without_limits().await;
        off.signup(PHONE).await.assert_ok();
        off.advance(-HOUR);
        let refused = off.signup(PHONE).await;
        refused.assert_error(429, "otp_cooldown");
        assert_eq!(wait(&refused), 30);
        off.advance(30);
        off.signup(PHONE).await.assert_ok();
    }

    async fn a_window_and_a_lock_are_never_longer_than_theirs(server: TestServer) {
        let settings = [
            ("LIMIT_SENDS_PER_PHONE", "2/1h"),
            ("LIMIT_GUESSES_PER_PHONE_AND_ADDRESS", "2/2h"),
            ("OTP_RESEND_SECONDS", "0"),
        ];
        for (number, back) in BACK.into_iter().enumerate() {
            let server = server.second_server(&settings).await.from(format!("203.0.113.{number}"));
            let phone = format!("+91620582937{number}");
            for _ in 0..2 {
                server.signup(&phone).await.assert_ok();
            }
            server.advance(-back);
            let refused = server.signup(&phone).await;
            refused.assert_error(429, "rate_limited");
            assert_eq!(wait(&refused), HOUR, "{back}");
            server.advance(HOUR);
            server.signup(&phone).await.assert_ok();
            for _ in 0..2 {
                server.verify_otp(&phone, &server.wrong_code_for(&phone)).await.assert_error(400, "otp_invalid");
            }
            server.advance(-back);
            let locked = server.verify_otp(&phone, &server.last_code_for(&phone)).await;
            locked.assert_error(429, "phone_locked");
            assert_eq!(wait(&locked), 2 * HOUR, "{back}");
            server.advance(2 * HOUR);
            // Earlier sends count as now when they are read, and end an hour later.
            server.signup(&phone).await;
            server.advance(HOUR);
            server.signup(&phone).await.assert_ok();
            server.verify_otp(&phone, &server.last_code_for(&phone)).await.assert_ok();
            server.advance(2 * back);
        }
    }

    async fn a_code_lives_as_long_as_one_that_is_sent_now(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.signup(OTHER_PHONE).await.assert_ok();
        server.advance(-YEAR);
        for phone in [PHONE, OTHER_PHONE] {
            server.verify_otp(phone, &server.wrong_code_for(phone)).await.assert_error(400, "otp_invalid");
        }
        server.advance(600);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        server.advance(1);
        server.verify_otp(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await.assert_error(400, "otp_expired");
    }

    async fn a_session_lives_as_long_as_one_that_is_opened_now(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let device_token = server.signup(OTHER_PHONE).await.text_at("/data/device_token");
        assert_eq!(device_token, "");
        server.advance(-YEAR);
        // The access token would be valid for too long and is refused; the session continues.
        server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_expired");
        let pair = server.refresh(&tokens.refresh).await;
        pair.assert_ok();
        let (access, refresh) = (pair.text_at("/access"), pair.text_at("/refresh"));
        server.get_as(&access, "/api/auth/profile").await.assert_ok();
        // The confirmation of the sign-in ends too.
        server.advance(601);
        let body = json!({"phone_number": OTHER_PHONE});
        let answer = server.send_as(&access, Method::POST, "/api/auth/change-phone", body).await;
        answer.assert_error(403, "reauthentication_required");
        server.advance(7 * 24 * HOUR);
        server.refresh(&refresh).await.assert_error(401, "token_expired");
    }

    async fn a_device_is_not_known_for_longer(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let token = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.text_at("/data/device_token");
        let live = |now| server.services.devices.read(&token, now).is_some();
        assert!(live(server.now()));
        assert!(live(server.now() - chrono::Duration::seconds(5)), "clocks differ by so much");
        assert!(!live(server.now() - chrono::Duration::seconds(7)));
        assert!(!live(server.now() - chrono::Duration::days(300)));
    }
}
