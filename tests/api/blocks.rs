//! Blocks: what a blocked phone, prefix, country or network can no longer do.

use loopin_auth::domain::audit::Action;
use serde_json::json;

use crate::{
    admin_blocks::{admin, block, end},
    again::post_as,
    on_both,
    prefixes::entries,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens, WIDE_LIMITS},
};

const PROFILE: &str = "/api/auth/profile";
const PASSWORD: &str = "purple-kettle-morning-71";
const STRANGER: &str = "203.0.113.7";

#[track_caller]
fn assert_no_code(answer: &Answer) {
    answer.assert_error(400, "phone_unreachable");
    assert_eq!(answer.text_at("/error/reason"), "blocked", "{}", answer.text);
}

/// Signs in, and sets a password and a name to sign in with.
async fn with_password(server: &TestServer, phone: &str) -> Tokens {
    let tokens = server.sign_in(phone).await;
    let body = json!({ "new_password": PASSWORD });
    post_as(server, &tokens, "/api/auth/password", body).await.assert_ok();
    tokens
}

async fn log_in_by_name(server: &TestServer, name: &str, password: &str) -> Answer {
    server.post("/api/auth/login", json!({ "username": name, "password": password })).await
}

on_both! {
    async fn a_blocked_phone_gets_no_code_and_is_not_let_in(server: TestServer) {
        let admin = admin(&server).await;
        let tokens = with_password(&server, PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let id = block(&server, &admin, "phone", PHONE).await;
        server.get_as(&tokens.access, PROFILE).await.assert_error(401, "token_revoked");
        server.refresh(&tokens.refresh).await.assert_error(403, "forbidden");
        server.verify_otp(PHONE, &code).await.assert_error(403, "forbidden");
        server.verify_login(PHONE, &code).await.assert_error(403, "forbidden");
        // Only after the right password.
        log_in_by_name(&server, PHONE, "wrong").await.assert_error(401, "credentials_invalid");
        log_in_by_name(&server, PHONE, PASSWORD).await.assert_error(403, "forbidden");
        server.post("/api/token/", json!({"username": PHONE, "password": PASSWORD})).await.assert_error(403, "forbidden");
        server.advance(30);
        assert_no_code(&server.signup(PHONE).await);
        assert_no_code(&server.login(PHONE).await);
        let body = json!({ "phone_number": PHONE });
        assert_no_code(&post_as(&server, &other, "/api/auth/change-phone", body).await);
        assert_eq!(server.inbox_of(PHONE).len(), 2);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 2);
        let refused = entries(&server, Action::CodeRefused).await;
        assert_eq!(refused.len(), 3);
        assert_eq!(refused[0].detail.json(), json!({"purpose": "sign_in", "reason": "blocked", "block": id}));
        // Ended, the phone is as before, but its sessions are not.
        end(&server, &admin, &id).await.assert_ok();
        server.get_as(&tokens.access, PROFILE).await.assert_error(401, "token_revoked");
        server.refresh(&tokens.refresh).await.assert_error(401, "token_revoked");
        server.verify_otp(PHONE, &code).await.assert_error(400, "otp_expired");
        server.login(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_code_that_was_sent_to_a_new_number_does_not_move_an_account_to_it(server: TestServer) {
        let admin = admin(&server).await;
        let tokens = server.sign_in(OTHER_PHONE).await;
        let body = json!({ "phone_number": PHONE });
        post_as(&server, &tokens, "/api/auth/change-phone", body).await.assert_ok();
        block(&server, &admin, "phone", PHONE).await;
        let body = json!({ "phone_number": PHONE, "otp_code": server.last_code_for(PHONE) });
        let path = "/api/auth/verify-change-phone";
        post_as(&server, &tokens, path, body).await.assert_error(403, "forbidden");
        server.get_as(&tokens.access, PROFILE).await.assert_ok();
    }

    async fn a_blocked_phone_looks_the_same_with_an_account_and_without(server: TestServer) {
        let server = server.second_server(&[("HIDE_ACCOUNT_EXISTENCE", "true")]).await;
        let admin = admin(&server).await;
        server.sign_in(PHONE).await;
        server.advance(30);
        let unknown = "+916205829377";
        let mut answers = Vec::new();
        for phone in [PHONE, unknown] {
            block(&server, &admin, "phone", phone).await;
            let mut of_phone = Vec::new();
            for answer in [
                server.signup(phone).await,
                server.login(phone).await,
                server.verify_otp(phone, "0000").await,
                server.verify_login(phone, "0000").await,
                log_in_by_name(&server, phone, "wrong").await,
            ] {
                of_phone.push((answer.status, answer.text));
            }
            answers.push(of_phone);
        }
        assert_eq!(answers[0], answers[1]);
    }

    async fn a_known_device_and_a_review_number_are_blocked_too(server: TestServer) {
        let reviewed = "+12025550100";
        let server = server.second_server(&[("OTP_REVIEW_NUMBERS", "+12025550100=4821@2027-01-31")]).await;
        let admin = admin(&server).await;
        server.signup(reviewed).await.assert_ok();
        server.verify_otp(reviewed, "4821").await.assert_ok();
        server.signup(PHONE).await.assert_ok();
        let device = server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.text_at("/data/device_token");
        server.advance(30);
        server.login(reviewed).await.assert_ok();
        block(&server, &admin, "phone", reviewed).await;
        block(&server, &admin, "phone", PHONE).await;
        assert_no_code(&server.login(reviewed).await);
        server.verify_login(reviewed, "4821").await.assert_error(403, "forbidden");
        let body = json!({ "phone_number": PHONE, "device_token": device });
        assert_no_code(&server.post("/api/auth/login", body).await);
    }

    async fn a_prefix_and_a_country_get_no_code_and_their_sessions_go_on(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        let admin = admin(&server).await;
        for (kind, value) in [("prefix", "+91620"), ("country", "IN")] {
            server.advance(30);
            let tokens = with_password(&server, PHONE).await;
            server.advance(30);
            server.login(PHONE).await.assert_ok();
            let code = server.last_code_for(PHONE);
            let id = block(&server, &admin, kind, value).await;
            assert_no_code(&server.login(PHONE).await);
            assert_no_code(&post_as(&server, &tokens, "/api/auth/confirm-code", json!({})).await);
            server.verify_login(PHONE, &code).await.assert_error(403, "forbidden");
            server.get_as(&tokens.access, PROFILE).await.assert_ok();
            server.refresh(&tokens.refresh).await.assert_ok();
            log_in_by_name(&server, PHONE, PASSWORD).await.assert_ok();
            if kind == "prefix" {
                server.signup("+916105829376").await.assert_ok();
            }
            server.signup("+447400123456").await;
            end(&server, &admin, &id).await.assert_ok();
            server.verify_login(PHONE, &code).await.assert_ok();
            server.execute("UPDATE accounts SET password_hash = NULL").await;
        }
    }

    async fn a_blocked_network_sends_nothing_and_lets_nobody_in(server: TestServer) {
        let admin = admin(&server).await;
        let tokens = with_password(&server, PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let id = block(&server, &admin, "address", "203.0.113.0/24").await;
        let from = server.from(STRANGER);
        let register = json!({"username": "asha", "email": "asha@example.com", "password": PASSWORD});
        for answer in [
            from.signup(OTHER_PHONE).await,
            from.login(PHONE).await,
            from.verify_otp(PHONE, &code).await,
            from.verify_login(PHONE, &code).await,
            log_in_by_name(&from, PHONE, PASSWORD).await,
            log_in_by_name(&from, PHONE, "wrong").await,
            from.post("/api/token/", json!({"username": PHONE, "password": PASSWORD})).await,
            from.post("/api/auth/register", register.clone()).await,
            from.post("/api/register/", register.clone()).await,
            post_as(&from, &tokens, "/api/auth/confirm-code", json!({})).await,
            post_as(&from, &tokens, "/api/auth/confirm", json!({"otp_code": "0000"})).await,
            post_as(&from, &tokens, "/api/auth/change-phone", json!({"phone_number": OTHER_PHONE})).await,
        ] {
            answer.assert_error(403, "forbidden");
        }
        // Sessions from there go on: many users share an address.
        from.get_as(&tokens.access, PROFILE).await.assert_ok();
        from.refresh(&tokens.refresh).await.assert_ok();
        server.from("203.0.114.7").verify_login(PHONE, &code).await.assert_ok();
        end(&server, &admin, &id).await.assert_ok();
        log_in_by_name(&from, PHONE, PASSWORD).await.assert_ok();
    }

    async fn every_server_knows_within_ten_seconds(server: TestServer) {
        let other = server.second_server(&[]).await;
        let admin = admin(&server).await;
        let tokens = server.sign_in(PHONE).await;
        // The other server has read the blocks just now.
        other.signup(OTHER_PHONE).await.assert_ok();
        let id = block(&server, &admin, "phone", PHONE).await;
        // The session ended in the database, so no server lets it in.
        other.get_as(&tokens.access, PROFILE).await.assert_error(401, "token_revoked");
        assert_no_code(&server.login(PHONE).await);
        server.advance(5);
        assert_no_code(&other.login(PHONE).await);
        end(&server, &admin, &id).await.assert_ok();
        server.advance(25);
        other.login(PHONE).await.assert_ok();
    }

    async fn a_sign_in_on_a_server_that_does_not_know_yet_opens_nothing(server: TestServer) {
        let other = server.second_server(&[]).await;
        let admin = admin(&server).await;
        with_password(&server, PHONE).await;
        server.advance(30);
        other.login(PHONE).await.assert_ok();
        other.signup(OTHER_PHONE).await.assert_ok();
        block(&server, &admin, "phone", PHONE).await;
        block(&server, &admin, "phone", OTHER_PHONE).await;
        // Its copy is fresh and does not have the blocks. The database has ended the codes, and knows the block.
        other.verify_login(PHONE, &other.last_code_for(PHONE)).await.assert_error(400, "otp_expired");
        log_in_by_name(&other, PHONE, PASSWORD).await.assert_error(403, "forbidden");
        other.signup("+916205829377").await.assert_ok();
        server.execute(&format!("UPDATE challenges SET expires_at = '2026-03-14T09:40:00+00:00' WHERE phone = '{OTHER_PHONE}'")).await;
        other.verify_otp(OTHER_PHONE, &other.last_code_for(OTHER_PHONE)).await.assert_error(403, "forbidden");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE phone = '+919876543210'").await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 1);
    }

    async fn a_block_and_sign_ins_at_once_leave_no_session(server: TestServer) {
        let other = server.second_server(&[]).await;
        let admin = admin(&server).await;
        for round in 0..8 {
            let phone = format!("+91620582930{round}");
            // Half of them have an account.
            if round % 2 == 0 {
                other.sign_in(&phone).await;
                server.advance(30);
            }
            other.signup(&phone).await;
            other.login(&phone).await;
            let code = other.last_code_for(&phone);
            let verify = async {
                other.verify_otp(&phone, &code).await;
            };
            let ((), _) = tokio::join!(verify, block(&server, &admin, "phone", &phone));
            let live = format!(
                "SELECT COUNT(*) FROM sessions JOIN accounts ON accounts.id = account_id \
                 WHERE phone = '{phone}' AND ended_at IS NULL"
            );
            assert_eq!(server.count(&live).await, 0, "{phone}");
        }
    }

    async fn without_the_database_old_blocks_are_not_trusted(server: TestServer) {
        let other = server.second_server(&[]).await;
        let admin = admin(&server).await;
        block(&server, &admin, "phone", PHONE).await;
        assert_no_code(&other.signup(PHONE).await);
        other.services.store.close().await;
        // The block is known, but the request is counted first, which needs the database.
        other.signup(PHONE).await.assert_error(503, "database_unavailable");
        let phone = loopin_auth::domain::phone::PhoneNumber::from_e164(PHONE).unwrap();
        let find = async || loopin_auth::flows::blocks::find(&other.services, &phone).await;
        server.advance(9);
        assert!(find().await.unwrap().is_some());
        server.advance(1);
        assert!(find().await.is_err());
    }

    async fn a_block_outlives_the_account_and_what_ended_does_not(server: TestServer) {
        let admin = admin(&server).await;
        let tokens = server.sign_in(PHONE).await;
        let id = block(&server, &admin, "phone", PHONE).await;
        end(&server, &admin, &id).await.assert_ok();
        server.advance(30);
        let tokens = Tokens { user_id: tokens.user_id, ..server.sign_in(PHONE).await };
        let export = server.get_as(&tokens.access, "/api/auth/export").await;
        assert_eq!(export.assert_ok().at("/blocks/0/reason"), json!("a test"));
        post_as(&server, &tokens, "/api/auth/delete-account", json!({})).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM blocks").await, 0);
        block(&server, &admin, "phone", PHONE).await;
        server.execute("DELETE FROM accounts WHERE phone = '+916205829376'").await;
        server.advance(30);
        assert_no_code(&server.signup(PHONE).await);
    }

    async fn housekeeping_removes_blocks_that_ended_long_ago(server: TestServer) {
        let server = server.second_server(&[("RETENTION_AUDIT_DAYS", "30")]).await;
        let admin = admin(&server).await;
        let id = block(&server, &admin, "phone", PHONE).await;
        block(&server, &admin, "phone", OTHER_PHONE).await;
        end(&server, &admin, &id).await.assert_ok();
        let purge = async || {
            let by = loopin_auth::domain::audit::Actor::System;
            let retention = &server.services.retention;
            loopin_auth::flows::purge::purge(&server.services, retention, by).await.unwrap().blocks
        };
        server.advance(30 * 86_400);
        assert_eq!(purge().await, 0);
        server.advance(1);
        assert_eq!(purge().await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM blocks").await, 1);
    }

    async fn a_lost_message_to_a_blocked_phone_is_not_followed(server: TestServer) {
        let settings = [("OTP_CHANNELS", "sms,call"), ("OTP_FALLBACK", "call")];
        let server = server.second_server(&settings).await;
        let admin = admin(&server).await;
        // The inbox loses messages to this number.
        let lost = "+15005550011";
        let sent = server.signup(lost).await;
        sent.assert_ok();
        block(&server, &admin, "prefix", "+1500555").await;
        server.play(10).await;
        assert_eq!(server.inbox_of(lost).len(), 1);
    }
}
