//! The audit log itself: append-only, dropped by whole months, and found page by page. What requests write into it is in
//! `audit_entries.rs`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use loopin_auth::{
    domain::{
        audit::{Action, Actor, Entry, Event, Filter, Place},
        phone::PhoneNumber,
    },
    flows::audit::{self, Dropped},
    store,
};
use poem::http::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{
    on_both,
    roles::{ADMIN, sign_in_with_role},
    support::{OTHER_PHONE, PHONE, TestServer, wait_until},
};

const ADDRESS: &str = "203.0.113.7";

/// All entries of the log, oldest first.
pub(crate) async fn entries(server: &TestServer) -> Vec<Entry> {
    server.services.audit.flush().await.expect("the entries are written");
    store::audit::list_after(&server.services.store, &Filter::default(), None, 10_000)
        .await
        .expect("they are read")
}

/// The entries of a kind.
pub(crate) async fn entries_of(server: &TestServer, action: Action) -> Vec<Entry> {
    entries(server).await.into_iter().filter(|entry| entry.action == action.as_str()).collect()
}

pub(crate) fn detail(entry: &Entry) -> Value {
    entry.detail.json()
}

async fn refusal(server: &TestServer, sql: &str) -> String {
    match server.services.store.execute_unprepared(sql).await {
        Ok(done) => panic!("{sql} changed {} rows", done.rows_affected()),
        Err(error) => error.to_string(),
    }
}

fn event(at: i64) -> Event {
    Event::by_stranger(Action::WrongCode).with("left", at)
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

on_both! {
    async fn entries_can_be_added_and_nothing_else(server: TestServer) {
        server.services.audit.note(event(1), server.now());
        let before = entries(&server).await;
        assert_eq!(before.len(), 1);
        for (sql, word) in [
            ("UPDATE audit SET action = 'signed_in'", "UPDATE"),
            ("UPDATE audit SET detail = '{}' WHERE action = 'wrong_code'", "UPDATE"),
            ("DELETE FROM audit", "DELETE"),
            ("DELETE FROM audit WHERE action = 'wrong_code'", "DELETE"),
            ("TRUNCATE audit", "TRUNCATE"),
            ("TRUNCATE TABLE accounts, audit CASCADE", "TRUNCATE"),
            (
                "INSERT INTO audit SELECT * FROM audit WHERE true ON CONFLICT (id) DO UPDATE SET action = 'signed_in'",
                "UPDATE",
            ),
        ] {
            // SQLite has no TRUNCATE, and ignores an existing row before it handles the conflict.
            if server.database == Database::Sqlite && (word == "TRUNCATE" || sql.starts_with("INSERT")) {
                continue;
            }
            let refused = refusal(&server, sql).await;
            assert!(refused.contains("append-only") && refused.contains(word), "{sql}: {refused}");
            assert_eq!(entries(&server).await, before, "{sql}");
        }
        // Rows of other tables can still be changed.
        server.sign_in(PHONE).await;
        assert_eq!(server.execute("UPDATE accounts SET bio = 'Music.'").await, 1);
    }

    async fn a_row_cannot_be_replaced(server: TestServer) {
        server.services.audit.note(event(1), server.now());
        let before = entries(&server).await;
        let columns = "at, 'signed_in', actor_kind, actor_id, user_id, phone_mark, phone_masked, address, detail FROM audit";
        let statements = match server.database {
            Database::Sqlite => vec![
                format!("INSERT OR REPLACE INTO audit SELECT id, {columns}"),
                format!("INSERT INTO audit SELECT id, {columns} WHERE true ON CONFLICT (id) DO UPDATE SET action = 'signed_in'"),
                format!("INSERT OR REPLACE INTO audit (rowid, id, at, action, actor_kind, actor_id, user_id, phone_mark, \
                         phone_masked, address, detail) SELECT rowid, x'01', {columns}"),
            ],
            Database::Postgres => vec![
                format!("INSERT INTO audit SELECT id, {columns} ON CONFLICT (id) DO NOTHING"),
            ],
        };
        for sql in statements {
            assert_eq!(server.execute(&sql).await, 0, "{sql}");
            assert_eq!(entries(&server).await, before, "{sql}");
        }
    }

    async fn only_whole_months_that_are_over_are_dropped_and_the_triggers_stay(server: TestServer) {
        // The server's time zone is India's, where it is the middle of March.
        let all = [
            ("2026-01-15T12:00:00Z", 1),
            ("2026-01-31T18:29:59.999999Z", 2), // the last moment of January
            ("2026-01-31T18:30:00Z", 3),        // the first one of February
            ("2026-03-01T00:00:00Z", 4),
        ];
        for (at, number) in all {
            server.services.audit.note(event(number), time(at));
        }
        server.services.audit.flush().await.unwrap();
        let numbers = async || -> Vec<i64> {
            let all = entries(&server).await;
            all.iter().filter_map(|entry| entry.detail.get("left")?.as_i64()).collect()
        };
        let drop_before = async |month: &str| {
            audit::drop_before(&server.services, month.parse().unwrap(), Actor::Command).await.unwrap()
        };
        for month in ["2026-04", "2027-01"] {
            assert!(matches!(drop_before(month).await, Dropped::NotYet(_)), "{month}");
            assert_eq!(numbers().await, [1, 2, 3, 4]);
        }
        assert_eq!(drop_before("2026-01").await, Dropped::Entries(0));
        assert_eq!(drop_before("2026-02").await, Dropped::Entries(2));
        assert_eq!(numbers().await, [3, 4]);
        // March has not ended, so only entries before it can be dropped.
        assert_eq!(drop_before("2026-03").await, Dropped::Entries(1));
        assert_eq!(numbers().await, [4]);
        let dropped: Vec<Value> = entries_of(&server, Action::AuditDropped).await.iter().map(detail).collect();
        assert_eq!(dropped, [
            json!({"before": "2026-01", "entries": 0}),
            json!({"before": "2026-02", "entries": 2}),
            json!({"before": "2026-03", "entries": 1}),
        ]);
        assert!(entries_of(&server, Action::AuditDropped).await.iter().all(|entry| entry.actor_kind == "command"));
        for sql in ["DELETE FROM audit", "UPDATE audit SET action = 'signed_in'"] {
            assert!(refusal(&server, sql).await.contains("append-only"), "{sql}");
        }
    }

    async fn a_transaction_that_is_given_up_leaves_the_triggers_and_no_entry(server: TestServer) {
        server.services.audit.note(event(1), time("2026-01-15T12:00:00Z"));
        let before = entries(&server).await;
        let (zone, now) = (server.services.zone, server.now());
        let leave = loopin_auth::domain::audit::Dropping::before("2026-03".parse().unwrap(), now, zone).unwrap();
        let txn = server.services.store.begin().await.unwrap();
        assert_eq!(store::audit::purge_before(&txn, leave).await.unwrap(), 1);
        server.services.audit.write(&txn, Event::new(Action::AuditDropped, Actor::Command), now).await.unwrap();
        txn.rollback().await.unwrap();
        assert_eq!(entries(&server).await, before);
        assert!(refusal(&server, "DELETE FROM audit").await.contains("append-only"));
    }

    async fn entries_are_found_by_what_is_asked_for_page_by_page(server: TestServer) {
        let id = |number: u128| uuid::Uuid::from_u128(number);
        let phone = |text: &str| PhoneNumber::from_e164(text).unwrap();
        for number in 0..25 {
            let mut event = event(number).about(id(1)).phone(&phone(PHONE)).from(loopin_auth::domain::address::ClientAddress::new(ADDRESS.parse().unwrap()));
            if number % 5 == 0 {
                event = Event::new(Action::AccountActivated, Actor::Staff(id(2))).about(id(3)).phone(&phone(OTHER_PHONE));
            }
            server.services.audit.note(event, server.now());
            server.advance(i64::from(number % 3 == 0));
        }
        let all = entries(&server).await;
        assert_eq!(all.len(), 25);
        let db = &server.services.store;
        let pseudonyms = &server.services.pseudonyms;
        let none = Filter::default();
        for (filter, count) in [
            (none.clone(), 25),
            (Filter { action: Some(Action::WrongCode), ..none.clone() }, 20),
            (Filter { user_id: Some(id(1)), ..none.clone() }, 20),
            // Entries by this user, and entries about them.
            (Filter { user_id: Some(id(2)), ..none.clone() }, 5),
            (Filter { user_id: Some(id(3)), ..none.clone() }, 5),
            (Filter { phones: Some(pseudonyms.phone_with_all(&phone(OTHER_PHONE))), ..none.clone() }, 5),
            (Filter { phones: Some(Vec::new()), ..none.clone() }, 0),
            (Filter { address: Some(loopin_auth::domain::address::ClientAddress::new(format!("::ffff:{ADDRESS}").parse().unwrap())), ..none.clone() }, 20),
            (Filter { since: Some(all[10].at), ..none.clone() }, all.iter().filter(|entry| entry.at >= all[10].at).count()),
            (Filter { since: Some(server.now() + chrono::Duration::seconds(1)), ..none.clone() }, 0),
            (Filter { until: Some(all[10].at), ..none.clone() }, all.iter().filter(|entry| entry.at < all[10].at).count()),
            (Filter { action: Some(Action::WrongCode), user_id: Some(id(3)), ..none.clone() }, 0),
            (Filter { actor_kind: Some("staff"), ..none.clone() }, 5),
            (Filter { actor_kind: Some("person"), about: Some(id(1)), ..none.clone() }, 20),
            (Filter { actor_id: Some(id(2)), ..none.clone() }, 5),
            // By this user, not about them.
            (Filter { about: Some(id(2)), ..none.clone() }, 0),
            (Filter { about: Some(id(3)), actor_id: Some(id(2)), ..none.clone() }, 5),
        ] {
            let mut forth = Vec::new();
            loop {
                let page = store::audit::list_after(db, &filter, forth.last().map(Entry::place), 7).await.unwrap();
                if page.is_empty() {
                    break;
                }
                forth.extend(page);
            }
            let mut back: Vec<Entry> = Vec::new();
            loop {
                let before: Option<Place> = back.last().map(Entry::place);
                let page = store::audit::list_before(db, &filter, before, 4).await.unwrap();
                if page.is_empty() {
                    break;
                }
                back.extend(page);
            }
            back.reverse();
            assert_eq!(forth, back, "{filter:?}");
            assert_eq!(forth.len(), count, "{filter:?}");
            let expected: Vec<&Entry> = all.iter().filter(|entry| forth.contains(entry)).collect();
            assert_eq!(forth.iter().collect::<Vec<_>>(), expected, "in the order in which they were noted");
        }
        assert_eq!(store::audit::find_last(db, Action::WrongCode).await.unwrap(), Some(all[24].clone()));
        assert_eq!(store::audit::find_last(db, Action::SignedIn).await.unwrap(), None);
    }

    async fn an_act_of_staff_that_cannot_be_written_down_does_not_happen(server: TestServer) {
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let account = server.sign_in(PHONE).await;
        server.services.audit.flush().await.unwrap();
        server.execute("ALTER TABLE audit RENAME TO away").await;
        let path = format!("/api/users/{}", account.user_id);
        for (method, path, body) in [
            (Method::PUT, path.clone(), json!({"first_name": "Gaurav"})),
            (Method::PUT, path.clone(), json!({"role": "staff"})),
            (Method::DELETE, path.clone(), json!({})),
        ] {
            server.send_as(&admin.access, method, &path, body).await.assert_error(500, "internal");
        }
        server.execute("ALTER TABLE away RENAME TO audit").await;
        let user = server.get_as(&account.access, &path).await;
        assert_eq!((user.at("/role"), user.at("/is_active")), (json!("user"), json!(true)));
        assert_eq!(user.at("/first_name"), Value::Null);
    }

    async fn another_start_tells_which_settings_changed(server: TestServer) {
        let settings = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            let get = move |name: &str| pairs.iter().find(|(other, _)| other == name).map(|(_, text)| text.clone());
            loopin_auth::config::Config::examine(&get, &loopin_auth::random::Random::seeded(1)).0.given
        };
        let start = async |pairs: &[(&str, &str)]| {
            audit::start(&server.services, "1.2.3", "dev", &settings(pairs)).await.unwrap();
        };
        start(&[("OTP_LENGTH", "6"), ("TWILIO_AUTH_TOKEN", "hidden")]).await;
        start(&[("OTP_LENGTH", "6"), ("TWILIO_AUTH_TOKEN", "hidden")]).await;
        start(&[("OTP_LENGTH", "8"), ("TWILIO_AUTH_TOKEN", "other")]).await;
        let started = entries_of(&server, Action::ServerStarted).await;
        assert_eq!(started.len(), 3);
        assert_eq!(detail(&started[0]), json!({"version": "1.2.3", "environment": "dev"}));
        let changes: Vec<Value> = entries_of(&server, Action::SettingsChanged).await.iter().map(|entry| detail(entry)["changed"].clone()).collect();
        let change = |name: &str, old: Value, new: &str| json!({"name": name, "old": old, "new": new});
        assert_eq!(changes, [
            json!([change("TWILIO_AUTH_TOKEN", Value::Null, "secret"), change("OTP_LENGTH", Value::Null, "6")]),
            json!([change("TWILIO_AUTH_TOKEN", json!("secret"), "secret"), change("OTP_LENGTH", json!("6"), "8")]),
        ]);
        assert!(!format!("{:?}", entries(&server).await).contains("hidden"));
    }

    async fn what_is_noted_is_written_a_moment_later(server: TestServer) {
        let services = std::sync::Arc::clone(&server.services);
        let writer = tokio::spawn(audit::keep_writing(services));
        for round in 1..=3 {
            server.services.audit.note(event(round), server.now());
            wait_until("the entry is written", async || {
                server.count("SELECT COUNT(*) FROM audit").await == round
            })
            .await;
        }
        writer.abort();
        server.services.audit.note(event(4), server.now());
        audit::finish(&server.services, Duration::from_mins(1)).await;
        assert_eq!(server.count("SELECT COUNT(*) FROM audit").await, 4);
    }
}
