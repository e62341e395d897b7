//! `OTP_REVIEW_NUMBERS`: a fixed code for app reviewers, which only opens an account that it has made.

use chrono::{TimeZone, Utc};
use loopin_auth::{config::Config, random::Random};
use poem::http::Method;
use serde_json::json;

use crate::{
    again::{post_as, post_empty_as, tokens_of},
    on_both,
    roles::{ADMIN, sign_in_with_role},
    support::{PHONE, TestServer, Tokens},
};

const REVIEW: &str = "+12025550100";
const CODE: &str = "4821";
const LISTED: &str = "+12025550100=4821@2026-03-14";

async fn with_list(server: &TestServer, list: &str) -> TestServer {
    server.second_server(&[("OTP_REVIEW_NUMBERS", list)]).await
}

async fn sign_in(server: &TestServer) -> Tokens {
    server.signup(REVIEW).await.assert_ok();
    tokens_of(&server.verify_otp(REVIEW, CODE).await)
}

fn problems(list: &str) -> Vec<String> {
    let get = |name: &str| (name == "OTP_REVIEW_NUMBERS").then(|| list.to_owned());
    Config::read(&get, &Random::seeded(1)).map_or_else(|problems| problems.0, |_| Vec::new())
}

on_both! {
    async fn the_code_is_fixed_and_nobody_is_sent_anything(server: TestServer) {
        let server = with_list(&server, LISTED).await;
        for _ in 0..8 {
            // No cooldown, and no budget of sends.
            let answer = server.signup(REVIEW).await;
            answer.assert_ok();
            assert_eq!(answer.text_at("/message"), "OTP sent successfully to your phone number");
            assert_eq!(answer.at("/data/resend_in"), json!(0));
            let delivery = server.delivery(&answer).await;
            delivery.assert_ok();
            assert_eq!(delivery.text_at("/status"), "delivered");
        }
        assert!(server.inbox_of(REVIEW).is_empty());
        let row = "SELECT COUNT(*) FROM messages WHERE template = 'review' AND provider = 'none' AND status = 'delivered'";
        assert_eq!(server.count(row).await, 8);
        let tokens = tokens_of(&server.verify_otp(REVIEW, CODE).await);
        assert_eq!(server.count("SELECT COUNT(*) FROM leads").await, 0);
        server.verify_otp(REVIEW, CODE).await.assert_error(400, "otp_not_found");
        server.login(REVIEW).await.assert_ok();
        let again = tokens_of(&server.verify_login(REVIEW, CODE).await);
        assert_eq!(again.user_id, tokens.user_id);
        // The code also confirms the sign-in and deletes the account, and the next reviewer can start at once.
        post_empty_as(&server, &again, "/api/auth/confirm-code").await.assert_ok();
        post_as(&server, &again, "/api/auth/confirm", json!({ "otp_code": CODE })).await.assert_ok();
        post_empty_as(&server, &again, "/api/auth/delete-account").await.assert_ok();
        assert_ne!(sign_in(&server).await.user_id, tokens.user_id);
        assert!(server.inbox_of(REVIEW).is_empty());
        server.services.audit.flush().await.unwrap();
        assert_eq!(server.count("SELECT COUNT(*) FROM audit WHERE action = 'review_sign_in'").await, 3);
        assert_eq!(server.count("SELECT COUNT(*) FROM audit WHERE action = 'signed_in'").await, 0);
    }

    async fn it_is_served_where_no_message_goes(server: TestServer) {
        let server = server.second_server(&[("OTP_REVIEW_NUMBERS", LISTED), ("SMS_ALLOWED_COUNTRIES", "IN")]).await;
        sign_in(&server).await;
        server.signup("+12025550101").await.assert_error(400, "phone_unreachable");
    }

    async fn guesses_are_counted_as_ever(server: TestServer) {
        let settings = [("OTP_REVIEW_NUMBERS", LISTED), ("LIMIT_GUESSES_PER_PHONE", "4/24h")];
        let server = server.second_server(&settings).await;
        server.signup(REVIEW).await.assert_ok();
        for left in [2, 1, 0] {
            let answer = server.verify_otp(REVIEW, "0000").await;
            answer.assert_error(400, "otp_invalid");
            assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
        }
        let answer = server.verify_otp(REVIEW, CODE).await;
        answer.assert_error(429, "otp_attempts_exhausted");
        assert_eq!(answer.at("/error/retry_after"), json!(1));
        server.signup(REVIEW).await.assert_ok();
        server.verify_otp(REVIEW, "0000").await.assert_error(400, "otp_invalid");
        server.verify_otp(REVIEW, CODE).await.assert_error(429, "phone_locked");
    }

    async fn it_opens_no_account_that_was_made_otherwise(server: TestServer) {
        server.sign_in(REVIEW).await;
        let server = with_list(&server, LISTED).await;
        server.advance(30);
        server.signup(REVIEW).await.assert_ok();
        let sent = server.last_code_for(REVIEW);
        if sent != CODE {
            server.verify_otp(REVIEW, CODE).await.assert_error(400, "otp_invalid");
        }
        server.signup(REVIEW).await.assert_error(429, "otp_cooldown");
        server.verify_otp(REVIEW, &sent).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM leads").await, 1);
    }

    async fn an_account_that_is_made_between_send_and_guess_is_not_opened(server: TestServer) {
        let server = with_list(&server, LISTED).await;
        server.signup(REVIEW).await.assert_ok();
        let tokens = server.sign_in(PHONE).await;
        server.execute(&format!("UPDATE accounts SET phone = '{REVIEW}' WHERE phone = '{PHONE}'")).await;
        let answer = server.verify_otp(REVIEW, CODE).await;
        // The challenge has the derived code now, which is the same by a chance of 1 in 10,000.
        answer.assert_error(400, "otp_invalid");
        server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
    }

    async fn it_is_never_staff(server: TestServer) {
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let server = with_list(&server, LISTED).await;
        let tokens = sign_in(&server).await;
        let path = format!("/api/users/{}", tokens.user_id);
        for role in ["staff", "admin"] {
            let answer = server.send_as(&admin.access, Method::PUT, &path, json!({ "role": role })).await;
            answer.assert_error(403, "forbidden");
        }
        server.send_as(&admin.access, Method::PUT, &path, json!({ "role": "user" })).await.assert_ok();
        server.execute(&format!("UPDATE accounts SET role = 'staff' WHERE phone = '{REVIEW}'")).await;
        server.advance(30);
        server.signup(REVIEW).await.assert_ok();
        assert_eq!(server.inbox_of(REVIEW).len(), 1, "it is an ordinary phone");
        if server.last_code_for(REVIEW) != CODE {
            server.verify_otp(REVIEW, CODE).await.assert_error(400, "otp_invalid");
        }
    }

    async fn it_ends_with_its_day_in_kolkata(server: TestServer) {
        let server = with_list(&server, LISTED).await;
        sign_in(&server).await;
        // 15 March begins at 18:30 UTC in India.
        let end = Utc.with_ymd_and_hms(2026, 3, 14, 18, 30, 0).unwrap();
        server.clock.advance(end - server.now() - chrono::Duration::milliseconds(1));
        sign_in(&server).await;
        server.signup(REVIEW).await.assert_ok();
        server.clock.advance(chrono::Duration::milliseconds(1));
        // An earlier challenge has its derived code now, which was not sent.
        server.verify_otp(REVIEW, CODE).await.assert_error(400, "otp_invalid");
        assert!(server.inbox_of(REVIEW).is_empty());
        server.advance(30);
        server.signup(REVIEW).await.assert_ok();
        server.verify_otp(REVIEW, &server.last_code_for(REVIEW)).await.assert_ok();
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
        // Without the example in the message.
        let is_named = found
            .iter()
            .filter(|problem| !problem.contains("such as"))
            .any(|problem| problem.contains(secret));
        assert!(!is_named, "{found:#?}");
    }
    assert!(problems("+12025550100=4821@2027-01-31").is_empty());
    assert!(problems(" +12025550100 = 4821 @ 2027-01-31 , +12025550101=0000@2027-01-31").is_empty());
}
