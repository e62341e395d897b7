//! `POST /api/auth/confirm-code` and `POST /api/auth/confirm`

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    again::{PASSWORD, assert_goes_on, poke_as, post_as, register, sign_in_from},
    on_both,
    support::{OTHER_PHONE, PHONE, TestHouse, Tokens, wrong},
};

const CODE: &str = "/api/auth/confirm-code";
const PATH: &str = "/api/auth/confirm";

/// Whether this session may do what needs a proof: nothing happens by asking, because the number is another's.
async fn is_proved(house: &TestHouse, tokens: &Tokens) -> bool {
    let body = json!({ "phone_number": OTHER_PHONE });
    let answer = post_as(house, tokens, "/api/auth/change-phone", body).await;
    match answer.status.as_u16() {
        403 => answer.assert_error(403, "reauthentication_required"),
        _ => answer.assert_error(409, "phone_taken"),
    }
    answer.status == 409
}

on_both! {
    async fn a_sign_in_proves_for_ten_minutes(house: TestHouse) {
        house.sign_in(OTHER_PHONE).await;
        let tokens = house.sign_in(PHONE).await;
        house.advance(600);
        assert!(is_proved(&house, &tokens).await);
        house.advance(1);
        assert!(!is_proved(&house, &tokens).await);
        // Refreshing proves nothing.
        let answer = house.refresh(&tokens.refresh).await;
        let tokens = Tokens { access: answer.text_at("/access"), refresh: answer.text_at("/refresh"), ..tokens };
        assert!(!is_proved(&house, &tokens).await);
    }

    async fn a_code_to_the_phone_proves_this_session_only(house: TestHouse) {
        // Codes of two purposes at one moment: with limits they share a cooldown.
        let house = house.without_limits().await;
        house.sign_in(OTHER_PHONE).await;
        let other_session = house.sign_in(PHONE).await;
        let tokens = sign_in_from(&house, PHONE, "Here").await;
        house.advance(601);
        let sent = poke_as(&house, &tokens, CODE).await;
        sent.assert_ok();
        assert_eq!(sent.at("/data/phone_number"), json!(PHONE));
        assert_eq!(sent.at("/data/expires_in"), json!(600));
        assert_eq!(sent.at("/data/resend_in"), json!(30));
        assert_eq!(house.delivery(&sent).await.assert_ok().at("/status"), json!("queued"));
        assert!(!is_proved(&house, &tokens).await, "asking proves nothing");
        let code = house.last_code_for(PHONE);
        let answer = post_as(&house, &tokens, PATH, json!({ "otp_code": code })).await;
        answer.assert_ok();
        let until = house.now() + chrono::Duration::minutes(10);
        assert_eq!(
            answer.text_at("/data/confirmed_until"),
            until.to_rfc3339_opts(chrono::SecondsFormat::Micros, false)
        );
        assert!(is_proved(&house, &tokens).await);
        assert!(!is_proved(&house, &other_session).await);
        // It was used.
        post_as(&house, &tokens, PATH, json!({ "otp_code": code })).await.assert_error(400, "otp_not_found");
        house.advance(601);
        assert!(!is_proved(&house, &tokens).await);
    }

    async fn the_guesses_are_three(house: TestHouse) {
        // Codes of two purposes at one moment: with limits they share a cooldown.
        let house = house.without_limits().await;
        let tokens = house.sign_in(PHONE).await;
        post_as(&house, &tokens, PATH, json!({ "otp_code": "1234" })).await.assert_error(400, "otp_not_found");
        poke_as(&house, &tokens, CODE).await.assert_ok();
        let code = house.last_code_for(PHONE);
        for left in [2, 1, 0] {
            let answer = post_as(&house, &tokens, PATH, json!({ "otp_code": wrong(&code) })).await;
            answer.assert_error(400, "otp_invalid");
            assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
        }
        let answer = post_as(&house, &tokens, PATH, json!({ "otp_code": code })).await;
        answer.assert_error(429, "otp_attempts_exhausted");
        house.advance(30);
        poke_as(&house, &tokens, CODE).await.assert_ok();
        let code = house.last_code_for(PHONE);
        house.advance(601);
        post_as(&house, &tokens, PATH, json!({ "otp_code": code })).await.assert_error(400, "otp_expired");
    }

    async fn of_many_right_answers_at_once_one_is_taken(house: TestHouse) {
        // Codes of two purposes at one moment: with limits they share a cooldown.
        let house = house.without_limits().await;
        let tokens = house.sign_in(PHONE).await;
        poke_as(&house, &tokens, CODE).await.assert_ok();
        let body = json!({ "otp_code": house.last_code_for(PHONE) });
        let answers = join_all((0..20).map(|_| post_as(&house, &tokens, PATH, body.clone()))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    }

    async fn there_is_a_cooldown_and_a_resend_is_the_same_code(house: TestHouse) {
        // Codes of two purposes at one moment: with limits they share a cooldown.
        let house = house.without_limits().await;
        let tokens = house.sign_in(PHONE).await;
        // The code of the sign-in was sent just now, and this one is of another kind.
        poke_as(&house, &tokens, CODE).await.assert_ok();
        let answer = poke_as(&house, &tokens, CODE).await;
        answer.assert_error(429, "otp_cooldown");
        assert_eq!(answer.at("/error/retry_after"), json!(30));
        let code = house.last_code_for(PHONE);
        house.advance(30);
        poke_as(&house, &tokens, CODE).await.assert_ok();
        assert_eq!(house.last_code_for(PHONE), code);
        assert_eq!(house.inbox_of(PHONE).len(), 3);
    }

    async fn codes_of_other_kinds_prove_nothing_and_this_one_opens_nothing(house: TestHouse) {
        // Codes of two purposes at one moment: with limits they share a cooldown.
        let settings = [("OTP_LENGTH", "8"), ("RATE_LIMITS_ENABLED", "false")];
        let house = TestHouse::with(house.database, &settings).await;
        let tokens = house.sign_in(PHONE).await;
        house.advance(601);
        house.signup(PHONE).await.assert_ok();
        let sign_in = house.last_code_for(PHONE);
        post_as(&house, &tokens, PATH, json!({ "otp_code": sign_in })).await.assert_error(400, "otp_not_found");
        poke_as(&house, &tokens, CODE).await.assert_ok();
        let confirm = house.last_code_for(PHONE);
        assert_ne!(sign_in, confirm);
        post_as(&house, &tokens, PATH, json!({ "otp_code": sign_in })).await.assert_error(400, "otp_invalid");
        for answer in [house.verify_otp(PHONE, &confirm).await, house.verify_login(PHONE, &confirm).await] {
            answer.assert_error(400, "otp_invalid");
        }
        let body = json!({ "phone_number": PHONE, "otp_code": confirm });
        post_as(&house, &tokens, "/api/auth/verify-change-phone", body)
            .await
            .assert_error(403, "reauthentication_required");
        post_as(&house, &tokens, PATH, json!({ "otp_code": confirm })).await.assert_ok();
        house.verify_otp(PHONE, &sign_in).await.assert_ok();
    }

    async fn the_code_of_one_person_proves_nothing_of_another(house: TestHouse) {
        // Codes of two purposes at one moment: with limits they share a cooldown.
        let settings = [("OTP_LENGTH", "8"), ("RATE_LIMITS_ENABLED", "false")];
        let house = TestHouse::with(house.database, &settings).await;
        let (mine, other) = (house.sign_in(PHONE).await, house.sign_in(OTHER_PHONE).await);
        poke_as(&house, &mine, CODE).await.assert_ok();
        let code = house.last_code_for(PHONE);
        post_as(&house, &other, PATH, json!({ "otp_code": code })).await.assert_error(400, "otp_not_found");
        poke_as(&house, &other, CODE).await.assert_ok();
        post_as(&house, &other, PATH, json!({ "otp_code": code })).await.assert_error(400, "otp_invalid");
        post_as(&house, &mine, PATH, json!({ "otp_code": code })).await.assert_ok();
    }

    async fn a_password_proves_too(house: TestHouse) {
        house.sign_in(OTHER_PHONE).await;
        let tokens = register(&house, "gaurav").await;
        house.advance(601);
        assert!(!is_proved(&house, &tokens).await);
        let answer = poke_as(&house, &tokens, CODE).await;
        answer.assert_error(404, "not_found");
        assert!(answer.text_at("/message").contains("password"), "{}", answer.text);
        let answer = post_as(&house, &tokens, PATH, json!({ "password": format!("{PASSWORD} ") })).await;
        answer.assert_error(422, "validation_failed");
        assert!(answer.at("/error/fields/password").is_array(), "{}", answer.text);
        assert!(!is_proved(&house, &tokens).await);
        post_as(&house, &tokens, PATH, json!({ "otp_code": "1234" })).await.assert_error(400, "otp_not_found");
        post_as(&house, &tokens, PATH, json!({ "password": PASSWORD })).await.assert_ok();
        assert!(is_proved(&house, &tokens).await);
    }

    async fn an_account_without_a_password_proves_nothing_by_one(house: TestHouse) {
        let tokens = house.sign_in(PHONE).await;
        for password in ["", PHONE, PASSWORD] {
            let answer = post_as(&house, &tokens, PATH, json!({ "password": password })).await;
            answer.assert_error(422, "validation_failed");
        }
    }

    async fn the_body_names_one_of_the_two(house: TestHouse) {
        // Codes of two purposes at one moment: with limits they share a cooldown.
        let house = house.without_limits().await;
        let tokens = house.sign_in(PHONE).await;
        poke_as(&house, &tokens, CODE).await.assert_ok();
        let code = house.last_code_for(PHONE);
        for body in [json!({}), json!({"otp_code": null}), json!({"otp_code": code, "password": PASSWORD})] {
            post_as(&house, &tokens, PATH, body).await.assert_error(400, "malformed_request");
        }
        for (field, value) in [("otp_code", json!(1234)), ("otp_code", json!("12345")), ("otp_code", json!("१२३४")),
            ("password", json!(7)), ("password", json!("a\u{0}b"))] {
            let answer = post_as(&house, &tokens, PATH, json!({ field: value })).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at(&format!("/error/fields/{field}")).is_array(), "{}", answer.text);
        }
        // None of it was a guess.
        post_as(&house, &tokens, PATH, json!({ "otp_code": code })).await.assert_ok();
    }

    async fn a_stranger_learns_nothing(house: TestHouse) {
        house.post(PATH, json!({ "otp_code": 7 })).await.assert_error(401, "token_missing");
        house.post(CODE, json!({})).await.assert_error(401, "token_missing");
        assert!(house.services.sms.inbox().unwrap().list(None).is_empty());
    }

    async fn a_proof_is_no_lead(house: TestHouse) {
        // Codes of two purposes at one moment: with limits they share a cooldown.
        let house = house.without_limits().await;
        let tokens = house.sign_in(PHONE).await;
        poke_as(&house, &tokens, CODE).await.assert_ok();
        assert_eq!(house.count("SELECT requests FROM leads").await, 1);
        assert_goes_on(&house, &tokens).await;
    }
}
