//! `POST /api/auth/change-phone` and `POST /api/auth/verify-change-phone`

use futures_util::future::join;
use loopin_auth::{
    domain::{address::ClientAddress, otp::OtpCode, phone::PhoneNumber},
    flows::{change_phone, gate},
};
use serde_json::{Value, json};

use crate::{
    again::{assert_goes_on, assert_over, confirm_by_code, post_as, post_empty_as, register, sign_in_from},
    forge::claims,
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens, wrong},
};

const PATH: &str = "/api/auth/change-phone";
const VERIFY: &str = "/api/auth/verify-change-phone";
const NEW: &str = "+919812345678";

async fn request_change(server: &TestServer, tokens: &Tokens, phone: &str) -> Answer {
    post_as(server, tokens, PATH, json!({ "phone_number": phone })).await
}

async fn verify(server: &TestServer, tokens: &Tokens, phone: &str, code: &str) -> Answer {
    post_as(server, tokens, VERIFY, json!({ "phone_number": phone, "otp_code": code })).await
}

async fn phone_of(server: &TestServer, tokens: &Tokens) -> Value {
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok().at("/phone_number")
}

on_both! {
    async fn the_number_is_changed_and_the_other_sessions_end(server: TestServer) {
        let elsewhere = server.sign_in(PHONE).await;
        let tokens = sign_in_from(&server, PHONE, "Here").await;
        let sent = request_change(&server, &tokens, "98123 45678").await;
        sent.assert_ok();
        assert_eq!(sent.at("/data/phone_number"), json!(NEW));
        assert_eq!(sent.at("/data/expires_in"), json!(600));
        assert_eq!(phone_of(&server, &tokens).await, json!(PHONE), "not yet");
        let answer = verify(&server, &tokens, "098123 45678", &server.last_code_for(NEW)).await;
        answer.assert_ok();
        assert_eq!(answer.at("/data"), json!({ "phone_number": NEW }));
        assert_eq!(phone_of(&server, &tokens).await, json!(NEW));
        assert_over(&server, &elsewhere).await;
        // The session continues, and its next tokens have the new number.
        assert_eq!(claims(&tokens.access)["phone_number"], json!(PHONE));
        let next = server.refresh(&tokens.refresh).await;
        next.assert_ok();
        assert_eq!(claims(&next.text_at("/access"))["phone_number"], json!(NEW));
        // The new number signs in to the same account, and the old number has no account.
        server.login(PHONE).await.assert_error(404, "user_not_found");
        let again = sign_in_from(&server, NEW, "Again").await;
        assert_eq!(again.user_id, tokens.user_id);
        assert_ne!(sign_in_from(&server, PHONE, "Stranger").await.user_id, tokens.user_id);
    }

    async fn the_old_number_gets_a_notice_without_a_code(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        request_change(&server, &tokens, NEW).await.assert_ok();
        let code = server.last_code_for(NEW);
        let bearer = format!("Bearer {}", tokens.access);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("accept-language", "hi")];
        let body = json!({ "phone_number": NEW, "otp_code": code }).to_string();
        server.send(poem::http::Method::POST, VERIFY, &headers, Some(body)).await.assert_ok();
        let notice = &server.inbox_of(PHONE)[0];
        assert_eq!(notice.otp_code, None);
        assert_eq!(notice.language, "hi");
        assert!(!notice.body.contains(&code) && !notice.body.contains("98123"), "{}", notice.body);
        let shown = server.get("/dev/inbox.json?phone_number=%2B916205829376").await;
        assert_eq!(shown.at("/messages/0/otp_code"), Value::Null);
        assert_eq!(shown.at("/messages/0/body"), json!(notice.body));
        let rows = format!("SELECT COUNT(*) FROM messages WHERE phone = '{PHONE}' AND template = 'phone_changed'");
        assert_eq!(server.count(&rows).await, 1);
        // The code went to the new number only, and the notice to the old one only.
        assert_eq!(server.codes_for(PHONE).len(), 1);
        assert_eq!(server.inbox_of(NEW).len(), 1);
        // The notice has no code, so it is not repeated when it is undelivered.
        server.play(3600).await;
        assert_eq!(server.inbox_of(PHONE).len(), 2);
    }

    async fn it_needs_a_fresh_proof_both_times(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(601);
        request_change(&server, &tokens, NEW).await.assert_error(403, "reauthentication_required");
        request_change(&server, &tokens, OTHER_PHONE).await.assert_error(403, "reauthentication_required");
        assert!(server.inbox_of(NEW).is_empty());
        confirm_by_code(&server, &tokens, PHONE).await;
        server.advance(550);
        request_change(&server, &tokens, NEW).await.assert_ok();
        let code = server.last_code_for(NEW);
        server.advance(51);
        verify(&server, &tokens, NEW, &code).await.assert_error(403, "reauthentication_required");
        assert_eq!(phone_of(&server, &tokens).await, json!(PHONE));
        confirm_by_code(&server, &tokens, PHONE).await;
        verify(&server, &tokens, NEW, &code).await.assert_ok();
    }

    async fn anothers_number_is_taken_and_ones_own_is_no_change(server: TestServer) {
        let other = server.sign_in(OTHER_PHONE).await;
        let tokens = server.sign_in(PHONE).await;
        request_change(&server, &tokens, OTHER_PHONE).await.assert_error(409, "phone_taken");
        let answer = request_change(&server, &tokens, PHONE).await;
        answer.assert_error(422, "validation_failed");
        assert!(answer.at("/error/fields/phone_number").is_array(), "{}", answer.text);
        assert_eq!(server.inbox_of(OTHER_PHONE).len(), 1, "nothing was sent");
        assert_goes_on(&server, &other).await;
    }

    async fn a_number_that_is_taken_meanwhile_stays_taken(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let server = server.without_limits().await;
        let tokens = server.sign_in(PHONE).await;
        request_change(&server, &tokens, NEW).await.assert_ok();
        let code = server.last_code_for(NEW);
        let other = server.sign_in(NEW).await;
        verify(&server, &tokens, NEW, &code).await.assert_error(409, "phone_taken");
        assert_eq!(phone_of(&server, &tokens).await, json!(PHONE));
        assert_eq!(phone_of(&server, &other).await, json!(NEW));
        assert_eq!(server.inbox_of(PHONE).len(), 1, "no notice");
    }

    async fn of_two_who_want_it_at_once_one_gets_it(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let server = server.without_limits().await;
        let second_server = server.second_server(&[]).await;
        let (one, two) = (server.sign_in(PHONE).await, server.sign_in(OTHER_PHONE).await);
        request_change(&server, &one, NEW).await.assert_ok();
        let code_one = server.last_code_for(NEW);
        server.advance(1);
        request_change(&server, &two, NEW).await.assert_ok();
        let code_two = server.last_code_for(NEW);
        let (first, second) =
            join(verify(&server, &one, NEW, &code_one), verify(&second_server, &two, NEW, &code_two)).await;
        let (won, lost) = if first.status == 200 { (first, second) } else { (second, first) };
        won.assert_ok();
        lost.assert_error(409, "phone_taken");
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM accounts WHERE phone = '{NEW}'")).await, 1);
    }

    async fn the_code_is_bound_to_its_person_number_and_purpose(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let settings = [("OTP_LENGTH", "8"), ("RATE_LIMITS_ENABLED", "false")];
        let server = TestServer::with(server.database, &settings).await;
        let (mine, other) = (server.sign_in(PHONE).await, server.sign_in(OTHER_PHONE).await);
        request_change(&server, &mine, NEW).await.assert_ok();
        let code = server.last_code_for(NEW);
        // A code of another user, for another number, for another purpose.
        verify(&server, &other, NEW, &code).await.assert_error(400, "otp_not_found");
        verify(&server, &mine, "+919812345679", &code).await.assert_error(400, "otp_not_found");
        server.verify_otp(NEW, &code).await.assert_error(400, "otp_not_found");
        server.verify_login(NEW, &code).await.assert_error(400, "otp_not_found");
        post_as(&server, &mine, "/api/auth/confirm", json!({ "otp_code": code })).await.assert_error(400, "otp_not_found");
        // A sign-in code for the number does not change the phone.
        server.signup(NEW).await.assert_ok();
        let sign_in = server.last_code_for(NEW);
        verify(&server, &mine, NEW, &sign_in).await.assert_error(400, "otp_invalid");
        // A request of a second user for the same number does not affect the first.
        request_change(&server, &other, NEW).await.assert_ok();
        verify(&server, &mine, NEW, &code).await.assert_ok();
        verify(&server, &mine, NEW, &code).await.assert_error(422, "validation_failed");
    }

    async fn the_guesses_are_three_and_the_code_dies(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        verify(&server, &tokens, NEW, "1234").await.assert_error(400, "otp_not_found");
        request_change(&server, &tokens, NEW).await.assert_ok();
        request_change(&server, &tokens, NEW).await.assert_error(429, "otp_cooldown");
        let code = server.last_code_for(NEW);
        for left in [2, 1, 0] {
            let answer = verify(&server, &tokens, NEW, &wrong(&code)).await;
            answer.assert_error(400, "otp_invalid");
            assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
        }
        verify(&server, &tokens, NEW, &code).await.assert_error(429, "otp_attempts_exhausted");
        server.advance(30);
        request_change(&server, &tokens, NEW).await.assert_ok();
        server.advance(601);
        confirm_by_code(&server, &tokens, PHONE).await;
        verify(&server, &tokens, NEW, &server.last_code_for(NEW)).await.assert_error(400, "otp_expired");
    }

    async fn an_account_with_a_password_gets_its_first_phone(server: TestServer) {
        let tokens = register(&server, "gaurav").await;
        server.execute(&format!("UPDATE accounts SET claimed_phone = '{OTHER_PHONE}'")).await;
        assert_eq!(phone_of(&server, &tokens).await, Value::Null);
        request_change(&server, &tokens, PHONE).await.assert_ok();
        verify(&server, &tokens, PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let profile = server.get_as(&tokens.access, "/api/auth/profile").await;
        assert_eq!((profile.at("/phone_number"), profile.at("/phone")), (json!(PHONE), Value::Null));
        assert_eq!(server.inbox_of(PHONE).len(), 1, "there is no old number to notify");
        assert_eq!(sign_in_from(&server, PHONE, "By phone").await.user_id, tokens.user_id);
    }

    async fn the_lead_follows_its_person(server: TestServer) {
        // Sends codes of two purposes at one moment, which share a cooldown when limits are on.
        let server = server.without_limits().await;
        let tokens = server.sign_in(PHONE).await;
        request_change(&server, &tokens, NEW).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM leads").await, 1, "a user is no lead");
        verify(&server, &tokens, NEW, &server.last_code_for(NEW)).await.assert_ok();
        let moved = format!("SELECT COUNT(*) FROM leads WHERE phone = '{NEW}' AND state = 'converted'");
        assert_eq!(server.count(&moved).await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM leads").await, 1);
        // A lead of the new number is converted.
        server.advance(30);
        server.signup(OTHER_PHONE).await.assert_ok();
        request_change(&server, &tokens, OTHER_PHONE).await.assert_ok();
        verify(&server, &tokens, OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await.assert_ok();
        let converted = format!("SELECT COUNT(*) FROM leads WHERE phone = '{OTHER_PHONE}' AND state = 'converted'");
        assert_eq!(server.count(&converted).await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM leads").await, 1);
    }

    async fn all_faults_of_a_body_are_named_at_once(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let answer = post_as(&server, &tokens, PATH, json!({ "phone_number": "1", "channel": "pigeon" })).await;
        answer.assert_error(422, "validation_failed");
        assert_eq!(answer.at("/error/fields").as_object().map(serde_json::Map::len), Some(2), "{}", answer.text);
        let answer = post_as(&server, &tokens, VERIFY, json!({ "otp_code": 1234 })).await;
        answer.assert_error(422, "validation_failed");
        assert_eq!(answer.at("/error/fields").as_object().map(serde_json::Map::len), Some(2), "{}", answer.text);
        server.post(PATH, json!({})).await.assert_error(401, "token_missing");
        server.post(VERIFY, json!({})).await.assert_error(401, "token_missing");
    }

    async fn a_number_that_was_changed_a_moment_ago_keeps_no_codes(server: TestServer) {
        let server = server.without_limits().await;
        let tokens = server.sign_in(PHONE).await;
        for phone in [NEW, OTHER_PHONE] {
            request_change(&server, &tokens, phone).await.assert_ok();
        }
        // A second request of the same session passes the gate with the old number, before the first one changes it.
        let token = gate::read(&server.services, &tokens.access).unwrap();
        let who = gate::enter(&server.services, &token).await.unwrap().unwrap();
        verify(&server, &tokens, NEW, &server.last_code_for(NEW)).await.assert_ok();
        server.login(NEW).await.assert_ok();
        let code = OtpCode::parse(&server.last_code_for(OTHER_PHONE), server.services.otp.length).unwrap();
        let (phone, from) = (PhoneNumber::from_e164(OTHER_PHONE).unwrap(), "203.0.113.7".parse().unwrap());
        let changed =
            change_phone::verify(&server.services, who, phone, code, Vec::new(), ClientAddress::new(from)).await;
        assert_eq!(changed.unwrap(), change_phone::Changed::Done);
        let codes = format!("SELECT COUNT(*) FROM challenges WHERE phone = '{NEW}' AND purpose = 'sign_in'");
        assert_eq!(server.count(&codes).await, 0);
    }

    async fn a_session_that_has_ended_changes_nothing(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        request_change(&server, &tokens, NEW).await.assert_ok();
        post_empty_as(&server, &tokens, "/api/auth/logout-all").await.assert_ok();
        verify(&server, &tokens, NEW, &server.last_code_for(NEW)).await.assert_error(401, "token_revoked");
    }
}
