//! `SIGNUPS`: who gets an account. Every way to one is tried here where nobody signs up.

use futures_util::future::join_all;
use loopin_auth::domain::audit::Action;
use serde_json::json;

use crate::{
    again::PASSWORD,
    on_both,
    prefixes::entries,
    support::{
        OTHER_PHONE, PHONE, TestServer,
        issuer::{Issuer, app_claims, phone_claims, signed, signed_by_key},
    },
};

const DAY: i64 = 24 * 60 * 60;

/// Servers on the same database where people need an invitation, and where nobody signs up. Without invitations both refuse the
/// same.
async fn not_open(server: &TestServer, more: &[(&str, &str)]) -> Vec<TestServer> {
    let mut servers = Vec::new();
    for value in ["invited", "closed"] {
        servers.push(server.second_server(&[&[("SIGNUPS", value)], more].concat()).await);
    }
    servers
}

async fn accounts(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM accounts").await
}

/// The reasons of the entries of an action that these servers wrote, in alphabetical order.
async fn reasons(server: &TestServer, others: &[TestServer], action: Action) -> Vec<String> {
    for other in others {
        other.services.audit.flush().await.unwrap();
    }
    let entries = entries(server, action).await;
    let reasons = entries.iter().filter_map(|entry| entry.detail.get("reason")?.as_str());
    let mut reasons: Vec<String> = reasons.map(str::to_owned).collect();
    reasons.sort();
    reasons
}

on_both! {
    async fn an_unknown_phone_is_refused_before_any_code(server: TestServer) {
        let all = not_open(&server, &[]).await;
        for closed in &all {
            closed.signup(PHONE).await.assert_error(403, "signup_closed");
            assert_eq!(closed.codes_for(PHONE).len(), 0);
            closed.login(PHONE).await.assert_error(404, "user_not_found");
            closed.verify_otp(PHONE, "0000").await.assert_error(400, "otp_not_found");
        }
        assert_eq!(accounts(&server).await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM challenges").await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 0);
        let expected = ["no_account", "no_account", "signup_closed", "signup_closed"];
        assert_eq!(reasons(&server, &all, Action::CodeRefused).await, expected);
    }

    async fn who_has_an_account_goes_on_as_ever(server: TestServer) {
        let unfinished = server.sign_in(OTHER_PHONE).await;
        let finished = server.sign_in_and_complete(PHONE).await;
        for closed in not_open(&server, &[("LIMIT_SENDS_PER_PHONE_AND_ADDRESS", "100/1h")]).await {
            closed.signup(PHONE).await.assert_error(409, "user_already_exists");
            for (phone, tokens) in [(PHONE, &finished), (OTHER_PHONE, &unfinished)] {
                server.advance(30);
                closed.login(phone).await.assert_ok();
                let answer = closed.verify_login(phone, &closed.last_code_for(phone)).await;
                assert_eq!(answer.assert_ok().text_at("/data/user_id"), tokens.user_id);
            }
            // An account without a finished profile signs up again, as ever.
            server.advance(30);
            assert_eq!(closed.sign_in(OTHER_PHONE).await.user_id, unfinished.user_id);
        }
        assert_eq!(accounts(&server).await, 2);
    }

    async fn a_code_from_before_opens_no_account_once_it_is_closed(server: TestServer) {
        let closed = server.second_server(&[("SIGNUPS", "closed")]).await;
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        closed.verify_login(PHONE, &code).await.assert_error(404, "user_not_found");
        closed.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        closed.verify_otp(PHONE, &code).await.assert_error(403, "signup_closed");
        assert_eq!((accounts(&server).await, server.count("SELECT COUNT(*) FROM sessions").await), (0, 0));
        // The code is used up, also where everybody may sign up.
        server.verify_otp(PHONE, &code).await.assert_error(400, "otp_not_found");
        assert_eq!(reasons(&server, &[closed], Action::SignInRefused).await, ["no_account", "signup_closed"]);
    }

    async fn of_many_right_codes_at_once_none_opens_an_account(server: TestServer) {
        let closed = server.second_server(&[("SIGNUPS", "closed")]).await;
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let answers = join_all((0..8).map(|_| closed.verify_otp(PHONE, &code))).await;
        let refused = answers.iter().filter(|answer| answer.text_at("/error/code") == "signup_closed").count();
        assert_eq!(refused, 1, "{answers:#?}");
        assert!(answers.iter().all(|answer| answer.status.is_client_error()), "{answers:#?}");
        assert_eq!(accounts(&server).await, 0);
    }

    async fn nobody_registers(server: TestServer) {
        let all = not_open(&server, &[]).await;
        for closed in &all {
            for path in ["/api/auth/register", "/api/register/"] {
                let body = json!({"username": "gaurav", "email": "gaurav@example.com", "password": PASSWORD});
                closed.post(path, body).await.assert_error(403, "signup_closed");
                // Faults of the body come first, and all at once.
                let answer = closed.post(path, json!({"username": "a@b", "password": "123"})).await;
                answer.assert_error(422, "validation_failed");
                assert!(answer.at("/error/fields/username/0").is_string(), "{}", answer.text);
                assert!(answer.at("/error/fields/password/0").is_string(), "{}", answer.text);
            }
        }
        assert_eq!(accounts(&server).await, 0);
        assert_eq!(reasons(&server, &all, Action::RegistrationRefused).await, ["signup_closed"; 4]);
    }

    async fn a_name_that_is_taken_is_not_told_where_nobody_registers(server: TestServer) {
        let body = json!({"username": "gaurav", "email": "gaurav@example.com", "password": PASSWORD});
        assert_eq!(server.post("/api/auth/register", body.clone()).await.status.as_u16(), 201);
        let closed = server.second_server(&[("SIGNUPS", "closed")]).await;
        closed.post("/api/auth/register", body).await.assert_error(403, "signup_closed");
        closed.post("/api/token", json!({"username": "gaurav", "password": PASSWORD})).await.assert_ok();
    }

    async fn an_exchange_opens_accounts_that_are_there_and_no_other(server: TestServer) {
        let issuer = Issuer::new().await;
        let open = issuer.trusted_by(&server, &[]).await;
        open.exchange(&signed(&app_claims(&open, "auth0|one"))).await.assert_ok();
        for value in ["invited", "closed"] {
            let closed = issuer.trusted_by(&server, &[("SIGNUPS", value)]).await;
            closed.exchange(&signed(&app_claims(&closed, "auth0|one"))).await.assert_ok();
            let unknown = signed(&app_claims(&closed, "auth0|two"));
            closed.exchange(&unknown).await.assert_error(403, "signup_closed");
            let proof = signed_by_key(&issuer.key, &phone_claims(&closed, PHONE));
            closed.exchange(&proof).await.assert_error(403, "signup_closed");
        }
        assert_eq!(accounts(&server).await, 1);
        // The refused token was not used up.
        open.exchange(&signed(&app_claims(&open, "auth0|two"))).await.assert_ok();
    }

    async fn a_stale_number_keeps_its_account_and_its_new_owner_gets_none(server: TestServer) {
        let settings = [("PHONE_STALE_DAYS", "90"), ("RATE_LIMITS_ENABLED", "false")];
        let open = server.second_server(&settings).await;
        let old = open.sign_in_and_complete(PHONE).await;
        server.advance(90 * DAY);
        open.signup(PHONE).await.assert_ok();
        let code = open.last_code_for(PHONE);
        for closed in not_open(&open, &[]).await {
            closed.signup(PHONE).await.assert_error(403, "signup_closed");
            closed.login(PHONE).await.assert_error(404, "user_not_found");
        }
        let closed = open.second_server(&[("SIGNUPS", "closed")]).await;
        closed.verify_otp(PHONE, &code).await.assert_error(403, "signup_closed");
        let kept = format!("SELECT COUNT(*) FROM accounts WHERE phone = '{PHONE}'");
        assert_eq!((accounts(&server).await, server.count(&kept).await), (1, 1));
        let profile = closed.get_as(&old.access, "/api/auth/profile").await;
        assert_eq!(profile.text_at("/error/code"), "token_expired", "its sessions were not ended");
    }

    async fn where_accounts_are_hidden_everybody_gets_a_code_and_only_the_right_one_tells(server: TestServer) {
        server.sign_in(OTHER_PHONE).await;
        server.advance(30);
        let hiding = [("HIDE_ACCOUNT_EXISTENCE", "true"), ("OTP_RESEND_SECONDS", "0")];
        for closed in not_open(&server, &hiding).await {
            for phone in [PHONE, OTHER_PHONE] {
                server.advance(60);
                let sent = closed.signup(phone).await;
                assert_eq!(sent.assert_ok().text_at("/message"), "OTP sent successfully to your phone number");
                let wrong = closed.verify_otp(phone, &closed.wrong_code_for(phone)).await;
                wrong.assert_error(400, "otp_invalid");
            }
            let code = closed.last_code_for(PHONE);
            closed.verify_login(PHONE, &code).await.assert_error(404, "user_not_found");
            closed.verify_otp(PHONE, &code).await.assert_error(403, "signup_closed");
            closed.verify_otp(PHONE, &code).await.assert_error(400, "otp_not_found");
            closed.verify_otp(OTHER_PHONE, &closed.last_code_for(OTHER_PHONE)).await.assert_ok();
        }
        assert_eq!(accounts(&server).await, 1);
    }

    async fn a_review_number_that_has_no_account_yet_gets_none(server: TestServer) {
        let review = [("OTP_REVIEW_NUMBERS", "+12025550100=4821@2027-01-31")];
        let open = server.second_server(&review).await;
        let closed = open.second_server(&[("SIGNUPS", "closed")]).await;
        closed.signup("+12025550100").await.assert_error(403, "signup_closed");
        open.signup("+12025550100").await.assert_ok();
        closed.verify_otp("+12025550100", "4821").await.assert_error(403, "signup_closed");
        open.signup("+12025550100").await.assert_ok();
        open.verify_otp("+12025550100", "4821").await.assert_ok();
        closed.signup("+12025550100").await.assert_ok();
        closed.verify_otp("+12025550100", "4821").await.assert_ok();
    }
}
