//! Two processes on one PostgreSQL are one service.

use std::time::Duration;

use futures_util::future::join_all;
use migration::{Migrator, MigratorTrait};
use reqwest::StatusCode;

use crate::{
    server::{Folder, SECRETS, Server},
    support::{OTHER_PHONE, PHONE, pgbouncer::PgBouncer, postgres, wrong},
};

/// So many servers, started at once.
async fn start<const N: usize>(url: &str, folder: &Folder) -> [Server; N] {
    let settings = [SECRETS.as_slice(), &[("DATABASE_URL", url)]].concat();
    let mut servers = std::array::from_fn(|_| Server::begin(folder, &settings));
    join_all(servers.iter_mut().map(Server::ready)).await;
    servers
}

async fn two_on(url: &str, folder: &Folder) -> [Server; 2] {
    start(url, folder).await
}

async fn empty_database() -> String {
    let url = postgres::new_database().await;
    crate::crashes::execute(&url, "DROP SCHEMA public CASCADE").await;
    crate::crashes::execute(&url, "CREATE SCHEMA public").await;
    url
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
async fn ten_start_at_once_on_an_empty_database() {
    if !postgres::is_there() {
        return;
    }
    let (url, folder) = (empty_database().await, Folder::new());
    let servers: [Server; 10] = start(&url, &folder).await;
    for server in &servers {
        let interests = server.get("/api/auth/event-interests").await.ok();
        assert_eq!(interests.body["data"].as_array().map(Vec::len), Some(10));
        assert!(!server.log().contains("asked again"), "{}", server.log());
    }
    let steps = i64::try_from(Migrator::migrations().len()).unwrap();
    assert_eq!(crate::crashes::count(&url, "SELECT COUNT(*) FROM seaql_migrations").await, steps);
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
    let url = empty_database().await;
    let Some(bouncer) = PgBouncer::before(&url, "transaction", "") else { return };
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

/// The first look of a server at its periodic work is at its start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_would_have_removed_another_one_does() {
    if !postgres::is_there() {
        return;
    }
    let (url, folder) = (postgres::new_database().await, Folder::new());
    let held = "SELECT COUNT(*) FROM leases WHERE name = 'purge' AND held_until > now()";
    let [mut first] = start(&url, &folder).await;
    until(async || crate::crashes::count(&url, held).await == 1).await;
    first.kill();
    crate::crashes::execute(
        &url,
        "INSERT INTO budgets (key, ends_at) VALUES ('day/2020-01-01', '2020-01-02')",
    )
    .await;
    let left = async || crate::crashes::count(&url, "SELECT COUNT(*) FROM budgets").await;
    let [_second] = start(&url, &folder).await;
    assert_eq!(left().await, 1, "the lease of the killed server is not over");
    crate::crashes::execute(&url, "UPDATE leases SET held_until = now()").await;
    let [_third] = start(&url, &folder).await;
    until(async || left().await == 0).await;
}

async fn until(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it is so within a minute");
}
