//! Prefixes of numbers whose codes do not come back: every step of closing and opening again.

use futures_util::future::join_all;
use loopin_auth::{
    domain::audit::{Action, Entry, Filter},
    store,
};

use crate::{
    on_both,
    support::{Answer, PHONE, TestHouse},
};

/// A prefix that nobody else in these tests has.
const PREFIX: &str = "+917000";

/// The nth phone of it.
pub fn phone(nth: usize) -> String {
    format!("{PREFIX}{nth:06}")
}

/// The nth stranger asks for a code, each from an address of her own.
pub async fn ask(house: &TestHouse, nth: usize) -> Answer {
    house.from(format!("2001:db8:7000:{nth:x}::1")).signup(&phone(nth)).await
}

async fn verify(house: &TestHouse, nth: usize) -> Answer {
    house.verify_otp(&phone(nth), &house.last_code_for(&phone(nth))).await
}

/// These strangers ask, and each of them gets her code.
pub async fn served(house: &TestHouse, some: std::ops::Range<usize>) {
    for nth in some {
        ask(house, nth).await.assert_ok();
    }
}

/// This stranger is told to wait so many seconds.
async fn refused(house: &TestHouse, nth: usize, seconds: i64) {
    let answer = ask(house, nth).await;
    answer.assert_error(429, "rate_limited");
    assert_eq!(answer.at("/error/retry_after"), serde_json::json!(seconds), "{}", answer.text);
    assert!(house.inbox_of(&phone(nth)).is_empty());
}

/// The entries of the audit log of this kind, oldest first.
pub async fn entries(house: &TestHouse, action: Action) -> Vec<Entry> {
    house.services.audit.flush().await.unwrap();
    let filter = Filter { action: Some(action), ..Filter::default() };
    store::audit::list_after(&house.services.store, &filter, None, 10_000).await.unwrap()
}

fn halves(entries: &[Entry]) -> Vec<bool> {
    entries.iter().map(|entry| entry.detail.get("half").unwrap().as_bool().unwrap()).collect()
}

fn metric(house: &TestHouse, name: &str) -> String {
    let text = house.services.metrics.text();
    text.lines().filter(|line| line.starts_with(name)).collect()
}

on_both! {
    async fn the_fifty_first_message_without_an_answer_closes_a_prefix(house: TestHouse) {
        served(&house, 0..50).await;
        assert_eq!(entries(&house, Action::PrefixClosed).await.len(), 0, "fifty are borne");
        refused(&house, 50, 3600).await;
        let closed = entries(&house, Action::PrefixClosed).await;
        let detail = closed[0].detail.json();
        let until = house.now() + chrono::Duration::hours(1);
        assert_eq!(closed.len(), 1);
        assert_eq!(
            detail,
            serde_json::json!({"prefix": PREFIX, "country": "IN", "sent": 50, "verified": 0, "until": until.to_rfc3339()})
        );
        assert_eq!(closed[0].actor_kind, "system");
        assert_eq!(metric(&house, "loopin_prefixes_closed_total"), "loopin_prefixes_closed_total{region=\"IN\"} 1");
        // Another prefix is none of it.
        house.signup(PHONE).await.assert_ok();
        // The last second of it, and the next.
        house.advance(3599);
        refused(&house, 51, 1).await;
        house.advance(1);
        served(&house, 60..61).await;
        assert_eq!(halves(&entries(&house, Action::PrefixOpened).await), [true]);
    }

    async fn fifty_messages_of_more_than_an_hour_close_nothing(house: TestHouse) {
        served(&house, 0..25).await;
        house.advance(1800);
        served(&house, 25..50).await;
        house.advance(1799);
        // One second before the first ones are an hour old there is no room for a 51st: a server that bears 51 takes it.
        let other = house.second_server(&[("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "51/1h")]).await;
        served(&other, 50..51).await;
        house.advance(1);
        served(&house, 51..75).await;
        assert_eq!(entries(&house, Action::PrefixClosed).await.len(), 0);
    }

    async fn after_its_time_a_few_are_let_through_and_none_that_comes_back_closes_it_again(house: TestHouse) {
        served(&house, 0..50).await;
        refused(&house, 50, 3600).await;
        house.advance(3600);
        served(&house, 100..105).await;
        refused(&house, 105, 3600).await;
        assert_eq!(entries(&house, Action::PrefixClosed).await.len(), 2);
        assert_eq!(halves(&entries(&house, Action::PrefixOpened).await), [true], "once, at the first of the five");
        house.advance(3600);
        served(&house, 110..115).await;
        refused(&house, 115, 3600).await;
        assert_eq!(entries(&house, Action::PrefixClosed).await.len(), 3);
    }

    async fn one_that_comes_back_opens_it_for_all(house: TestHouse) {
        served(&house, 0..50).await;
        refused(&house, 50, 3600).await;
        house.advance(3600);
        served(&house, 100..105).await;
        verify(&house, 102).await.assert_ok();
        assert_eq!(halves(&entries(&house, Action::PrefixOpened).await), [true, false]);
        let opened = metric(&house, "loopin_prefixes_opened_total");
        assert_eq!(opened, "loopin_prefixes_opened_total{region=\"IN\"} 2");
        // It begins anew.
        served(&house, 200..250).await;
        refused(&house, 250, 3600).await;
    }

    async fn a_code_of_before_that_comes_back_late_opens_it_too(house: TestHouse) {
        // Fifty honest people at once are closed out before the first of them has typed her code.
        served(&house, 0..50).await;
        refused(&house, 50, 3600).await;
        verify(&house, 7).await.assert_ok();
        verify(&house, 8).await.assert_ok();
        assert_eq!(halves(&entries(&house, Action::PrefixOpened).await), [false], "once");
        served(&house, 50..60).await;
    }

    async fn a_refusal_that_is_overtaken_by_an_answer_closes_nothing(house: TestHouse) {
        served(&house, 0..50).await;
        verify(&house, 0).await.assert_ok();
        // What a request does that was refused a moment before that.
        let (db, policy) = (&house.services.store, &house.services.budgets.prefix);
        let closed = store::prefixes::close(db, "prefix/IN/+917000", policy, house.now()).await.unwrap();
        assert_eq!(closed, None);
        served(&house, 50..51).await;
    }

    async fn each_that_comes_back_lets_twenty_be_forgotten(house: TestHouse) {
        served(&house, 0..50).await;
        verify(&house, 0).await.assert_ok();
        served(&house, 50..70).await;
        refused(&house, 70, 3600).await;
    }

    async fn phones_that_have_an_account_are_always_served_and_open_nothing(house: TestHouse) {
        house.sign_in(&phone(900)).await;
        house.advance(3600);
        served(&house, 0..50).await;
        refused(&house, 50, 3600).await;
        // However often: more than the trial messages, and none of these is used up by it.
        for address in ["203.0.113.1", "203.0.113.2"] {
            let home = house.from(address);
            house.advance(1200);
            home.signup(&phone(900)).await.assert_ok();
            verify(&house, 900).await.assert_ok();
            house.advance(30);
            home.login(&phone(900)).await.assert_ok();
        }
        refused(&house, 51, 1140).await;
        house.advance(1140);
        served(&house, 100..105).await;
        // A code of hers opens nothing, or whoever has one account could open the prefix at will.
        house.advance(30);
        house.from("203.0.113.3").login(&phone(900)).await.assert_ok();
        verify(&house, 900).await.assert_ok();
        refused(&house, 105, 3600).await;
        let rows = house.count("SELECT count FROM budgets WHERE key = 'prefix/IN/+917000'").await;
        assert_eq!(rows, 1 + 50 + 4 + 5 + 1, "all of them are counted");
        let answered = house.count("SELECT answered FROM budgets WHERE key = 'prefix/IN/+917000'").await;
        assert_eq!(answered, 4);
    }

    async fn two_servers_let_through_as_many_as_one_and_close_it_once(house: TestHouse) {
        let other = house.second_server(&[]).await;
        let asked = (0..80).map(|nth| {
            let server = if nth % 2 == 0 { house.clone() } else { other.clone() };
            async move { ask(&server, nth).await.status.as_u16() }
        });
        let mut served = 0;
        for status in join_all(asked).await {
            assert!([200, 429].contains(&status), "{status}");
            served += usize::from(status == 200);
        }
        assert_eq!(served, 50);
        other.services.audit.flush().await.unwrap();
        assert_eq!(entries(&house, Action::PrefixClosed).await.len(), 1);
        let closings = |house: &TestHouse| metric(house, "loopin_prefixes_closed_total");
        let closings = format!("{}{}", closings(&house), closings(&other));
        assert_eq!(closings, "loopin_prefixes_closed_total{region=\"IN\"} 1");
        // Both know it.
        refused(&house, 90, 3600).await;
        refused(&other, 91, 3600).await;
    }

    async fn where_limits_are_off_nothing_is_counted_and_nothing_closes(house: TestHouse) {
        let server = house.second_server(&[("RATE_LIMITS_ENABLED", "false")]).await;
        served(&server, 0..60).await;
        verify(&server, 3).await.assert_ok();
        assert_eq!(house.count("SELECT COUNT(*) FROM budgets").await, 0);
    }

    async fn what_the_provider_definitely_refuses_is_given_back(house: TestHouse) {
        let server = house.second_server(&[("LIMIT_SENDS_PER_DAY", "10"), ("LIMIT_SENDS_PER_DAY_AND_COUNTRY", "US:10")]).await;
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
