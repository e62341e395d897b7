//! `POST /api/auth/confirm-code` and `POST /api/auth/confirm`

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    again::{PASSWORD, assert_goes_on, post_as, post_empty_as, register, sign_in_from},
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer, Tokens, wrong},
};

const CODE: &str = "/api/auth/confirm-code";
const PATH: &str = "/api/auth/confirm";

/// Whether this session has confirmed the sign-in. The request has no effect, because the number belongs to another user.
async fn is_proved(server: &TestServer, tokens: &Tokens) -> bool {
    let body = json!({ "phone_number": OTHER_PHONE });
    let answer = post_as(server, tokens, "/api/auth/change-phone", body).await;
    match answer.status.as_u16() {
        403 => answer.assert_error(403, "reauthentication_required"),
        _ => answer.assert_error(409, "phone_taken"),
    }
    answer.status == 409
}

on_both! {
    async fn a_sign_in_proves_for_ten_minutes(server: TestServer) {
        server.sign_in(OTHER_PHONE).await;
        let tokens = server.sign_in(PHONE).await;
        server.advance(600);
        assert!(is_proved(&server, &tokens).await);
        server.advance(1);
        assert!(!is_proved(&server, &tokens).await);
        // A refresh does not confirm.
        let answer = server.refresh(&tokens.refresh).await;
        let tokens = Tokens { access: answer.text_at("/access"), refresh: answer.text_at("/refresh"), ..tokens };
        assert!(!is_proved(&server, &tokens).await);
    }

    async fn a_code_to_the_phone_proves_this_session_only(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let server = server.without_limits().await;
        server.sign_in(OTHER_PHONE).await;
        let other_session = server.sign_in(PHONE).await;
        let tokens = sign_in_from(&server, PHONE, "Here").await;
        server.advance(601);
        let sent = post_empty_as(&server, &tokens, CODE).await;
        sent.assert_ok();
        assert_eq!(sent.at("/data/phone_number"), json!(PHONE));
        assert_eq!(sent.at("/data/expires_in"), json!(600));
        assert_eq!(sent.at("/data/resend_in"), json!(30));
        assert_eq!(server.delivery(&sent).await.assert_ok().at("/status"), json!("queued"));
        assert!(!is_proved(&server, &tokens).await, "requesting a code proves nothing");
        let code = server.last_code_for(PHONE);
        let answer = post_as(&server, &tokens, PATH, json!({ "otp_code": code })).await;
        answer.assert_ok();
        let until = server.now() + chrono::Duration::minutes(10);
        assert_eq!(
            answer.text_at("/data/confirmed_until"),
            until.to_rfc3339_opts(chrono::SecondsFormat::Micros, false)
        );
        assert!(is_proved(&server, &tokens).await);
        assert!(!is_proved(&server, &other_session).await);
        // The code was used.
        post_as(&server, &tokens, PATH, json!({ "otp_code": code })).await.assert_error(400, "otp_not_found");
        server.advance(601);
        assert!(!is_proved(&server, &tokens).await);
    }

    async fn the_guesses_are_three(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let server = server.without_limits().await;
        let tokens = server.sign_in(PHONE).await;
        post_as(&server, &tokens, PATH, json!({ "otp_code": "1234" })).await.assert_error(400, "otp_not_found");
        post_empty_as(&server, &tokens, CODE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        for left in [2, 1, 0] {
            let answer = post_as(&server, &tokens, PATH, json!({ "otp_code": wrong(&code) })).await;
            answer.assert_error(400, "otp_invalid");
            assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
        }
        let answer = post_as(&server, &tokens, PATH, json!({ "otp_code": code })).await;
        answer.assert_error(429, "otp_attempts_exhausted");
        server.advance(30);
        post_empty_as(&server, &tokens, CODE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        server.advance(601);
        post_as(&server, &tokens, PATH, json!({ "otp_code": code })).await.assert_error(400, "otp_expired");
    }

    async fn of_many_right_answers_at_once_one_is_taken(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let server = server.without_limits().await;
        let tokens = server.sign_in(PHONE).await;
        post_empty_as(&server, &tokens, CODE).await.assert_ok();
        let body = json!({ "otp_code": server.last_code_for(PHONE) });
        let answers = join_all((0..20).map(|_| post_as(&server, &tokens, PATH, body.clone()))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    }

    async fn there_is_a_cooldown_and_a_resend_is_the_same_code(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let server = server.without_limits().await;
        let tokens = server.sign_in(PHONE).await;
        // The sign-in code was sent just now, but this one has another purpose.
        post_empty_as(&server, &tokens, CODE).await.assert_ok();
        let answer = post_empty_as(&server, &tokens, CODE).await;
        answer.assert_error(429, "otp_cooldown");
        assert_eq!(answer.at("/error/retry_after"), json!(30));
        let code = server.last_code_for(PHONE);
        server.advance(30);
        post_empty_as(&server, &tokens, CODE).await.assert_ok();
        assert_eq!(server.last_code_for(PHONE), code);
        assert_eq!(server.inbox_of(PHONE).len(), 3);
    }

    async fn codes_of_other_kinds_prove_nothing_and_this_one_opens_nothing(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let settings = [("OTP_LENGTH", "8"), ("RATE_LIMITS_ENABLED", "false")];
        let server = TestServer::with(server.database, &settings).await;
        let tokens = server.sign_in(PHONE).await;
        server.advance(601);
        server.signup(PHONE).await.assert_ok();
        let sign_in = server.last_code_for(PHONE);
        post_as(&server, &tokens, PATH, json!({ "otp_code": sign_in })).await.assert_error(400, "otp_not_found");
        post_empty_as(&server, &tokens, CODE).await.assert_ok();
        let confirm = server.last_code_for(PHONE);
        assert_ne!(sign_in, confirm);
        post_as(&server, &tokens, PATH, json!({ "otp_code": sign_in })).await.assert_error(400, "otp_invalid");
        for answer in [server.verify_otp(PHONE, &confirm).await, server.verify_login(PHONE, &confirm).await] {
            answer.assert_error(400, "otp_invalid");
        }
        let body = json!({ "phone_number": PHONE, "otp_code": confirm });
        post_as(&server, &tokens, "/api/auth/verify-change-phone", body)
            .await
            .assert_error(403, "reauthentication_required");
        post_as(&server, &tokens, PATH, json!({ "otp_code": confirm })).await.assert_ok();
        server.verify_otp(PHONE, &sign_in).await.assert_ok();
    }

    async fn the_code_of_one_person_proves_nothing_of_another(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let settings = [("OTP_LENGTH", "8"), ("RATE_LIMITS_ENABLED", "false")];
        let server = TestServer::with(server.database, &settings).await;
        let (mine, other) = (server.sign_in(PHONE).await, server.sign_in(OTHER_PHONE).await);
        post_empty_as(&server, &mine, CODE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        post_as(&server, &other, PATH, json!({ "otp_code": code })).await.assert_error(400, "otp_not_found");
        post_empty_as(&server, &other, CODE).await.assert_ok();
        post_as(&server, &other, PATH, json!({ "otp_code": code })).await.assert_error(400, "otp_invalid");
        post_as(&server, &mine, PATH, json!({ "otp_code": code })).await.assert_ok();
    }

    async fn a_password_proves_too(server: TestServer) {
        server.sign_in(OTHER_PHONE).await;
        let tokens = register(&server, "gaurav").await;
        server.advance(601);
        assert!(!is_proved(&server, &tokens).await);
        let answer = post_empty_as(&server, &tokens, CODE).await;
        answer.assert_error(404, "not_found");
        assert!(answer.text_at("/message").contains("password"), "{}", answer.text);
        let answer = post_as(&server, &tokens, PATH, json!({ "password": format!("{PASSWORD} ") })).await;
        answer.assert_error(422, "validation_failed");
        assert!(answer.at("/error/fields/password").is_array(), "{}", answer.text);
        assert!(!is_proved(&server, &tokens).await);
        post_as(&server, &tokens, PATH, json!({ "otp_code": "1234" })).await.assert_error(400, "otp_not_found");
        post_as(&server, &tokens, PATH, json!({ "password": PASSWORD })).await.assert_ok();
        assert!(is_proved(&server, &tokens).await);
    }

    async fn an_account_without_a_password_proves_nothing_by_one(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        for password in ["", PHONE, PASSWORD] {
            let answer = post_as(&server, &tokens, PATH, json!({ "password": password })).await;
            answer.assert_error(422, "validation_failed");
        }
    }

    async fn the_body_names_one_of_the_two(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let server = server.without_limits().await;
        let tokens = server.sign_in(PHONE).await;
        post_empty_as(&server, &tokens, CODE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        for body in [json!({}), json!({"otp_code": null}), json!({"otp_code": code, "password": PASSWORD})] {
            post_as(&server, &tokens, PATH, body).await.assert_error(400, "malformed_request");
        }
        for (field, value) in [("otp_code", json!(1234)), ("otp_code", json!("12345")), ("otp_code", json!("१२३४")),
            ("password", json!(7)), ("password", json!("a\u{0}b"))] {
            let answer = post_as(&server, &tokens, PATH, json!({ field: value })).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at(&format!("/error/fields/{field}")).is_array(), "{}", answer.text);
        }
        // None of these requests used a guess.
        post_as(&server, &tokens, PATH, json!({ "otp_code": code })).await.assert_ok();
    }

    async fn a_stranger_learns_nothing(server: TestServer) {
        server.post(PATH, json!({ "otp_code": 7 })).await.assert_error(401, "token_missing");
        server.post(CODE, json!({})).await.assert_error(401, "token_missing");
        assert!(server.services.sms.inbox().unwrap().list(None).is_empty());
    }

    async fn a_proof_is_no_lead(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let server = server.without_limits().await;
        let tokens = server.sign_in(PHONE).await;
        post_empty_as(&server, &tokens, CODE).await.assert_ok();
        assert_eq!(server.count("SELECT requests FROM leads").await, 1);
        assert_goes_on(&server, &tokens).await;
    }
}
