//! `POST /api/auth/login` with a name and a password.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, password_tokens, post_as, register},
    forge::claim,
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer},
};

const PATH: &str = "/api/auth/login/";

async fn log_in(server: &TestServer, username: &str, password: &str) -> Answer {
    server.post(PATH, json!({"username": username, "password": password})).await
}

on_both! {
    async fn a_name_and_a_password_are_tokens_without_an_envelope(server: TestServer) {
        let registered = register(&server, "testuser").await;
        let answer = log_in(&server, "testuser", PASSWORD).await;
        assert_eq!(answer.assert_ok().json().as_object().unwrap().len(), 2, "{}", answer.text);
        let tokens = password_tokens(&answer);
        assert_eq!(tokens.user_id, registered.user_id);
        server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
        // A null phone beside a username counts as absent, and the session records how it was opened.
        let body = json!({"username": "testuser", "password": PASSWORD, "phone_number": null});
        server.post(PATH, body).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE opened_by = 'password'").await, 3);
    }

    async fn the_verified_phone_is_a_name_too(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let body = json!({"new_password": PASSWORD});
        post_as(&server, &tokens, "/api/auth/password", body).await.assert_ok();
        for spelling in [PHONE, "062058 29376", "0091 62058-29376", "(62058) 29376"] {
            let answer = log_in(&server, spelling, PASSWORD).await;
            assert_eq!(password_tokens(answer.assert_ok()).user_id, tokens.user_id, "{spelling}");
        }
        log_in(&server, OTHER_PHONE, PASSWORD).await.assert_error(401, "credentials_invalid");
    }

    async fn nobody_learns_which_of_the_two_is_wrong(server: TestServer) {
        register(&server, "testuser").await;
        server.sign_in(PHONE).await;
        let mut answers = Vec::new();
        let before = server.services.hasher.made();
        let tries = [
            ("testuser", "purple-kettle-morning-72"), // a wrong password
            ("nobody", PASSWORD),                     // no such name
            ("nobody@example.com", PASSWORD),         // no such address
            (OTHER_PHONE, PASSWORD),                  // no such phone
            (PHONE, PASSWORD),                        // an account without a password
            ("no name at all \u{1f600}", PASSWORD),   // what no name can be
            ("12345", PASSWORD),
            ("testuser", &"x".repeat(5000)),
        ];
        for (username, password) in tries {
            let answer = log_in(&server, username, password).await;
            answer.assert_error(401, "credentials_invalid");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            answers.push(answer);
        }
        let made = server.services.hasher.made() - before;
        assert_eq!(made, tries.len() as u64, "each costs one hash");
        for answer in &answers {
            assert_eq!(answer.text, answers[0].text);
        }
    }

    async fn only_the_right_password_tells_that_an_account_is_disabled(server: TestServer) {
        let tokens = register(&server, "testuser").await;
        server.execute("UPDATE accounts SET is_active = FALSE").await;
        log_in(&server, "testuser", "purple-kettle-morning-72").await.assert_error(401, "credentials_invalid");
        log_in(&server, "testuser", PASSWORD).await.assert_error(403, "account_disabled");
        server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 1);
    }

    async fn a_password_is_missing_or_there(server: TestServer) {
        for (body, field) in [
            (json!({"username": "testuser"}), "password"),
            (json!({"username": "testuser", "password": null}), "password"),
            (json!({"username": "testuser", "password": 7}), "password"),
            (json!({"username": 7, "password": PASSWORD}), "username"),
            (json!({"username": "", "password": PASSWORD}), "username"),
        ] {
            let answer = server.post(PATH, body).await;
            answer.assert_error(422, "validation_failed");
            assert_eq!(answer.at("/error/fields").as_object().unwrap().keys().collect::<Vec<_>>(), [field]);
        }
        for body in [json!({}), json!({"password": PASSWORD}), json!({"username": null, "password": PASSWORD})] {
            server.post(PATH, body).await.assert_error(400, "malformed_request");
        }
    }

    async fn the_role_of_a_password_session_is_the_accounts(server: TestServer) {
        register(&server, "boss").await;
        server.execute("UPDATE accounts SET role = 'admin'").await;
        let answer = log_in(&server, "boss", PASSWORD).await;
        assert_eq!(claim(&answer.assert_ok().text_at("/access"), "role"), "admin");
    }

    async fn a_hash_that_was_cheaper_is_made_anew(server: TestServer) {
        register(&server, "testuser").await;
        let updated = server.now();
        let cheap = cheap_hash("correct horse battery");
        server.execute(&format!("UPDATE accounts SET password_hash = '{cheap}'")).await;
        server.advance(60);
        let tokens = password_tokens(log_in(&server, "testuser", "correct horse battery").await.assert_ok());
        let costly = "SELECT COUNT(*) FROM accounts WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
        assert_eq!(server.count(costly).await, 1);
        let before = server.services.hasher.made();
        log_in(&server, "testuser", "correct horse battery").await.assert_ok();
        assert_eq!(server.services.hasher.made() - before, 1, "once is enough");
        let profile = server.get_as(&tokens.access, "/api/auth/profile").await;
        let shown = updated.to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        assert_eq!(profile.at("/updated_at"), json!(shown), "the account was not changed");
        assert_eq!(profile.at("/name"), Value::Null);
    }
}

/// A hash with outdated parameters: 8 KiB and one pass.
fn cheap_hash(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).unwrap();
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    hasher.hash_password_with_salt(password.as_bytes(), b"sixteen of bytes").unwrap().to_string()
}
