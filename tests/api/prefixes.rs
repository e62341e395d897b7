//! Prefixes of numbers whose codes do not come back: every step of closing and opening again.

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

/// A prefix that nobody else in these tests has.
const PREFIX: &str = "+917000";

/// The nth phone of it.
pub fn phone(nth: usize) -> String {
    format!("{PREFIX}{nth:06}")
}

/// The nth stranger asks for a code, each from an address of her own.
pub async fn ask(server: &TestServer, nth: usize) -> Answer {
    server.from(format!("2001:db8:7000:{nth:x}::1")).signup(&phone(nth)).await
}

async fn verify(server: &TestServer, nth: usize) -> Answer {
    server.verify_otp(&phone(nth), &server.last_code_for(&phone(nth))).await
}

/// These strangers ask, and each of them gets her code.
pub async fn served(server: &TestServer, some: std::ops::Range<usize>) {
    for nth in some {
        ask(server, nth).await.assert_ok();
    }
}

/// This stranger is told to wait so many seconds.
async fn refused(server: &TestServer, nth: usize, seconds: i64) {
    let answer = ask(server, nth).await;
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
        served(&server, 0..50).await;
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 0, "fifty are borne");
        refused(&server, 50, 3600).await;
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
        // Another prefix is none of it.
        server.signup(PHONE).await.assert_ok();
        // The last second of it, and the next.
        server.advance(3599);
        refused(&server, 51, 1).await;
        server.advance(1);
        served(&server, 60..61).await;
        assert_eq!(halves(&entries(&server, Action::PrefixOpened).await), [true]);
    }

    async fn fifty_messages_of_more_than_an_hour_close_nothing(server: TestServer) {
        served(&server, 0..25).await;
        server.advance(1800);
        served(&server, 25..50).await;
        server.advance(1799);
        // One second before the first ones are an hour old there is no room for a 51st: a server that bears 51 takes it.
        let other = server.second_server(&[("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "51/1h")]).await;
        served(&other, 50..51).await;
        server.advance(1);
        served(&server, 51..75).await;
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 0);
    }

    async fn after_its_time_a_few_are_let_through_and_none_that_comes_back_closes_it_again(server: TestServer) {
        served(&server, 0..50).await;
        refused(&server, 50, 3600).await;
        server.advance(3600);
        served(&server, 100..105).await;
        refused(&server, 105, 3600).await;
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 2);
        assert_eq!(halves(&entries(&server, Action::PrefixOpened).await), [true], "once, at the first of the five");
        server.advance(3600);
        served(&server, 110..115).await;
        refused(&server, 115, 3600).await;
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 3);
    }

    async fn one_that_comes_back_opens_it_for_all(server: TestServer) {
        served(&server, 0..50).await;
        refused(&server, 50, 3600).await;
        server.advance(3600);
        served(&server, 100..105).await;
        verify(&server, 102).await.assert_ok();
        assert_eq!(halves(&entries(&server, Action::PrefixOpened).await), [true, false]);
        let opened = metric(&server, "loopin_prefixes_opened_total");
        assert_eq!(opened, "loopin_prefixes_opened_total{region=\"IN\"} 2");
        // It begins anew.
        served(&server, 200..250).await;
        refused(&server, 250, 3600).await;
    }

    async fn a_code_of_before_that_comes_back_late_opens_it_too(server: TestServer) {
        // Fifty honest people at once are closed out before the first of them has typed her code.
        served(&server, 0..50).await;
        refused(&server, 50, 3600).await;
        verify(&server, 7).await.assert_ok();
        verify(&server, 8).await.assert_ok();
        assert_eq!(halves(&entries(&server, Action::PrefixOpened).await), [false], "once");
        served(&server, 50..60).await;
    }

    async fn a_refusal_that_is_overtaken_by_an_answer_closes_nothing(server: TestServer) {
        served(&server, 0..50).await;
        verify(&server, 0).await.assert_ok();
        // What a request does that was refused a moment before that.
        let (db, policy) = (&server.services.store, &server.services.budgets.prefix);
        let key = BudgetKey::of_prefix(&PhoneNumber::from_e164(&phone(0)).unwrap()).unwrap();
        let closed = store::prefixes::close(db, &key, policy, server.now()).await.unwrap();
        assert_eq!(closed, None);
        served(&server, 50..51).await;
    }

    async fn each_that_comes_back_lets_twenty_be_forgotten(server: TestServer) {
        served(&server, 0..50).await;
        verify(&server, 0).await.assert_ok();
        served(&server, 50..70).await;
        refused(&server, 70, 3600).await;
    }

    async fn phones_that_have_an_account_are_always_served_and_open_nothing(server: TestServer) {
        server.sign_in(&phone(900)).await;
        server.advance(3600);
        served(&server, 0..50).await;
        refused(&server, 50, 3600).await;
        // However often: more than the trial messages, and none of these is used up by it.
        for address in ["203.0.113.1", "203.0.113.2"] {
            let home = server.from(address);
            server.advance(1200);
            home.signup(&phone(900)).await.assert_ok();
            verify(&server, 900).await.assert_ok();
            server.advance(30);
            home.login(&phone(900)).await.assert_ok();
        }
        refused(&server, 51, 1140).await;
        server.advance(1140);
        served(&server, 100..105).await;
        // A code of hers opens nothing, or whoever has one account could open the prefix at will.
        server.advance(30);
        server.from("203.0.113.3").login(&phone(900)).await.assert_ok();
        verify(&server, 900).await.assert_ok();
        refused(&server, 105, 3600).await;
        let rows = server.count("SELECT count FROM budgets WHERE key = 'prefix/IN/+917000'").await;
        assert_eq!(rows, 1 + 50 + 4 + 5 + 1, "all of them are counted");
        let answered = server.count("SELECT answered FROM budgets WHERE key = 'prefix/IN/+917000'").await;
        assert_eq!(answered, 4);
    }

    async fn two_servers_let_through_as_many_as_one_and_close_it_once(server: TestServer) {
        let other = server.second_server(&[]).await;
        let asked = (0..80).map(|nth| {
            let server = if nth % 2 == 0 { server.clone() } else { other.clone() };
            async move { ask(&server, nth).await.status.as_u16() }
        });
        let mut served = 0;
        for status in join_all(asked).await {
            assert!([200, 429].contains(&status), "{status}");
            served += usize::from(status == 200);
        }
        assert_eq!(served, 50);
        other.services.audit.flush().await.unwrap();
        assert_eq!(entries(&server, Action::PrefixClosed).await.len(), 1);
        let closings = |server: &TestServer| metric(server, "loopin_prefixes_closed_total");
        let closings = format!("{}{}", closings(&server), closings(&other));
        assert_eq!(closings, "loopin_prefixes_closed_total{region=\"IN\"} 1");
        // Both know it.
        refused(&server, 90, 3600).await;
        refused(&other, 91, 3600).await;
    }

    async fn where_limits_are_off_nothing_is_counted_and_nothing_closes(server: TestServer) {
        let server = server.second_server(&[("RATE_LIMITS_ENABLED", "false")]).await;
        served(&server, 0..60).await;
        verify(&server, 3).await.assert_ok();
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
