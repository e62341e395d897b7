//! Codes: derived and never stored, the same again on a resend, dead on time, and of one kind.

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
    support::{OTHER_PHONE, PHONE, TestHouse, wrong},
};

const OLD_KEY: &str = "the old secret key of the tests: 32 bytes or more";
const NEW_KEY: &str = "the new secret key of the tests: 32 bytes or more";

/// A house whose codes have eight digits, so that two of them are hardly ever the same by chance.
async fn with_long_codes(house: &TestHouse, settings: &[(&str, &str)]) -> TestHouse {
    let mut all = vec![("OTP_LENGTH", "8")];
    all.extend(settings);
    TestHouse::with(house.database, &all).await
}

/// Opens a challenge as a flow does, and answers its code.
async fn open(house: &TestHouse, key: ChallengeKey<'_>, id: Uuid) -> OtpCode {
    let services = &house.services;
    let opening = services.otp.opening(id, &services.otp_keys, key, house.now());
    let challenge = store::otp::open(&services.store, key, &opening).await.unwrap().expect("a challenge");
    services.otp_keys.code(&challenge, key, services.otp.length).expect("a code")
}

async fn guess(house: &TestHouse, key: ChallengeKey<'_>, code: &OtpCode) -> Verdict {
    let (services, now) = (&house.services, house.now());
    let claim = store::otp::claim_attempt(&services.store, key, &services.otp, &[], now).await.unwrap();
    judge(claim, code, key, &services.otp_keys, &services.otp, now)
}

on_both! {
    async fn a_code_is_nowhere_in_the_database(house: TestHouse) {
        let house = with_long_codes(&house, &[]).await;
        house.signup(PHONE).await.assert_ok();
        let code = house.last_code_for(PHONE);
        for (table, columns) in [
            ("challenges", "phone, purpose, holder, id, key_version, attempts, opened_at, expires_at, sent_at"),
            ("messages", "id, phone, channel, template, provider, status, provider_id, error_code, created_at"),
            ("leads", "id, phone, source, state, requests, first_requested_at, last_requested_at, notes"),
        ] {
            for column in columns.split(", ") {
                let rows = format!("SELECT COUNT(*) FROM {table} WHERE CAST({column} AS TEXT) LIKE '%{code}%'");
                assert_eq!(house.count(&rows).await, 0, "{table}.{column}");
            }
        }
    }

    async fn a_code_comes_from_the_row_and_the_key_alone(house: TestHouse) {
        house.signup(PHONE).await.assert_ok();
        let phone = PhoneNumber::from_e164(PHONE).unwrap();
        let key = ChallengeKey::sign_in(&phone);
        let other = house.second_server(&[]).await;
        let challenge = store::otp::find(&other.services.store, key).await.unwrap().unwrap();
        let code = other.services.otp_keys.code(&challenge, key, other.services.otp.length).unwrap();
        assert_eq!(code.expose().expose_secret(), house.last_code_for(PHONE));
        let stranger = house.second_server(&[("SECRET_KEY", NEW_KEY)]).await;
        assert!(stranger.services.otp_keys.code(&challenge, key, stranger.services.otp.length).is_none());
    }

    async fn a_code_outlives_the_change_of_the_key(house: TestHouse) {
        let old = with_long_codes(&house, &[("SECRET_KEY", OLD_KEY)]).await;
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

    async fn a_key_that_is_not_listed_any_more_opens_nothing(house: TestHouse) {
        let old = with_long_codes(&house, &[("SECRET_KEY", OLD_KEY)]).await;
        let new = old.second_server(&[("SECRET_KEY", NEW_KEY)]).await;
        old.signup(PHONE).await.assert_ok();
        new.verify_otp(PHONE, &old.last_code_for(PHONE)).await.assert_error(400, "otp_not_found");
        old.advance(30);
        new.signup(PHONE).await.assert_ok();
        assert_ne!(new.last_code_for(PHONE), old.last_code_for(PHONE));
        new.verify_otp(PHONE, &new.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_code_has_as_many_digits_as_the_setting_says(house: TestHouse) {
        for length in ["4", "5", "6", "7", "8"] {
            let house = TestHouse::with(house.database, &[("OTP_LENGTH", length)]).await;
            house.signup(PHONE).await.assert_ok();
            let code = house.last_code_for(PHONE);
            assert_eq!(code.len().to_string(), length);
            house.verify_otp(PHONE, &code[1..]).await.assert_error(422, "validation_failed");
            house.verify_otp(PHONE, &code).await.assert_ok();
        }
    }

    async fn without_a_cooldown_the_next_may_be_asked_for_at_once(house: TestHouse) {
        // More sends than a phone may have in an hour.
        let settings = [("OTP_RESEND_SECONDS", "0"), ("RATE_LIMITS_ENABLED", "false")];
        let house = TestHouse::with(house.database, &settings).await;
        for _ in 0..5 {
            assert_eq!(house.signup(PHONE).await.assert_ok().at("/data/resend_in"), json!(0));
        }
        for _ in 0..3 {
            house.verify_otp(PHONE, &house.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        }
        let answer = house.verify_otp(PHONE, &house.last_code_for(PHONE)).await;
        answer.assert_error(429, "otp_attempts_exhausted");
        assert_eq!(answer.at("/error/retry_after"), json!(1));
    }

    async fn the_limits_switch_touches_neither_cooldown_nor_guesses(house: TestHouse) {
        let house = TestHouse::with(house.database, &[("RATE_LIMITS_ENABLED", "false")]).await;
        house.signup(PHONE).await.assert_ok();
        house.signup(PHONE).await.assert_error(429, "otp_cooldown");
        for _ in 0..3 {
            house.verify_otp(PHONE, &house.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        }
        let last = house.last_code_for(PHONE);
        house.verify_otp(PHONE, &last).await.assert_error(429, "otp_attempts_exhausted");
    }

    async fn the_life_of_a_code_is_a_setting(house: TestHouse) {
        let house = TestHouse::with(house.database, &[("OTP_EXPIRE_MINUTES", "5")]).await;
        assert_eq!(house.signup(PHONE).await.assert_ok().at("/data/expires_in"), json!(300));
        let inbox = house.get("/dev/inbox.json").await;
        assert!(inbox.text_at("/messages/0/body").ends_with("This code expires in 5 minutes."), "{}", inbox.text);
        house.advance(301);
        house.verify_otp(PHONE, &house.last_code_for(PHONE)).await.assert_error(400, "otp_expired");
    }

    async fn the_next_code_may_be_asked_for_after_thirty_seconds_and_not_after_twenty_nine(house: TestHouse) {
        house.signup(PHONE).await.assert_ok();
        house.advance(29);
        let answer = house.signup(PHONE).await;
        answer.assert_error(429, "otp_cooldown");
        assert_eq!(answer.at("/error/retry_after"), json!(1));
        house.advance(1);
        house.signup(PHONE).await.assert_ok();
    }

    async fn a_code_is_taken_to_the_last_of_its_six_hundred_seconds(house: TestHouse) {
        house.signup(PHONE).await.assert_ok();
        house.signup(OTHER_PHONE).await.assert_ok();
        house.advance(599);
        house.verify_otp(PHONE, &house.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        house.advance(1);
        house.verify_otp(PHONE, &house.last_code_for(PHONE)).await.assert_ok();
        house.advance(1);
        house.verify_otp(OTHER_PHONE, &house.last_code_for(OTHER_PHONE)).await.assert_error(400, "otp_expired");
    }

    async fn a_resend_is_the_same_code_with_the_same_guesses_and_the_same_end(house: TestHouse) {
        let house = with_long_codes(&house, &[]).await;
        house.signup(PHONE).await.assert_ok();
        let code = house.last_code_for(PHONE);
        house.verify_otp(PHONE, &wrong(&code)).await.assert_error(400, "otp_invalid");
        house.advance(30);
        assert_eq!(house.signup(PHONE).await.assert_ok().at("/data/expires_in"), json!(570));
        assert_eq!(house.codes_for(PHONE), [code.clone(), code.clone()]);
        let inbox = house.get("/dev/inbox.json").await;
        assert!(inbox.text_at("/messages/0/body").ends_with("This code expires in 9 minutes."), "{}", inbox.text);
        let answer = house.verify_otp(PHONE, &wrong(&code)).await;
        assert_eq!(answer.at("/error/attempts_remaining"), json!(1));
        house.advance(571);
        house.verify_otp(PHONE, &code).await.assert_error(400, "otp_expired");
    }

    async fn two_minutes_to_go_is_enough_for_a_resend(house: TestHouse) {
        let house = with_long_codes(&house, &[]).await;
        house.signup(PHONE).await.assert_ok();
        let code = house.last_code_for(PHONE);
        house.advance(480);
        assert_eq!(house.signup(PHONE).await.assert_ok().at("/data/expires_in"), json!(120));
        assert_eq!(house.last_code_for(PHONE), code);
        house.advance(120);
        house.verify_otp(PHONE, &code).await.assert_ok();
    }

    async fn with_a_second_less_a_new_code_begins(house: TestHouse) {
        let house = with_long_codes(&house, &[]).await;
        house.signup(PHONE).await.assert_ok();
        let code = house.last_code_for(PHONE);
        house.verify_otp(PHONE, &wrong(&code)).await.assert_error(400, "otp_invalid");
        house.advance(481);
        assert_eq!(house.signup(PHONE).await.assert_ok().at("/data/expires_in"), json!(600));
        assert_ne!(house.last_code_for(PHONE), code);
        let answer = house.verify_otp(PHONE, &code).await;
        assert_eq!(answer.at("/error/attempts_remaining"), json!(2), "the old code is a wrong one now");
        house.verify_otp(PHONE, &house.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_used_code_is_not_sent_again(house: TestHouse) {
        let house = with_long_codes(&house, &[]).await;
        house.sign_in(PHONE).await;
        let used = house.last_code_for(PHONE);
        house.advance(30);
        house.login(PHONE).await.assert_ok();
        assert_ne!(house.last_code_for(PHONE), used);
        house.verify_login(PHONE, &used).await.assert_error(400, "otp_invalid");
    }

    // Challenges of other kinds are asked for by no route yet, so this one speaks with the store and the rules.
    async fn a_code_of_one_kind_opens_no_other(house: TestHouse) {
        let house = with_long_codes(&house, &[]).await;
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
        // Even the same id does not make the same code.
        let mut codes = Vec::new();
        for key in keys {
            codes.push(open(&house, key, Uuid::from_u128(7)).await);
        }
        for (i, key) in keys.into_iter().enumerate() {
            let strange = &codes[(i + 1) % codes.len()];
            assert!(matches!(guess(&house, key, strange).await, Verdict::Wrong { left: 2 }));
        }
        for (key, code) in keys.into_iter().zip(&codes) {
            let Verdict::Accepted(proof) = guess(&house, key, code).await else {
                panic!("its own code opens it, whatever became of the others");
            };
            assert!(store::otp::consume(&house.services.store, key, &proof, house.now()).await.unwrap());
        }
        let claim = store::otp::claim_attempt(&house.services.store, keys[0], &house.services.otp, &[], house.now()).await.unwrap();
        assert!(matches!(claim, Claim::NotTaken(Some(_))), "each is used up");
    }

    async fn the_minutes_of_the_message_are_those_of_the_answer(house: TestHouse) {
        let house = house.second_server(&[("OTP_RESEND_SECONDS", "0")]).await;
        for _ in 0..2 {
            let answer = house.signup(PHONE).await;
            let phone = PhoneNumber::from_e164(PHONE).unwrap();
            let message = house.services.sms.inbox().unwrap().list(Some(&phone)).remove(0);
            let minutes = answer.assert_ok().at("/data/expires_in").as_i64().unwrap() / 60;
            assert_eq!(minutes, 10);
            assert!(message.body.ends_with("expires in 10 minutes."), "{}", message.body);
            // What remains is rounded up to seconds: 600 of them still.
            house.clock.advance(chrono::Duration::milliseconds(5));
        }
    }
}
