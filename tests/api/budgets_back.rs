//! What is given back: the charge of a right guess, the send that the provider refused. And what is not.

use std::time::Duration;

use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::{
    again::{poke_as, post_as},
    budgets::{Guesser, HOUR, assert_judged, assert_refused, row, stranger},
    on_both,
    sms::{answers, first_request, refuses, server_that_sends_to, takes},
    support::{OTHER_PHONE, PHONE, TestServer},
};

/// How many charges a row holds; none where there is no row.
async fn charges(server: &TestServer, key: &str) -> i64 {
    server
        .count(&format!(
            "SELECT CAST(COALESCE(MAX(LENGTH(log)) / 24, 0) AS BIGINT) FROM budgets WHERE key = '{key}'"
        ))
        .await
}

/// How many there are in a row since somebody was last let in.
async fn in_a_row(server: &TestServer, key: &str) -> i64 {
    server.count(&format!("SELECT COALESCE(MAX(count), 0) FROM budgets WHERE key = '{key}'")).await
}

on_both! {
    async fn a_right_guess_is_given_back_and_wrong_ones_stay(server: TestServer) {
        let (mut guesser, one) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        for _ in 0..8 {
            assert_judged(&guesser.guess(&one, 30).await);
        }
        // One guess is left at this code, and it is right.
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
        // A success buys no guesses: two are left of the ten.
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
            // The right code of a phone without an account is not used up, and no guess.
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
            // Its guesses are used, and its life is over: that is said first.
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
        // Refused for good; not to be reached; and refused because of us.
        for (index, (phone, status, code)) in [
            ("+15005550001", 400, "phone_unreachable"),
            ("+15005550012", 503, "sms_unavailable"),
            ("+15005550013", 502, "sms_rejected"),
        ].into_iter().enumerate() {
            let one = stranger(&server, index);
            // More than an hour's sends, without a wait between.
            for _ in 0..20 {
                one.signup(phone).await.assert_error(status, code);
            }
            for rest in ["sends".to_owned(), format!("sends/2001:db8:{index:x}::/64")] {
                assert_eq!(charges(&server, &row(&server, phone, &rest)).await, 0, "{rest}");
            }
            let refused = one.signup(phone).await;
            assert_refused(&refused, "rate_limited", "address-requests", (20, HOUR), HOUR);
        }
        // Nor does what did not go out count for its prefix.
        let counted = "SELECT COUNT(*) FROM budgets WHERE key LIKE 'prefix/%' AND (count > 0 OR log <> '')";
        assert_eq!(server.count(counted).await, 0);
    }

    async fn of_a_send_that_may_be_out_only_the_cooldown_is_lifted(server: TestServer) {
        let stub = MockServer::start().await;
        let server = server_that_sends_to(&server, &stub.uri(), &[]).await;
        // A fault of Twilio's: nobody knows whether the message is out.
        answers(&stub, ResponseTemplate::new(500)).await;
        let one = server.from("203.0.113.7");
        for number in 0..3 {
            one.signup(PHONE).await.assert_error(503, "sms_unavailable");
            assert_eq!(charges(&server, &row(&server, PHONE, "sends")).await, number + 1);
        }
        let budget = "phone-sends-from-address";
        assert_refused(&one.signup(PHONE).await, "rate_limited", budget, (3, HOUR), HOUR);
        // What is refused for good between them is given back, and leaves the others where they are.
        answers(&stub, refuses(400, 21_211)).await;
        server.advance(60);
        let another = server.from("203.0.113.8");
        another.signup(PHONE).await.assert_error(400, "phone_unreachable");
        assert_eq!(charges(&server, &row(&server, PHONE, "sends")).await, 3);
        // One that is taken runs into the cooldown again, and its wait is that of the budgets.
        answers(&stub, takes()).await;
        let answer = another.signup(PHONE).await;
        assert_eq!(answer.assert_ok().at("/data/resend_in"), json!(30));
        another.signup(PHONE).await.assert_error(429, "otp_cooldown");
    }

    async fn what_is_asked_while_another_waits_for_the_provider_is_refused(server: TestServer) {
        let stub = MockServer::start().await;
        let slow = refuses(400, 21_211).set_delay(Duration::from_millis(700));
        Mock::given(any()).respond_with(slow).mount(&stub).await;
        let server = server_that_sends_to(&server, &stub.uri(), &[]).await;
        let waiting = tokio::spawn({
            let one = server.from("203.0.113.7");
            async move { one.signup(PHONE).await }
        });
        first_request(&stub).await;
        server.from("203.0.113.8").signup(PHONE).await.assert_error(429, "otp_cooldown");
        waiting.await.unwrap().assert_error(400, "phone_unreachable");
        // Both are given back now: the one was refused by the provider, the other by us.
        assert_eq!(charges(&server, &row(&server, PHONE, "sends")).await, 0);
        server.from("203.0.113.8").signup(PHONE).await.assert_error(400, "phone_unreachable");
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
            // For another address it is another one.
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
        // The code that she signed in with went out a moment ago.
        poke_as(&one, &tokens, confirm).await.assert_error(429, "otp_cooldown");
        server.advance(30);
        poke_as(&one, &tokens, confirm).await.assert_ok();
        for answer in [one.login(PHONE).await, stranger(&server, 1).signup(PHONE).await] {
            answer.assert_error(429, "otp_cooldown");
            assert_eq!(answer.at("/error/retry_after"), json!(30));
        }
        // A change of phone spends the new phone's.
        let change = json!({ "phone_number": OTHER_PHONE });
        post_as(&one, &tokens, "/api/auth/change-phone", change.clone()).await.assert_ok();
        stranger(&server, 2).signup(OTHER_PHONE).await.assert_error(429, "otp_cooldown");
        server.advance(30);
        stranger(&server, 2).signup(OTHER_PHONE).await.assert_ok();
        let answer = post_as(&one, &tokens, "/api/auth/change-phone", change).await;
        answer.assert_error(429, "otp_cooldown");
        for _ in 0..3 {
            server.advance(30);
            poke_as(&stranger(&server, 3), &tokens, confirm).await.assert_ok();
        }
        server.advance(30);
        let wait = HOUR - 30 - 30 * 5;
        assert_refused(&server.login(PHONE).await, "rate_limited", "phone-sends", (5, HOUR), wait);
    }
}
