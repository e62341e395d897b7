//! The step that gives the alarm of a daily cap its own column: rows of the version before it mean the same after it.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use loopin_auth::domain::audit::Action;
use migration::{Migrator, MigratorTrait};
use serde_json::{Value, json};

use crate::{
    budgets::row,
    on_both,
    prefixes::{entries, request_code},
    roles::{STAFF, sign_in_with_role},
    schema::connect,
    support::{OTHER_PHONE, PHONE, TestServer},
};

const LIST: &str = "/api/abuse/prefixes";

/// How the server writes a time into SQLite; PostgreSQL reads it too.
fn stored(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

fn shown(time: DateTime<Utc>) -> Value {
    json!(time.to_rfc3339_opts(SecondsFormat::Micros, false))
}

/// A log with one charge a minute, the newest now.
fn log(now: DateTime<Utc>, charges: i64) -> String {
    let entry = |nth| format!("{:016}{nth:08x}", (now - Duration::minutes(nth)).timestamp_micros());
    (0..charges).map(entry).collect()
}

/// Back to the schema of before the step.
async fn step_back(server: &TestServer) {
    let steps = Migrator::migrations();
    let later = steps.iter().rev().take_while(|step| !step.name().ends_with("_cap_alarms")).count();
    Migrator::down(&connect(server).await, Some(u32::try_from(later).unwrap() + 1)).await.unwrap();
}

/// Rows as the version before the step wrote them.
async fn insert_rows_of_before(server: &TestServer) {
    let now = server.now();
    let (hour, day) = (now + Duration::hours(1), now + Duration::days(1));
    let guesses = row(server, PHONE, "guesses");
    let sends = row(server, PHONE, "sends");
    let at =
        |time: Option<DateTime<Utc>>| time.map_or("NULL".to_owned(), |time| format!("'{}'", stored(time)));
    for (key, charges, count, answered, rested_at, closed_until, held_until) in [
        // A prefix with answers, one that is closed, one that is half open, one that staff hold open.
        ("prefix/IN/+916205".to_owned(), 3, 40, 30, None, None, None),
        ("prefix/IN/+917000".to_owned(), 0, 50, 2, None, Some(hour), None),
        ("prefix/IN/+917001".to_owned(), 1, 60, 0, None, Some(now - Duration::hours(1)), None),
        ("prefix/US/+12025".to_owned(), 0, 7, 1, None, None, Some(hour)),
        // A day whose alarm was sent, in all and not yet for a country.
        ("day/2026-03-14".to_owned(), 0, 17, 1, None, None, None),
        ("day/2026-03-14/GB".to_owned(), 0, 3, 0, None, None, None),
        // A phone that is locked for one address and has a cooldown.
        (guesses.clone(), 10, 10, 0, None, None, None),
        (format!("{guesses}/203.0.113.7"), 10, 10, 0, None, None, None),
        (sends.clone(), 2, 2, 0, Some(now), None, None),
        (format!("{sends}/203.0.113.7"), 2, 2, 0, None, None, None),
    ] {
        let (rested_at, closed_until, held_until) = (at(rested_at), at(closed_until), at(held_until));
        let sql = format!(
            "INSERT INTO budgets (key, log, count, answered, rested_at, closed_until, held_until, ends_at) VALUES \
             ('{key}', '{}', {count}, {answered}, {rested_at}, {closed_until}, {held_until}, '{}')",
            log(now, charges),
            stored(day)
        );
        assert_eq!(server.execute(&sql).await, 1);
    }
}

/// A server with caps, on a database that ran the step with rows of the version before it.
async fn migrated(server: &TestServer) -> TestServer {
    server.execute("DELETE FROM budgets").await;
    step_back(server).await;
    insert_rows_of_before(server).await;
    server.services.store.migrate().await.unwrap();
    let caps = [("LIMIT_SENDS_PER_DAY", "20"), ("LIMIT_SENDS_PER_DAY_AND_COUNTRY", "GB:5")];
    server.second_server(&caps).await
}

on_both! {
    async fn prefixes_and_phones_look_as_before(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let (server, hour) = (migrated(&server).await, server.now() + Duration::hours(1));
        let prefix = |prefix, country, state, (sent, verified, unanswered), closed_until, held_until| json!({
            "prefix": prefix, "country": country, "state": state, "sent": sent, "verified": verified,
            "unanswered": unanswered, "closed_until": closed_until, "held_until": held_until,
        });
        let listed = server.get_as(&staff.access, LIST).await;
        assert_eq!(
            listed.at("/prefixes"),
            json!([
                prefix("+917001", "IN", "half_open", (60, 0, 1), Value::Null, Value::Null),
                prefix("+917000", "IN", "closed", (50, 2, 0), shown(hour), Value::Null),
                prefix("+916205", "IN", "open", (40, 30, 3), Value::Null, Value::Null),
                prefix("+12025", "US", "held_open", (7, 1, 0), Value::Null, shown(hour)),
            ])
        );
        assert_eq!(
            listed.at("/countries"),
            json!([
                {"country": "IN", "prefixes": 3, "closed": 1, "sent": 150, "verified": 32},
                {"country": "US", "prefixes": 1, "closed": 0, "sent": 7, "verified": 1},
            ])
        );
        let phone = server.get_as(&staff.access, &format!("/api/abuse/phones/{PHONE}")).await;
        assert_eq!(phone.at("/is_locked"), json!(true));
        assert_eq!(phone.at("/prefix/verified"), json!(30));
        let budgets = phone.at("/budgets");
        let used = budgets.as_array().unwrap().iter().map(|budget| {
            (budget["budget"].as_str().unwrap().to_owned(), budget["address"].clone(), budget["used"].clone())
        });
        let mut used: Vec<_> = used.collect();
        used.dedup();
        let here = json!("203.0.113.7");
        assert_eq!(
            used,
            [
                ("phone-guesses".to_owned(), Value::Null, json!(10)),
                ("phone-failures-in-a-row".to_owned(), Value::Null, json!(10)),
                ("phone-guesses-from-address".to_owned(), here.clone(), json!(10)),
                ("phone-sends".to_owned(), Value::Null, json!(2)),
                ("cooldown".to_owned(), Value::Null, json!(1)),
                ("phone-sends-from-address".to_owned(), here, json!(2)),
            ]
        );
    }

    async fn caps_hold_and_their_alarms_are_sent_once(server: TestServer) {
        server.sign_in(OTHER_PHONE).await;
        let server = migrated(&server).await;
        // The closed prefix, and the spent cap of strangers.
        request_code(&server, 1).await.assert_error(429, "rate_limited");
        server.signup("+919876500001").await.assert_error(429, "rate_limited");
        // A phone that has an account is served, and the operator was told before the step.
        server.advance(30);
        server.login(OTHER_PHONE).await.assert_ok();
        assert_eq!(server.count("SELECT count FROM budgets WHERE key = 'day/2026-03-14'").await, 18);
        assert_eq!(entries(&server, Action::CapReached).await.len(), 0);
        // That of the country is still to come, once.
        let wider = server.second_server(&[("LIMIT_SENDS_PER_DAY", "1000")]).await;
        wider.signup("+447400123456").await.assert_ok();
        let alarms = entries(&wider, Action::CapReached).await;
        let countries: Vec<_> = alarms.iter().map(|entry| entry.detail.get("country").cloned()).collect();
        assert_eq!(countries, [Some(json!("GB"))]);
        let sent = "SELECT COUNT(*) FROM budgets WHERE is_alarm_sent AND key LIKE 'day/%'";
        assert_eq!(server.count(sent).await, 2);
        assert_eq!(server.count("SELECT COUNT(*) FROM budgets WHERE is_alarm_sent").await, 2);
    }

    async fn the_step_back_tells_the_version_before_which_alarms_were_sent(server: TestServer) {
        let server = migrated(&server).await;
        server.execute("UPDATE budgets SET is_alarm_sent = TRUE WHERE key = 'day/2026-03-14/GB'").await;
        step_back(&server).await;
        let told = "SELECT COUNT(*) FROM budgets WHERE key LIKE 'day/%' AND answered = 1";
        assert_eq!(server.count(told).await, 2);
        assert_eq!(server.count("SELECT answered FROM budgets WHERE key = 'prefix/IN/+916205'").await, 30);
    }
}
