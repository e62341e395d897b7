//! `POST /api/auth/verify-otp`: the states of a code, in the order in which they are reported. The differences of
//! `verify-login` are in `auth_verify_login.rs`.

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, wrong},
};

const PATH: &str = "/api/auth/verify-otp";

/// How many of these answers carry this code.
fn count(answers: &[Answer], code: &str) -> usize {
    answers.iter().filter(|answer| answer.text_at("/error/code") == code).count()
}

fn signed_in(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status.is_success()).count()
}

on_both! {
    async fn the_right_code_opens_a_session_and_makes_the_account(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let answer = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        answer.assert_ok();
        assert_eq!(answer.at("/success"), json!(true));
        assert_eq!(answer.at("/message"), json!("OTP verified successfully. Please complete your profile."));
        assert_eq!(answer.at("/data/phone_number"), json!(PHONE));
        assert_eq!(answer.at("/data/needs_profile_completion"), json!(true));
        assert_eq!(answer.at("/data/expires_in"), json!(1800));
        let user_id: uuid::Uuid = answer.text_at("/data/user_id").parse().unwrap();
        assert_eq!(user_id.get_version_num(), 7);
        server.get_as(&answer.text_at("/token"), "/api/auth/profile").await.assert_ok();
        server.refresh(&answer.text_at("/data/refresh_token")).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 1);
    }

    async fn somebody_with_a_finished_profile_is_logged_in(server: TestServer) {
        let before = server.sign_in_and_complete(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let answer = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        answer.assert_ok();
        assert_eq!(answer.text_at("/message"), "OTP verified successfully. You are logged in.");
        assert_eq!(answer.at("/data/needs_profile_completion"), json!(false));
        assert_eq!(answer.text_at("/data/user_id"), before.user_id);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 2);
    }

    async fn a_phone_that_never_asked_has_no_code(server: TestServer) {
        server.verify_otp(PHONE, "1097").await.assert_error(400, "otp_not_found");
        server.signup(OTHER_PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(OTHER_PHONE)).await.assert_error(400, "otp_not_found");
    }

    async fn a_used_code_is_as_if_it_had_never_been(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        server.verify_otp(PHONE, &code).await.assert_ok();
        server.verify_otp(PHONE, &code).await.assert_error(400, "otp_not_found");
        server.verify_login(PHONE, &code).await.assert_error(400, "otp_not_found");
        server.verify_otp(PHONE, &wrong(&code)).await.assert_error(400, "otp_not_found");
    }

    async fn a_used_code_is_not_found_rather_than_expired(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(601);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(400, "otp_not_found");
    }

    async fn a_code_used_at_the_third_guess_is_not_found_rather_than_exhausted(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        for _ in 0..2 {
            server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        }
        let code = server.last_code_for(PHONE);
        server.verify_otp(PHONE, &code).await.assert_ok();
        server.verify_otp(PHONE, &code).await.assert_error(400, "otp_not_found");
    }

    async fn a_code_is_dead_one_second_after_ten_minutes(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.advance(601);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(400, "otp_expired");
        server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_expired");
    }

    async fn a_wrong_code_says_how_many_guesses_are_left(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        for (left, message) in [
            (2, "Invalid OTP. 2 attempts remaining"),
            (1, "Invalid OTP. 1 attempt remaining"),
            (0, "Invalid OTP. 0 attempts remaining"),
        ] {
            let answer = server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await;
            answer.assert_error(400, "otp_invalid");
            assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
            assert_eq!(answer.text_at("/message"), message);
        }
    }

    async fn the_third_wrong_code_closes_the_door(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        for _ in 0..3 {
            server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        }
        server.advance(12);
        let answer = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        answer.assert_error(429, "otp_attempts_exhausted");
        assert_eq!(answer.at("/error/retry_after"), json!(18), "when the next code may be requested");
        server.advance(100);
        let answer = server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await;
        answer.assert_error(429, "otp_attempts_exhausted");
        assert_eq!(answer.at("/error/retry_after"), json!(1), "now, which the header cannot say");
    }

    async fn after_the_third_wrong_code_a_new_code_opens(server: TestServer) {
        let server = TestServer::with(server.database, &[("OTP_LENGTH", "8")]).await;
        server.signup(PHONE).await.assert_ok();
        let old = server.last_code_for(PHONE);
        for _ in 0..3 {
            server.verify_otp(PHONE, &wrong(&old)).await.assert_error(400, "otp_invalid");
        }
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        assert_ne!(server.last_code_for(PHONE), old);
        let answer = server.verify_otp(PHONE, &old).await;
        answer.assert_error(400, "otp_invalid");
        assert_eq!(answer.at("/error/attempts_remaining"), json!(2));
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_code_without_guesses_left_expires_like_any_other(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        for _ in 0..3 {
            server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        }
        server.advance(601);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(400, "otp_expired");
    }

    async fn the_right_code_of_a_disabled_account_is_used_up(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        server.disable(PHONE).await;
        server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(403, "account_disabled");
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(400, "otp_not_found");
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 1);
    }

    async fn the_code_of_a_log_in_is_taken(server: TestServer) {
        let before = server.sign_in(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let answer = server.verify_otp("06205829376", &server.last_code_for(PHONE)).await;
        assert_eq!(answer.assert_ok().text_at("/data/user_id"), before.user_id);
    }

    async fn what_cannot_be_a_code_takes_no_attempt(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        for code in [
            json!(null), json!(1097), json!(""), json!("109"), json!("10970"), json!("109a"), json!(" 109"),
            json!("-109"), json!("१०९७"), json!("１０９７"), json!("109\n"), json!("10\u{0}7"), json!(["1097"]),
        ] {
            let answer = server.post(PATH, json!({"phone_number": PHONE, "otp_code": code})).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/otp_code/0").is_string(), "{}", answer.text);
        }
        let answer = server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await;
        assert_eq!(answer.at("/error/attempts_remaining"), json!(2));
    }

    async fn all_faults_are_told_at_once_and_nothing_is_repeated(server: TestServer) {
        let answer = server.post(PATH, json!({"phone_number": "12345", "otp_code": "987654321"})).await;
        answer.assert_error(422, "validation_failed");
        assert!(answer.at("/error/fields/phone_number/0").is_string());
        assert!(answer.at("/error/fields/otp_code/0").is_string());
        assert!(!answer.text.contains("987654321"), "{}", answer.text);
        server.post(PATH, json!({})).await.assert_error(422, "validation_failed");
        for body in ["", "[]", "null", "{", r#"{"phone_number": "+916205829376", "otp_code": "\ud800"}"#] {
            server.post_text(PATH, body).await.assert_error(400, "malformed_request");
        }
    }

    async fn two_hundred_wrong_guesses_at_once_are_three(server: TestServer) {
        // The guesses of a code are not a budget. Budgets under load are tested in `budgets_races.rs`.
        let server = server.without_limits().await;
        server.signup(PHONE).await.assert_ok();
        let wrong = wrong(&server.last_code_for(PHONE));
        let answers = join_all((0..200).map(|_| server.verify_otp(PHONE, &wrong))).await;
        assert_eq!((count(&answers, "otp_invalid"), count(&answers, "otp_attempts_exhausted")), (3, 197));
        let left = answers.iter().filter_map(|answer| answer.at("/error/attempts_remaining").as_i64());
        let mut left: Vec<_> = left.collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2]);
    }

    async fn two_hundred_wrong_guesses_at_two_servers_are_three(server: TestServer) {
        // The guesses of a code are not a budget. Budgets under load are tested in `budgets_races.rs`.
        let server = server.without_limits().await;
        let other = server.second_server(&[]).await;
        server.signup(PHONE).await.assert_ok();
        let wrong = wrong(&server.last_code_for(PHONE));
        let server_of = |i: usize| if i.is_multiple_of(2) { &server } else { &other };
        let answers = join_all((0..200).map(|i| server_of(i).verify_otp(PHONE, &wrong))).await;
        assert_eq!((count(&answers, "otp_invalid"), count(&answers, "otp_attempts_exhausted")), (3, 197));
    }

    async fn fifty_right_answers_at_once_open_one_session(server: TestServer) {
        // The guesses of a code are not a budget. Budgets under load are tested in `budgets_races.rs`.
        let server = server.without_limits().await;
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let answers = join_all((0..50).map(|_| server.verify_otp(PHONE, &code))).await;
        assert_eq!(signed_in(&answers), 1);
        assert_eq!(count(&answers, "otp_not_found") + count(&answers, "otp_attempts_exhausted"), 49);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 1);
    }

    async fn fifty_right_answers_at_two_servers_open_one_session(server: TestServer) {
        // The guesses of a code are not a budget. Budgets under load are tested in `budgets_races.rs`.
        let server = server.without_limits().await;
        let other = server.second_server(&[]).await;
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let server_of = |i: usize| if i.is_multiple_of(2) { &server } else { &other };
        let answers = join_all((0..50).map(|i| server_of(i).verify_otp(PHONE, &code))).await;
        assert_eq!(signed_in(&answers), 1);
        assert_eq!(count(&answers, "otp_not_found") + count(&answers, "otp_attempts_exhausted"), 49);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 1);
    }

    async fn a_right_answer_that_races_a_resend_is_right(server: TestServer) {
        // The guesses of a code are not a budget. Budgets under load are tested in `budgets_races.rs`.
        let settings = [("OTP_RESEND_SECONDS", "0"), ("RATE_LIMITS_ENABLED", "false")];
        let server = TestServer::with(server.database, &settings).await;
        for round in 1..=10 {
            server.signup(PHONE).await.assert_ok();
            let code = server.last_code_for(PHONE);
            let (resent, verified) = tokio::join!(server.signup(PHONE), server.verify_otp(PHONE, &code));
            resent.assert_ok();
            verified.assert_ok();
            assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, round);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
    }

    async fn a_wrong_answer_that_races_a_resend_leaves_the_code_alone(server: TestServer) {
        let server = TestServer::with(server.database, &[("OTP_RESEND_SECONDS", "0")]).await;
        let other = server.second_server(&[]).await;
        server.signup(PHONE).await.assert_ok();
        let guess = server.wrong_code_for(PHONE);
        let (resent, guessed) = tokio::join!(other.signup(PHONE), server.verify_otp(PHONE, &guess));
        resent.assert_ok();
        assert_eq!(guessed.at("/error/attempts_remaining"), json!(2));
        let again = server.verify_otp(PHONE, &guess).await;
        assert_eq!(again.at("/error/attempts_remaining"), json!(1), "a resend adds no guess");
        server.verify_otp(PHONE, &other.last_code_for(PHONE)).await.assert_ok();
    }
}
