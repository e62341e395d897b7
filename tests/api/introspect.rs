//! `POST /api/auth/introspect` (RFC 7662)

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    admin_blocks::{admin, block},
    again::{post_empty_as, register},
    forge::claim,
    on_both,
    roles::{ADMIN, sign_in_with_role},
    support::{OTHER_PHONE, PHONE, TestServer, service::Service},
};

const PATH: &str = "/api/auth/introspect";

async fn is_active(service: &Service, server: &TestServer, token: &str) -> bool {
    let answer = service.introspect(server, token).await;
    answer.assert_ok();
    if answer.at("/active") == json!(true) {
        return true;
    }
    // Nothing else is said about a token that is not live.
    assert_eq!(answer.json(), json!({ "active": false }));
    false
}

async fn with_body(
    server: &TestServer,
    service: &Service,
    content_type: &str,
    body: &str,
) -> crate::support::Answer {
    let bearer = format!("Bearer {}", service.key);
    let headers = [("authorization", bearer.as_str()), ("content-type", content_type)];
    server.send(Method::POST, PATH, &headers, Some(body.to_owned())).await
}

on_both! {
    async fn a_live_token_is_described(server: TestServer) {
        let gateway = Service::new(&server, "gateway").await;
        let plain = server;
        let server = plain.second_server(&[("JWT_ISSUER", "https://auth.example.com"), ("JWT_AUDIENCE", "loopin")]).await;
        let tokens = register(&server, "asha").await;
        let access = gateway.introspect(&server, &tokens.access).await;
        access.assert_ok();
        assert_eq!(access.header("cache-control"), Some("no-store"));
        let now = server.now().timestamp();
        assert_eq!(access.json(), json!({
            "active": true, "token_type": "access", "sub": tokens.user_id, "sid": claim(&tokens.access, "sid"),
            "jti": claim(&tokens.access, "jti"), "iat": now, "exp": now + 1800, "role": "user", "username": "asha",
            "iss": "https://auth.example.com", "aud": "loopin",
        }));
        let refresh = gateway.introspect(&server, &tokens.refresh).await;
        assert_eq!(refresh.at("/token_type"), json!("refresh"));
        assert_eq!(refresh.at("/sub"), json!(tokens.user_id));
        assert_eq!(refresh.at("/exp"), json!(now + 7 * 86_400));
        // An account without a name and a server without an issuer leave them out.
        let by_phone = plain.sign_in(PHONE).await;
        let answer = gateway.introspect(&plain, &by_phone.access).await.json();
        for absent in ["username", "iss", "aud", "scope"] {
            assert_eq!(answer.get(absent), None, "{answer}");
        }
    }

    async fn everything_else_is_not_active_and_no_error(server: TestServer) {
        let gateway = Service::new(&server, "gateway").await;
        let tokens = server.sign_in(PHONE).await;
        server.advance(30);
        server.signup(OTHER_PHONE).await.assert_ok();
        let device = server.verify_otp(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await.text_at("/data/device_token");
        server.advance(30);
        let cut = &tokens.access[..tokens.access.len() - 1];
        let of_another = server.second_server(&[("JWT_SECRET_KEY", "another token secret, of 32 bytes or more")]).await;
        let foreign = of_another.sign_in(OTHER_PHONE).await.access;
        for text in ["", " ", "x", "..", "\0", "lak_", &gateway.key, cut, &device, &foreign, &"A".repeat(20_000), "नमस्ते"] {
            assert!(!is_active(&gateway, &server, text).await, "{text}");
        }
        assert!(is_active(&gateway, &server, &tokens.access).await);
        // It was issued a minute ago.
        server.advance(1739);
        assert!(is_active(&gateway, &server, &tokens.access).await);
        server.advance(1);
        assert!(!is_active(&gateway, &server, &tokens.access).await);
        assert!(is_active(&gateway, &server, &tokens.refresh).await);
        server.advance(7 * 86_400);
        assert!(!is_active(&gateway, &server, &tokens.refresh).await);
    }

    async fn an_ended_session_is_told_at_once(server: TestServer) {
        let gateway = Service::new(&server, "gateway").await;
        let both = async |tokens: &crate::support::Tokens| {
            (is_active(&gateway, &server, &tokens.access).await, is_active(&gateway, &server, &tokens.refresh).await)
        };
        let first = server.sign_in(PHONE).await;
        assert_eq!(both(&first).await, (true, true));
        post_empty_as(&server, &first, "/api/auth/logout").await.assert_ok();
        assert_eq!(both(&first).await, (false, false));
        let second = server.sign_in(OTHER_PHONE).await;
        server.disable(OTHER_PHONE).await;
        assert_eq!(both(&second).await, (false, false));
        server.advance(30);
        let third = server.sign_in(PHONE).await;
        let admin = admin(&server).await;
        block(&server, &admin, "phone", PHONE).await;
        assert_eq!(both(&third).await, (false, false));
    }

    async fn a_used_refresh_token_is_not_active_and_ends_nothing(server: TestServer) {
        let gateway = Service::new(&server, "gateway").await;
        let tokens = server.sign_in(PHONE).await;
        let next = server.refresh(&tokens.refresh).await;
        next.assert_ok();
        assert!(!is_active(&gateway, &server, &tokens.refresh).await);
        assert!(is_active(&gateway, &server, &next.text_at("/refresh")).await);
        assert!(is_active(&gateway, &server, &tokens.access).await);
        let after = server.refresh(&next.text_at("/refresh")).await;
        after.assert_ok();
        // Presented to `refresh`, the first one would end the session now.
        assert!(!is_active(&gateway, &server, &tokens.refresh).await);
        server.refresh(&after.text_at("/refresh")).await.assert_ok();
    }

    async fn the_role_is_what_the_session_may_do_now(server: TestServer) {
        let gateway = Service::new(&server, "gateway").await;
        let tokens = sign_in_with_role(&server, ADMIN, "admin").await;
        let role = async |token: &str| gateway.introspect(&server, token).await.at("/role");
        assert_eq!(role(&tokens.access).await, json!("admin"));
        assert_eq!(role(&tokens.refresh).await, json!("admin"));
        server.execute("UPDATE accounts SET role = 'staff'").await;
        assert_eq!(role(&tokens.refresh).await, json!("staff"));
    }

    async fn a_form_and_json_are_taken_and_nothing_else(server: TestServer) {
        let gateway = Service::new(&server, "gateway").await;
        let token = server.sign_in(PHONE).await.access;
        let form = "application/x-www-form-urlencoded";
        for (content_type, body) in [
            (form, format!("token={token}&token_type_hint=access_token")),
            (form, format!("token_type_hint=refresh_token&token={token}")),
            (form, format!("token_type_hint=nonsense&token={token}&token=second")),
            ("application/x-www-form-urlencoded; charset=UTF-8", format!("token={token}")),
            ("application/json", json!({ "token": token, "token_type_hint": "access_token" }).to_string()),
        ] {
            let answer = with_body(&server, &gateway, content_type, &body).await;
            assert_eq!(answer.at("/active"), json!(true), "{content_type} {body}: {}", answer.text);
        }
        for (content_type, body) in [(form, "token_type_hint=access_token"), (form, ""), ("application/json", "{}"), ("application/json", "{\"token\": 7}")] {
            let answer = with_body(&server, &gateway, content_type, body).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields/token") != Value::Null, "{}", answer.text);
        }
        with_body(&server, &gateway, "application/json", "[").await.assert_error(400, "malformed_request");
        with_body(&server, &gateway, "text/plain", &format!("token={token}")).await.assert_error(415, "unsupported_media_type");
        let long = format!("token={}", "a".repeat(70_000));
        with_body(&server, &gateway, form, &long).await.assert_error(413, "payload_too_large");
        // Bytes that are no text are a token that is not active.
        let answer = with_body(&server, &gateway, form, "token=%FF%FE").await;
        assert_eq!(answer.json(), json!({ "active": false }));
    }
}
