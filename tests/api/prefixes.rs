//! Prefixes of numbers whose codes are not entered: every step of closing and opening again.

use futures_util::future::join_all;
use loopin_auth::{
    domain::{
        audit::{Action, Entry, Filter},
        budget::BudgetKey,
        phone::PhoneNumber,
    },
    store,
};

use crate::{
    on_both,
    support::{Answer, PHONE, TestServer},
};

/// A prefix that no other test uses.
const PREFIX: &str = "+917000";

/// The nth phone of the prefix.
pub fn phone(nth: usize) -> String {
    format!("{PREFIX}{nth:06}")
}

/// Requests a code for the nth phone, from an address of its own.
pub async fn request_code(server: &TestServer, nth: usize) -> Answer {
    server.from(format!("2001:db8:7000:{nth:x}::1")).signup(&phone(nth)).await
}

async fn verify(server: &TestServer, nth: usize) -> Answer {
    server.verify_otp(&phone(nth), &server.last_code_for(&phone(nth))).await
}

/// Requests codes for these phones, and checks that each is sent.
pub async fn assert_sent(server: &TestServer, some: std::ops::Range<usize>) {
    for nth in some {
        request_code(server, nth).await.assert_ok();
    }
}

/// Checks that a code for this phone is refused for this many seconds.
async fn assert_refused(server: &TestServer, nth: usize, seconds: i64) {
    let answer = request_code(server, nth).await;
    answer.assert_error(429, "rate_limited");
    assert_eq!(answer.at("/error/retry_after"), serde_json::json!(seconds), "{}", answer.text);
    assert!(server.inbox_of(&phone(nth)).is_empty());
}

/// The entries of the audit log of this kind, oldest first.
pub async fn entries(server: &TestServer, action: Action) -> Vec<Entry> {
    server.services.audit.flush().await.unwrap();
    let filter = Filter { action: Some(action), ..Filter::default() };
    store::audit::list_after(&server.services.store, &filter, None, 10_000).await.unwrap()
}

fn halves(entries: &[Entry]) -> Vec<bool> {
    entries.iter().map(|entry| entry.detail.get("half").unwrap().as_bool().unwrap()).collect()
}

fn metric(server: &TestServer, name: &str) -> String {
    let text = server.services.metrics.text();
    text.lines().filter(|line| line.starts_with(name)).collect()
}

on_both! {
    async fn the_fifty_first_message_without_an_answer_closes_a_prefix(server: TestServer) {
        assert_sent(&server, 0..50).await;
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 0, "fifty are allowed");
        assert_refused(&server, 50, 3600).await;
        let closed = entries(&server, Action::PrefixClosed).await;
        let detail = closed[0].detail.json();
        let until = server.now() + chrono::Duration::hours(1);
        assert_eq!(closed.len(), 1);
        assert_eq!(
            detail,
            serde_json::json!({"prefix": PREFIX, "country": "IN", "sent": 50, "verified": 0, "until": until.to_rfc3339()})
        );
        assert_eq!(closed[0].actor_kind, "system");
        assert_eq!(metric(&server, "loopin_prefixes_closed_total"), "loopin_prefixes_closed_total{region=\"IN\"} 1");
        // Another prefix is not affected.
        server.signup(PHONE).await.assert_ok();
        // The last second of the wait, and the next one.
        server.advance(3599);
        assert_refused(&server, 51, 1).await;
        server.advance(1);
        assert_sent(&server, 60..61).await;
        assert_eq!(halves(&entries(&server, Action::PrefixOpened).await), [true]);
    }

    async fn fifty_messages_of_more_than_an_hour_close_nothing(server: TestServer) {
        assert_sent(&server, 0..25).await;
        server.advance(1800);
        assert_sent(&server, 25..50).await;
        server.advance(1799);
        // One second before the first ones are an hour old there is no room for a 51st. A server that allows 51 sends it.
        let other = server.second_server(&[("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "51/1h")]).await;
        assert_sent(&other, 50..51).await;
        server.advance(1);
        assert_sent(&server, 51..75).await;
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 0);
    }

    async fn after_its_time_a_few_are_let_through_and_none_that_comes_back_closes_it_again(server: TestServer) {
        assert_sent(&server, 0..50).await;
        assert_refused(&server, 50, 3600).await;
        server.advance(3600);
        assert_sent(&server, 100..105).await;
        assert_refused(&server, 105, 3600).await;
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 2);
        assert_eq!(halves(&entries(&server, Action::PrefixOpened).await), [true], "once, at the first of the five");
        server.advance(3600);
        assert_sent(&server, 110..115).await;
        assert_refused(&server, 115, 3600).await;
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 3);
    }

    async fn one_that_comes_back_opens_it_for_all(server: TestServer) {
        assert_sent(&server, 0..50).await;
        assert_refused(&server, 50, 3600).await;
        server.advance(3600);
        assert_sent(&server, 100..105).await;
        verify(&server, 102).await.assert_ok();
        assert_eq!(halves(&entries(&server, Action::PrefixOpened).await), [true, false]);
        let opened = metric(&server, "loopin_prefixes_opened_total");
        assert_eq!(opened, "loopin_prefixes_opened_total{region=\"IN\"} 2");
        // The count begins again.
        assert_sent(&server, 200..250).await;
        assert_refused(&server, 250, 3600).await;
    }

    async fn a_code_of_before_that_comes_back_late_opens_it_too(server: TestServer) {
        // Fifty honest users at once close the prefix before the first of them enters a code.
        assert_sent(&server, 0..50).await;
        assert_refused(&server, 50, 3600).await;
        verify(&server, 7).await.assert_ok();
        verify(&server, 8).await.assert_ok();
        assert_eq!(halves(&entries(&server, Action::PrefixOpened).await), [false], "once");
        assert_sent(&server, 50..60).await;
    }

    async fn a_refusal_that_is_overtaken_by_an_answer_closes_nothing(server: TestServer) {
        assert_sent(&server, 0..50).await;
        verify(&server, 0).await.assert_ok();
        // A request that was refused a moment before has no effect.
        let (db, policy) = (&server.services.store, &server.services.budgets.prefix);
        let key = BudgetKey::of_prefix(&PhoneNumber::from_e164(&phone(0)).unwrap()).unwrap();
        let closed = store::prefixes::close(db, &key, policy, server.now()).await.unwrap();
        assert_eq!(closed, None);
        assert_sent(&server, 50..51).await;
    }

    async fn each_that_comes_back_lets_twenty_be_forgotten(server: TestServer) {
        assert_sent(&server, 0..50).await;
        verify(&server, 0).await.assert_ok();
        assert_sent(&server, 50..70).await;
        assert_refused(&server, 70, 3600).await;
    }

    async fn phones_that_have_an_account_are_always_served_and_open_nothing(server: TestServer) {
        server.sign_in(&phone(900)).await;
        server.advance(3600);
        assert_sent(&server, 0..50).await;
        assert_refused(&server, 50, 3600).await;
        // More requests than there are trial messages, and they use up none of these.
        for address in ["203.0.113.1", "203.0.113.2"] {
            let home = server.from(address);
            server.advance(1200);
            home.signup(&phone(900)).await.assert_ok();
            verify(&server, 900).await.assert_ok();
            server.advance(30);
            home.login(&phone(900)).await.assert_ok();
        }
        assert_refused(&server, 51, 1140).await;
        server.advance(1140);
        assert_sent(&server, 100..105).await;
        // The code of an account does not open the prefix, or one account would be enough to open it at will.
        server.advance(30);
        server.from("203.0.113.3").login(&phone(900)).await.assert_ok();
        verify(&server, 900).await.assert_ok();
        assert_refused(&server, 105, 3600).await;
        let rows = server.count("SELECT count FROM budgets WHERE key = 'prefix/IN/+917000'").await;
        assert_eq!(rows, 1 + 50 + 4 + 5 + 1, "all of them are counted");
        let answered = server.count("SELECT answered FROM budgets WHERE key = 'prefix/IN/+917000'").await;
        assert_eq!(answered, 4);
    }

    async fn two_servers_let_through_as_many_as_one_and_close_it_once(server: TestServer) {
        let other = server.second_server(&[]).await;
        let requests = (0..80).map(|nth| {
            let server = if nth % 2 == 0 { server.clone() } else { other.clone() };
            async move { request_code(&server, nth).await.status.as_u16() }
        });
        let mut assert_sent = 0;
        for status in join_all(requests).await {
            assert!([200, 429].contains(&status), "{status}");
            assert_sent += usize::from(status == 200);
        }
        assert_eq!(assert_sent, 50);
        other.services.audit.flush().await.unwrap();
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 1);
        let closings = |server: &TestServer| metric(server, "loopin_prefixes_closed_total");
        let closings = format!("{}{}", closings(&server), closings(&other));
        assert_eq!(closings, "loopin_prefixes_closed_total{region=\"IN\"} 1");
        // Both servers know it.
        assert_refused(&server, 90, 3600).await;
        assert_refused(&other, 91, 3600).await;
    }

    async fn where_limits_are_off_nothing_is_counted_and_nothing_closes(server: TestServer) {
        let other = server.second_server(&[("RATE_LIMITS_ENABLED", "false")]).await;
        assert_sent(&other, 0..60).await;
        verify(&other, 3).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM budgets").await, 0);
    }

    async fn what_the_provider_definitely_refuses_is_given_back(server: TestServer) {
        let server = server.second_server(&[("LIMIT_SENDS_PER_DAY", "10"), ("LIMIT_SENDS_PER_DAY_AND_COUNTRY", "US:10")]).await;
        for nth in 0..60 {
            let from = server.from(format!("2001:db8:5005:{nth:x}::1"));
            let (number, status) = [("+15005550001", 400), ("+15005550012", 503), ("+15005550013", 502)][nth % 3];
            assert_eq!(from.signup(number).await.status.as_u16(), status);
        }
        for key in ["prefix/%/+15005", "day/%"] {
            let left = server.count(&format!("SELECT COUNT(*) FROM budgets WHERE key LIKE '{key}' AND (count > 0 OR log <> '')")).await;
            assert_eq!(left, 0, "{key}");
        }
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 0);
    }
}
