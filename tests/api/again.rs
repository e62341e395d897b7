//! Helpers for the tests of sessions.

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestServer, Tokens};

/// A password that the rules accept.
pub const PASSWORD: &str = "purple-kettle-morning-71";

/// Signs in by phone once more, as a device of this name.
pub async fn sign_in_from(server: &TestServer, phone: &str, device: &str) -> Tokens {
    server.advance(30);
    // With an unfinished profile, signing up again signs in.
    server.signup(phone).await.assert_ok();
    let body = json!({ "phone_number": phone, "otp_code": server.last_code_for(phone) });
    let headers = [("content-type", "application/json"), ("x-device-name", device)];
    let answer = server.send(Method::POST, "/api/auth/verify-otp", &headers, Some(body.to_string())).await;
    tokens_of(&answer)
}

/// The tokens of a phone sign-in.
#[track_caller]
pub fn tokens_of(answer: &Answer) -> Tokens {
    answer.assert_ok();
    Tokens {
        access: answer.text_at("/token"),
        refresh: answer.text_at("/data/refresh_token"),
        user_id: answer.text_at("/data/user_id"),
    }
}

/// Makes an account with a password and no phone.
pub async fn register(server: &TestServer, username: &str) -> Tokens {
    let body = json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": PASSWORD,
    });
    let answer = server.post("/api/auth/register", body).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
    password_tokens(&answer)
}

/// The tokens of a sign-in by password.
pub fn password_tokens(answer: &Answer) -> Tokens {
    let access = answer.text_at("/access");
    let user_id = crate::forge::claim(&access, "user_id");
    Tokens { access, refresh: answer.text_at("/refresh"), user_id }
}

/// Posts as a signed-in user.
pub async fn post_as(server: &TestServer, tokens: &Tokens, path: &str, body: Value) -> Answer {
    server.send_as(&tokens.access, Method::POST, path, body).await
}

/// Posts without a body, as a signed-in user.
pub async fn post_empty_as(server: &TestServer, tokens: &Tokens, path: &str) -> Answer {
    let bearer = format!("Bearer {}", tokens.access);
    server.send(Method::POST, path, &[("authorization", &bearer)], None).await
}

/// Confirms the sign-in by a code.
pub async fn confirm_by_code(server: &TestServer, tokens: &Tokens, phone: &str) {
    post_empty_as(server, tokens, "/api/auth/confirm-code").await.assert_ok();
    let code = server.last_code_for(phone);
    post_as(server, tokens, "/api/auth/confirm", json!({ "otp_code": code })).await.assert_ok();
}

/// Checks that the access token is accepted.
pub async fn assert_goes_on(server: &TestServer, tokens: &Tokens) {
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
}

/// Checks that the session has ended: both tokens are refused.
pub async fn assert_over(server: &TestServer, tokens: &Tokens) {
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
    server.refresh(&tokens.refresh).await.assert_error(401, "token_revoked");
}
