//! Action names, months and settings of the audit log.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{Action, Actor, Detail, Dropping, Event, Month, MonthError, NotYet, Setting, Settings, Shown};
use crate::{phone::PhoneNumber, pseudonym::Pseudonyms};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn pseudonyms(current: &str, earlier: &[&str]) -> Pseudonyms {
    let earlier: Vec<SecretString> = earlier.iter().map(|key| (*key).into()).collect();
    Pseudonyms::derive(&current.into(), &earlier)
}

#[test]
fn an_action_has_a_name_of_its_own_and_is_read_by_it() {
    let names: BTreeSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
    assert_eq!(names.len(), Action::ALL.len());
    for action in Action::ALL {
        let name = action.as_str();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert_eq!(name.parse(), Ok(action));
        let facts: BTreeSet<&str> = action.facts().iter().copied().collect();
        assert_eq!(facts.len(), action.facts().len(), "a fact of {name} is there twice");
    }
    let unknown = "signed_out".parse::<Action>().unwrap_err().to_string();
    assert!(unknown.contains("code_sent, ") && unknown.contains("refresh_reused"), "{unknown}");
}

/// Reads the rows of the table: the action in back quotes, its meaning, its facts in back quotes.
#[test]
fn the_document_has_every_action_with_its_facts() {
    let document = include_str!("../../../../docs/AUDIT.md");
    let quoted =
        |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut described = Vec::new();
    for line in document.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let Ok(action) = quoted(cells[0])[0].parse::<Action>() else { continue };
        let named: BTreeSet<String> =
            cells[2].split(';').filter_map(|fact| quoted(fact).into_iter().next()).collect();
        let facts: BTreeSet<String> = action.facts().iter().map(|fact| (*fact).to_owned()).collect();
        assert_eq!(named, facts, "the facts of {action} in docs/AUDIT.md");
        assert!(cells[1].len() > 10, "when {action} is written");
        described.push(action);
    }
    assert_eq!(described, Action::ALL, "docs/AUDIT.md has each action, in the order of the code");
}

#[test]
fn an_entry_says_who_and_shows_no_whole_phone() {
    let id = Uuid::from_u128(7);
    let phone = PhoneNumber::from_e164("+916205829376").unwrap();
    let keys = pseudonyms("a key", &[]);
    for (actor, kind, actor_id) in [
        (Actor::Person(Some(id)), "person", Some(id)),
        (Actor::Person(None), "person", None),
        (Actor::Staff(id), "staff", Some(id)),
        (Actor::System, "system", None),
        (Actor::Command, "command", None),
    ] {
        let event = Event::new(Action::PhoneChanged, actor).phone(&phone).with("old_phone", &phone);
        let entry = event.entry(Uuid::nil(), &keys, time("2026-03-14T09:26:53Z"));
        assert_eq!((entry.actor_kind.as_ref(), entry.actor_id), (kind, actor_id));
        assert!(Actor::KINDS.contains(&kind));
        assert_eq!(entry.phone_masked.as_deref(), Some("+91******9376"));
        assert_eq!(entry.phone_mark.as_deref(), Some(keys.phone(&phone).as_str()));
        assert_eq!(entry.detail.to_string(), r#"{"old_phone":"+91******9376"}"#);
        assert!(!format!("{entry:?}").contains("6205829376"));
        assert_eq!(Detail::parse(&entry.detail.to_string()), Some(entry.detail));
    }
}

#[test]
#[should_panic(expected = "left is no fact of signed_in")]
fn a_fact_that_is_not_known_is_a_fault_of_the_program() {
    let _ = Event::by_stranger(Action::SignedIn).with("left", 2_i64);
}

#[test]
fn a_month_is_four_digits_and_two() {
    for text in ["2026-05", "1999-12", "2026-01"] {
        assert_eq!(text.parse::<Month>().unwrap().to_string(), text);
    }
    for text in
        ["2026-13", "2026-00", "2026-5", "26-05", "2026", "2026-05-01", "+026-05", "2026-+5", "", "2026/05"]
    {
        assert_eq!(text.parse::<Month>(), Err(MonthError), "{text}");
    }
}

#[test]
fn a_month_begins_where_the_product_lives() {
    for (month, zone, begins) in [
        ("2026-05", Tz::UTC, "2026-05-01T00:00:00Z"),
        ("2026-05", Tz::Asia__Kolkata, "2026-04-30T18:30:00Z"),
        ("2026-05", Tz::America__New_York, "2026-05-01T04:00:00Z"),
        // Clocks went forward at midnight, so 00:00 did not exist.
        ("2017-10", Tz::America__Asuncion, "2017-10-01T04:00:00Z"),
    ] {
        assert_eq!(month.parse::<Month>().unwrap().begins(zone), time(begins), "{month} in {zone}");
    }
}

#[test]
fn only_months_that_are_over_are_dropped() {
    let zone = Tz::Asia__Kolkata;
    // The last moment of April there, and the first of May.
    for (now, current) in [("2026-04-30T18:29:59.999999Z", "2026-04"), ("2026-04-30T18:30:00Z", "2026-05")] {
        let current: Month = current.parse().unwrap();
        assert_eq!(Month::from_time(time(now), zone), current);
        for (month, is_allowed) in [
            ("2025-12", true),
            ("2026-04", true),
            ("2026-05", current.to_string() == "2026-05"),
            ("2026-06", false),
        ] {
            let month: Month = month.parse().unwrap();
            let permission = Dropping::before(month, time(now), zone);
            assert_eq!(permission.is_ok(), is_allowed, "{month} at {now}");
            match permission {
                Ok(permission) => assert_eq!(permission.begins(), month.begins(zone)),
                Err(not_yet) => assert_eq!(not_yet, NotYet { current }),
            }
        }
    }
}

fn given(settings: &[(&'static str, &str)], secrets: &[(&'static str, &str)]) -> Settings {
    let plain = settings.iter().map(|(name, text)| Setting { name, value: Shown::Plain((*text).to_owned()) });
    let secret = secrets.iter().map(|(name, text)| Setting { name, value: Shown::Secret((*text).into()) });
    Settings::new(plain.chain(secret).collect())
}

/// The next entry's detail.
fn next(settings: &Settings, last: Option<&Detail>, keys: &Pseudonyms) -> Option<Detail> {
    let (changed, all) = settings.since(last, keys)?.facts();
    let event = Event::new(Action::SettingsChanged, Actor::System).with("changed", changed);
    Some(event.with("settings", all).detail)
}

#[test]
fn a_change_of_a_setting_is_told_and_of_a_secret_only_that_it_changed() {
    let keys = pseudonyms("a key", &[]);
    let first = given(&[("OTP_LENGTH", "4")], &[("TWILIO_AUTH_TOKEN", "hidden")]);
    let entry = next(&first, None, &keys).unwrap();
    assert_eq!(
        entry.get("changed"),
        Some(&json!([
            {"name": "OTP_LENGTH", "old": null, "new": "4"},
            {"name": "TWILIO_AUTH_TOKEN", "old": null, "new": "secret"},
        ]))
    );
    assert!(!entry.to_string().contains("hidden"), "{entry}");
    assert_eq!(next(&first, Some(&entry), &keys), None, "nothing has changed");

    let second = given(&[("TIME_ZONE", "UTC")], &[("TWILIO_AUTH_TOKEN", "another")]);
    let entry = next(&second, Some(&entry), &keys).unwrap();
    assert_eq!(
        entry.get("changed"),
        Some(&json!([
            {"name": "TIME_ZONE", "old": null, "new": "UTC"},
            {"name": "TWILIO_AUTH_TOKEN", "old": "secret", "new": "secret"},
            {"name": "OTP_LENGTH", "old": "4", "new": null},
        ]))
    );

    // A server without any given setting writes an entry at its first start, and none at its second.
    let entry = next(&given(&[], &[]), None, &keys).unwrap();
    assert_eq!(entry.get("changed"), Some(&json!([])));
    assert_eq!(next(&given(&[], &[]), Some(&entry), &keys), None);
}

#[test]
fn another_secret_key_does_not_make_every_secret_look_changed_while_the_old_one_is_listed() {
    let settings = given(&[], &[("TWILIO_AUTH_TOKEN", "hidden"), ("JWT_SECRET_KEY", "hidden")]);
    let entry = next(&settings, None, &pseudonyms("old", &[])).unwrap();
    let fingerprint = |name: &str| entry.get("settings").unwrap()[name].as_str().unwrap().to_owned();
    assert_ne!(
        fingerprint("TWILIO_AUTH_TOKEN"),
        fingerprint("JWT_SECRET_KEY"),
        "equal secrets are not seen to be equal"
    );
    assert_eq!(next(&settings, Some(&entry), &pseudonyms("new", &["old"])), None);
    let changed = next(&settings, Some(&entry), &pseudonyms("new", &[])).unwrap();
    assert_eq!(changed.get("changed").unwrap().as_array().unwrap().len(), 2);
}
