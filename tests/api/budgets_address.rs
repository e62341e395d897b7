//! The budgets of one address: guesses, requests and registrations, and what counts as one address.

use serde_json::json;

use crate::{
    again::register,
    budgets::{HOUR, assert_judged, assert_refused, phone, stranger},
    on_both,
    support::{OTHER_PHONE, PHONE},
};

const REQUESTS: &str = "address-requests";

/// The requests that the address has left, by the header of an answer.
#[track_caller]
fn left(answer: &crate::support::Answer) -> i64 {
    let header = answer.header("ratelimit").unwrap_or_default().to_owned();
    let rest = header.split_once(&format!("\"{REQUESTS}\";r=")).expect("the standing of the address").1;
    rest.split_once(';').expect("a parameter").0.parse().expect("a number")
}

on_both! {
    async fn thirty_wrong_guesses_from_one_address_in_an_hour(server: TestServer) {
        let attacker = server.from("203.0.113.7");
        for number in 0..12 {
            stranger(&server, number).signup(&phone(number)).await.assert_ok();
        }
        for number in 0..30 {
            let phone = phone(number / 3);
            assert_judged(&attacker.verify_otp(&phone, &server.wrong_code_for(&phone)).await);
            server.advance(1);
        }
        for victim in [phone(10), phone(11), phone(0), OTHER_PHONE.to_owned()] {
            let refused = attacker.verify_otp(&victim, "0000").await;
            assert_refused(&refused, "rate_limited", "address-guesses", (30, HOUR), HOUR - 30);
        }
        // The address may still request codes, and other addresses may guess.
        assert_judged(&stranger(&server, 50).verify_otp(&phone(10), &server.wrong_code_for(&phone(10))).await);
        attacker.signup(OTHER_PHONE).await.assert_ok();
        server.advance(HOUR - 31);
        stranger(&server, 51).signup(&phone(11)).await.assert_ok();
        let wrong = server.wrong_code_for(&phone(11));
        let refused = attacker.verify_otp(&phone(11), &wrong).await;
        assert_refused(&refused, "rate_limited", "address-guesses", (30, HOUR), 1);
        server.advance(1);
        assert_judged(&attacker.verify_otp(&phone(11), &wrong).await);
        let refused = attacker.verify_otp(&phone(11), &wrong).await;
        assert_refused(&refused, "rate_limited", "address-guesses", (30, HOUR), 1);
    }

    async fn twenty_requests_of_an_address_in_an_hour_whatever_their_answer(server: TestServer) {
        server.sign_in_and_complete(PHONE).await;
        server.advance(30);
        let one = server.from("203.0.113.7");
        let mut all = 20;
        for round in 0..4_usize {
            let new = phone(round);
            for (answer, status) in [
                (one.signup(&new).await, 200),
                (one.signup(&new).await, 429),
                (one.login(OTHER_PHONE).await, 404),
                (one.signup(PHONE).await, 409),
                (one.signup("1").await, 422),
            ] {
                assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
                all -= 1;
                assert_eq!(left(&answer), all);
            }
            server.advance(30);
        }
        assert_eq!(all, 0);
        let wait = HOUR - 120;
        for _ in 0..3 {
            for answer in [one.signup(&phone(9)).await, one.login(PHONE).await, one.signup("1").await] {
                // Errors in the body are still reported, and nothing is sent.
                if answer.status == 422 {
                    assert_eq!(left(&answer), 0);
                } else {
                    assert_refused(&answer, "rate_limited", REQUESTS, (20, HOUR), wait);
                }
            }
        }
        // Codes that were sent can still be entered, and password sign-ins do not count.
        one.verify_otp(&phone(0), &server.last_code_for(&phone(0))).await.assert_ok();
        let by_name = json!({"username": "nobody", "password": "purple-kettle-morning-71"});
        one.post("/api/auth/login", by_name).await.assert_error(401, "credentials_invalid");
        // Other addresses are not affected.
        assert_eq!(left(stranger(&server, 1).signup(&phone(20)).await.assert_ok()), 19);

        server.advance(wait - 1);
        assert_refused(&one.signup(&phone(21)).await, "rate_limited", REQUESTS, (20, HOUR), 1);
        server.advance(1);
        // The first five requests are an hour old. Refused requests did not count.
        for number in 0..5 {
            one.signup(&phone(30 + number)).await.assert_ok();
        }
        assert_refused(&one.signup(&phone(36)).await, "rate_limited", REQUESTS, (20, HOUR), 30);
    }

    async fn twenty_registrations_of_an_address_in_an_hour(server: TestServer) {
        let one = server.from("203.0.113.7");
        let short = |name: &str| json!({"username": name, "password": "purple-kettle-morning-71"});
        register(&one, "person0").await;
        // An invalid request costs no hash, and is not counted.
        let invalid = one.post("/api/auth/register", json!({"username": "x", "password": "short"})).await;
        invalid.assert_error(422, "validation_failed");
        for number in 1..10 {
            server.advance(1);
            register(&one, &format!("person{number}")).await;
        }
        for number in 10..20 {
            // Half of these names are taken: these requests cost the same.
            let (name, status) =
                if number % 2 == 0 { ("person0".to_owned(), 409) } else { (format!("person{number}"), 201) };
            assert_eq!(one.post("/api/register/", short(&name)).await.status.as_u16(), status);
        }
        let made = server.services.hasher.made();
        for path in ["/api/auth/register", "/api/register"] {
            let mut body = short("person99");
            body["email"] = json!("person99@example.com");
            let refused = one.post(path, body).await;
            assert_refused(&refused, "rate_limited", "registrations", (20, HOUR), HOUR - 9);
        }
        assert_eq!(server.services.hasher.made(), made, "nothing was hashed");
        register(&stranger(&server, 1), "person30").await;
        server.advance(HOUR - 10);
        let refused = one.post("/api/register", short("person31")).await;
        assert_refused(&refused, "rate_limited", "registrations", (20, HOUR), 1);
        server.advance(1);
        register(&one, "person31").await;
        let refused = one.post("/api/register", short("person32")).await;
        assert_refused(&refused, "rate_limited", "registrations", (20, HOUR), 1);
        server.services.audit.flush().await.unwrap();
        let refused = "SELECT COUNT(*) FROM audit WHERE action = 'registration_refused' AND address = '203.0.113.7'";
        assert_eq!(server.count(refused).await, 4);
    }

    async fn a_subscriber_is_one_address(server: TestServer) {
        for (one, another, further) in [
            ("2001:db8:7:7::1", "2001:db8:7:7:ffff:ffff:ffff:ffff", "2001:db8:7:8::1"),
            ("203.0.113.7", "::ffff:203.0.113.7", "203.0.113.8"),
            ("198.51.100.9", "198.51.100.9:4711", "198.51.100.8"),
        ] {
            for number in 0..10 {
                server.from(one).login(&phone(number)).await.assert_error(404, "user_not_found");
                server.from(another).login(&phone(number)).await.assert_error(404, "user_not_found");
            }
            for address in [one, another] {
                let refused = server.from(address).login(PHONE).await;
                assert_refused(&refused, "rate_limited", REQUESTS, (20, HOUR), HOUR);
            }
            server.from(further).login(PHONE).await.assert_error(404, "user_not_found");
        }
    }

    async fn forged_addresses_are_one(server: TestServer) {
        let server = server.second_server(&[("TRUSTED_PROXIES", "")]).await;
        for number in 0..20 {
            stranger(&server, number).login(PHONE).await.assert_error(404, "user_not_found");
        }
        let refused = stranger(&server, 20).login(PHONE).await;
        assert_refused(&refused, "rate_limited", REQUESTS, (20, HOUR), HOUR);
        // Addresses that the client puts before the proxy's entry have no effect either.
        let server = server.second_server(&[("TRUSTED_PROXIES", "0.0.0.0")]).await;
        for number in 0..20 {
            let forged = server.from(format!("203.0.113.{number}, 198.51.100.1"));
            forged.login(PHONE).await.assert_error(404, "user_not_found");
        }
        let forged = server.from("203.0.113.99, 198.51.100.1");
        assert_refused(&forged.login(PHONE).await, "rate_limited", REQUESTS, (20, HOUR), HOUR);
    }

    async fn two_servers_and_a_restart_share_what_is_spent(server: TestServer) {
        let other = server.second_server(&[]).await;
        for number in 0..20 {
            let server = if number % 2 == 0 { &server } else { &other };
            let answer = server.from("203.0.113.7").login(PHONE).await;
            answer.assert_error(404, "user_not_found");
            assert_eq!(left(&answer), 19 - number);
        }
        // A server that starts now knows it too.
        for server in [&server, &other, &server.second_server(&[]).await] {
            let refused = server.from("203.0.113.7").login(PHONE).await;
            assert_refused(&refused, "rate_limited", REQUESTS, (20, HOUR), HOUR);
        }
    }
}
