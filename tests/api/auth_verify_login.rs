//! `POST /api/auth/verify-login`

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{PHONE, wrong},
};

const PATH: &str = "/api/auth/verify-login";

on_both! {
    async fn the_right_code_logs_in(server: TestServer) {
        let before = server.sign_in_and_complete(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let answer = server.verify_login("+91 62058-29376", &server.last_code_for(PHONE)).await;
        answer.assert_ok();
        assert_eq!(answer.text_at("/message"), "Login successful");
        let mut data = answer.at("/data");
        let refresh = data.as_object_mut().unwrap().remove("refresh_token").unwrap();
        let device = data.as_object_mut().unwrap().remove("device_token").unwrap();
        assert!(device.is_string());
        let expected = json!({
            "user_id": before.user_id,
            "phone_number": PHONE,
            "name": "Gaurav Kumar",
            "is_verified": true,
            "needs_profile_completion": false,
            "expires_in": 1800,
        });
        assert_eq!(data, expected);
        server.get_as(&answer.text_at("/token"), "/api/auth/profile").await.assert_ok();
        server.refresh(refresh.as_str().unwrap()).await.assert_ok();
        server.get_as(&before.access, "/api/auth/profile").await.assert_ok();
    }

    async fn without_a_profile_there_is_no_name_yet(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let answer = server.verify_login(PHONE, &server.last_code_for(PHONE)).await;
        answer.assert_ok();
        assert_eq!(answer.json().pointer("/data/name"), Some(&Value::Null));
        assert_eq!(answer.at("/data/needs_profile_completion"), json!(true));
    }

    async fn the_code_of_a_sign_up_is_taken(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn the_right_code_without_an_account_is_not_used_up(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let answer = server.verify_login(PHONE, &code).await;
        answer.assert_error(404, "user_not_found");
        assert_eq!(answer.text_at("/message"), "User not found. Please signup first.");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'new'").await, 1);
        server.verify_otp(PHONE, &code).await.assert_ok();
    }

    async fn not_even_as_the_third_guess(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        for _ in 0..2 {
            server.verify_login(PHONE, &wrong(&code)).await.assert_error(400, "otp_invalid");
        }
        server.verify_login(PHONE, &code).await.assert_error(404, "user_not_found");
        server.verify_login(PHONE, &code).await.assert_error(404, "user_not_found");
        server.verify_otp(PHONE, &code).await.assert_ok();
    }

    async fn it_frees_no_guess_that_was_wrong(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        for _ in 0..2 {
            server.verify_otp(PHONE, &wrong(&code)).await.assert_error(400, "otp_invalid");
        }
        server.verify_login(PHONE, &code).await.assert_error(404, "user_not_found");
        let answer = server.verify_otp(PHONE, &wrong(&code)).await;
        assert_eq!(answer.at("/error/attempts_remaining"), json!(0));
        server.verify_otp(PHONE, &code).await.assert_error(429, "otp_attempts_exhausted");
    }

    async fn fifty_right_codes_without_an_account_at_once_leave_it_open(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let answers = join_all((0..50).map(|_| server.verify_login(PHONE, &code))).await;
        assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 404 | 429)));
        server.verify_otp(PHONE, &code).await.assert_ok();
    }

    async fn the_right_code_of_a_disabled_account_is_used_up(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        server.disable(PHONE).await;
        let code = server.last_code_for(PHONE);
        server.verify_login(PHONE, &code).await.assert_error(403, "account_disabled");
        server.verify_login(PHONE, &code).await.assert_error(400, "otp_not_found");
    }

    async fn the_states_come_in_the_same_order_as_at_verify_otp(server: TestServer) {
        server.verify_login(PHONE, "1097").await.assert_error(400, "otp_not_found");
        server.sign_in(PHONE).await;
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_error(400, "otp_not_found");
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        for left in [2, 1, 0] {
            let answer = server.verify_login(PHONE, &wrong(&code)).await;
            answer.assert_error(400, "otp_invalid");
            assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
        }
        server.verify_login(PHONE, &code).await.assert_error(429, "otp_attempts_exhausted");
        server.advance(601);
        server.verify_login(PHONE, &code).await.assert_error(400, "otp_expired");
    }

    async fn guesses_at_either_door_are_counted_together(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let guess = wrong(&server.last_code_for(PHONE));
        let (one, two) = tokio::join!(
            join_all((0..20).map(|_| server.verify_otp(PHONE, &guess))),
            join_all((0..20).map(|_| server.verify_login(PHONE, &guess))),
        );
        assert_eq!(one.iter().chain(&two).filter(|answer| answer.status == 400).count(), 3);
        assert_eq!(one.iter().chain(&two).filter(|answer| answer.status == 429).count(), 37);
    }

    async fn fifty_right_answers_at_both_doors_open_one_session(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let other = server.second_server(&[]).await;
        let (one, two) = tokio::join!(
            join_all((0..25).map(|_| server.verify_otp(PHONE, &code))),
            join_all((0..25).map(|_| other.verify_login(PHONE, &code))),
        );
        assert_eq!(one.iter().chain(&two).filter(|answer| answer.status == 200).count(), 1);
        assert!(one.iter().chain(&two).all(|answer| !answer.status.is_server_error()));
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 2, "this one and the first");
    }

    async fn faults_of_the_fields_are_told_at_once(server: TestServer) {
        let answer = server.post(PATH, json!({"phone_number": "1", "otp_code": "abcd"})).await;
        answer.assert_error(422, "validation_failed");
        assert!(answer.at("/error/fields/phone_number").is_array() && answer.at("/error/fields/otp_code").is_array());
        server.post_text(PATH, "[]").await.assert_error(400, "malformed_request");
    }
}
