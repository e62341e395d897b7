//! `POST /api/auth/password`: sets a first password, or changes it.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, confirm_by_code, password_tokens, post_as, register, sign_in_from},
    on_both,
    support::{PHONE, TestServer, Tokens},
};

const PATH: &str = "/api/auth/password";
const NEW: &str = "copper-lantern-evening-38";

async fn is_in(server: &TestServer, tokens: &Tokens) -> bool {
    server.get_as(&tokens.access, "/api/auth/profile").await.status == 200
}

on_both! {
    async fn another_password_ends_the_other_sessions(server: TestServer) {
        let first = register(&server, "gaurav").await;
        let login = json!({"username": "gaurav", "password": PASSWORD});
        let second = password_tokens(server.post("/api/auth/login", login.clone()).await.assert_ok());
        let stranger = register(&server, "stranger").await;
        let answer =
            post_as(&server, &second, PATH, json!({"old_password": PASSWORD, "new_password": NEW})).await;
        assert_eq!(answer.assert_ok().at("/success"), json!(true), "{}", answer.text);
        assert!(is_in(&server, &second).await && is_in(&server, &stranger).await);
        assert!(!is_in(&server, &first).await);
        server.refresh(&first.refresh).await.assert_error(401, "token_revoked");
        server.refresh(&second.refresh).await.assert_ok();
        server.post("/api/auth/login", login).await.assert_error(401, "credentials_invalid");
        let login = json!({"username": "gaurav", "password": NEW});
        server.post("/api/auth/login", login).await.assert_ok();
    }

    async fn the_old_password_is_asked_for_however_fresh_the_session(server: TestServer) {
        let tokens = register(&server, "gaurav").await;
        for (old, made) in [(None, 0), (Some(json!(null)), 0), (Some(json!("")), 0), (Some(json!(NEW)), 1)] {
            let mut body = json!({"new_password": NEW});
            if let Some(old) = old {
                body["old_password"] = old;
            }
            let before = server.services.hasher.made();
            let answer = post_as(&server, &tokens, PATH, body).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/old_password/0").is_string(), "{}", answer.text);
            assert_eq!(server.services.hasher.made() - before, made);
        }
        let answer = post_as(&server, &tokens, PATH, json!({"new_password": "12345"})).await;
        answer.assert_error(422, "validation_failed");
        let fields = answer.at("/error/fields");
        assert_eq!(fields.as_object().unwrap().keys().collect::<Vec<_>>(), ["new_password", "old_password"]);
        let login = json!({"username": "gaurav", "password": PASSWORD});
        server.post("/api/auth/login", login).await.assert_ok();
    }

    async fn an_old_password_is_a_text_where_there_is_none_too(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        for old in [json!(7), json!(["a"]), json!({}), json!(true), json!("a\u{0}b")] {
            let answer = post_as(&server, &tokens, PATH, json!({"old_password": old, "new_password": NEW})).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/old_password/0").is_string(), "{}", answer.text);
        }
        for (old, new) in [(json!(""), NEW), (Value::Null, "amber-lantern-evening-38")] {
            server.advance(60);
            let tokens = server.sign_in(PHONE).await;
            server.execute("UPDATE accounts SET password_hash = NULL").await;
            post_as(&server, &tokens, PATH, json!({"old_password": old, "new_password": new})).await.assert_ok();
        }
    }

    async fn a_new_password_keeps_the_rules(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        for (password, sentence) in [
            (json!("password"), "too common"),
            (json!("kumar-gaurav"), "too much like"),
            (json!(PHONE), "too much like"),
            (json!("short"), "at least 8"),
            (json!("x".repeat(129)), "at most 128"),
            (json!("correct\u{0}horse"), "Control"),
            (json!(null), "null"),
        ] {
            let answer = post_as(&server, &tokens, PATH, json!({"new_password": password})).await;
            answer.assert_error(422, "validation_failed");
            let sentences = answer.at("/error/fields/new_password").to_string();
            assert!(sentences.contains(sentence), "{sentences}");
        }
        let answer = post_as(&server, &tokens, PATH, json!({})).await;
        answer.assert_error(422, "validation_failed");
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE password_hash IS NOT NULL").await, 0);
    }

    async fn a_first_password_needs_a_fresh_proof(server: TestServer) {
        let other = server.sign_in(PHONE).await;
        let tokens = sign_in_from(&server, PHONE, "Device").await;
        server.advance(601);
        let answer = post_as(&server, &tokens, PATH, json!({"new_password": NEW})).await;
        answer.assert_error(403, "reauthentication_required");
        confirm_by_code(&server, &tokens, PHONE).await;
        server.advance(600);
        post_as(&server, &tokens, PATH, json!({"new_password": NEW})).await.assert_ok();
        assert!(is_in(&server, &tokens).await);
        assert!(!is_in(&server, &other).await);
        server.post("/api/token/", json!({"username": PHONE, "password": NEW})).await.assert_ok();
        // From now on the old password is required, even if the sign-in is confirmed.
        let answer = post_as(&server, &tokens, PATH, json!({"new_password": PASSWORD})).await;
        answer.assert_error(422, "validation_failed");
    }

    async fn an_old_password_that_is_not_there_proves_nothing(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(601);
        let body = json!({"old_password": NEW, "new_password": NEW});
        post_as(&server, &tokens, PATH, body).await.assert_error(403, "reauthentication_required");
    }

    async fn of_many_changes_at_once_one_is_made(server: TestServer) {
        let tokens = register(&server, "gaurav").await;
        let candidates: Vec<String> = (0..4).map(|number| format!("{NEW}-{number}")).collect();
        let answers = join_all(candidates.iter().map(|new| {
            post_as(&server, &tokens, PATH, json!({"old_password": PASSWORD, "new_password": new}))
        })).await;
        let done: Vec<usize> = (0..4).filter(|index| answers[*index].status == 200).collect();
        assert_eq!(done.len(), 1, "{answers:?}");
        for (index, candidate) in candidates.iter().enumerate() {
            let login = json!({"username": "gaurav", "password": candidate});
            let expected = if done == [index] { 200 } else { 401 };
            assert_eq!(server.post("/api/token/", login).await.status.as_u16(), expected);
        }
    }

    async fn a_stranger_learns_nothing_of_the_body(server: TestServer) {
        server.post(PATH, json!({})).await.assert_error(401, "token_missing");
        assert_eq!(server.post(PATH, Value::Null).await.status.as_u16(), 401);
    }
}
