//! Codes: derived and never stored, the same on a resend, valid for a limited time and one purpose.

use loopin_auth::{
    domain::{
        otp::{ChallengeKey, Claim, Holder, OtpCode, Purpose, Verdict, judge},
        phone::PhoneNumber,
    },
    store,
};
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use crate::{
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer, wrong},
};

const OLD_KEY: &str = "the old secret key of the tests: 32 bytes or more";
const NEW_KEY: &str = "the new secret key of the tests: 32 bytes or more";

/// A server whose codes have eight digits, so that two codes are hardly ever equal by chance.
async fn with_long_codes(server: &TestServer, settings: &[(&str, &str)]) -> TestServer {
    let mut all = vec![("OTP_LENGTH", "8")];
    all.extend(settings);
    TestServer::with(server.database, &all).await
}

/// Opens a challenge as a use case does. Returns its code.
async fn open(server: &TestServer, key: ChallengeKey<'_>, id: Uuid) -> OtpCode {
    let services = &server.services;
    let opening = services.otp.opening(id, &services.otp_keys, key, server.now());
    let challenge = store::otp::open(&services.store, key, &opening).await.unwrap().expect("a challenge");
    services.otp_keys.code(&challenge, key, services.otp.length).expect("a code")
}

async fn guess(server: &TestServer, key: ChallengeKey<'_>, code: &OtpCode) -> Verdict {
    let (services, now) = (&server.services, server.now());
    let claim = store::otp::claim_attempt(&services.store, key, &services.otp, &[], now).await.unwrap();
    judge(claim, code, key, &services.otp_keys, &services.otp, now)
}

on_both! {
    async fn a_code_is_nowhere_in_the_database(server: TestServer) {
        let server = with_long_codes(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        for (table, columns) in [
            ("challenges", "phone, purpose, holder, id, key_version, attempts, opened_at, expires_at, sent_at"),
            ("messages", "id, phone, channel, template, provider, status, provider_id, error_code, created_at"),
            ("leads", "id, phone, source, state, requests, first_requested_at, last_requested_at, notes"),
        ] {
            for column in columns.split(", ") {
                let rows = format!("SELECT COUNT(*) FROM {table} WHERE CAST({column} AS TEXT) LIKE '%{code}%'");
                assert_eq!(server.count(&rows).await, 0, "{table}.{column}");
            }
        }
    }

    async fn a_code_comes_from_the_row_and_the_key_alone(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let phone = PhoneNumber::from_e164(PHONE).unwrap();
        let key = ChallengeKey::sign_in(&phone);
        let other = server.second_server(&[]).await;
        let challenge = store::otp::find(&other.services.store, key).await.unwrap().unwrap();
        let code = other.services.otp_keys.code(&challenge, key, other.services.otp.length).unwrap();
        assert_eq!(code.expose().expose_secret(), server.last_code_for(PHONE));
        let stranger = server.second_server(&[("SECRET_KEY", NEW_KEY)]).await;
        assert!(stranger.services.otp_keys.code(&challenge, key, stranger.services.otp.length).is_none());
    }

    async fn a_code_outlives_the_change_of_the_key(server: TestServer) {
        let old = with_long_codes(&server, &[("SECRET_KEY", OLD_KEY)]).await;
        let rotated = [("SECRET_KEY", NEW_KEY), ("SECRET_KEY_FALLBACKS", OLD_KEY)];
        let new = old.second_server(&rotated).await;
        old.signup(PHONE).await.assert_ok();
        let code = old.last_code_for(PHONE);
        old.advance(30);
        new.signup(PHONE).await.assert_ok();
        assert_eq!(new.last_code_for(PHONE), code, "a resend is the same code, made with the old key");
        new.verify_otp(PHONE, &code).await.assert_ok();
        new.signup(OTHER_PHONE).await.assert_ok();
        let phone = PhoneNumber::from_e164(OTHER_PHONE).unwrap();
        let challenge = store::otp::find(&new.services.store, ChallengeKey::sign_in(&phone)).await.unwrap();
        assert_eq!(challenge.unwrap().key_version, new.services.otp_keys.current_version(), "new codes, new key");
    }

    async fn a_key_that_is_not_listed_any_more_opens_nothing(server: TestServer) {
        let old = with_long_codes(&server, &[("SECRET_KEY", OLD_KEY)]).await;
        let new = old.second_server(&[("SECRET_KEY", NEW_KEY)]).await;
        old.signup(PHONE).await.assert_ok();
        new.verify_otp(PHONE, &old.last_code_for(PHONE)).await.assert_error(400, "otp_not_found");
        old.advance(30);
        new.signup(PHONE).await.assert_ok();
        assert_ne!(new.last_code_for(PHONE), old.last_code_for(PHONE));
        new.verify_otp(PHONE, &new.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_code_has_as_many_digits_as_the_setting_says(server: TestServer) {
        for length in ["4", "5", "6", "7", "8"] {
            let server = TestServer::with(server.database, &[("OTP_LENGTH", length)]).await;
            server.signup(PHONE).await.assert_ok();
            let code = server.last_code_for(PHONE);
            assert_eq!(code.len().to_string(), length);
            server.verify_otp(PHONE, &code[1..]).await.assert_error(422, "validation_failed");
            server.verify_otp(PHONE, &code).await.assert_ok();
        }
    }

    async fn without_a_cooldown_the_next_may_be_asked_for_at_once(server: TestServer) {
        // More sends than an hour allows for a phone.
        let settings = [("OTP_RESEND_SECONDS", "0"), ("RATE_LIMITS_ENABLED", "false")];
        let server = TestServer::with(server.database, &settings).await;
        for _ in 0..5 {
            assert_eq!(server.signup(PHONE).await.assert_ok().at("/data/resend_in"), json!(0));
        }
        for _ in 0..3 {
            server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        }
        let answer = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        answer.assert_error(429, "otp_attempts_exhausted");
        assert_eq!(answer.at("/error/retry_after"), json!(1));
    }

    async fn the_limits_switch_touches_neither_cooldown_nor_guesses(server: TestServer) {
        let server = TestServer::with(server.database, &[("RATE_LIMITS_ENABLED", "false")]).await;
        server.signup(PHONE).await.assert_ok();
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
        for _ in 0..3 {
            server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        }
        let last = server.last_code_for(PHONE);
        server.verify_otp(PHONE, &last).await.assert_error(429, "otp_attempts_exhausted");
    }

    async fn the_life_of_a_code_is_a_setting(server: TestServer) {
        let server = TestServer::with(server.database, &[("OTP_EXPIRE_MINUTES", "5")]).await;
        assert_eq!(server.signup(PHONE).await.assert_ok().at("/data/expires_in"), json!(300));
        let inbox = server.get("/dev/inbox.json").await;
        assert!(inbox.text_at("/messages/0/body").ends_with("This code is valid for 5 min."), "{}", inbox.text);
        server.advance(301);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(400, "otp_expired");
    }

    async fn the_next_code_may_be_asked_for_after_thirty_seconds_and_not_after_twenty_nine(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.advance(29);
        let answer = server.signup(PHONE).await;
        answer.assert_error(429, "otp_cooldown");
        assert_eq!(answer.at("/error/retry_after"), json!(1));
        server.advance(1);
        server.signup(PHONE).await.assert_ok();
    }

    async fn a_code_is_taken_to_the_last_of_its_six_hundred_seconds(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.signup(OTHER_PHONE).await.assert_ok();
        server.advance(599);
        server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        server.advance(1);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        server.advance(1);
        server.verify_otp(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await.assert_error(400, "otp_expired");
    }

    async fn a_resend_is_the_same_code_with_the_same_guesses_and_the_same_end(server: TestServer) {
        let server = with_long_codes(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        server.verify_otp(PHONE, &wrong(&code)).await.assert_error(400, "otp_invalid");
        server.advance(30);
        assert_eq!(server.signup(PHONE).await.assert_ok().at("/data/expires_in"), json!(570));
        assert_eq!(server.codes_for(PHONE), [code.clone(), code.clone()]);
        let inbox = server.get("/dev/inbox.json").await;
        assert!(inbox.text_at("/messages/0/body").ends_with("This code is valid for 9 min."), "{}", inbox.text);
        let answer = server.verify_otp(PHONE, &wrong(&code)).await;
        assert_eq!(answer.at("/error/attempts_remaining"), json!(1));
        server.advance(571);
        server.verify_otp(PHONE, &code).await.assert_error(400, "otp_expired");
    }

    async fn two_minutes_to_go_is_enough_for_a_resend(server: TestServer) {
        let server = with_long_codes(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        server.advance(480);
        assert_eq!(server.signup(PHONE).await.assert_ok().at("/data/expires_in"), json!(120));
        assert_eq!(server.last_code_for(PHONE), code);
        server.advance(120);
        server.verify_otp(PHONE, &code).await.assert_ok();
    }

    async fn with_a_second_less_a_new_code_begins(server: TestServer) {
        let server = with_long_codes(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        server.verify_otp(PHONE, &wrong(&code)).await.assert_error(400, "otp_invalid");
        server.advance(481);
        assert_eq!(server.signup(PHONE).await.assert_ok().at("/data/expires_in"), json!(600));
        assert_ne!(server.last_code_for(PHONE), code);
        let answer = server.verify_otp(PHONE, &code).await;
        assert_eq!(answer.at("/error/attempts_remaining"), json!(2), "the old code is a wrong one now");
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_used_code_is_not_sent_again(server: TestServer) {
        let server = with_long_codes(&server, &[]).await;
        server.sign_in(PHONE).await;
        let used = server.last_code_for(PHONE);
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        assert_ne!(server.last_code_for(PHONE), used);
        server.verify_login(PHONE, &used).await.assert_error(400, "otp_invalid");
    }

    // No route opens challenges of other kinds yet, so this test calls the store and the rules.
    async fn a_code_of_one_kind_opens_no_other(server: TestServer) {
        let server = with_long_codes(&server, &[]).await;
        let phone = PhoneNumber::from_e164(PHONE).unwrap();
        let other_phone = PhoneNumber::from_e164(OTHER_PHONE).unwrap();
        let [one, two] = [1, 2].map(|id| Some(Holder::Account(Uuid::from_u128(id))));
        let device = Some(Holder::Device(Uuid::from_u128(1)));
        let key = |purpose, holder| ChallengeKey { phone: &phone, purpose, holder };
        let keys = [
            ChallengeKey::sign_in(&phone),
            key(Purpose::ChangePhone, one),
            key(Purpose::ChangePhone, two),
            key(Purpose::Confirm, one),
            key(Purpose::Staff, one),
            key(Purpose::SignIn, device),
            key(Purpose::SignIn, one),
            ChallengeKey { phone: &other_phone, purpose: Purpose::ChangePhone, holder: one },
        ];
        // The same id with another key gives another code.
        let mut codes = Vec::new();
        for key in keys {
            codes.push(open(&server, key, Uuid::from_u128(7)).await);
        }
        for (i, key) in keys.into_iter().enumerate() {
            let strange = &codes[(i + 1) % codes.len()];
            assert!(matches!(guess(&server, key, strange).await, Verdict::Wrong { left: 2 }));
        }
        for (key, code) in keys.into_iter().zip(&codes) {
            let Verdict::Accepted(proof) = guess(&server, key, code).await else {
                panic!("its own code opens it, whatever became of the others");
            };
            assert!(store::otp::consume(&server.services.store, key, &proof, server.now()).await.unwrap().is_some());
        }
        let claim = store::otp::claim_attempt(&server.services.store, keys[0], &server.services.otp, &[], server.now()).await.unwrap();
        assert!(matches!(claim, Claim::NotTaken(Some(_))), "each is used up");
    }

    async fn the_minutes_of_the_message_are_those_of_the_answer(server: TestServer) {
        let server = server.second_server(&[("OTP_RESEND_SECONDS", "0")]).await;
        for _ in 0..2 {
            let answer = server.signup(PHONE).await;
            let phone = PhoneNumber::from_e164(PHONE).unwrap();
            let message = server.services.sms.inbox().unwrap().list(Some(&phone)).remove(0);
            let minutes = answer.assert_ok().at("/data/expires_in").as_i64().unwrap() / 60;
            assert_eq!(minutes, 10);
            assert!(message.body.ends_with("is valid for 10 min."), "{}", message.body);
            // The remaining time is rounded up to seconds: still 600.
            server.clock.advance(chrono::Duration::milliseconds(5));
        }
    }
}
