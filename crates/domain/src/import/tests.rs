//! Tables of what comes, and of who keeps a number.

use chrono::{DateTime, Utc};

use super::{
    Census, FormerLead, FormerPhone, Group, Groups, Judged, Newcomer, Person, Reason, Rules, is_like_a_phone,
    judge, judge_lead, parse_time, text::with_ascii_digits,
};
use crate::{account::Role, former_id::FormerId, profile::PictureHosts};

fn now() -> DateTime<Utc> {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

fn rules() -> Rules {
    Rules {
        region: "IN".parse().unwrap(),
        name_min_chars: 2,
        picture_hosts: PictureHosts::PublicOnly,
        today: now().date_naive(),
        now: now(),
    }
}

fn phone(text: &str, is_proved: bool) -> FormerPhone {
    FormerPhone { text: text.to_owned(), is_proved }
}

/// A user with a proved phone.
fn person(place: u64, number: &str) -> Person {
    Person { place, old_id: place.to_string(), phones: vec![phone(number, true)], ..Person::default() }
}

fn account(person: &Person) -> Box<Newcomer> {
    match judge(person, &rules()) {
        Judged::Account(newcomer) => newcomer,
        other => panic!("{other:?}"),
    }
}

fn reason(person: &Person) -> &'static str {
    match judge(person, &rules()) {
        Judged::Refused(reason) => reason.as_str(),
        other => panic!("{other:?}"),
    }
}

const HASH: &str = "pbkdf2_sha256$1000$seasalt$5jcAGfG4IURVEG+fh8ZfC6OgG22XVwlBdGnd/jHPm8s=";

#[test]
fn a_number_is_read_in_every_spelling_and_never_guessed() {
    for (text, number) in [
        ("+919876543210", "+919876543210"),
        ("919876543210", "+919876543210"),
        ("09876543210", "+919876543210"),
        ("+९१९८७६५४३२१०", "+919876543210"),
        ("٠٩٨٧٦٥٤٣٢١٠", "+919876543210"),
        ("𝟗𝟖𝟕𝟔𝟓𝟒𝟑𝟐𝟏𝟎", "+919876543210"),
        ("+447911123456", "+447911123456"),
    ] {
        assert_eq!(account(&person(1, text)).phone.unwrap().full(), number, "{text}");
    }
    for (text, expected) in [
        ("447911123456", "phone_without_plus"),
        ("491512345678901", "phone_without_plus"),
        ("+4915123456789012", "phone_not_in_plan"),
        ("+91987654321x", "phone_characters"),
        ("+912222345678", "phone_not_personal"),
        (&"9".repeat(65), "phone_too_long"),
        ("+", "phone_missing"),
        ("  ", "no_way_in"),
    ] {
        assert_eq!(reason(&person(1, text)), expected, "{text}");
    }
    assert_eq!(with_ascii_digits("०९ ٠٩ ０９ 𝟎𝟗 𝟶𝟿 a½"), "09 09 09 09 09 a½");
    for (name, is_like_one) in
        [("+919876543210", true), ("(0) 98-765", true), ("९८७६५", true), ("1234", false), ("a12345", false)]
    {
        assert_eq!(is_like_a_phone(name), is_like_one, "{name}");
    }
}

#[test]
fn an_id_is_ours_only_where_it_is_a_uuid() {
    let uuid = "0B8E1C1E-6A8E-4F0E-9A53-6F0D6A1E7A01";
    for (text, is_ours) in [
        (uuid, true),
        ("0b8e1c1e6a8e4f0e9a536f0d6a1e7a01", false),
        ("{0b8e1c1e-6a8e-4f0e-9a53-6f0d6a1e7a01}", false),
        ("42", false),
        (" sms|5f7c ", false),
    ] {
        let newcomer = account(&Person { old_id: text.to_owned(), ..person(1, "+919876543210") });
        assert_eq!(matches!(newcomer.old_id, FormerId::Own(_)), is_ours, "{text}");
        let shown = if is_ours { text.to_lowercase() } else { text.trim().to_owned() };
        assert_eq!(newcomer.old_id.to_string(), shown);
    }
    for (text, expected) in [
        ("", "no_id"),
        (" ", "no_id"),
        ("a\nb", "bad_id"),
        (&"x".repeat(256), "bad_id"),
        ("00000000-0000-0000-0000-000000000000", "bad_id"),
    ] {
        assert_eq!(reason(&Person { old_id: text.to_owned(), ..person(1, "+919876543210") }), expected);
    }
}

#[test]
fn an_account_needs_a_way_in() {
    let unproved = || vec![phone("+919876543210", false)];
    let with = |email: Option<String>, password: Option<String>, phones| Person {
        email,
        password,
        phones,
        name: Some("Asha Rao".to_owned()),
        ..person(1, "")
    };
    let by_password = account(&with(Some("asha@example.com".to_owned()), Some(HASH.to_owned()), unproved()));
    assert!(by_password.phone.is_none() && by_password.password.is_some());
    assert_eq!(by_password.claimed_phone.unwrap().as_str(), "+919876543210");
    assert_eq!(reason(&with(Some("asha@example.com".to_owned()), None, vec![])), "no_way_in");
    assert_eq!(reason(&with(None, Some(HASH.to_owned()), vec![])), "no_way_in");
    let Judged::Lead(lead) = judge(&with(None, None, unproved()), &rules()) else { panic!("a lead") };
    assert_eq!((lead.phone.full(), lead.name.unwrap().as_str()), ("+919876543210", "Asha Rao"));
    let disabled = Person { is_disabled: true, ..with(None, None, unproved()) };
    assert_eq!(reason(&disabled), "disabled_lead");
    assert_eq!(reason(&Person { is_deleted: true, ..person(1, "+919876543210") }), "deleted");
    for (until, is_active) in [("2026-11-28T12:00:01Z", false), ("2026-11-28T12:00:00Z", true)] {
        let banned = Person { disabled_until: until.parse().ok(), ..person(1, "+919876543210") };
        assert_eq!(account(&banned).is_active, is_active, "{until}");
    }
    let lead = FormerLead {
        place: 1,
        old_id: "1".to_owned(),
        phone: "12".to_owned(),
        first_requested_at: None,
        last_requested_at: None,
    };
    assert!(matches!(judge_lead(&lead, &rules()), Err(Reason::Phone(_))));
}

#[test]
fn what_breaks_a_rule_is_left_out_and_named() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let whole = Person {
        username: Some("asha".to_owned()),
        email: Some("asha@example.com".to_owned()),
        name: Some("Asha\r\n Rao".to_owned()),
        birth_date: Some("1995-05-05".to_owned()),
        gender: Some("FEMALE".to_owned()),
        bio: Some("one\n\ntwo\u{2028}three".to_owned()),
        interests: names(&["Anime", "anime", "Chess"]),
        pictures: names(&["https://cdn.example.com/a.jpg", ""]),
        created_at: "2027-01-01T00:00:00Z".parse().ok(),
        ..person(1, "+919876543210")
    };
    let newcomer = account(&whole);
    assert_eq!(newcomer.left_out, [""; 0]);
    assert_eq!(newcomer.name.unwrap().as_str(), "Asha Rao");
    assert_eq!(newcomer.bio.unwrap().as_str(), "one two three");
    assert_eq!((newcomer.interests.len(), newcomer.pictures.len()), (2, 1));
    assert_eq!(newcomer.created_at, now(), "an account is not made in the future");
    let broken = Person {
        username: Some("a b".to_owned()),
        email: Some("asha".to_owned()),
        name: Some("A5ha".to_owned()),
        birth_date: Some("2020-01-01".to_owned()),
        gender: Some("unsaid".to_owned()),
        interests: (0..6).map(|n| format!("Interest {n}")).collect(),
        pictures: names(&["http://localhost/a.jpg", "https://cdn.example.com/a.jpg"]),
        password: Some("md5$x$y".to_owned()),
        ..whole
    };
    let newcomer = account(&broken);
    let left_out =
        ["username", "email", "name", "birth_date", "gender", "interests", "profile_pictures", "password"];
    assert_eq!(newcomer.left_out, left_out);
    assert_eq!((newcomer.interests.len(), newcomer.pictures.len()), (5, 1));
    // A phone as the username, and empty texts, are no loss.
    let original = Person {
        username: Some("+919876543210".to_owned()),
        email: Some(String::new()),
        name: Some(" ".to_owned()),
        ..person(1, "+919876543210")
    };
    assert_eq!(account(&original).left_out, [""; 0]);
}

fn census_of(people: &[Person]) -> Census {
    let mut census = Census::default();
    for person in people {
        census.count(&account(person));
    }
    census
}

/// Groups of these people, in the order of their completion: the kept one, and the merged ones.
fn grouped(people: &[Person]) -> Vec<(u64, Vec<u64>)> {
    let census = census_of(people);
    let mut groups = Groups::new(census, rules().region);
    let mut done: Vec<Group> = people.iter().filter_map(|person| groups.take(account(person))).collect();
    done.extend(groups.rest());
    let places = |group: Group| {
        let merged = group.merged.iter().map(|merged| merged.place).collect();
        (group.kept.place, merged)
    };
    done.into_iter().map(places).collect()
}

#[test]
fn the_active_one_who_signed_in_last_keeps_the_number() {
    let at = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
    let one = person(1, "+919876543210");
    let late = Person { last_sign_in: at("2026-05-02T00:00:00Z"), ..person(2, "919876543210") };
    let early = Person { last_sign_in: at("2026-05-01T00:00:00Z"), ..person(3, "09876543210") };
    let disabled =
        Person { is_disabled: true, last_sign_in: at("2026-06-01T00:00:00Z"), ..person(4, "+919876543210") };
    let newer = Person { created_at: at("2026-01-02T00:00:00Z"), ..person(5, "+919876543210") };
    let older = Person { created_at: at("2026-01-01T00:00:00Z"), ..person(6, "+919876543210") };
    let other = person(7, "+919876543211");
    for (people, expected) in [
        (vec![&one, &late], (2, vec![1])),
        (vec![&late, &one], (2, vec![1])),
        (vec![&early, &late, &one, &disabled], (2, vec![3, 1, 4])),
        (vec![&disabled, &one], (1, vec![4])),
        (vec![&older, &newer], (5, vec![6])),
    ] {
        let people: Vec<Person> = people.into_iter().cloned().collect();
        assert_eq!(grouped(&people), [expected]);
    }
    let people = [one.clone(), other, late];
    assert_eq!(grouped(&people), [(7, vec![]), (2, vec![1])], "a group is done when its last one comes");
}

#[test]
fn the_profile_is_completed_and_nothing_that_opens_an_account_is() {
    let first = Person {
        name: Some("Asha Rao".to_owned()),
        email: Some("a@example.com".to_owned()),
        username: Some("asha".to_owned()),
        ..person(1, "+919876543210")
    };
    let second = Person {
        last_sign_in: Some(now()),
        gender: Some("female".to_owned()),
        password: Some(HASH.to_owned()),
        ..person(2, "919876543210")
    };
    let census = census_of(&[first.clone(), second.clone()]);
    let mut groups = Groups::new(census, rules().region);
    assert!(groups.take(account(&first)).is_none());
    let kept = groups.take(account(&second)).unwrap().kept;
    assert_eq!((kept.place, kept.name.unwrap().as_str()), (2, "Asha Rao"));
    assert!(kept.gender.is_some() && kept.password.is_some());
    assert!(kept.email.is_none() && kept.username.is_none());
}

#[test]
fn staff_are_merged_with_nobody() {
    let user = person(1, "+919876543210");
    let staff = |place| Person {
        role: Some(Role::Staff),
        username: Some("desk".to_owned()),
        password: Some(HASH.to_owned()),
        last_sign_in: Some(now()),
        ..person(place, "919876543210")
    };
    assert_eq!(grouped(&[staff(2), user.clone()]), [(2, vec![]), (1, vec![])]);
    let census = census_of(&[staff(2), user.clone()]);
    let mut groups = Groups::new(census, rules().region);
    let desk = groups.take(account(&staff(2))).unwrap().kept;
    assert!(desk.phone.is_none() && desk.left_out == ["phone"]);
    assert!(groups.take(account(&user)).unwrap().kept.phone.is_some());
    // Without a user who has the number, it stays.
    let census = census_of(&[staff(2)]);
    assert!(Groups::new(census, rules().region).take(account(&staff(2))).unwrap().kept.phone.is_some());
}

#[test]
fn times_are_read_as_every_source_writes_them() {
    let time: DateTime<Utc> = "2026-01-05T10:00:00.123Z".parse().unwrap();
    for text in [
        "2026-01-05T10:00:00.123Z",
        "2026-01-05T15:30:00.123+05:30",
        "2026-01-05 10:00:00.123+00",
        "2026-01-05 15:30:00.123+0530",
        "2026-01-05 10:00:00.123",
        "2026-01-05T10:00:00.123",
        "2026-01-05 10:00:00.123 UTC",
        "1767607200123",
        "1767607200.123",
    ] {
        assert_eq!(parse_time(text), Some(time), "{text}");
    }
    assert_eq!(parse_time("2026-01-05"), "2026-01-05T00:00:00Z".parse().ok());
    for text in [
        "",
        "x",
        "NaN",
        "-1",
        "inf",
        "1e300",
        "2026-13-01",
        "2026-01-05T25:00:00Z",
        "-9999-01-01T00:00:00Z",
        "0000-01-01",
        "+12024-01-01",
        "1899-12-31",
    ] {
        assert_eq!(parse_time(text), None, "{text}");
    }
}
