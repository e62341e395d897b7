//! `POST /api/auth/logout`

use jsonwebtoken::Algorithm;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge::{claims, signed_by, unsigned},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens},
};

const PATH: &str = "/api/auth/logout";

async fn with_bearer(server: &TestServer, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    server.send(Method::POST, PATH, &[("authorization", &bearer)], None).await
}

async fn with_refresh(server: &TestServer, token: &str) -> Answer {
    server.post(PATH, json!({ "refresh": token })).await
}

#[track_caller]
fn assert_logged_out(answer: &Answer) {
    answer.assert_ok();
    assert_eq!(answer.at("/success"), json!(true));
    assert_eq!(answer.at("/message"), json!("Logged out successfully"));
    assert_eq!(answer.json().get("token"), Some(&Value::Null));
}

async fn assert_ended(server: &TestServer, tokens: &Tokens) {
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
    server.refresh(&tokens.refresh).await.assert_error(401, "token_revoked");
}

async fn assert_goes_on(server: &TestServer, tokens: &Tokens) {
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
    server.refresh(&tokens.refresh).await.assert_ok();
}

on_both! {
    async fn an_access_token_ends_its_session(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        assert_logged_out(&with_bearer(&server, &tokens.access).await);
        assert_ended(&server, &tokens).await;
    }

    async fn a_refresh_token_ends_its_session(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        assert_logged_out(&with_refresh(&server, &tokens.refresh).await);
        assert_ended(&server, &tokens).await;
    }

    async fn an_expired_access_token_ends_its_session(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(31 * 60);
        server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_expired");
        assert_logged_out(&with_bearer(&server, &tokens.access).await);
        server.refresh(&tokens.refresh).await.assert_error(401, "token_revoked");
    }

    async fn an_expired_refresh_token_ends_its_session(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(6 * 24 * 60 * 60);
        let newer = server.refresh(&tokens.refresh).await;
        server.advance(2 * 24 * 60 * 60);
        server.refresh(&tokens.refresh).await.assert_error(401, "token_expired");
        assert_logged_out(&with_refresh(&server, &tokens.refresh).await);
        server.refresh(&newer.text_at("/refresh")).await.assert_error(401, "token_revoked");
    }

    async fn both_tokens_end_both_their_sessions(server: TestServer) {
        let mine = server.sign_in(PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        let body = json!({"refresh": other.refresh});
        assert_logged_out(&server.send_as(&mine.access, Method::POST, PATH, body).await);
        assert_ended(&server, &mine).await;
        assert_ended(&server, &other).await;
    }

    async fn other_sessions_of_the_same_person_go_on(server: TestServer) {
        let phone = server.sign_in(PHONE).await;
        server.advance(31);
        let tablet = server.sign_in(PHONE).await;
        assert_logged_out(&with_bearer(&server, &phone.access).await);
        assert_ended(&server, &phone).await;
        assert_goes_on(&server, &tablet).await;
    }

    async fn nothing_needs_to_be_sent(server: TestServer) {
        assert_logged_out(&server.send(Method::POST, PATH, &[], None).await);
        assert_logged_out(&server.send(Method::POST, "/api/auth/logout/", &[], None).await);
        let typed = [("content-type", "application/json")];
        assert_logged_out(&server.send(Method::POST, PATH, &typed, None).await);
        assert_logged_out(&server.post(PATH, json!({})).await);
        assert_logged_out(&server.post(PATH, json!({"refresh": null})).await);
    }

    async fn any_token_is_good_enough_to_be_gone(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let strangers = [
            "not a token".to_owned(),
            "a.b.c".to_owned(),
            "a".repeat(7000),
            unsigned("none", &claims(&tokens.access)),
            signed_by("another secret of at least 32 bytes!", Algorithm::HS256, &claims(&tokens.access)),
            signed_by(server.setting("JWT_SECRET_KEY"), Algorithm::HS384, &claims(&tokens.access)),
        ];
        for token in strangers {
            assert_logged_out(&with_bearer(&server, &token).await);
            assert_logged_out(&with_refresh(&server, &token).await);
        }
        for header in ["Basic dTpw", "Bearer", "Bearer ", "nonsense", ""] {
            assert_logged_out(&server.send(Method::POST, PATH, &[("authorization", header)], None).await);
        }
        // A session cannot be ended without a token that this server signed.
        assert_goes_on(&server, &tokens).await;
    }

    async fn a_second_time_changes_nothing(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        assert_logged_out(&with_bearer(&server, &tokens.access).await);
        let ended = format!("SELECT COUNT(*) FROM sessions WHERE ended_at <= '{}'", server.now().to_rfc3339());
        server.advance(60);
        assert_logged_out(&with_bearer(&server, &tokens.access).await);
        assert_eq!(server.count(&ended).await, 1, "the first end stands");
    }

    async fn a_disabled_account_can_log_out(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.disable(PHONE).await;
        assert_logged_out(&with_bearer(&server, &tokens.access).await);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 0);
    }

    async fn a_body_that_is_there_must_be_right(server: TestServer) {
        server.post_text(PATH, "{").await.assert_error(400, "malformed_request");
        server.post_text(PATH, "[]").await.assert_error(400, "malformed_request");
        for body in [json!({"refresh": 7}), json!({"refresh": {}}), json!({"refresh": "a\u{0}"})] {
            let answer = server.post(PATH, body).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/refresh").is_array(), "{}", answer.text);
        }
        for headers in [&[][..], &[("content-type", "text/plain")]] {
            server.send(Method::POST, PATH, headers, Some("{}".to_owned())).await
                .assert_error(415, "unsupported_media_type");
        }
    }

    async fn without_the_database_nobody_is_told_that_the_session_has_ended(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.services.store.close().await;
        with_bearer(&server, &tokens.access).await.assert_error(503, "database_unavailable");
    }
}
