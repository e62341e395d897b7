//! `PHONE_STALE_DAYS`: a user who gets a number that another user gave up gets a new account.

use chrono::Duration;
use futures_util::future::join_all;
use loopin_auth::{
    domain::{audit::Actor, retention::Retention},
    flows::purge::purge,
};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, assert_goes_on, post_as, tokens_of},
    on_both,
    roles::{ADMIN, STAFF, sign_in_with_role},
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens},
};

const DAY: i64 = 24 * 60 * 60;
const STALE: i64 = 90 * DAY;

/// A server where numbers are stale after 90 days, and sessions may last longer.
async fn with_stale_days(server: &TestServer) -> TestServer {
    let settings = [
        ("PHONE_STALE_DAYS", "90"),
        ("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "365"),
        ("SESSION_MAX_DAYS", "3650"),
        // The tests move the clock a lot, and are not about budgets.
        ("RATE_LIMITS_ENABLED", "false"),
    ];
    server.second_server(&settings).await
}

/// The former user of the number: signs up, completes the profile and sets a password.
async fn former_user(server: &TestServer) -> Tokens {
    let tokens = server.sign_in_and_complete(PHONE).await;
    let new = json!({ "new_password": PASSWORD });
    post_as(server, &tokens, "/api/auth/password", new).await.assert_ok();
    tokens
}

/// The new user of the number signs up.
async fn sign_up(server: &TestServer) -> Tokens {
    server.signup(PHONE).await.assert_ok();
    tokens_of(&server.verify_otp(PHONE, &server.last_code_for(PHONE)).await)
}

async fn reunite(server: &TestServer, staff: &Tokens, id: &str) -> Answer {
    let path = format!("/api/users/{id}/reunite");
    server.send_as(&staff.access, Method::POST, &path, json!({})).await
}

async fn by_password(server: &TestServer, username: &str) -> Answer {
    server.post("/api/token", json!({ "username": username, "password": PASSWORD })).await
}

async fn entries(server: &TestServer, action: &str) -> i64 {
    server.services.audit.flush().await.unwrap();
    server.count(&format!("SELECT COUNT(*) FROM audit WHERE action = '{action}'")).await
}

async fn phone_of(server: &TestServer, tokens: &Tokens) -> Value {
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok().at("/phone_number")
}

on_both! {
    async fn a_stale_number_opens_a_new_account(server: TestServer) {
        let server = with_stale_days(&server).await;
        let old = former_user(&server).await;
        server.advance(STALE - 1);
        server.signup(PHONE).await.assert_error(409, "user_already_exists");
        server.advance(1);
        server.login(PHONE).await.assert_error(404, "user_not_found");
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        server.verify_login(PHONE, &code).await.assert_error(404, "user_not_found");
        // No code was entered yet, so the old account is unchanged.
        assert_eq!(phone_of_row(&server, &old).await, 1);
        let new = tokens_of(&server.verify_otp(PHONE, &code).await);
        assert_ne!(new.user_id, old.user_id);
        server.refresh(&old.refresh).await.assert_error(401, "token_revoked");
        assert_goes_on(&server, &new).await;
        assert_eq!(phone_of_row(&server, &old).await, 0);
        by_password(&server, PHONE).await.assert_error(401, "credentials_invalid");
        assert_eq!(entries(&server, "account_unlinked").await, 1);
        // Messages to the former user are not in the export of the new one.
        let export = server.get_as(&new.access, "/api/auth/export").await;
        let messages = export.assert_ok().at("/messages");
        assert_eq!(messages.as_array().unwrap().len(), 1, "{messages}");
        // The number belongs to the new account now.
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let again = tokens_of(&server.verify_login(PHONE, &server.last_code_for(PHONE)).await);
        assert_eq!(again.user_id, new.user_id);
        assert_eq!(entries(&server, "account_unlinked").await, 1);
    }

    async fn without_the_setting_nothing_is_stale(server: TestServer) {
        let server = server.second_server(&[("RATE_LIMITS_ENABLED", "false")]).await;
        let old = server.sign_in_and_complete(PHONE).await;
        server.advance(3_000 * DAY);
        server.login(PHONE).await.assert_ok();
        let again = tokens_of(&server.verify_otp(PHONE, &server.last_code_for(PHONE)).await);
        assert_eq!(again.user_id, old.user_id);
    }

    async fn a_refresh_a_code_and_a_password_are_uses(server: TestServer) {
        let server = with_stale_days(&server).await;
        let old = former_user(&server).await;
        server.advance(STALE - 1);
        server.refresh(&old.refresh).await.assert_ok();
        server.advance(STALE - 1);
        assert_eq!(by_password(&server, PHONE).await.status.as_u16(), 200);
        server.advance(STALE - 1);
        server.login(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        // The last use is still known although the sessions are purged.
        server.execute("UPDATE accounts SET seen_at = NULL, updated_at = created_at").await;
        let ended = server.now();
        server.execute("UPDATE sessions SET ended_at = last_used_at").await;
        server.advance(STALE - 1);
        let purged = purge(&server.services, &Retention::new(Duration::seconds(1)), Actor::System).await.unwrap();
        assert_eq!(purged.sessions, 3);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 0);
        assert_eq!((server.now() - ended).num_seconds(), STALE - 1);
        server.login(PHONE).await.assert_ok();
        server.advance(1);
        server.login(PHONE).await.assert_error(404, "user_not_found");
    }

    async fn an_account_of_which_no_use_is_known_counts_from_its_last_change(server: TestServer) {
        let server = with_stale_days(&server).await;
        server.sign_in_and_complete(PHONE).await;
        server.execute("DELETE FROM sessions").await;
        server.execute("UPDATE accounts SET seen_at = NULL").await;
        server.advance(STALE - 1);
        server.login(PHONE).await.assert_ok();
        server.advance(1);
        server.login(PHONE).await.assert_error(404, "user_not_found");
    }

    async fn a_disabled_account_stays_what_it_is(server: TestServer) {
        let server = with_stale_days(&server).await;
        server.sign_in(PHONE).await;
        server.disable(PHONE).await;
        server.advance(10 * STALE);
        server.signup(PHONE).await.assert_error(403, "account_disabled");
    }

    async fn a_device_of_before_is_a_stranger_to_the_new_account(server: TestServer) {
        let server = with_stale_days(&server).await;
        server.signup(PHONE).await.assert_ok();
        let old = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await;
        let token = old.assert_ok().text_at("/data/device_token");
        server.advance(STALE);
        let body = json!({ "phone_number": PHONE, "device_token": token });
        server.signup(PHONE).await.assert_ok();
        server.post("/api/auth/signup", body.clone()).await.assert_error(429, "otp_cooldown");
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        server.post("/api/auth/signup", body).await.assert_error(429, "otp_cooldown");
    }

    async fn one_code_opens_one_account_however_often_it_comes(server: TestServer) {
        let server = with_stale_days(&server).await;
        let old = former_user(&server).await;
        server.advance(STALE);
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let answers = join_all((0..20).map(|_| server.verify_otp(PHONE, &code))).await;
        let came_in: Vec<&Answer> = answers.iter().filter(|answer| answer.status.as_u16() == 200).collect();
        assert_eq!(came_in.len(), 1);
        assert_ne!(came_in[0].text_at("/data/user_id"), old.user_id);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 2);
        assert_eq!(entries(&server, "account_unlinked").await, 1);
    }

    async fn a_sign_in_at_the_moment_of_the_loss_is_before_it_or_after_it(server: TestServer) {
        let server = with_stale_days(&server).await;
        for round in 0..4 {
            // In each round, the account of the round before is the old one.
            let old = former_user(&server).await;
            server.advance(STALE);
            server.signup(PHONE).await.assert_ok();
            let code = server.last_code_for(PHONE);
            let (by_code, by_password) =
                tokio::join!(server.verify_otp(PHONE, &code), by_password(&server, PHONE));
            let new = tokens_of(&by_code);
            assert_goes_on(&server, &new).await;
            let password_status = by_password.status.as_u16();
            if new.user_id == old.user_id {
                assert_eq!(password_status, 200, "round {round}: it was used in time");
            } else if password_status == 200 {
                let answer = server.get_as(&by_password.text_at("/access"), "/api/auth/profile").await;
                answer.assert_error(401, "token_revoked");
            } else {
                by_password.assert_error(401, "credentials_invalid");
            }
            let holders = server.count(&format!("SELECT COUNT(*) FROM accounts WHERE phone = '{PHONE}'")).await;
            assert_eq!(holders, 1, "round {round}");
            server.execute(&format!("DELETE FROM accounts WHERE phone = '{PHONE}'")).await;
            server.advance(30);
        }
    }

    async fn somebody_who_has_an_account_takes_a_stale_number_to_it(server: TestServer) {
        let server = with_stale_days(&server).await;
        let old = former_user(&server).await;
        server.advance(STALE);
        let tokens = server.sign_in(OTHER_PHONE).await;
        let change = json!({ "phone_number": PHONE });
        post_as(&server, &tokens, "/api/auth/change-phone", change).await.assert_ok();
        let code = json!({ "phone_number": PHONE, "otp_code": server.last_code_for(PHONE) });
        post_as(&server, &tokens, "/api/auth/verify-change-phone", code).await.assert_ok();
        assert_eq!(phone_of(&server, &tokens).await, json!(PHONE));
        assert_eq!(phone_of_row(&server, &old).await, 0);
        assert_eq!(entries(&server, "account_unlinked").await, 1);
    }

    async fn staff_find_it_and_reunite_it(server: TestServer) {
        let server = with_stale_days(&server).await;
        let old = former_user(&server).await;
        server.advance(STALE);
        let new = sign_up(&server).await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let found = server.get_as(&staff.access, "/api/users?search=6205829376").await;
        assert_eq!(found.assert_ok().at("/total"), json!(2), "{}", found.text);
        let user = server.get_as(&staff.access, &format!("/api/users/{}", old.user_id)).await;
        assert_eq!((user.at("/phone_number"), user.at("/former_phone")), (Value::Null, json!(PHONE)));

        let reunited = reunite(&server, &staff, &old.user_id).await;
        reunited.assert_ok();
        assert_eq!((reunited.at("/phone_number"), reunited.at("/former_phone")), (json!(PHONE), Value::Null));
        assert_over_or_disabled(&server, &new).await;
        assert_eq!(entries(&server, "account_reunited").await, 1);
        assert_eq!(entries(&server, "account_deactivated").await, 1);
        // A second call has no effect.
        reunite(&server, &staff, &old.user_id).await.assert_ok();
        assert_eq!(entries(&server, "account_reunited").await, 1);
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let back = tokens_of(&server.verify_login(PHONE, &server.last_code_for(PHONE)).await);
        assert_eq!(back.user_id, old.user_id);

        // Not in the other direction: the present account did not get the number by the loss.
        reunite(&server, &staff, &new.user_id).await.assert_error(409, "phone_taken");
    }

    async fn not_everything_can_be_reunited_by_everybody(server: TestServer) {
        let server = with_stale_days(&server).await;
        let old = former_user(&server).await;
        server.advance(STALE);
        let new = sign_up(&server).await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        reunite(&server, &new, &old.user_id).await.assert_error(403, "forbidden");
        server.post(&format!("/api/users/{}/reunite", old.user_id), json!({})).await.assert_error(401, "token_missing");
        for id in ["nonsense", "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11"] {
            reunite(&server, &staff, id).await.assert_error(404, "user_not_found");
        }
        // An account that still has its phone has nothing to get back.
        reunite(&server, &staff, &new.user_id).await.assert_ok();
        let without_phone = crate::again::register(&server, "gaurav").await;
        reunite(&server, &staff, &without_phone.user_id).await.assert_error(404, "not_found");
        // The number of a staff account cannot be taken away.
        server.execute(&format!("UPDATE accounts SET role = 'staff' WHERE phone = '{PHONE}'")).await;
        for who in [&staff, &admin] {
            reunite(&server, who, &old.user_id).await.assert_error(403, "forbidden");
        }
        server.execute(&format!("UPDATE accounts SET role = 'user' WHERE phone = '{PHONE}'")).await;
        // An account that existed when the number was lost did not get the number by the loss.
        let before = format!("(SELECT old.created_at FROM accounts AS old WHERE old.former_phone = '{PHONE}')");
        server.execute(&format!("UPDATE accounts SET created_at = {before} WHERE phone = '{PHONE}'")).await;
        reunite(&server, &admin, &old.user_id).await.assert_error(409, "phone_taken");
        assert_goes_on(&server, &new).await;
    }

    async fn whoever_gets_a_number_of_her_own_has_lost_none(server: TestServer) {
        let server = with_stale_days(&server).await;
        former_user(&server).await;
        server.execute("UPDATE accounts SET username = 'gaurav', username_key = 'gaurav'").await;
        server.advance(STALE);
        sign_up(&server).await;
        let answer = by_password(&server, "gaurav").await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        let old = crate::again::password_tokens(&answer);
        assert_eq!(phone_of(&server, &old).await, Value::Null);
        let change = json!({ "phone_number": OTHER_PHONE });
        post_as(&server, &old, "/api/auth/change-phone", change).await.assert_ok();
        let code = json!({ "phone_number": OTHER_PHONE, "otp_code": server.last_code_for(OTHER_PHONE) });
        post_as(&server, &old, "/api/auth/verify-change-phone", code).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE former_phone IS NOT NULL").await, 0);
    }
}

/// Whether the account of these tokens has the phone: 1 or 0.
async fn phone_of_row(server: &TestServer, tokens: &Tokens) -> i64 {
    let all = format!("SELECT COUNT(*) FROM accounts WHERE phone = '{PHONE}' AND password_hash IS NOT NULL");
    assert!(!tokens.user_id.is_empty());
    server.count(&all).await
}

/// Checks that the session has ended or the account is disabled.
async fn assert_over_or_disabled(server: &TestServer, tokens: &Tokens) {
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
    server.refresh(&tokens.refresh).await.assert_error(403, "account_disabled");
}
