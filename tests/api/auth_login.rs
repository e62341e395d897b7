//! `POST /api/auth/login`

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{OTHER_PHONE, PHONE},
};

const PATH: &str = "/api/auth/login";

on_both! {
    async fn somebody_with_an_account_gets_a_code(server: TestServer) {
        server.sign_in_and_complete(PHONE).await;
        server.advance(30);
        let answer = server.login("62058 29376").await;
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
        assert_eq!(server.codes_for(PHONE).len(), 2);
    }

    async fn an_account_without_a_profile_can_log_in(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let answer = server.verify_login(PHONE, &server.last_code_for(PHONE)).await;
        assert_eq!(answer.assert_ok().at("/data/needs_profile_completion"), json!(true));
    }

    async fn an_unknown_phone_is_told_to_sign_up(server: TestServer) {
        let answer = server.login(PHONE).await;
        answer.assert_error(404, "user_not_found");
        assert_eq!(answer.text_at("/message"), "User not found. Please signup first.");
        assert_eq!(server.codes_for(PHONE).len(), 0);
        server.signup(PHONE).await.assert_ok();
        server.login(PHONE).await.assert_error(404, "user_not_found");
    }

    async fn a_disabled_account_gets_no_code(server: TestServer) {
        server.sign_in(PHONE).await;
        server.disable(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_error(403, "account_disabled");
        assert_eq!(server.codes_for(PHONE).len(), 1);
    }

    async fn a_body_that_names_nobody_is_malformed(server: TestServer) {
        for body in ["", "[]", "{}", "null", r#"{"otp_code": "1097"}"#, r#"{"phone_number": "\udfff"}"#] {
            server.post_text(PATH, body).await.assert_error(400, "malformed_request");
        }
    }

    async fn what_is_no_phone_is_named(server: TestServer) {
        for phone in [Value::Null, json!(7), json!(""), json!("+91"), json!("+9162058२९३७६"), json!("\u{0}")] {
            let answer = server.post(PATH, json!({ "phone_number": phone })).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/phone_number/0").is_string(), "{}", answer.text);
        }
    }

    async fn the_cooldown_is_that_of_signing_up(server: TestServer) {
        server.sign_in(PHONE).await;
        server.login(PHONE).await.assert_error(429, "otp_cooldown");
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
    }

    async fn a_request_names_a_phone_or_a_username_but_not_both(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        for body in [
            json!({}),
            json!({ "username": null }),
            json!({ "phone_number": PHONE, "username": "gaurav", "password": "a password" }),
        ] {
            server.post("/api/auth/login", body).await.assert_error(400, "malformed_request");
        }
        server.post("/api/auth/login", json!({ "phone_number": PHONE, "username": null })).await.assert_ok();
    }

    async fn a_trailing_slash_changes_nothing(server: TestServer) {
        let answer = server.post("/api/auth/login/", json!({ "phone_number": PHONE })).await;
        answer.assert_error(404, "user_not_found");
    }

    async fn twenty_log_ins_and_sign_ups_at_once_are_one_message(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        let (logins, signups) = tokio::join!(
            join_all((0..10).map(|_| server.login(PHONE))),
            join_all((0..10).map(|_| server.signup(PHONE))),
        );
        assert_eq!(logins.iter().chain(&signups).filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(logins.iter().chain(&signups).filter(|answer| answer.status == 429).count(), 19);
        assert_eq!(server.codes_for(PHONE).len(), 2, "one of them, and that of the first sign-in");
    }

    async fn one_phone_says_nothing_about_another(server: TestServer) {
        server.sign_in(PHONE).await;
        server.login(OTHER_PHONE).await.assert_error(404, "user_not_found");
    }
}
