//! `POST /api/auth/delete-account`

use futures_util::future::join;
use poem::http::Method;
use serde_json::json;

use crate::{
    again::{
        assert_goes_on, assert_over, confirm_by_code, password_tokens, post_as, post_empty_as, register,
        sign_in_from,
    },
    on_both,
    second_factor::{account, sign_in},
    support::{OTHER_PHONE, PHONE, TestServer, whole_profile, wrong},
};

const PATH: &str = "/api/auth/delete-account";

/// The number of rows, in all tables, that have this text in any column.
async fn rows_with(server: &TestServer, text: &str) -> i64 {
    let columns = [
        ("accounts", "phone"),
        ("accounts", "name"),
        ("accounts", "claimed_phone"),
        ("challenges", "phone"),
        ("challenges", "holder"),
        ("leads", "phone"),
        ("lead_notes", "text"),
        ("messages", "phone"),
        ("sessions", "device"),
    ];
    let mut rows = 0;
    for (table, column) in columns {
        rows += server.count(&format!("SELECT COUNT(*) FROM {table} WHERE {column} = '{text}'")).await;
    }
    rows
}

on_both! {
    async fn everything_goes(server: TestServer) {
        // Not about the limits, which it would reach.
        let server = server.without_limits().await;
        let elsewhere = sign_in_from(&server, PHONE, "Elsewhere").await;
        let tokens = sign_in_from(&server, PHONE, "Here").await;
        server.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", whole_profile()).await.assert_ok();
        let other = server.sign_in(OTHER_PHONE).await;
        confirm_by_code(&server, &tokens, PHONE).await;
        let answer = post_empty_as(&server, &tokens, PATH).await;
        answer.assert_ok();
        assert_eq!(answer.at("/data/user_id"), json!(tokens.user_id));
        assert_over(&server, &tokens).await;
        assert_over(&server, &elsewhere).await;
        for text in [PHONE, "Gaurav Kumar", "Elsewhere", tokens.user_id.as_str()] {
            assert_eq!(rows_with(&server, text).await, 0, "{text}");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 1);
        assert_goes_on(&server, &other).await;
        server.refresh(&other.refresh).await.assert_ok();
    }

    async fn what_went_to_another_number_of_hers_goes_too(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let (new, never) = ("+919876543211", "+919876543212");
        for phone in [never, new] {
            post_as(&server, &tokens, "/api/auth/change-phone", json!({ "phone_number": phone })).await.assert_ok();
        }
        let body = json!({ "phone_number": new, "otp_code": server.last_code_for(new) });
        post_as(&server, &tokens, "/api/auth/verify-change-phone", body).await.assert_ok();
        // The old number got a notice, which is in the export.
        let notice = format!("SELECT COUNT(*) FROM messages WHERE phone = '{PHONE}' AND template = 'phone_changed'");
        assert_eq!(server.count(&notice).await, 1);
        let bearer = server.get_as(&tokens.access, "/api/auth/export").await;
        assert_eq!(bearer.assert_ok().at("/messages").as_array().map(Vec::len), Some(3), "{}", bearer.text);
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
        for phone in [PHONE, new, never] {
            let messages = format!("SELECT COUNT(*) FROM messages WHERE phone = '{phone}'");
            assert_eq!(server.count(&messages).await, 0, "{phone}");
        }
        assert_eq!((rows_with(&server, new).await, rows_with(&server, never).await), (0, 0));
    }

    async fn it_needs_a_fresh_proof(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(601);
        post_empty_as(&server, &tokens, PATH).await.assert_error(403, "reauthentication_required");
        assert_goes_on(&server, &tokens).await;
        confirm_by_code(&server, &tokens, PHONE).await;
        server.post(PATH, json!({})).await.assert_error(401, "token_missing");
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
        post_empty_as(&server, &tokens, PATH).await.assert_error(401, "token_revoked");
    }

    async fn the_phone_signs_up_anew_as_somebody_else(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(30);
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
        server.login(PHONE).await.assert_error(404, "user_not_found");
        let anew = server.sign_in(PHONE).await;
        assert_ne!(anew.user_id, tokens.user_id);
        assert_over(&server, &tokens).await;
        let profile = server.get_as(&anew.access, "/api/auth/profile").await;
        assert_eq!(profile.at("/name"), json!(null));
    }

    async fn leaving_and_coming_back_buys_no_message(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(10);
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
        let other = server.second_server(&[]).await;
        let answer = other.signup(PHONE).await;
        answer.assert_error(429, "otp_cooldown");
        assert_eq!(answer.at("/error/retry_after"), json!(20));
        server.advance(19);
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
        // Other phones have no cooldown.
        server.signup(OTHER_PHONE).await.assert_ok();
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM challenges WHERE phone = '{PHONE}'")).await, 0);
        server.advance(1);
        server.signup(PHONE).await.assert_ok();
    }

    async fn leaving_and_coming_back_buys_no_guesses(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(30);
        server.signup(PHONE).await.assert_ok();
        let guess = wrong(&server.last_code_for(PHONE));
        server.verify_otp(PHONE, &guess).await.assert_error(400, "otp_invalid");
        server.advance(30);
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
        // The code with the wrong guesses would be valid for 570 more seconds.
        let answer = server.signup(PHONE).await;
        answer.assert_error(429, "otp_cooldown");
        assert_eq!(answer.at("/error/retry_after"), json!(570));
        server.verify_otp(PHONE, &guess).await.assert_error(400, "otp_not_found");
        server.advance(570);
        server.signup(PHONE).await.assert_ok();
    }

    async fn an_older_key_still_knows_what_it_marked(server: TestServer) {
        let first = "the first secret key of the tests: 32 bytes or more";
        let server = TestServer::with(server.database, &[("SECRET_KEY", first)]).await;
        let tokens = server.sign_in(PHONE).await;
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
        let settings = [
            ("SECRET_KEY", "the next secret key of the tests: 32 bytes or more"),
            ("SECRET_KEY_FALLBACKS", first),
        ];
        let next = server.second_server(&settings).await;
        next.signup(PHONE).await.assert_error(429, "otp_cooldown");
    }

    async fn without_a_cooldown_there_is_none(server: TestServer) {
        let server = TestServer::with(server.database, &[("OTP_RESEND_SECONDS", "0")]).await;
        let tokens = server.sign_in(PHONE).await;
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
        server.sign_in(PHONE).await;
    }

    async fn an_account_without_a_phone_goes_too(server: TestServer) {
        let tokens = register(&server, "gaurav").await;
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
        assert_over(&server, &tokens).await;
        assert_ne!(register(&server, "gaurav").await.user_id, tokens.user_id);
    }

    async fn the_only_admin_cannot_leave(server: TestServer) {
        account(&server, "boss", "admin").await;
        account(&server, "staff", "staff").await;
        let tokens = password_tokens(&sign_in(&server, "boss", None).await);
        let staff = password_tokens(&sign_in(&server, "staff", None).await);
        post_empty_as(&server, &staff, PATH).await.assert_ok();
        let answer = post_empty_as(&server, &tokens, PATH).await;
        answer.assert_error(403, "forbidden");
        assert_goes_on(&server, &tokens).await;
        // A disabled admin does not count.
        register(&server, "other").await;
        server.execute("UPDATE accounts SET role = 'admin', is_active = FALSE WHERE username = 'other'").await;
        post_empty_as(&server, &tokens, PATH).await.assert_error(403, "forbidden");
        server.execute("UPDATE accounts SET is_active = TRUE WHERE username = 'other'").await;
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
    }

    async fn of_two_admins_who_leave_at_once_one_stays(server: TestServer) {
        account(&server, "one", "admin").await;
        account(&server, "two", "admin").await;
        let one = password_tokens(&sign_in(&server, "one", None).await);
        let two = password_tokens(&sign_in(&server, "two", None).await);
        let second_server = server.second_server(&[]).await;
        let (first, second) = join(post_empty_as(&server, &one, PATH), post_empty_as(&second_server, &two, PATH)).await;
        let (gone, stays) = if first.status == 200 { (first, second) } else { (second, first) };
        gone.assert_ok();
        stays.assert_error(403, "forbidden");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
    }

    async fn a_sign_in_in_the_same_moment_is_before_it_or_makes_somebody_new(server: TestServer) {
        // Not about the limits, which it would reach.
        let server = server.without_limits().await;
        let second_server = server.second_server(&[]).await;
        let mut tokens = server.sign_in(PHONE).await;
        for _ in 0..5 {
            server.advance(30);
            server.signup(PHONE).await.assert_ok();
            let code = server.last_code_for(PHONE);
            let deletion = post_empty_as(&server, &tokens, PATH);
            let (left, came) = join(deletion, second_server.verify_otp(PHONE, &code)).await;
            left.assert_ok();
            assert_over(&server, &tokens).await;
            match came.status.as_u16() {
                200 if came.text_at("/data/user_id") == tokens.user_id => {
                    server.get_as(&came.text_at("/token"), "/api/auth/profile").await.assert_error(401, "token_revoked");
                }
                200 => assert_goes_on(&server, &crate::again::tokens_of(&came)).await,
                _ => came.assert_error(400, "otp_not_found"),
            }
            server.advance(600);
            tokens = sign_in_from(&server, PHONE, "Again").await;
        }
    }

    async fn a_report_of_a_message_that_is_forgotten_changes_nothing(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        post_empty_as(&server, &tokens, PATH).await.assert_ok();
        server.play(3600).await;
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 0);
    }
}
