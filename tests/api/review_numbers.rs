//! `OTP_REVIEW_NUMBERS`: a fixed code for app reviewers, which opens an account that it made and no other.

use chrono::{TimeZone, Utc};
use loopin_auth::{config::Config, random::Random};
use poem::http::Method;
use serde_json::json;

use crate::{
    again::{poke_as, post_as, tokens_of},
    on_both,
    roles::{ADMIN, somebody},
    support::{PHONE, TestHouse, Tokens},
};

const REVIEW: &str = "+12025550100";
const CODE: &str = "4821";
const LISTED: &str = "+12025550100=4821@2026-03-14";

async fn with_list(house: &TestHouse, list: &str) -> TestHouse {
    house.second_server(&[("OTP_REVIEW_NUMBERS", list)]).await
}

async fn sign_in(house: &TestHouse) -> Tokens {
    house.signup(REVIEW).await.assert_ok();
    tokens_of(&house.verify_otp(REVIEW, CODE).await)
}

fn problems(list: &str) -> Vec<String> {
    let get = |name: &str| (name == "OTP_REVIEW_NUMBERS").then(|| list.to_owned());
    Config::read(&get, &Random::seeded(1)).map_or_else(|problems| problems.0, |_| Vec::new())
}

on_both! {
    async fn the_code_is_fixed_and_nobody_is_sent_anything(house: TestHouse) {
        let house = with_list(&house, LISTED).await;
        for _ in 0..8 {
            // No cooldown, and no budget of sends.
            let answer = house.signup(REVIEW).await;
            answer.assert_ok();
            assert_eq!(answer.text_at("/message"), "OTP sent successfully to your phone number");
            assert_eq!(answer.at("/data/resend_in"), json!(0));
            let delivery = house.delivery(&answer).await;
            delivery.assert_ok();
            assert_eq!(delivery.text_at("/status"), "delivered");
        }
        assert!(house.inbox_of(REVIEW).is_empty());
        let row = "SELECT COUNT(*) FROM messages WHERE template = 'review' AND provider = 'none' AND status = 'delivered'";
        assert_eq!(house.count(row).await, 8);
        let tokens = tokens_of(&house.verify_otp(REVIEW, CODE).await);
        assert_eq!(house.count("SELECT COUNT(*) FROM leads").await, 0);
        house.verify_otp(REVIEW, CODE).await.assert_error(400, "otp_not_found");
        house.login(REVIEW).await.assert_ok();
        let again = tokens_of(&house.verify_login(REVIEW, CODE).await);
        assert_eq!(again.user_id, tokens.user_id);
        // She proves again with it, and leaves; and whoever reviews the app next begins anew at once.
        poke_as(&house, &again, "/api/auth/confirm-code").await.assert_ok();
        post_as(&house, &again, "/api/auth/confirm", json!({ "otp_code": CODE })).await.assert_ok();
        poke_as(&house, &again, "/api/auth/delete-account").await.assert_ok();
        assert_ne!(sign_in(&house).await.user_id, tokens.user_id);
        assert!(house.inbox_of(REVIEW).is_empty());
        house.services.audit.flush().await.unwrap();
        assert_eq!(house.count("SELECT COUNT(*) FROM audit WHERE action = 'review_sign_in'").await, 3);
        assert_eq!(house.count("SELECT COUNT(*) FROM audit WHERE action = 'signed_in'").await, 0);
    }

    async fn it_is_served_where_no_message_goes(house: TestHouse) {
        let house = house.second_server(&[("OTP_REVIEW_NUMBERS", LISTED), ("SMS_ALLOWED_COUNTRIES", "IN")]).await;
        sign_in(&house).await;
        house.signup("+12025550101").await.assert_error(400, "phone_unreachable");
    }

    async fn guesses_are_counted_as_ever(house: TestHouse) {
        let settings = [("OTP_REVIEW_NUMBERS", LISTED), ("LIMIT_GUESSES_PER_PHONE", "4/24h")];
        let house = house.second_server(&settings).await;
        house.signup(REVIEW).await.assert_ok();
        for left in [2, 1, 0] {
            let answer = house.verify_otp(REVIEW, "0000").await;
            answer.assert_error(400, "otp_invalid");
            assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
        }
        let answer = house.verify_otp(REVIEW, CODE).await;
        answer.assert_error(429, "otp_attempts_exhausted");
        assert_eq!(answer.at("/error/retry_after"), json!(1));
        house.signup(REVIEW).await.assert_ok();
        house.verify_otp(REVIEW, "0000").await.assert_error(400, "otp_invalid");
        house.verify_otp(REVIEW, CODE).await.assert_error(429, "phone_locked");
    }

    async fn it_opens_no_account_that_was_made_otherwise(house: TestHouse) {
        house.sign_in(REVIEW).await;
        let house = with_list(&house, LISTED).await;
        house.advance(30);
        house.signup(REVIEW).await.assert_ok();
        let sent = house.last_code_for(REVIEW);
        if sent != CODE {
            house.verify_otp(REVIEW, CODE).await.assert_error(400, "otp_invalid");
        }
        house.signup(REVIEW).await.assert_error(429, "otp_cooldown");
        house.verify_otp(REVIEW, &sent).await.assert_ok();
        assert_eq!(house.count("SELECT COUNT(*) FROM leads").await, 1);
    }

    async fn an_account_that_is_made_between_send_and_guess_is_not_opened(house: TestHouse) {
        let house = with_list(&house, LISTED).await;
        house.signup(REVIEW).await.assert_ok();
        let tokens = house.sign_in(PHONE).await;
        house.execute(&format!("UPDATE accounts SET phone = '{REVIEW}' WHERE phone = '{PHONE}'")).await;
        let answer = house.verify_otp(REVIEW, CODE).await;
        // The code of that challenge is another one now: the derived one, by a chance of 1 in 10,000 the same.
        answer.assert_error(400, "otp_invalid");
        house.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
    }

    async fn it_is_never_staff(house: TestHouse) {
        let admin = somebody(&house, ADMIN, "admin").await;
        let house = with_list(&house, LISTED).await;
        let tokens = sign_in(&house).await;
        let path = format!("/api/users/{}", tokens.user_id);
        for role in ["staff", "admin"] {
            let answer = house.send_as(&admin.access, Method::PUT, &path, json!({ "role": role })).await;
            answer.assert_error(403, "forbidden");
        }
        house.send_as(&admin.access, Method::PUT, &path, json!({ "role": "user" })).await.assert_ok();
        house.execute(&format!("UPDATE accounts SET role = 'staff' WHERE phone = '{REVIEW}'")).await;
        house.advance(30);
        house.signup(REVIEW).await.assert_ok();
        assert_eq!(house.inbox_of(REVIEW).len(), 1, "it is an ordinary phone");
        if house.last_code_for(REVIEW) != CODE {
            house.verify_otp(REVIEW, CODE).await.assert_error(400, "otp_invalid");
        }
    }

    async fn it_ends_with_its_day_in_kolkata(house: TestHouse) {
        let house = with_list(&house, LISTED).await;
        sign_in(&house).await;
        // 15 March begins at 18:30 UTC in India.
        let end = Utc.with_ymd_and_hms(2026, 3, 14, 18, 30, 0).unwrap();
        house.clock.advance(end - house.now() - chrono::Duration::milliseconds(1));
        sign_in(&house).await;
        house.signup(REVIEW).await.assert_ok();
        house.clock.advance(chrono::Duration::milliseconds(1));
        // A challenge of before has its own code now, which nobody was sent.
        house.verify_otp(REVIEW, CODE).await.assert_error(400, "otp_invalid");
        assert!(house.inbox_of(REVIEW).is_empty());
        house.advance(30);
        house.signup(REVIEW).await.assert_ok();
        house.verify_otp(REVIEW, &house.last_code_for(REVIEW)).await.assert_ok();
    }
}

#[test]
fn all_faults_of_the_list_are_named_at_once() {
    let list = "+12025550100=4821@2027-01-31, +12025550100=1111@2027-01-31, 911=48@tomorrow, nonsense, \
                +1 202 555 0102=4821@2027-1-31, +12025550103=48211@2027-02-30";
    let found = problems(list);
    let about = |place: usize| {
        let place = format!("item {place} ");
        found.iter().filter(|problem| problem.contains(&place)).count()
    };
    assert_eq!([1, 2, 3, 4, 5, 6].map(about), [0, 1, 3, 1, 1, 2], "{found:#?}");
    for secret in ["4821", "2025550100", "48211"] {
        // The example of the sentence aside.
        let told = found
            .iter()
            .filter(|problem| !problem.contains("such as"))
            .any(|problem| problem.contains(secret));
        assert!(!told, "{found:#?}");
    }
    assert!(problems("+12025550100=4821@2027-01-31").is_empty());
    assert!(problems(" +12025550100 = 4821 @ 2027-01-31 , +12025550101=0000@2027-01-31").is_empty());
}
