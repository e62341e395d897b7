//! Sending events: order, retries, several servers, and what the operator does with those that fail.

use loopin_auth::{
    domain::{
        audit::{Action, Actor},
        retention::Retention,
    },
    flows::{
        events::{self, Sender, Sent, Skipped},
        purge::purge,
    },
    store::outbox::Wanted,
};
use poem::http::Method;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::events::{send, waiting};
use crate::{
    again::{confirm_by_code, post_empty_as},
    audit::{detail, entries_of},
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer, Tokens, hook::Hook},
};

const DAY: i64 = 86_400;

fn sender(server: &TestServer) -> Sender {
    Sender::new(&server.services).expect("events are on")
}

fn user_of(payload: &Value) -> Option<&str> {
    payload["data"]["user_id"].as_str()
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// Fails for the events of one user.
fn fails_for(user_id: &str) -> impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static {
    let user_id = user_id.to_owned();
    move |request| {
        let is_about_user = user_of(&body(request)) == Some(user_id.as_str());
        ResponseTemplate::new(if is_about_user { 500 } else { 204 })
    }
}

/// Changes the profile.
async fn change(server: &TestServer, tokens: &Tokens) {
    let body = json!({"bio": "Hello"});
    server.send_as(&tokens.access, Method::PUT, "/api/auth/profile", body).await.assert_ok();
}

/// The accounts and the facts of the entries of a kind in the audit log, all by the operator's command.
async fn noted(server: &TestServer, action: Action) -> Vec<(Option<String>, Value)> {
    let entries = entries_of(server, action).await;
    assert!(entries.iter().all(|entry| entry.actor_kind == "command"), "{entries:?}");
    entries.iter().map(|entry| (entry.user_id.map(|id| id.to_string()), detail(entry))).collect()
}

/// A server whose events come to this hook, and whose tokens last longer than these tests. They are not about limits.
async fn with_events(hook: &Hook, server: &TestServer) -> TestServer {
    let settings = [("RATE_LIMITS_ENABLED", "false"), ("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "1440")];
    hook.told_by(server, &settings).await
}

/// The ids of the events of a user in the order in which they happened.
async fn order_of(server: &TestServer, user_id: &str) -> Vec<String> {
    let user_id = user_id.parse().unwrap();
    let events = events::list(&server.services, Wanted::Waiting, Some(user_id), 1000).await.unwrap();
    events.iter().map(|event| event.id.to_string()).collect()
}

on_both! {
    async fn a_failing_event_holds_back_only_later_ones_of_its_user(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = with_events(&hook, &server).await;
        let (one, other) = (server.sign_in(PHONE).await, server.sign_in(OTHER_PHONE).await);
        for _ in 0..3 {
            change(&server, &one).await;
            change(&server, &other).await;
        }
        let expected = order_of(&server, &one.user_id).await;
        // The account, the lead, the session and three changes.
        assert_eq!(expected.len(), 6);
        hook.answer_each(fails_for(&one.user_id));
        let mut sender = sender(&server);
        let sent = send(&mut sender).await;
        assert_eq!(sent, Sent { taken: 8, failed: 1, dead: 0 });
        let ids = |events: Vec<(String, Value)>| -> Vec<String> { events.into_iter().map(|(id, _)| id).collect() };
        // For an hour, with events that are written meanwhile.
        let end = server.now() + chrono::Duration::hours(1);
        let mut tries = 1;
        while server.now() < end {
            server.advance(60);
            change(&server, &other).await;
            let sent = send(&mut sender).await;
            assert_eq!((sent.taken, sent.dead), (1, 0));
            tries += sent.failed;
        }
        assert!((4..10).contains(&tries), "{tries}");
        assert_eq!(order_of(&server, &one.user_id).await, expected);
        hook.answer(ResponseTemplate::new(200));
        hook.forget().await;
        server.advance(3600);
        assert_eq!(send(&mut sender).await, Sent { taken: 6, failed: 0, dead: 0 });
        assert_eq!(ids(hook.events().await), expected);
        assert_eq!(waiting(&server).await, 0);
    }

    async fn every_event_arrives_in_order_after_an_outage(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = with_events(&hook, &server).await;
        let mut tokens = Vec::new();
        for number in 0..30 {
            tokens.push(server.sign_in(&crate::budgets::phone(number)).await);
        }
        hook.answer(ResponseTemplate::new(503));
        let mut sender = sender(&server);
        let sent = send(&mut sender).await;
        // The receiver counts as down, and is not asked for each event.
        assert!(sent.failed >= 16 && sent.failed < 40, "{sent:?}");
        assert_eq!(send(&mut sender).await.failed, 1);
        for minute in 0..60 {
            server.advance(60);
            if minute % 20 == 0 {
                for tokens in &tokens {
                    change(&server, tokens).await;
                }
            }
            assert!(send(&mut sender).await.failed <= 1);
        }
        let mut expected = Vec::new();
        for tokens in &tokens {
            expected.push(order_of(&server, &tokens.user_id).await);
        }
        hook.answer(ResponseTemplate::new(200));
        hook.forget().await;
        for _ in 0..10 {
            server.advance(3600);
            send(&mut sender).await;
        }
        assert_eq!(waiting(&server).await, 0);
        let came = hook.events().await;
        for (tokens, expected) in tokens.iter().zip(expected) {
            let of_user = came.iter().filter(|(_, payload)| user_of(payload) == Some(&tokens.user_id));
            assert_eq!(of_user.map(|(id, _)| id.clone()).collect::<Vec<_>>(), expected);
        }
    }

    async fn of_two_servers_one_sends(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let (one, other) = (with_events(&hook, &server).await, with_events(&hook, &server).await);
        for number in 0..20 {
            let server = if number % 2 == 0 { &one } else { &other };
            server.sign_in(&crate::budgets::phone(number)).await;
        }
        let (mut first, mut second) = (sender(&one), sender(&other));
        let (sent, also) = futures_util::future::join(send(&mut first), send(&mut second)).await;
        assert_eq!((sent.taken + also.taken, sent.taken.min(also.taken)), (80, 0));
        assert_eq!(hook.events().await.len(), 80);
        // When the one that sends is gone, the other one does, once the lease is over.
        let (mut gone, mut next) = if sent.taken > 0 { (first, second) } else { (second, first) };
        one.sign_in("+919812345670").await;
        assert_eq!((send(&mut next).await.taken, next.has_lease()), (0, false));
        server.advance(31);
        assert_eq!(send(&mut next).await.taken, 4);
        one.sign_in("+919812345671").await;
        assert_eq!((send(&mut gone).await.taken, gone.has_lease()), (0, false));
    }

    async fn a_slow_receiver_gets_the_events_of_a_user_one_by_one(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = with_events(&hook, &server).await;
        for number in 0..12 {
            server.sign_in(&crate::budgets::phone(number)).await;
        }
        let began = tokio::time::Instant::now();
        hook.answer(ResponseTemplate::new(200).set_delay(std::time::Duration::from_millis(300)));
        assert_eq!(send(&mut sender(&server)).await.taken, 48);
        // The three events of each user one after the other.
        assert!(began.elapsed() >= std::time::Duration::from_millis(900), "{:?}", began.elapsed());
    }

    async fn after_three_days_an_event_is_given_up_and_can_be_sent_again(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = with_events(&hook, &server).await;
        let tokens = server.sign_in(PHONE).await;
        let mut sender = sender(&server);
        send(&mut sender).await;
        change(&server, &tokens).await;
        change(&server, &tokens).await;
        let [first, second] = <[_; 2]>::try_from(order_of(&server, &tokens.user_id).await).unwrap();
        hook.answer(ResponseTemplate::new(400));
        let (end, mut sent) = (server.now() + chrono::Duration::days(4), Sent::default());
        while server.now() <= end {
            let round = send(&mut sender).await;
            (sent.failed, sent.dead) = (sent.failed + round.failed, sent.dead + round.dead);
            server.advance(1800);
        }
        let list = async |wanted| {
            let listed = events::list(&server.services, wanted, None, 10).await.unwrap();
            listed.into_iter().map(|event| (event.id.to_string(), event.last_error)).collect::<Vec<_>>()
        };
        let error = || Some("status 400".to_owned());
        // Both: the second one had what was left of its three days when it was its turn.
        assert_eq!(sent.dead, 2, "{sent:?}");
        assert_eq!(list(Wanted::Dead).await, [(first.clone(), error()), (second.clone(), error())]);
        assert_eq!(waiting(&server).await, 0);
        let text = server.services.metrics.text();
        assert!(text.contains("loopin_events_total{outcome=\"dead\"} 2"), "{text}");
        events::measure(&server.services).await.unwrap();
        let text = server.services.metrics.text();
        assert!(text.contains("loopin_events_kept{state=\"dead\"} 2"), "{text}");
        assert!(text.contains("loopin_events_oldest_seconds 0"), "{text}");
        hook.answer(ResponseTemplate::new(200));
        hook.forget().await;
        assert!(events::replay(&server.services, second.parse().unwrap()).await.unwrap());
        assert!(!events::replay(&server.services, second.parse().unwrap()).await.unwrap(), "it waits already");
        assert_eq!(events::replay_all(&server.services, None).await.unwrap(), 1);
        assert_eq!(send(&mut sender).await.taken, 2);
        let ids: Vec<String> = hook.events().await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [first, second.clone()], "in their order, with the ids of the first tries");
        let facts = json!({"event": second, "events": 1, "type": "user.updated"});
        assert_eq!(noted(&server, Action::EventsReplayed).await, [
            (Some(tokens.user_id.clone()), facts),
            (None, json!({"events": 1})),
        ]);
    }

    async fn an_event_that_is_skipped_lets_the_next_one_go(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = with_events(&hook, &server).await;
        let tokens = server.sign_in(PHONE).await;
        let mut sender = sender(&server);
        send(&mut sender).await;
        change(&server, &tokens).await;
        change(&server, &tokens).await;
        let [first, second] = <[_; 2]>::try_from(order_of(&server, &tokens.user_id).await).unwrap();
        hook.answer(ResponseTemplate::new(500));
        assert_eq!(send(&mut sender).await, Sent { taken: 0, failed: 1, dead: 0 });
        hook.answer(ResponseTemplate::new(200));
        hook.forget().await;
        let skip = async |id: &str| events::skip(&server.services, id.parse().unwrap()).await.unwrap();
        assert_eq!(skip(&first).await, Skipped::Done);
        assert_eq!(skip(&first).await, Skipped::Before);
        assert_eq!(skip("0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11").await, Skipped::NotFound);
        assert_eq!(send(&mut sender).await.taken, 1);
        assert_eq!(hook.events().await[0].0, second);
        let dead = events::list(&server.services, Wanted::Dead, None, 10).await.unwrap();
        assert_eq!(dead[0].last_error.as_deref(), Some("skipped"));
        let facts = json!({"event": first, "type": "user.updated"});
        assert_eq!(noted(&server, Action::EventSkipped).await, [(Some(tokens.user_id), facts)], "once");
    }

    async fn deleting_an_account_removes_what_was_not_sent(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = with_events(&hook, &server).await;
        let (tokens, other) = (server.sign_in(PHONE).await, server.sign_in(OTHER_PHONE).await);
        hook.answer_each(fails_for(&tokens.user_id));
        let mut sender = sender(&server);
        send(&mut sender).await;
        change(&server, &tokens).await;
        let dead: uuid::Uuid = order_of(&server, &tokens.user_id).await[0].parse().unwrap();
        assert_eq!(events::skip(&server.services, dead).await.unwrap(), Skipped::Done);
        server.advance(30);
        confirm_by_code(&server, &tokens, PHONE).await;
        let export = server.get_as(&tokens.access, "/api/auth/export").await;
        let waits = export.assert_ok().at("/events");
        let waits = waits.as_array().unwrap();
        assert_eq!((waits.len(), &waits[0]["type"]), (4, &json!("user.created")));
        assert!(waits[0]["given_up_at"].is_string() && waits[1]["given_up_at"].is_null(), "{waits:?}");
        assert!(waits[0]["data"].as_str().unwrap().contains(&tokens.user_id));
        assert_eq!(server.get_as(&other.access, "/api/auth/export").await.at("/events"), json!([]));
        post_empty_as(&server, &tokens, "/api/auth/delete-account").await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM outbox").await, 1);
        hook.answer(ResponseTemplate::new(200));
        hook.forget().await;
        send(&mut sender).await;
        let events = hook.events().await;
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0].1["type"], &events[0].1["data"]), (&json!("user.deleted"), &json!({"user_id": tokens.user_id})));
    }

    async fn dead_events_go_after_thirty_days(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let sending = with_events(&hook, &server).await;
        let tokens = sending.sign_in(PHONE).await;
        let first: uuid::Uuid = order_of(&sending, &tokens.user_id).await[0].parse().unwrap();
        events::skip(&sending.services, first).await.unwrap();
        let kept = Retention::new(chrono::Duration::days(400));
        server.advance(30 * DAY);
        assert_eq!(purge(&sending.services, &kept, Actor::System).await.unwrap().events, 0);
        server.advance(1);
        assert_eq!(purge(&sending.services, &kept, Actor::System).await.unwrap().events, 1);
        assert_eq!(waiting(&server).await, 3, "what waits is sent when the receiver is back");
        // Where no events are sent any more, what would have been given up goes too.
        assert_eq!(purge(&server.services, &kept, Actor::System).await.unwrap().events, 3);
    }

    async fn what_waited_behind_a_removed_event_is_sent_when_events_are_sent_again(server: TestServer) {
        let hook = Hook::that_answers("").await;
        hook.answer(ResponseTemplate::new(500));
        let sending = with_events(&hook, &server).await;
        let tokens = sending.sign_in(PHONE).await;
        send(&mut sender(&sending)).await;
        server.advance(DAY / 2);
        change(&sending, &tokens).await;
        server.advance(31);
        send(&mut sender(&sending)).await;
        let last = order_of(&sending, &tokens.user_id).await.pop().unwrap();
        let parked = "SELECT COUNT(*) FROM outbox WHERE next_attempt_at IS NULL";
        assert!(server.count(parked).await > 0, "later events of the user wait");
        // For a while no events are sent, and the old ones are removed.
        server.advance(5 * DAY / 2);
        let kept = Retention::new(chrono::Duration::days(400));
        assert_eq!(purge(&server.services, &kept, Actor::System).await.unwrap().events, 4);
        hook.answer(ResponseTemplate::new(200));
        hook.forget().await;
        assert_eq!(send(&mut sender(&sending)).await.taken, 1);
        assert_eq!(hook.events().await[0].0, last);
    }

    async fn a_user_who_causes_many_events_holds_up_no_other(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = with_events(&hook, &server).await;
        let busy = server.sign_in(PHONE).await;
        for _ in 0..150 {
            change(&server, &busy).await;
        }
        let other = server.sign_in(OTHER_PHONE).await;
        hook.answer_each(fails_for(&busy.user_id));
        let mut sender = sender(&server);
        // The lead of the busy user, and all events of the other one.
        assert_eq!(send(&mut sender).await, Sent { taken: 5, failed: 1, dead: 0 });
        assert!(hook.events().await.iter().any(|(_, payload)| user_of(payload) == Some(&other.user_id)));
        // Only one is looked at until then.
        assert_eq!(server.count("SELECT COUNT(*) FROM outbox WHERE next_attempt_at IS NOT NULL").await, 1);
        hook.answer(ResponseTemplate::new(200));
        server.advance(10);
        assert_eq!(send(&mut sender).await.taken, 153);
    }
}
