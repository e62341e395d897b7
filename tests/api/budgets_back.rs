//! Charges that are returned: of a right guess, and of a message that the provider refused. And charges that are not.

use std::time::Duration;

use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::{
    again::{post_as, post_empty_as},
    budgets::{Guesser, HOUR, assert_judged, assert_refused, row, stranger},
    on_both,
    sms::{accepted, first_request, rejected, server_that_sends_to, set_answer},
    support::{OTHER_PHONE, PHONE, TestServer},
};

/// The number of charges in a row; 0 without a row.
async fn charges(server: &TestServer, key: &str) -> i64 {
    server
        .count(&format!(
            "SELECT CAST(COALESCE(MAX(LENGTH(log)) / 24, 0) AS BIGINT) FROM budgets WHERE key = '{key}'"
        ))
        .await
}

/// The number of failures in a row since the last sign-in.
async fn in_a_row(server: &TestServer, key: &str) -> i64 {
    server.count(&format!("SELECT COALESCE(MAX(count), 0) FROM budgets WHERE key = '{key}'")).await
}

on_both! {
    async fn a_right_guess_is_given_back_and_wrong_ones_stay(server: TestServer) {
        let (mut guesser, one) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        for _ in 0..8 {
            assert_judged(&guesser.guess(&one, 30).await);
        }
        // The last guess for this code is right.
        one.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        let rows = [
            (row(&server, PHONE, "guesses"), 8, 0),
            (row(&server, PHONE, "guesses/203.0.113.7"), 8, 8),
            ("address/203.0.113.7/guesses".to_owned(), 8, 8),
        ];
        for (key, logged, counted) in &rows {
            let found = (charges(&server, key).await, in_a_row(&server, key).await);
            assert_eq!(found, (*logged, *counted), "{key}");
        }
        // A success adds no guesses: two of the ten are left.
        let mut guesser = Guesser::new(&server, PHONE);
        server.advance(HOUR);
        assert_judged(&guesser.guess(&one, 30).await);
        assert_judged(&guesser.guess(&one, 30).await);
        one.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(429, "phone_locked");
    }

    async fn a_right_guess_that_lets_nobody_in_is_given_back_and_no_success(server: TestServer) {
        let one = server.from("203.0.113.7");
        one.signup(PHONE).await.assert_ok();
        assert_judged(&one.verify_login(PHONE, &server.wrong_code_for(PHONE)).await);
        for _ in 0..12 {
            // The right code of a phone without an account is not used up, and costs no guess.
            one.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_error(404, "user_not_found");
        }
        let key = row(&server, PHONE, "guesses");
        assert_eq!((charges(&server, &key).await, in_a_row(&server, &key).await), (1, 1));
        one.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        assert_eq!((charges(&server, &key).await, in_a_row(&server, &key).await), (1, 0));
        server.disable(PHONE).await;
        server.advance(30);
        one.signup(PHONE).await.assert_error(403, "account_disabled");
    }

    async fn a_guess_at_nothing_charges_nothing(server: TestServer) {
        let one = server.from("203.0.113.7");
        for _ in 0..40 {
            one.verify_otp(PHONE, "0000").await.assert_error(400, "otp_not_found");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM budgets").await, 0);
        stranger(&server, 1).signup(PHONE).await.assert_ok();
        let wrong = server.wrong_code_for(PHONE);
        for _ in 0..3 {
            assert_judged(&one.verify_otp(PHONE, &wrong).await);
        }
        for _ in 0..40 {
            one.verify_otp(PHONE, &wrong).await.assert_error(429, "otp_attempts_exhausted");
        }
        server.advance(601);
        for _ in 0..40 {
            // All guesses are used and the code has expired: the used guesses are reported first.
            one.verify_otp(PHONE, &wrong).await.assert_error(400, "otp_expired");
        }
        stranger(&server, 2).signup(PHONE).await.assert_ok();
        one.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        for _ in 0..40 {
            one.verify_otp(PHONE, &wrong).await.assert_error(400, "otp_not_found");
        }
        assert_eq!(charges(&server, "address/203.0.113.7/guesses").await, 3);
        assert_eq!(charges(&server, &row(&server, PHONE, "guesses")).await, 3);
    }

    async fn a_send_that_the_provider_refused_is_given_back_and_the_request_is_not(server: TestServer) {
        // Refused permanently, unreachable, and refused because of our account.
        for (index, (phone, status, code)) in [
            ("+15005550001", 400, "phone_unreachable"),
            ("+15005550012", 503, "sms_unavailable"),
            ("+15005550013", 502, "sms_rejected"),
        ].into_iter().enumerate() {
            let one = stranger(&server, index);
            // More sends than an hour allows, without waiting.
            for _ in 0..20 {
                one.signup(phone).await.assert_error(status, code);
            }
            for rest in ["sends".to_owned(), format!("sends/2001:db8:{index:x}::/64")] {
                assert_eq!(charges(&server, &row(&server, phone, &rest)).await, 0, "{rest}");
            }
            let refused = one.signup(phone).await;
            assert_refused(&refused, "rate_limited", "address-requests", (20, HOUR), HOUR);
        }
        // Messages that were not sent do not count for the prefix either.
        let counted = "SELECT COUNT(*) FROM budgets WHERE key LIKE 'prefix/%' AND (count > 0 OR log <> '')";
        assert_eq!(server.count(counted).await, 0);
    }

    async fn of_a_send_that_may_be_out_only_the_cooldown_is_lifted(server: TestServer) {
        let stub = MockServer::start().await;
        let other = server_that_sends_to(&server, &stub.uri(), &[]).await;
        // An error of Twilio: it is unknown whether the message was sent.
        set_answer(&stub, ResponseTemplate::new(500)).await;
        let one = other.from("203.0.113.7");
        for number in 0..3 {
            one.signup(PHONE).await.assert_error(503, "sms_unavailable");
            assert_eq!(charges(&server, &row(&server, PHONE, "sends")).await, number + 1);
        }
        let budget = "phone-sends-from-address";
        assert_refused(&one.signup(PHONE).await, "rate_limited", budget, (3, HOUR), HOUR);
        // The charges of a message that is refused permanently are returned, and the others stay.
        set_answer(&stub, rejected(400, 21_211)).await;
        other.advance(60);
        let another = other.from("203.0.113.8");
        another.signup(PHONE).await.assert_error(400, "phone_unreachable");
        assert_eq!(charges(&server, &row(&server, PHONE, "sends")).await, 3);
        // A message that is accepted starts the cooldown, and `resend_in` follows the budgets.
        set_answer(&stub, accepted()).await;
        let answer = another.signup(PHONE).await;
        assert_eq!(answer.assert_ok().at("/data/resend_in"), json!(30));
        another.signup(PHONE).await.assert_error(429, "otp_cooldown");
    }

    async fn what_is_asked_while_another_waits_for_the_provider_is_refused(server: TestServer) {
        let stub = MockServer::start().await;
        let slow = rejected(400, 21_211).set_delay(Duration::from_millis(700));
        Mock::given(any()).respond_with(slow).mount(&stub).await;
        let other = server_that_sends_to(&server, &stub.uri(), &[]).await;
        let waiting = tokio::spawn({
            let one = other.from("203.0.113.7");
            async move { one.signup(PHONE).await }
        });
        first_request(&stub).await;
        other.from("203.0.113.8").signup(PHONE).await.assert_error(429, "otp_cooldown");
        waiting.await.unwrap().assert_error(400, "phone_unreachable");
        // Both charges are returned: one message was refused by the provider, one by the cooldown.
        assert_eq!(charges(&server, &row(&server, PHONE, "sends")).await, 0);
        other.from("203.0.113.8").signup(PHONE).await.assert_error(400, "phone_unreachable");
    }

    async fn the_wait_for_the_next_code_is_that_of_the_budgets(server: TestServer) {
        let one = server.from("203.0.113.7");
        for number in 0..3 {
            one.signup(PHONE).await.assert_ok();
            let wrong = server.wrong_code_for(PHONE);
            for _ in 0..3 {
                assert_judged(&one.verify_otp(PHONE, &wrong).await);
            }
            let answer = one.verify_otp(PHONE, &wrong).await;
            answer.assert_error(429, "otp_attempts_exhausted");
            let wait = if number == 2 { HOUR - 60 } else { 30 };
            assert_eq!(answer.at("/error/retry_after"), json!(wait), "{}", answer.text);
            // Another address has another waiting time.
            let answer = stranger(&server, 1).verify_otp(PHONE, &wrong).await;
            assert_eq!(answer.at("/error/retry_after"), json!(30), "{}", answer.text);
            server.advance(30);
        }
        assert_refused(&one.signup(PHONE).await, "rate_limited", "phone-sends-from-address", (3, HOUR), HOUR - 90);
    }

    async fn all_purposes_of_a_phone_share_its_cooldown_and_its_sends(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let one = server.from("203.0.113.7");
        let confirm = "/api/auth/confirm-code";
        // The code of the sign-in was sent a moment ago.
        post_empty_as(&one, &tokens, confirm).await.assert_error(429, "otp_cooldown");
        server.advance(30);
        post_empty_as(&one, &tokens, confirm).await.assert_ok();
        for answer in [one.login(PHONE).await, stranger(&server, 1).signup(PHONE).await] {
            answer.assert_error(429, "otp_cooldown");
            assert_eq!(answer.at("/error/retry_after"), json!(30));
        }
        // A change of phone charges the budgets of the new phone.
        let change = json!({ "phone_number": OTHER_PHONE });
        post_as(&one, &tokens, "/api/auth/change-phone", change.clone()).await.assert_ok();
        stranger(&server, 2).signup(OTHER_PHONE).await.assert_error(429, "otp_cooldown");
        server.advance(30);
        stranger(&server, 2).signup(OTHER_PHONE).await.assert_ok();
        let answer = post_as(&one, &tokens, "/api/auth/change-phone", change).await;
        answer.assert_error(429, "otp_cooldown");
        for _ in 0..3 {
            server.advance(30);
            post_empty_as(&stranger(&server, 3), &tokens, confirm).await.assert_ok();
        }
        server.advance(30);
        let wait = HOUR - 30 - 30 * 5;
        assert_refused(&server.login(PHONE).await, "rate_limited", "phone-sends", (5, HOUR), wait);
    }
}
