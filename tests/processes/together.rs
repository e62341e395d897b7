//! Two processes on one PostgreSQL are one service.

use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::{
    server::{Folder, SECRETS, Server},
    support::{OTHER_PHONE, PHONE, pgbouncer::PgBouncer, postgres, wrong},
};

async fn two_on(url: &str, folder: &Folder) -> [Server; 2] {
    let settings = [SECRETS.as_slice(), &[("DATABASE_URL", url)]].concat();
    let mut one = Server::begin(folder, &settings);
    let mut other = Server::begin(folder, &settings);
    tokio::join!(one.ready(), other.ready());
    [one, other]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_wrong_guesses_at_both_are_three() {
    if !postgres::is_there() {
        return;
    }
    let folder = Folder::new();
    let servers = two_on(&postgres::new_database().await, &folder).await;
    servers[0].signup(PHONE).await.ok();
    let wrong = wrong(&servers[0].code_for(PHONE).await);
    let answers = join_all((0..200).map(|number| servers[number % 2].verify_otp(PHONE, &wrong))).await;
    let count = |code: &str| answers.iter().filter(|answer| answer.code() == code).count();
    assert_eq!((count("otp_invalid"), count("otp_attempts_exhausted")), (3, 197));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_right_answers_at_both_are_one_token_and_one_account() {
    if !postgres::is_there() {
        return;
    }
    let folder = Folder::new();
    let url = postgres::new_database().await;
    let servers = two_on(&url, &folder).await;
    servers[1].signup(PHONE).await.ok();
    let code = servers[1].code_for(PHONE).await;
    let answers = join_all((0..50).map(|number| servers[number % 2].verify_otp(PHONE, &code))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!(won.len(), 1);
    for answer in lost {
        let code = answer.code();
        assert!(["otp_not_found", "otp_attempts_exhausted"].contains(&code.as_str()), "{}", answer.body);
    }
    // The token is valid at the other server too.
    let token = won[0].text("/token");
    for server in &servers {
        server.get_as(&token, "/api/auth/profile").await.ok();
    }
    assert_eq!(crate::crashes::count(&url, "SELECT COUNT(*) FROM accounts").await, 1);
    assert_eq!(crate::crashes::count(&url, "SELECT COUNT(*) FROM sessions").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_start_at_once_on_an_empty_database() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    crate::crashes::execute(&url, "DROP SCHEMA public CASCADE").await;
    crate::crashes::execute(&url, "CREATE SCHEMA public").await;
    let folder = Folder::new();
    let servers = two_on(&url, &folder).await;
    for server in &servers {
        let interests = server.get("/api/auth/event-interests").await.ok();
        assert_eq!(interests.body["data"].as_array().map(Vec::len), Some(10));
    }
    servers[0].signup(PHONE).await.ok();
    let code = servers[0].code_for(PHONE).await;
    servers[1].verify_otp(PHONE, &code).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_start_at_once_on_an_empty_file() {
    let folder = Folder::new();
    let url = format!("sqlite://{}", folder.0.join("shared.sqlite3").display());
    let servers = two_on(&url, &folder).await;
    servers[0].signup(PHONE).await.ok();
    let code = servers[0].code_for(PHONE).await;
    servers[1].verify_otp(PHONE, &code).await.ok();
}

/// PgBouncer with its defaults except for the mode. No setting of the servers names it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_start_and_start_again_through_pgbouncer_in_transaction_mode() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    let Some(bouncer) = PgBouncer::before(&url, "transaction", "") else { return };
    crate::crashes::execute(&url, "DROP SCHEMA public CASCADE").await;
    crate::crashes::execute(&url, "CREATE SCHEMA public").await;
    let url = bouncer.url(&url);
    for phone in [PHONE, OTHER_PHONE] {
        let folder = Folder::new();
        let servers = two_on(&url, &folder).await;
        servers[0].signup(phone).await.ok();
        let code = servers[0].code_for(phone).await;
        servers[1].verify_otp(phone, &code).await.ok();
        assert!(servers[0].log().contains("a connection pooler was found"), "{}", servers[0].log());
    }
}
