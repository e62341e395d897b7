//! `SESSIONS_PER_USER`: how many sessions a user has at once, whichever way they are opened.

use futures_util::future::join_all;
use loopin_auth::{config::Config, random::Random};
use serde_json::json;

use crate::{
    again::{PASSWORD, assert_goes_on, assert_over, password_tokens, register, sign_in_from, tokens_of},
    on_both,
    support::{
        OTHER_PHONE, PHONE, TestServer, Tokens,
        hook::Hook,
        issuer::{Issuer, app_claims, signed},
        wrong,
    },
};

const LIVE: &str = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL";

/// One device at a time. The limits are not what is tested, and would be reached.
async fn one_each(server: &TestServer) -> TestServer {
    server.second_server(&[("SESSIONS_PER_USER", "1"), ("RATE_LIMITS_ENABLED", "false")]).await
}

async fn by_password(server: &TestServer, name: &str) -> Tokens {
    server.advance(1);
    let answer = server.post("/api/auth/login", json!({ "username": name, "password": PASSWORD })).await;
    password_tokens(answer.assert_ok())
}

on_both! {
    async fn with_one_a_sign_in_by_code_ends_the_session_of_the_other_device(server: TestServer) {
        let server = one_each(&server).await;
        let first = server.sign_in(PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        let second = sign_in_from(&server, PHONE, "Second").await;
        assert_over(&server, &first).await;
        assert_goes_on(&server, &second).await;
        // It goes on being the one: a refresh is no new session.
        let next = server.refresh(&second.refresh).await;
        server.get_as(&next.assert_ok().text_at("/access"), "/api/auth/profile").await.assert_ok();
        assert_goes_on(&server, &other).await;
        assert_eq!(server.count(LIVE).await, 2);
    }

    async fn with_one_every_other_way_in_does_the_same(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&one_each(&server).await, &[]).await;
        let registered = register(&server, "asha").await;
        let signed_in = by_password(&server, "asha").await;
        assert_over(&server, &registered).await;
        let again = by_password(&server, "asha").await;
        assert_over(&server, &signed_in).await;
        server.advance(1);
        let body = json!({ "username": "asha", "password": PASSWORD });
        let by_token = password_tokens(server.post("/api/token/", body).await.assert_ok());
        assert_over(&server, &again).await;
        assert_goes_on(&server, &by_token).await;
        // By a token of another system.
        let moved = tokens_of(&server.exchange(&signed(&app_claims(&server, "auth0|5f7c"))).await);
        server.advance(1);
        let back = tokens_of(&server.exchange(&signed(&app_claims(&server, "auth0|5f7c"))).await);
        assert_over(&server, &moved).await;
        assert_goes_on(&server, &back).await;
        assert_eq!(server.count(LIVE).await, 2);
    }

    async fn two_at_once_leave_one(server: TestServer) {
        let server = one_each(&server).await;
        let first = register(&server, "asha").await;
        server.advance(1);
        let other = server.second_server(&[]).await;
        let body = json!({ "username": "asha", "password": PASSWORD });
        let answers = join_all((0..8).map(|number| {
            let one = if number % 2 == 0 { &server } else { &other };
            one.post("/api/auth/login", body.clone())
        })).await;
        assert_eq!(server.count(LIVE).await, 1);
        assert_over(&server, &first).await;
        let mut live = 0;
        for tokens in answers.iter().map(|answer| password_tokens(answer.assert_ok())) {
            live += i32::from(server.get_as(&tokens.access, "/api/auth/profile").await.status == 200);
        }
        assert_eq!(live, 1);
    }

    async fn two_codes_at_once_leave_one(server: TestServer) {
        let server = one_each(&server).await;
        server.sign_in(PHONE).await;
        // A device that was signed in before has a code of its own, so both are right.
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let answer = server.verify_login(PHONE, &server.last_code_for(PHONE)).await;
        let device = answer.assert_ok().text_at("/data/device_token");
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let strange = server.last_code_for(PHONE);
        let body = json!({ "phone_number": PHONE, "device_token": device });
        server.post("/api/auth/login", body).await.assert_ok();
        let known = server.last_code_for(PHONE);
        let with = |code: &str, device: Option<&str>| {
            json!({ "phone_number": PHONE, "otp_code": code, "device_token": device })
        };
        let (one, two) = tokio::join!(
            server.post("/api/auth/verify-login", with(&strange, None)),
            server.post("/api/auth/verify-login", with(&known, Some(&device))),
        );
        one.assert_ok();
        two.assert_ok();
        assert_eq!(server.count(LIVE).await, 1);
    }

    async fn a_sign_in_that_fails_signs_nobody_out(server: TestServer) {
        let server = one_each(&server).await;
        let by_code = server.sign_in(PHONE).await;
        let by_name = register(&server, "asha").await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let code = wrong(&server.last_code_for(PHONE));
        for route in ["verify-otp", "verify-login"] {
            let body = json!({ "phone_number": PHONE, "otp_code": code });
            server.post(&format!("/api/auth/{route}"), body).await.assert_error(400, "otp_invalid");
        }
        for (route, name) in [("auth/login", "asha"), ("token/", "asha"), ("auth/login", PHONE)] {
            let body = json!({ "username": name, "password": "not-the-password-7" });
            server.post(&format!("/api/{route}"), body).await.assert_error(401, "credentials_invalid");
        }
        let body = json!({ "username": "asha", "email": "x@example.com", "password": PASSWORD });
        server.post("/api/auth/register", body).await.assert_error(409, "username_taken");
        for tokens in [&by_code, &by_name] {
            assert_goes_on(&server, tokens).await;
        }
        // A disabled account opens none either.
        server.execute("UPDATE accounts SET is_active = FALSE WHERE phone IS NOT NULL").await;
        server.advance(30);
        server.login(PHONE).await.assert_error(403, "account_disabled");
        assert_eq!(server.count(LIVE).await, 2);
    }

    async fn three_are_three_and_the_one_used_longest_ago_ends(server: TestServer) {
        let server = server.second_server(&[("SESSIONS_PER_USER", "3"), ("RATE_LIMITS_ENABLED", "false")]).await;
        let one = server.sign_in(PHONE).await;
        let two = sign_in_from(&server, PHONE, "Two").await;
        let three = sign_in_from(&server, PHONE, "Three").await;
        server.advance(1);
        let one_again = server.refresh(&one.refresh).await.assert_ok().text_at("/access");
        let four = sign_in_from(&server, PHONE, "Four").await;
        assert_over(&server, &two).await;
        for tokens in [&three, &four] {
            assert_goes_on(&server, tokens).await;
        }
        server.get_as(&one_again, "/api/auth/profile").await.assert_ok();
    }

    async fn after_the_number_was_lowered_the_next_sign_in_ends_those_that_are_too_many(server: TestServer) {
        let before = server.without_limits().await;
        let mut old = Vec::new();
        for number in 0..4 {
            old.push(sign_in_from(&before, PHONE, &format!("Device {number}")).await);
        }
        let server = one_each(&server).await;
        // A session that exists goes on until then.
        server.advance(1);
        let next = server.refresh(&old[0].refresh).await;
        assert_eq!(next.assert_ok().status, 200);
        let new = sign_in_from(&server, PHONE, "New").await;
        for tokens in &old[1..] {
            assert_over(&server, tokens).await;
        }
        server.refresh(&next.text_at("/refresh")).await.assert_error(401, "token_revoked");
        assert_goes_on(&server, &new).await;
        assert_eq!(server.count(LIVE).await, 1);
    }

    async fn receivers_of_events_learn_why_a_session_ended(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.told_by(&one_each(&server).await, &[]).await;
        server.sign_in(PHONE).await;
        crate::events::sent(&server, &hook).await;
        let second = sign_in_from(&server, PHONE, "Second").await;
        let sent = crate::events::sent(&server, &hook).await;
        let ended: Vec<_> = sent.iter().filter(|event| event["type"] == "session.ended").collect();
        assert_eq!(ended.len(), 1, "{sent:?}");
        assert_eq!(ended[0]["data"]["reason"], "too_many");
        assert_eq!(ended[0]["data"]["user_id"], second.user_id);
    }
}

#[test]
fn the_number_has_bounds() {
    for value in ["0", "101", "-1", "one", "1.5", ""] {
        let get = |name: &str| (name == "SESSIONS_PER_USER").then(|| value.to_owned());
        let (config, problems) = Config::examine(&get, &Random::seeded(1));
        let expected: &[&str] =
            if value.is_empty() { &[] } else { &["SESSIONS_PER_USER must be a whole number from 1 to 100"] };
        assert_eq!(problems.0, expected, "{value}");
        assert_eq!(config.tokens.policy.most_sessions, 20);
    }
}
