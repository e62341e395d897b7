//! The steps of the README, with one command and no settings.

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    server::{Folder, SECRETS, Server},
    support::{PHONE, whole_profile},
};

async fn sign_up(server: &Server) -> String {
    let answer = server.signup(PHONE).await.ok();
    assert_eq!(answer.text("/message"), "OTP sent successfully to your phone number");
    assert_eq!(answer.body["data"]["phone_number"], json!(PHONE));
    let code = server.code_for(PHONE).await;
    assert_eq!(code.len(), 4);
    let answer = server.verify_otp(PHONE, &code).await.ok();
    assert_eq!(answer.text("/message"), "OTP verified successfully. Please complete your profile.");
    let token = answer.text("/token");
    let interests = server.get("/api/auth/event-interests").await.ok();
    assert_eq!(interests.body["data"].as_array().map(Vec::len), Some(10));
    let answer = server.post_as(&token, "/api/auth/complete-profile", whole_profile()).await.ok();
    assert_eq!(answer.text("/message"), "Profile completed successfully");
    assert_eq!(answer.body["data"]["event_interests_count"], json!(3));
    token
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_no_settings_at_all_it_starts_and_says_so() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]).await;
    sign_up(&server).await;
    let answer = server.post("/api/auth/login", json!({ "phone_number": PHONE })).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "otp_cooldown"));

    let log = server.log();
    for text in [
        "SECRET_KEY is not set",
        "JWT_SECRET_KEY is not set",
        "test mode",
        "/dev/inbox",
        "/api/docs",
        "listening",
    ] {
        assert!(log.contains(text), "{text} is not in the log:\n{log}");
    }
    assert!(folder.0.join("loopin-auth.sqlite3").exists(), "the database is a file beside it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cooldown_the_whole_walk_is_one() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[("OTP_RESEND_SECONDS", "0")]).await;
    let first = sign_up(&server).await;
    let answer = server.signup(PHONE).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "user_already_exists"));
    server.post("/api/auth/login", json!({ "phone_number": PHONE })).await.ok();
    let code = server.code_for(PHONE).await;
    let body = json!({ "phone_number": PHONE, "otp_code": code });
    let answer = server.post("/api/auth/verify-login", body).await.ok();
    assert_eq!(answer.text("/message"), "Login successful");
    assert_eq!(answer.text("/data/name"), "Gaurav Kumar");
    let token = answer.text("/token");
    let profile = server.get_as(&token, "/api/auth/profile/").await.ok();
    assert_eq!(profile.text("/name"), "Gaurav Kumar");
    assert_eq!(profile.text("/birth_date"), "1995-01-01");
    let answer = server.post_as(&token, "/api/auth/logout", json!({})).await.ok();
    assert_eq!(answer.text("/message"), "Logged out successfully");
    let answer = server.get_as(&token, "/api/auth/profile").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "token_revoked"));
    server.get_as(&first, "/api/auth/profile").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_come_from_a_file_too_and_the_environment_wins() {
    let folder = Folder::new();
    let [(_, secret), (_, jwt)] = SECRETS;
    folder.write(
        ".env",
        &format!("# a comment\nSECRET_KEY=\"{secret}\"\nJWT_SECRET_KEY='{jwt}'\nOTP_LENGTH=8\nPRODUCT_NAME=Elsewhere\n"),
    );
    let server = Server::start(&folder, &[("OTP_LENGTH", "6")]).await;
    server.signup(PHONE).await.ok();
    assert_eq!(server.code_for(PHONE).await.len(), 6);
    let inbox = server.get("/dev/inbox.json").await;
    assert!(inbox.text("/messages/0/body").starts_with("Your Elsewhere verification code is: "));
    assert!(!server.log().contains("SECRET_KEY is not set"));
}
