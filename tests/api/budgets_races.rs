//! Budgets under concurrent requests for the same rows, on one server and on two.
//!
//! The tests count not only answers, but also rows of the database and entries of the audit log.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use poem::http::StatusCode;

use crate::{
    budgets::{phone, row, stranger},
    on_both,
    support::{Answer, PHONE, TestServer},
};

/// The number of answers by error code; `ok` for successes.
fn tally(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        let code = match answer.status {
            StatusCode::OK => "ok".to_owned(),
            _ => answer.text_at("/error/code"),
        };
        *tally.entry(code).or_insert(0) += 1;
    }
    tally
}

/// This many servers on the same database.
async fn servers(server: &TestServer, how_many: usize) -> Vec<TestServer> {
    let mut servers = vec![server.clone()];
    for _ in 1..how_many {
        servers.push(server.second_server(&[]).await);
    }
    servers
}

/// The number of charges in a row.
async fn charges(server: &TestServer, key: &str) -> i64 {
    server
        .count(&format!(
            "SELECT CAST(COALESCE(MAX(LENGTH(log)) / 24, 0) AS BIGINT) FROM budgets WHERE key = '{key}'"
        ))
        .await
}

/// The number of wrong guesses in the audit log of all these servers.
async fn judged(server: &TestServer, servers: &[TestServer]) -> i64 {
    for server in servers {
        server.services.audit.flush().await.expect("the entries are written");
    }
    server.count("SELECT COUNT(*) FROM audit WHERE action = 'wrong_code'").await
}

/// 100 guesses at once from 20 addresses, for one code after the other, on this many servers.
async fn guesses_at_once(server: &TestServer, how_many: usize) {
    let servers = servers(server, how_many).await;
    let mut wrong = 0;
    for round in 1..=12_usize {
        server.advance(3600);
        let sent = stranger(server, 1000 + round).signup(PHONE).await;
        if round <= 10 {
            sent.assert_ok();
        } else {
            sent.assert_error(429, "phone_locked");
        }
        let code = server.wrong_code_for(PHONE);
        let guesses = (0..100).map(|number| {
            let server = stranger(&servers[number % how_many], number % 20);
            let code = code.clone();
            async move { server.verify_otp(PHONE, &code).await }
        });
        let answers = join_all(guesses).await;
        let counted = tally(&answers);
        let now = counted.get("otp_invalid").copied().unwrap_or_default();
        assert!(now <= 3, "{counted:?}");
        let known = ["otp_invalid", "otp_attempts_exhausted", "phone_locked", "rate_limited", "otp_expired"];
        assert!(counted.keys().all(|code| known.contains(&code.as_str())), "{counted:?}");
        wrong += i64::try_from(now).unwrap();
    }
    // Three for each of ten codes: no guess is lost either.
    assert_eq!(wrong, 30);
    assert_eq!(judged(server, &servers).await, 30);
    assert_eq!(charges(server, &row(server, PHONE, "guesses")).await, 30);
    let attempts = "SELECT COUNT(*) FROM challenges WHERE attempts > 3";
    assert_eq!(server.count(attempts).await, 0);
}

/// 40 guesses at once from one address, for one code after the other: ten are compared, then none.
async fn guesses_of_one_address(server: &TestServer, how_many: usize) {
    let servers = servers(server, how_many).await;
    for round in 0..5_usize {
        server.advance(900);
        stranger(server, 1000 + round).signup(PHONE).await.assert_ok();
        let code = server.wrong_code_for(PHONE);
        let guesses = (0..40).map(|number| {
            let server = servers[number % how_many].from("203.0.113.7");
            let code = code.clone();
            async move { server.verify_otp(PHONE, &code).await }
        });
        let counted = tally(&join_all(guesses).await);
        let expected = [3, 3, 3, 1, 0][round];
        assert_eq!(counted.get("otp_invalid").copied().unwrap_or_default(), expected, "{counted:?}");
    }
    assert_eq!(judged(server, &servers).await, 10);
    assert_eq!(charges(server, &row(server, PHONE, "guesses/203.0.113.7")).await, 10);
}

/// 50 requests for a code at once from 50 addresses, without a cooldown: five are sent.
async fn sends_at_once(server: &TestServer, how_many: usize) {
    let server = server.second_server(&[("OTP_RESEND_SECONDS", "0")]).await;
    let servers = servers(&server, how_many).await;
    let requests = (0..50).map(|number| {
        let server = stranger(&servers[number % how_many], number);
        async move { server.signup(PHONE).await }
    });
    let answers = join_all(requests).await;
    assert_eq!(tally(&answers), BTreeMap::from([("ok".to_owned(), 5), ("rate_limited".to_owned(), 45)]));
    let sent: usize = servers.iter().map(|server| server.codes_for(PHONE).len()).sum();
    assert_eq!(sent, 5);
    assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 5);
    assert_eq!(charges(&server, &row(&server, PHONE, "sends")).await, 5);
    // Codes that were not sent are not charged.
    let with_charges = format!("key LIKE '{}%' AND log <> ''", row(&server, PHONE, "sends/"));
    assert_eq!(server.count(&format!("SELECT COUNT(*) FROM budgets WHERE {with_charges}")).await, 5);
}

/// 100 requests at once from one address: twenty are counted, the others are refused.
async fn requests_at_once(server: &TestServer, how_many: usize) {
    let servers = servers(server, how_many).await;
    let requests = (0..100).map(|number| {
        let server = servers[number % how_many].from("203.0.113.7");
        async move { server.login(&phone(number)).await }
    });
    let counted = tally(&join_all(requests).await);
    assert_eq!(counted, BTreeMap::from([("rate_limited".to_owned(), 80), ("user_not_found".to_owned(), 20)]));
    assert_eq!(charges(server, "address/203.0.113.7/requests").await, 20);
}

/// Some thousand requests of all kinds at once, for a few phones and addresses.
async fn mixed_load(server: &TestServer, how_many: usize) {
    let server = server.second_server(&[("OTP_RESEND_SECONDS", "0")]).await;
    let servers = servers(&server, how_many).await;
    // Some phones have accounts, so that logins and confirmations happen too.
    for number in 0..2 {
        stranger(&server, 900 + number).sign_in(&phone(number)).await;
    }
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..30_usize {
        let requests = (0..100_usize).map(|number| {
            let server = stranger(&servers[number % how_many], (number / 7 + round) % 10);
            let phone = phone(number % 6);
            async move {
                let sent = servers_code(&server, &phone);
                match (number + round) % 5 {
                    0 => server.signup(&phone).await,
                    1 => server.login(&phone).await,
                    2 => server.verify_otp(&phone, "0000").await,
                    3 => server.verify_otp(&phone, &sent).await,
                    _ => server.verify_login(&phone, &sent).await,
                }
            }
        });
        for (code, count) in tally(&join_all(requests).await) {
            *all.entry(code).or_default() += count;
        }
        server.advance(300);
    }
    println!("{all:?}");
    for never in ["internal", "database_unavailable", "timeout", ""] {
        assert_eq!(all.get(never), None, "{all:?}");
    }
    // The rows agree with the events: charges with messages that were sent, and with wrong guesses.
    let sums = [
        (
            "SELECT COUNT(*) FROM messages",
            "SELECT COALESCE(SUM(count), 0) FROM budgets WHERE key LIKE 'prefix/%'",
        ),
        (
            "SELECT COUNT(*) FROM messages",
            "SELECT COALESCE(SUM(count), 0) FROM budgets WHERE key LIKE 'phone/%/sends'",
        ),
        (
            "SELECT COUNT(*) FROM messages",
            "SELECT COALESCE(SUM(count), 0) FROM budgets WHERE key LIKE 'phone/%/sends/%'",
        ),
    ];
    for (happened, counted) in sums {
        let counted = counted.replace("SUM(count)", "CAST(SUM(count) AS BIGINT)");
        assert_eq!(server.count(happened).await, server.count(&counted).await, "{counted}");
    }
    let wrong = judged(&server, &servers).await;
    for rows in ["address/%/guesses", "phone/%/guesses/%"] {
        let counted = format!(
            "SELECT COALESCE(CAST(SUM(LENGTH(log)) AS BIGINT) / 24, 0) FROM budgets WHERE key LIKE '{rows}'"
        );
        assert_eq!(server.count(&counted).await, wrong, "{rows}");
    }
    // No budget is charged above its limit, and no count is negative.
    let most = "SELECT COUNT(*) FROM budgets WHERE count < 0 OR (key LIKE 'phone/%/guesses/%' AND LENGTH(log) > 240)";
    assert_eq!(server.count(most).await, 0);
}

/// The last code that this server sent to the phone; a wrong code if there was none.
fn servers_code(server: &TestServer, phone: &str) -> String {
    server.codes_for(phone).into_iter().next().unwrap_or_else(|| "0000".to_owned())
}

on_both! {
    async fn a_hundred_guesses_at_once_from_twenty_addresses(server: TestServer) {
        guesses_at_once(&server, 1).await;
    }

    async fn a_hundred_guesses_at_once_from_twenty_addresses_on_two_servers(server: TestServer) {
        guesses_at_once(&server, 2).await;
    }

    async fn forty_guesses_at_once_from_one_address(server: TestServer) {
        guesses_of_one_address(&server, 1).await;
    }

    async fn forty_guesses_at_once_from_one_address_on_two_servers(server: TestServer) {
        guesses_of_one_address(&server, 2).await;
    }

    async fn fifty_sends_at_once_are_five(server: TestServer) {
        sends_at_once(&server, 1).await;
    }

    async fn fifty_sends_at_once_on_two_servers_are_five(server: TestServer) {
        sends_at_once(&server, 2).await;
    }

    async fn a_hundred_requests_at_once_are_twenty(server: TestServer) {
        requests_at_once(&server, 1).await;
    }

    async fn a_hundred_requests_at_once_on_two_servers_are_twenty(server: TestServer) {
        requests_at_once(&server, 2).await;
    }

    async fn a_mixed_load_ends_with_the_right_sums(server: TestServer) {
        mixed_load(&server, 1).await;
    }

    async fn a_mixed_load_on_two_servers_ends_with_the_right_sums(server: TestServer) {
        mixed_load(&server, 2).await;
    }
}
