//! The gate of the routes that need a signed-in user: which tokens it accepts, and its errors.

use jsonwebtoken::Algorithm;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge::{altered, claims, signed, signed_by, unsigned, with},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, whole_profile},
};

const GATED: [(Method, &str); 3] = [
    (Method::GET, "/api/auth/profile"),
    (Method::PUT, "/api/auth/profile"),
    (Method::POST, "/api/auth/complete-profile"),
];

/// Sends this `Authorization` to every gated operation, with a valid body.
async fn request_with(server: &TestServer, authorization: Option<&str>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (method, path) in GATED {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.map(|value| ("authorization", value)));
        let body = (method != Method::GET).then(|| whole_profile().to_string());
        answers.push(server.send(method, path, &headers, body).await);
    }
    answers
}

async fn request_with_token(server: &TestServer, token: &str) -> Vec<Answer> {
    request_with(server, Some(&format!("Bearer {token}"))).await
}

#[track_caller]
fn assert_refused(answers: &[Answer], code: &str, why: &str) {
    let challenge = if code == "token_missing" { "Bearer" } else { "Bearer error=\"invalid_token\"" };
    for answer in answers {
        assert_eq!(answer.text_at("/error/code"), code, "{why}: {}", answer.text);
        answer.assert_error(401, code);
        assert_eq!(answer.header("www-authenticate"), Some(challenge), "{why}");
    }
}

#[track_caller]
fn assert_let_in(answers: &[Answer]) {
    for answer in answers {
        answer.assert_ok();
    }
}

on_both! {
    async fn nobody_comes_in_without_a_token(server: TestServer) {
        for authorization in [None, Some(""), Some("Bearer"), Some("Basic dTpw"), Some("nonsense"), Some("BearerX y")] {
            assert_refused(&request_with(&server, authorization).await, "token_missing", authorization.unwrap_or("none"));
        }
    }

    async fn the_scheme_is_read_in_any_letter_case(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for scheme in ["Bearer", "bearer", "BEARER"] {
            assert_let_in(&request_with(&server, Some(&format!("{scheme} {token}"))).await);
        }
    }

    async fn a_token_that_is_not_ours_is_invalid(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let good = claims(&tokens.access);
        let secret = server.setting("JWT_SECRET_KEY");
        let changed = |changes: Value| signed(&server, &with(good.clone(), changes));
        for (why, token) in [
            ("no token", "nonsense".to_owned()),
            ("three parts of nothing", "a.b.c".to_owned()),
            ("signed by nobody", unsigned("none", &good)),
            ("signed by Nobody", unsigned("None", &good)),
            ("said to be ours, and not signed", unsigned("HS256", &good)),
            ("of another algorithm, 384", signed_by(secret, Algorithm::HS384, &good)),
            ("of another algorithm, 512", signed_by(secret, Algorithm::HS512, &good)),
            ("of another secret", signed_by("another secret of at least 32 bytes!", Algorithm::HS256, &good)),
            ("of no secret", signed_by("", Algorithm::HS256, &good)),
            ("of the other secret of the server", signed_by(server.setting("SECRET_KEY"), Algorithm::HS256, &good)),
            ("a refresh token", tokens.refresh.clone()),
            ("of no kind", changed(json!({"token_type": null}))),
            ("of a strange kind", changed(json!({"token_type": "id"}))),
            ("endless", changed(json!({"exp": null}))),
            ("with an end that is a text", changed(json!({"exp": "4000000000"}))),
            ("without a session", changed(json!({"sid": null}))),
            ("without a user", changed(json!({"user_id": null}))),
            ("with another user written in", altered(&tokens.access, &with(good.clone(), json!({"role": "admin"})))),
            ("cut off", tokens.access[..tokens.access.len() - 1].to_owned()),
            ("huge", "a".repeat(10_000)),
            ("huge and well formed", changed(json!({"email": "a".repeat(10_000)}))),
        ] {
            assert_refused(&request_with_token(&server, &token).await, "token_invalid", why);
        }
        assert_let_in(&request_with_token(&server, &tokens.access).await);
    }

    async fn the_refusal_does_not_repeat_the_token(server: TestServer) {
        for answer in request_with_token(&server, "a-secret-that-is-no-token").await {
            assert!(!answer.text.contains("a-secret"), "{}", answer.text);
            assert!(answer.headers.values().all(|value| !value.to_str().unwrap_or("").contains("a-secret")));
        }
    }

    async fn a_token_lives_for_thirty_minutes(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        server.advance(30 * 60 - 1);
        assert_let_in(&request_with_token(&server, &token).await);
        server.advance(1);
        assert_refused(&request_with_token(&server, &token).await, "token_expired", "its last second is over");
    }

    async fn the_life_is_a_setting(server: TestServer) {
        let server = server.second_server(&[("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "1")]).await;
        let token = server.sign_in(PHONE).await.access;
        server.advance(59);
        assert_let_in(&request_with_token(&server, &token).await);
        server.advance(1);
        assert_refused(&request_with_token(&server, &token).await, "token_expired", "a minute");
    }

    async fn a_token_that_disagrees_with_its_session_is_revoked(server: TestServer) {
        let mine = server.sign_in(PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        let good = claims(&mine.access);
        for (why, changes) in [
            ("another role", json!({"role": "admin"})),
            ("staff", json!({"role": "staff"})),
            ("no role", json!({"role": null})),
            ("another user", json!({"user_id": other.user_id})),
            ("another's session", json!({"sid": claims(&other.access)["sid"]})),
            ("no such session", json!({"sid": "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11"})),
        ] {
            let token = signed(&server, &with(good.clone(), changes));
            assert_refused(&request_with_token(&server, &token).await, "token_revoked", why);
        }
        server.execute("UPDATE sessions SET ended_at = created_at").await;
        assert_refused(&request_with_token(&server, &mine.access).await, "token_revoked", "ended");
    }

    async fn a_disabled_account_is_outside_at_once(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        let other_server = server.second_server(&[]).await;
        assert_let_in(&request_with_token(&other_server, &token).await);
        server.disable(PHONE).await;
        for server in [&server, &other_server] {
            assert_refused(&request_with_token(server, &token).await, "token_revoked", "disabled");
        }
    }

    async fn issuer_and_audience_are_checked_where_they_are_configured(server: TestServer) {
        let named = [("JWT_ISSUER", "https://auth.example.com"), ("JWT_AUDIENCE", "loopin")];
        let server = server.second_server(&named).await;
        let tokens = server.sign_in(PHONE).await;
        for token in [&tokens.access, &tokens.refresh] {
            assert_eq!(claims(token)["iss"], json!("https://auth.example.com"));
            assert_eq!(claims(token)["aud"], json!("loopin"));
        }
        assert_let_in(&request_with_token(&server, &tokens.access).await);
        server.refresh(&tokens.refresh).await.assert_ok();
        for changes in [
            json!({"iss": "https://auth.example.org"}),
            json!({"iss": null}),
            json!({"aud": "another"}),
            json!({"aud": null}),
        ] {
            let token = signed(&server, &with(claims(&tokens.access), changes.clone()));
            assert_refused(&request_with_token(&server, &token).await, "token_invalid", &changes.to_string());
            let token = signed(&server, &with(claims(&tokens.refresh), changes));
            server.refresh(&token).await.assert_error(401, "token_invalid");
        }
    }

    async fn a_stranger_learns_nothing_of_the_faults_of_his_body(server: TestServer) {
        let ended = server.sign_in(PHONE).await.access;
        server.execute("UPDATE sessions SET ended_at = created_at").await;
        let bodies = [
            ("application/json", "{"), ("application/json", ""), ("application/json", "[]"),
            ("application/json", r#"{"name": 7, "gender": "\ud800"}"#),
            ("application/json", r#"{"name": 7, "gender": 8}"#),
            ("text/plain", "hello"), ("", "{}"),
        ];
        for (content_type, body) in bodies {
            for (method, path) in GATED.into_iter().filter(|(method, _)| method != Method::GET) {
                for (authorization, code) in [
                    ("", "token_missing"), ("Bearer nonsense", "token_invalid"),
                    (&format!("Bearer {ended}"), "token_revoked"),
                ] {
                    let given = [("content-type", content_type), ("authorization", authorization)];
                    let headers: Vec<_> = given.into_iter().filter(|(_, value)| !value.is_empty()).collect();
                    let answer = server.send(method.clone(), path, &headers, Some(body.to_owned())).await;
                    answer.assert_error(401, code);
                }
            }
        }
    }

    async fn a_gate_that_cannot_ask_the_database_neither_opens_nor_blames_the_token(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        server.services.store.close().await;
        for answer in request_with_token(&server, &token).await {
            answer.assert_error(503, "database_unavailable");
            assert!(answer.header("retry-after").is_some());
            assert!(answer.header("www-authenticate").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_opens_again_when_the_database_is_back() {
    let settings = [("DATABASE_MAX_CONNECTIONS", "1")];
    let Some((server, proxy)) = TestServer::behind_proxy(&settings).await else { return };
    let token = server.sign_in(PHONE).await.access;
    proxy.go_away().await;
    for answer in request_with_token(&server, &token).await {
        answer.assert_error(503, "database_unavailable");
    }
    proxy.come_back();
    assert_let_in(&request_with_token(&server, &token).await);
    // After an unnoticed restart of the database, the first request that only reads is still served.
    proxy.cut().await;
    server.get_as(&token, "/api/auth/profile").await.assert_ok();
}
