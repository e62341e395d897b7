//! `POST /api/auth/login`

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{OTHER_PHONE, PHONE},
};

const PATH: &str = "/api/auth/login";

on_both! {
    async fn somebody_with_an_account_gets_a_code(house: TestHouse) {
        house.sign_in_and_complete(PHONE).await;
        house.advance(30);
        let answer = house.login("62058 29376").await;
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
        assert_eq!(house.codes_for(PHONE).len(), 2);
    }

    async fn an_account_without_a_profile_can_log_in(house: TestHouse) {
        house.sign_in(PHONE).await;
        house.advance(30);
        house.login(PHONE).await.assert_ok();
        let answer = house.verify_login(PHONE, &house.last_code_for(PHONE)).await;
        assert_eq!(answer.assert_ok().at("/data/needs_profile_completion"), json!(true));
    }

    async fn an_unknown_phone_is_told_to_sign_up(house: TestHouse) {
        let answer = house.login(PHONE).await;
        answer.assert_error(404, "user_not_found");
        assert_eq!(answer.text_at("/message"), "User not found. Please signup first.");
        assert_eq!(house.codes_for(PHONE).len(), 0);
        house.signup(PHONE).await.assert_ok();
        house.login(PHONE).await.assert_error(404, "user_not_found");
    }

    async fn a_disabled_account_gets_no_code(house: TestHouse) {
        house.sign_in(PHONE).await;
        house.disable(PHONE).await;
        house.advance(30);
        house.login(PHONE).await.assert_error(403, "account_disabled");
        assert_eq!(house.codes_for(PHONE).len(), 1);
    }

    async fn a_body_that_names_nobody_is_malformed(house: TestHouse) {
        for body in ["", "[]", "{}", "null", r#"{"otp_code": "1097"}"#, r#"{"phone_number": "\udfff"}"#] {
            house.post_text(PATH, body).await.assert_error(400, "malformed_request");
        }
    }

    async fn what_is_no_phone_is_named(house: TestHouse) {
        for phone in [Value::Null, json!(7), json!(""), json!("+91"), json!("+9162058२९३७६"), json!("\u{0}")] {
            let answer = house.post(PATH, json!({ "phone_number": phone })).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/phone_number/0").is_string(), "{}", answer.text);
        }
    }

    async fn the_cooldown_is_that_of_signing_up(house: TestHouse) {
        house.sign_in(PHONE).await;
        house.login(PHONE).await.assert_error(429, "otp_cooldown");
        house.advance(30);
        house.login(PHONE).await.assert_ok();
        house.signup(PHONE).await.assert_error(429, "otp_cooldown");
    }

    async fn a_request_names_a_phone_or_a_username_but_not_both(house: TestHouse) {
        house.sign_in(PHONE).await;
        house.advance(30);
        for body in [
            json!({}),
            json!({ "username": null }),
            json!({ "phone_number": PHONE, "username": "gaurav", "password": "a password" }),
        ] {
            house.post("/api/auth/login", body).await.assert_error(400, "malformed_request");
        }
        house.post("/api/auth/login", json!({ "phone_number": PHONE, "username": null })).await.assert_ok();
    }

    async fn a_trailing_slash_changes_nothing(house: TestHouse) {
        let answer = house.post("/api/auth/login/", json!({ "phone_number": PHONE })).await;
        answer.assert_error(404, "user_not_found");
    }

    async fn twenty_log_ins_and_sign_ups_at_once_are_one_message(house: TestHouse) {
        house.sign_in(PHONE).await;
        house.advance(30);
        let (logins, signups) = tokio::join!(
            join_all((0..10).map(|_| house.login(PHONE))),
            join_all((0..10).map(|_| house.signup(PHONE))),
        );
        assert_eq!(logins.iter().chain(&signups).filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(logins.iter().chain(&signups).filter(|answer| answer.status == 429).count(), 19);
        assert_eq!(house.codes_for(PHONE).len(), 2, "one of them, and that of the first sign-in");
    }

    async fn one_phone_says_nothing_about_another(house: TestHouse) {
        house.sign_in(PHONE).await;
        house.login(OTHER_PHONE).await.assert_error(404, "user_not_found");
    }
}
