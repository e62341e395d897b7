//! Every budget at its boundaries: the last request that is allowed, the first that is refused, the first that is allowed
//! again. This file tests the budgets of a phone. The others are in `budgets_address.rs` (addresses), `budgets_password.rs`
//! (passwords), `budgets_back.rs` (refunds), `budgets_bounds.rs` (what budgets do not affect) and `budgets_races.rs`.

use loopin_auth::domain::phone::PhoneNumber;
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{Answer, PHONE, TestServer},
};

/// The windows in seconds.
pub const HOUR: i64 = 3600;
pub const DAY: i64 = 86_400;

/// A client at an address of its own. Each number is another /64 (RFC 3849).
pub fn stranger(server: &TestServer, number: usize) -> TestServer {
    server.from(format!("2001:db8:{number:x}::1"))
}

/// A phone in one of a hundred prefixes, so that no prefix is closed because its codes are not entered.
pub fn phone(number: usize) -> String {
    format!("+9198{:02}{:06}", number % 100, 765_000 + number)
}

/// Checks a refusal: its code, the time to wait in header and body, and which budget the `RateLimit` headers name.
#[track_caller]
pub fn assert_refused(answer: &Answer, code: &str, budget: &str, (quota, window): (i64, i64), wait: i64) {
    answer.assert_error(429, code);
    assert_eq!(answer.at("/error/retry_after"), json!(wait), "{}", answer.text);
    assert_eq!(answer.header("retry-after"), Some(wait.to_string().as_str()));
    let limit = answer.header("ratelimit").unwrap_or_default().to_owned();
    assert!(limit.contains(&format!("\"{budget}\";r=0;t={wait}")), "{limit}");
    let policy = answer.header("ratelimit-policy").unwrap_or_default().to_owned();
    assert!(policy.contains(&format!("\"{budget}\";q={quota};w={window}")), "{policy}");
}

/// Checks that a code was compared and is wrong.
#[track_caller]
pub fn assert_judged(answer: &Answer) {
    answer.assert_error(400, "otp_invalid");
}

/// The key of a phone's row in the database, with what follows it.
pub fn row(server: &TestServer, phone: &str, rest: &str) -> String {
    let phone = PhoneNumber::from_e164(phone).expect("a phone in E.164");
    format!("phone/{}/{rest}", server.services.pseudonyms.phone(&phone).as_str())
}

/// Sends wrong guesses. After three guesses another address requests a new code; before that the clock moves by this many
/// seconds.
pub struct Guesser {
    pub server: TestServer,
    pub phone: String,
    asked: usize,
    left: usize,
}

impl Guesser {
    pub fn new(server: &TestServer, phone: &str) -> Self {
        Self { server: server.clone(), phone: phone.to_owned(), asked: 5000, left: 0 }
    }

    /// Sends one more wrong guess from this address.
    pub async fn guess(&mut self, from: &TestServer, pause: i64) -> Answer {
        if self.left == 0 {
            self.server.advance(pause);
            self.asked += 1;
            stranger(&self.server, self.asked).signup(&self.phone).await.assert_ok();
            self.left = 3;
        }
        self.left -= 1;
        from.verify_otp(&self.phone, &self.server.wrong_code_for(&self.phone)).await
    }
}

on_both! {
    async fn ten_wrong_guesses_at_a_phone_from_one_address_in_a_day(server: TestServer) {
        let (mut guesser, attacker) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        server.advance(-30);
        for number in 0..10 {
            assert_judged(&guesser.guess(&attacker, 30).await);
            server.advance(number % 2);
        }
        // 90 s of cooldowns, and five more between the guesses.
        let limit = (10, DAY);
        let refused = guesser.guess(&attacker, 30).await;
        assert_refused(&refused, "phone_locked", "phone-guesses-from-address", limit, DAY - 95);
        // The right code is not compared, and this address gets no new code.
        let right = attacker.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        assert_refused(&right, "phone_locked", "phone-guesses-from-address", limit, DAY - 95);
        server.advance(30);
        let sent = server.codes_for(PHONE).len();
        for answer in [attacker.signup(PHONE).await, attacker.verify_login(PHONE, "0000").await] {
            assert_refused(&answer, "phone_locked", "phone-guesses-from-address", limit, DAY - 125);
        }
        assert_eq!(server.codes_for(PHONE).len(), sent);
        // Other addresses are not affected.
        assert_judged(&stranger(&server, 1).verify_otp(PHONE, &server.wrong_code_for(PHONE)).await);

        server.advance(DAY - 126);
        stranger(&server, 2).signup(PHONE).await.assert_ok();
        let wrong = server.wrong_code_for(PHONE);
        let refused = attacker.verify_otp(PHONE, &wrong).await;
        assert_refused(&refused, "phone_locked", "phone-guesses-from-address", limit, 1);
        server.advance(1);
        assert_judged(&attacker.verify_otp(PHONE, &wrong).await);
        // One guess became free and was used. The next becomes free when the next one is a day old.
        assert_judged(&attacker.verify_otp(PHONE, &wrong).await);
        let refused = attacker.verify_otp(PHONE, &wrong).await;
        assert_refused(&refused, "phone_locked", "phone-guesses-from-address", limit, 1);
    }

    async fn thirty_wrong_guesses_at_a_phone_from_anywhere_in_a_day(server: TestServer) {
        let mut guesser = Guesser::new(&server, PHONE);
        for number in 0..30 {
            assert_judged(&guesser.guess(&stranger(&server, number), 720).await);
            server.advance(1);
        }
        // Ten codes, 720 s apart, and a second after each guess.
        let wait = DAY - (9 * 720 + 30);
        for number in [0, 99] {
            let refused = stranger(&server, number).verify_otp(PHONE, "0000").await;
            assert_refused(&refused, "phone_locked", "phone-guesses", (30, DAY), wait);
            let refused = stranger(&server, number).signup(PHONE).await;
            assert_refused(&refused, "phone_locked", "phone-guesses", (30, DAY), wait);
        }
        server.advance(wait - 1);
        let refused = stranger(&server, 100).signup(PHONE).await;
        assert_refused(&refused, "phone_locked", "phone-guesses", (30, DAY), 1);
        server.advance(1);
        stranger(&server, 100).signup(PHONE).await.assert_ok();
        assert_judged(&stranger(&server, 100).verify_otp(PHONE, &server.wrong_code_for(PHONE)).await);
        let refused = stranger(&server, 101).verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        assert_refused(&refused, "phone_locked", "phone-guesses", (30, DAY), 1);
    }

    async fn a_hundred_failures_in_a_row_lock_until_staff_unlock(server: TestServer) {
        let tokens = server.from("198.51.100.1").sign_in(PHONE).await;
        let mut guesser = Guesser::new(&server, PHONE);
        for number in 0..100 {
            if number % 30 == 0 {
                server.advance(DAY);
            }
            assert_judged(&guesser.guess(&stranger(&server, number), 720).await);
        }
        for days in [0, 1, 30, 300] {
            server.advance(days * DAY);
            for answer in [
                stranger(&server, 200).verify_otp(PHONE, "0000").await,
                stranger(&server, 201).signup(PHONE).await,
                stranger(&server, 202).login(PHONE).await,
            ] {
                // The answer has no `retry_after`, because waiting does not help, and says so.
                answer.assert_error(429, "phone_locked");
                assert_eq!(answer.at("/error/retry_after"), Value::Null, "{}", answer.text);
                assert!(answer.text_at("/message").contains("support"), "{}", answer.text);
            }
            if days == 0 {
                // Open sessions are not affected.
                server.refresh(&tokens.refresh).await.assert_ok();
            }
        }
        // The effect of an unlock.
        let key = row(&server, PHONE, "guesses");
        assert_eq!(server.execute(&format!("DELETE FROM budgets WHERE key = '{key}'")).await, 1);
        stranger(&server, 203).signup(PHONE).await.assert_ok();
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_success_ends_a_row_of_failures_even_at_the_last_guess(server: TestServer) {
        let settings = [("LIMIT_FAILURES_IN_A_ROW", "4"), ("LIMIT_SENDS_PER_PHONE", "100/1h")];
        let server = TestServer::with(server.database, &settings).await;
        let mut guesser = Guesser::new(&server, PHONE);
        for round in 0..3 {
            for number in 0..3 {
                assert_judged(&guesser.guess(&stranger(&server, 10 * round + number), 30).await);
            }
            // The fourth guess in a row is right: it uses the last one, and is no failure.
            server.advance(30);
            stranger(&server, 77).signup(PHONE).await.assert_ok();
            server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
            guesser.left = 0;
        }
        for number in 0..4 {
            assert_judged(&guesser.guess(&stranger(&server, 100 + number), 30).await);
        }
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_error(429, "phone_locked");
    }

    async fn five_sends_to_a_phone_in_an_hour_and_ten_in_a_day(server: TestServer) {
        for number in 0..5 {
            let answer = stranger(&server, number).signup(PHONE).await;
            // The last answer has the time of the next free send; the others have the end of the cooldown.
            let resend_in = if number == 4 { HOUR - 120 } else { 30 };
            assert_eq!(answer.assert_ok().at("/data/resend_in"), json!(resend_in));
            server.advance(30);
        }
        let refused = stranger(&server, 5).signup(PHONE).await;
        assert_refused(&refused, "rate_limited", "phone-sends", (5, HOUR), HOUR - 150);
        server.advance(HOUR - 151);
        let refused = stranger(&server, 6).login(PHONE).await;
        refused.assert_error(404, "user_not_found");
        let refused = stranger(&server, 6).signup(PHONE).await;
        assert_refused(&refused, "rate_limited", "phone-sends", (5, HOUR), 1);
        server.advance(1);
        for number in 0..5 {
            stranger(&server, 10 + number).signup(PHONE).await.assert_ok();
            server.advance(30);
        }
        assert_eq!(server.codes_for(PHONE).len(), 10);
        let wait = DAY - HOUR - 150;
        let refused = stranger(&server, 20).signup(PHONE).await;
        assert_refused(&refused, "rate_limited", "phone-sends", (10, DAY), wait);
        server.advance(wait - 1);
        let refused = stranger(&server, 21).signup(PHONE).await;
        assert_refused(&refused, "rate_limited", "phone-sends", (10, DAY), 1);
        server.advance(1);
        let answer = stranger(&server, 22).signup(PHONE).await;
        // The tenth send of this day: the next is free when the second is a day old.
        assert_eq!(answer.assert_ok().at("/data/resend_in"), json!(30));
        let refused = stranger(&server, 23).signup(PHONE).await;
        refused.assert_error(429, "otp_cooldown");
    }

    async fn three_sends_to_a_phone_from_one_address_in_an_hour_and_five_in_a_day(server: TestServer) {
        let one = server.from("203.0.113.7");
        for number in 0..3 {
            let answer = one.signup(PHONE).await;
            let resend_in = if number == 2 { HOUR - 60 } else { 30 };
            assert_eq!(answer.assert_ok().at("/data/resend_in"), json!(resend_in));
            server.advance(30);
        }
        let budget = "phone-sends-from-address";
        assert_refused(&one.signup(PHONE).await, "rate_limited", budget, (3, HOUR), HOUR - 90);
        // Another address may still request two.
        stranger(&server, 1).signup(PHONE).await.assert_ok();
        server.advance(HOUR - 91);
        assert_refused(&one.signup(PHONE).await, "rate_limited", budget, (3, HOUR), 1);
        server.advance(1);
        one.signup(PHONE).await.assert_ok();
        server.advance(30);
        one.signup(PHONE).await.assert_ok();
        server.advance(30);
        let wait = DAY - HOUR - 60;
        assert_refused(&one.signup(PHONE).await, "rate_limited", budget, (5, DAY), wait);
        server.advance(wait - 1);
        assert_refused(&one.signup(PHONE).await, "rate_limited", budget, (5, DAY), 1);
        server.advance(1);
        one.signup(PHONE).await.assert_ok();
    }

    async fn thirty_seconds_between_two_sends(server: TestServer) {
        stranger(&server, 1).signup(PHONE).await.assert_ok();
        for (seconds, wait) in [(0, 30), (1, 29), (28, 1)] {
            server.advance(seconds);
            let refused = stranger(&server, 2).signup(PHONE).await;
            refused.assert_error(429, "otp_cooldown");
            assert_eq!(refused.at("/error/retry_after"), json!(wait));
        }
        // The waiting time is rounded up to seconds.
        server.clock.advance(chrono::Duration::milliseconds(999));
        let refused = stranger(&server, 2).signup(PHONE).await;
        assert_eq!(refused.at("/error/retry_after"), json!(1), "{}", refused.text);
        server.clock.advance(chrono::Duration::milliseconds(1));
        stranger(&server, 2).signup(PHONE).await.assert_ok();
        assert_eq!(server.codes_for(PHONE).len(), 2);
    }
}
