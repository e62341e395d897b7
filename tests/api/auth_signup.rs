//! `POST /api/auth/signup`

use futures_util::future::join_all;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{Answer, OTHER_PHONE, PHONE},
};

const PATH: &str = "/api/auth/signup";

/// How many of these requests sent a code, and how many got a cooldown. There are no other answers.
#[track_caller]
fn sent_and_cooldown(answers: &[Answer]) -> (usize, usize) {
    let sent = answers.iter().filter(|answer| answer.status.is_success()).count();
    for refused in answers.iter().filter(|answer| !answer.status.is_success()) {
        refused.assert_error(429, "otp_cooldown");
    }
    (sent, answers.len() - sent)
}

on_both! {
    async fn a_new_phone_gets_a_code(server: TestServer) {
        let answer = server.signup(PHONE).await;
        let expected = json!({
            "success": true,
            "message": "OTP sent successfully to your phone number",
            "data": {
                "phone_number": PHONE,
                "expires_in": 600,
                "resend_in": 30,
                "delivery_id": answer.at("/data/delivery_id"),
            },
            "token": null,
        });
        assert_eq!(answer.assert_ok().json(), expected);
        assert!(answer.header("x-request-id").is_some());
        assert_eq!(server.codes_for(PHONE).len(), 1);
    }

    async fn a_phone_whose_profile_is_not_finished_gets_a_code_to_go_on(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        let answer = server.signup(PHONE).await;
        answer.assert_ok();
        let message = "OTP sent successfully. Please verify to complete your registration.";
        assert_eq!(answer.text_at("/message"), message);
        assert_eq!(server.codes_for(PHONE).len(), 2);
    }

    async fn a_finished_account_is_told_to_log_in(server: TestServer) {
        server.sign_in_and_complete(PHONE).await;
        server.advance(30);
        let answer = server.signup(PHONE).await;
        answer.assert_error(409, "user_already_exists");
        assert_eq!(answer.text_at("/message"), "User already exists. Please login instead.");
        assert_eq!(server.codes_for(PHONE).len(), 1, "nothing is sent");
    }

    async fn a_disabled_account_gets_no_code(server: TestServer) {
        server.sign_in(PHONE).await;
        server.disable(PHONE).await;
        server.advance(30);
        server.signup(PHONE).await.assert_error(403, "account_disabled");
        assert_eq!(server.codes_for(PHONE).len(), 1);
    }

    async fn every_spelling_of_a_phone_is_one_phone(server: TestServer) {
        // Not about the limits, which it would reach.
        let server = server.without_limits().await;
        for spelling in [
            "+91 62058 29376", "+91-62058-29376", "(+91) 62058.29376", "0091 6205829376", "6205829376",
            "06205829376", "916205829376",
        ] {
            let answer = server.signup(spelling).await;
            answer.assert_ok();
            assert_eq!(answer.text_at("/data/phone_number"), PHONE, "{spelling}");
            server.advance(30);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM challenges").await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM leads").await, 1);
    }

    async fn what_is_no_phone_that_gets_messages_is_named(server: TestServer) {
        for phone in [
            Value::Null, json!(6_205_829_376_i64), json!(true), json!([PHONE]), json!(""), json!("   "), json!("+"),
            json!("hello"), json!("12345"), json!("+91 1800 123 4567"), json!("+91 22 2345 6789"),
            json!("+999999999999999"), json!("+916205829376\n"), json!("+91620582\u{0}9376"),
            json!("+91६२०५८२९३७६"), json!("9".repeat(10_000)),
        ] {
            let answer = server.post(PATH, json!({ "phone_number": phone })).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/phone_number/0").is_string(), "{phone}: {}", answer.text);
        }
        server.post(PATH, json!({})).await.assert_error(422, "validation_failed");
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM leads").await, 0);
    }

    async fn a_body_that_is_no_object_is_malformed(server: TestServer) {
        for body in ["", "hello", "{", "[]", "null", "\"+916205829376\"", "7", r#"{"phone_number": "\ud800"}"#] {
            server.post_text(PATH, body).await.assert_error(400, "malformed_request");
        }
    }

    async fn a_body_of_another_type_is_not_read(server: TestServer) {
        let form = Some("phone_number=%2B916205829376".to_owned());
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        server.send(Method::POST, PATH, &headers, form).await.assert_error(415, "unsupported_media_type");
    }

    async fn a_trailing_slash_changes_nothing(server: TestServer) {
        server.post("/api/auth/signup/", json!({ "phone_number": PHONE })).await.assert_ok();
        let answer = server.get("/api/auth/signup/").await;
        answer.assert_error(405, "method_not_allowed");
        assert!(answer.header("allow").unwrap().contains("POST"));
    }

    async fn a_second_wish_at_once_is_told_how_long_to_wait(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.advance(10);
        let answer = server.signup(PHONE).await;
        answer.assert_error(429, "otp_cooldown");
        assert_eq!(answer.at("/error/retry_after"), json!(20));
        assert_eq!(server.codes_for(PHONE).len(), 1);
        server.signup(OTHER_PHONE).await.assert_ok();
    }

    async fn twenty_sign_ups_at_once_are_one_message(server: TestServer) {
        let answers = join_all((0..20).map(|_| server.signup(PHONE))).await;
        assert_eq!(sent_and_cooldown(&answers), (1, 19));
        assert_eq!(server.codes_for(PHONE).len(), 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 1);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn twenty_sign_ups_at_once_at_two_servers_are_one_message(server: TestServer) {
        let other = server.second_server(&[]).await;
        let (one, two) = tokio::join!(
            join_all((0..10).map(|_| server.signup(PHONE))),
            join_all((0..10).map(|_| other.signup(PHONE))),
        );
        let answers: Vec<_> = one.into_iter().chain(two).collect();
        assert_eq!(sent_and_cooldown(&answers), (1, 19));
        assert_eq!(server.codes_for(PHONE).len() + other.codes_for(PHONE).len(), 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 1);
    }

    async fn twenty_wishes_at_once_without_a_cooldown_are_one_code(server: TestServer) {
        let settings = [("OTP_RESEND_SECONDS", "0"), ("RATE_LIMITS_ENABLED", "false")];
        let server = TestServer::with(server.database, &settings).await;
        let answers = join_all((0..20).map(|_| server.signup(PHONE))).await;
        assert_eq!(sent_and_cooldown(&answers), (20, 0));
        let mut codes = server.codes_for(PHONE);
        codes.dedup();
        assert_eq!(codes.len(), 1, "every message has a valid code");
    }
}
