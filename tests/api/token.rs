//! `POST /api/token/` and `POST /api/token/refresh/`: SimpleJWT's two routes.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, password_tokens, register},
    forge::claim,
    on_both,
};

on_both! {
    async fn a_name_and_a_password_are_a_pair_of_tokens(server: TestServer) {
        let registered = register(&server, "admin").await;
        for username in ["admin", "ADMIN", " admin ", "admin@example.com", "Admin@Example.COM"] {
            let answer = server.post("/api/token/", json!({"username": username, "password": PASSWORD})).await;
            let members: Vec<String> = answer.assert_ok().json().as_object().unwrap().keys().cloned().collect();
            assert_eq!(members, ["refresh", "access"]);
            let tokens = password_tokens(&answer);
            assert_eq!(tokens.user_id, registered.user_id);
            for (token, kind) in [(&tokens.access, "access"), (&tokens.refresh, "refresh")] {
                assert_eq!(claim(token, "token_type"), kind);
                assert_eq!(claim(token, "user_id"), registered.user_id);
            }
        }
    }

    async fn a_refresh_token_is_the_next_pair(server: TestServer) {
        let tokens = register(&server, "admin").await;
        let answer = server.post("/api/token/refresh/", json!({"refresh": tokens.refresh})).await;
        let next = password_tokens(answer.assert_ok());
        assert_ne!(next.refresh, tokens.refresh);
        assert_eq!(answer.json().as_object().unwrap().len(), 2);
        let answer = server.post("/api/auth/refresh", json!({"refresh": next.refresh})).await;
        answer.assert_ok();
        // It is the same session: a retired token ends it at either route.
        let answer = server.post("/api/token/refresh", json!({"refresh": tokens.refresh})).await;
        answer.assert_error(401, "token_revoked");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        server.post("/api/token/refresh/", json!({})).await.assert_error(422, "validation_failed");
    }

    async fn what_is_missing_or_odd_is_named(server: TestServer) {
        let before = server.services.hasher.made();
        for (body, fields) in [
            (json!({}), vec!["password", "username"]),
            (json!({"username": "admin"}), vec!["password"]),
            (json!({"username": "", "password": ""}), vec!["password", "username"]),
            (json!({"username": 7, "password": [PASSWORD]}), vec!["password", "username"]),
            (json!({"username": "a\u{0}", "password": "b\u{7}"}), vec!["password", "username"]),
            (json!({"username": Value::Null, "password": Value::Null}), vec!["password", "username"]),
        ] {
            let answer = server.post("/api/token/", body).await;
            answer.assert_error(422, "validation_failed");
            let named = answer.at("/error/fields");
            assert_eq!(named.as_object().unwrap().keys().collect::<Vec<_>>(), fields);
        }
        server.post_text("/api/token/", "[]").await.assert_error(400, "malformed_request");
        let answer = server.send(Method::POST, "/api/token/", &[], Some("username=a".to_owned())).await;
        answer.assert_error(415, "unsupported_media_type");
        server.get("/api/token/").await.assert_error(405, "method_not_allowed");
        assert_eq!(server.services.hasher.made(), before);
    }
}
