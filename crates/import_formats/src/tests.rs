//! The shapes of files, and what becomes of one that is broken.

use domain::import::{Person, Row, Source};
use serde_json::Value;

use super::{ReadError, read_from, read_rows};

/// The places of the rows, and the value of `id` in each; none for a row that cannot be read.
fn rows(source: Source, text: &str) -> Result<Vec<(u64, Option<String>)>, ReadError> {
    let mut rows = Vec::new();
    read_from(source, text.as_bytes(), &mut |place, record| {
        let id = record.map(|record| record.get("id").and_then(Value::as_str).unwrap_or_default().to_owned());
        rows.push((place, id));
        true
    })?;
    Ok(rows)
}

fn some(rows: &[(u64, &str)]) -> Vec<(u64, Option<String>)> {
    rows.iter().map(|(place, id)| (*place, Some((*id).to_owned()))).collect()
}

/// What the file's rows become; none for one that cannot be read.
fn people(source: Source, text: &str) -> Vec<Option<Person>> {
    let mut people = Vec::new();
    read_rows(source, text.as_bytes(), &mut |row| {
        people.push(if let Row::Person(person) = row { Some(*person) } else { None });
        true
    })
    .unwrap();
    people
}

/// What a file with one row becomes.
fn one(source: Source, text: &str) -> Option<Person> {
    let [person] = <[_; 1]>::try_from(people(source, text)).unwrap();
    person
}

#[test]
fn every_shape_of_a_file_gives_its_rows() {
    for (source, text) in [
        (Source::Supabase, r#"[{"id":"a"},{"id":"b"}]"#),
        (Source::Supabase, " \u{feff}".trim_start()),
        (Source::Firebase, "{\"users\": [\n  {\"id\":\"a\"},\n {\"id\":\"b\"}],\n \"more\": {\"x\": [1]}}"),
        (Source::Cognito, r#"{"Users":[{"id":"a"}]} {"Users":[{"id":"b"}],"PaginationToken":"x"}"#),
        (Source::Auth0, "\u{feff}{\"id\":\"a\"}\n{\"id\":\"b\"}\n"),
        (Source::Supabase, "id,phone\na,1\nb,2\n"),
        (Source::Supabase, "id,phone\r\na,\"1\r\n2\"\r\nb,2"),
    ] {
        let found = rows(source, text).unwrap();
        let ids: Vec<_> = found.iter().map(|(_, id)| id.clone().unwrap()).collect();
        let expected: &[&str] = if text.len() < 4 { &[] } else { &["a", "b"] };
        assert_eq!(ids, expected, "{text}");
    }
}

#[test]
fn a_row_that_cannot_be_read_is_named_and_the_next_is_read() {
    let lines = "{\"id\":\"a\"}\nnot JSON\n\n{\"id\":\"b\"}\n[1]\n";
    let expected = [some(&[(1, "a")]), vec![(2, None)], some(&[(4, "b")]), vec![(5, None)]].concat();
    assert_eq!(rows(Source::Auth0, lines).unwrap(), expected);
    let long = format!("{{\"id\":\"a\"}}\n{{\"id\":\"{}\"}}\n{{\"id\":\"b\"}}", "x".repeat(2 << 20));
    let expected = [some(&[(1, "a")]), vec![(2, None)], some(&[(3, "b")])].concat();
    assert_eq!(rows(Source::Auth0, &long).unwrap(), expected);
    let csv = "id,name\na,x\nb\nc,y,z\nd,w\n";
    let expected = [some(&[(2, "a")]), vec![(3, None), (4, None)], some(&[(5, "d")])].concat();
    assert_eq!(rows(Source::Cognito, csv).unwrap(), expected);
    assert_eq!(
        rows(Source::Supabase, "[1, {\"id\":\"b\"}]").unwrap(),
        [vec![(1, None)], some(&[(2, "b")])].concat()
    );
}

#[test]
fn a_file_that_ends_too_early_or_is_another_one_is_an_error() {
    let unclosed = format!("id,name\na,b\nc,\"d\n{}", "e,f\n".repeat(400_000));
    for (source, text, error) in [
        (Source::Supabase, unclosed.as_str(), "begins at line 3 has more"),
        (Source::Firebase, "{\"users\": [{\"id\":\"a\"},", "not valid JSON at line 1"),
        (Source::Firebase, "[{\"id\": \"a\"}", "not valid JSON"),
        (Source::Firebase, "{\n\"people\": []\n}", "no list of users"),
        (Source::Firebase, "uid,email,false", "--format=json"),
        (Source::Csv, "id,phone_number,phonenumber\n", "not known: phonenumber"),
        (Source::Csv, "phone_number\n+911\n", "no column id"),
        (Source::Csv, "{\"users\": []}", "no header that is known"),
        (Source::Csv, "id;phone_number\n1;+911\n", "separated by commas"),
        (Source::Csv, "id,name,bio,name\n1,a,b,c\n", "a column twice: name"),
        (Source::Supabase, "id,phone, phone\n1,2,3\n", "a column twice: phone"),
        (Source::Cognito, "sub,+91 98,+91 98\n1,2,3\n", "a column twice: number 3"),
    ] {
        let found = rows(source, text).unwrap_err().to_string();
        assert!(found.contains(error), "{text}: {found}");
    }
    assert_eq!(rows(Source::Supabase, "id,,\na,,\n").unwrap(), some(&[(2, "a")]), "columns without a name");
}

#[test]
fn what_may_be_about_users_is_not_told() {
    let told = |text: &str| rows(Source::Csv, text).unwrap_err().to_string();
    let without = told(&format!("1,+919876543210,Asha Rao,\u{1b}[31m,{}\n", "x".repeat(900_000)));
    for part in ["1", "+91", "Asha", "\u{1b}", "xx"] {
        assert!(!without.contains(part), "{without}");
    }
    assert!(without.contains("id, phone_number, phone_verified"), "{without}");
    let some = told("id,Asha Rao,phone,\u{1b}[31m,,custom:a-b.c\n");
    assert!(some.contains("not known: number 2, phone, number 4, number 5, custom:a-b.c."), "{some}");
    let long = told(&format!("id,{},{}\n", "x".repeat(40), "y".repeat(41)));
    assert!(long.contains(&format!("not known: {}, number 3.", "x".repeat(40))), "{long}");
    let names: Vec<String> = (1..=11).map(|n| format!("c{n}")).collect();
    let ten = told(&format!("id,{}\n", names[..10].join(",")));
    assert!(ten.contains("c9, c10."), "{ten}");
    let many = told(&format!("id,{}\n", names.join(",")));
    assert!(many.contains("c9, c10, and 1 more."), "{many}");
}

#[test]
fn a_broken_first_line_costs_one_row_only() {
    let expected = [vec![(1, None)], some(&[(2, "a"), (3, "b")])].concat();
    for first in ["{\"id\":\"x", "{\"id\":", "{\"id\":\"x\"}}", "7c8\",\"name\":\"x\"}", "not JSON"] {
        let text = format!("{first}\n{{\"id\":\"a\"}}\n{{\"id\":\"b\"}}\n");
        assert_eq!(rows(Source::Auth0, &text).unwrap(), expected, "{first}");
    }
    // One document, of which the second line happens to be an object.
    for text in ["{\"users\": [\n{\"id\":\"a\"}\n]}", "{\"version\": 1, \"Users\": [\n{\"id\":\"a\"}\n]}"] {
        assert_eq!(rows(Source::Firebase, text).unwrap(), some(&[(1, "a")]), "{text}");
    }
    for text in ["{\"id\":\"x", "{\"id\":\"x\n", "{\"id\":\"x\n{\"id\":\"y\n{\"id\":\"b\"}\n"] {
        assert!(matches!(rows(Source::Auth0, text), Err(ReadError::Json { .. })), "{text}");
    }
}

#[test]
fn a_flag_that_is_not_understood_makes_the_row_unreadable() {
    let csv =
        |column: &str, value: &str| one(Source::Csv, &format!("id,phone_number,{column}\na,1,{value}\n"));
    let proved = |person: Person| person.phones.iter().all(|phone| phone.is_proved);
    for (value, expected) in [
        ("", Some(true)),
        ("y", Some(true)),
        ("YES", Some(true)),
        ("T", Some(true)),
        (" True ", Some(true)),
        ("1", Some(true)),
        ("n", Some(false)),
        ("N", Some(false)),
        ("No", Some(false)),
        ("f", Some(false)),
        ("FALSE", Some(false)),
        ("0", Some(false)),
        ("unverified", None),
        ("disabled", None),
        ("2", None),
        ("null", None),
    ] {
        assert_eq!(csv("phone_verified", value).map(proved), expected, "{value}");
        assert_eq!(csv("is_active", value).map(|person| !person.is_disabled), expected, "{value}");
    }
    for (source, rest) in [
        (Source::Auth0, r#""phone_verified": "pending""#),
        (Source::Auth0, r#""phone_verified": {}"#),
        (Source::Auth0, r#""blocked": "until May""#),
        (Source::Firebase, r#""disabled": [true]"#),
        (Source::Firebase, r#""disabled": 0.5"#),
        (Source::Cognito, r#""Enabled": "pending""#),
        (Source::Cognito, r#""phone_number_verified": "pending""#),
        (Source::Cognito, r#""Attributes": [{"Name": "phone_number_verified", "Value": "pending"}]"#),
        (Source::Supabase, r#""phone": "1", "phone_confirmed_at": "pending""#),
        (Source::Supabase, r#""email": "a@example.com", "email_confirmed_at": "pending""#),
    ] {
        assert!(one(source, &format!("{{\"id\": \"a\", {rest}}}")).is_none(), "{rest}");
    }
    let kept = one(Source::Auth0, r#"{"user_id": "sms|1", "phone_number": "1", "phone_verified": null}"#);
    assert!(kept.is_some_and(proved));
}

#[test]
fn a_ban_of_supabase_that_cannot_be_read_is_one() {
    for (value, is_disabled) in [
        ("null", false),
        ("\"\"", false),
        ("\"2999-01-01 00:00:00+00\"", false),
        ("\"infinity\"", true),
        ("\"12124-01-05 10:00:00+00\"", true),
        ("\"none\"", true),
        ("{}", true),
    ] {
        let person = one(Source::Supabase, &format!("{{\"id\": \"a\", \"banned_until\": {value}}}")).unwrap();
        assert_eq!(person.is_disabled, is_disabled, "{value}");
        assert_eq!(person.disabled_until.is_some(), value.contains("2999"), "{value}");
    }
}

#[test]
fn a_name_of_supabase_signs_in_only_if_it_did_there() {
    const TIME: &str = "2025-01-05 10:00:00+00";
    for (columns, email, password) in [
        ("", false, false),
        ("email_confirmed_at", true, true),
        ("confirmed_at", false, false),
        ("phone_confirmed_at", false, true),
        ("phone_confirmed_at confirmed_at", false, true),
        ("phone_confirmed_at email_confirmed_at confirmed_at", true, true),
    ] {
        let mut row =
            serde_json::json!({"id": "a", "phone": "1", "email": "a@example.com", "encrypted_password": "x"});
        for column in columns.split_whitespace() {
            row[column] = TIME.into();
        }
        let text = row.to_string();
        let person = one(Source::Supabase, &text).unwrap();
        assert_eq!((person.email.is_some(), person.password.is_some()), (email, password), "{columns}");
        assert_eq!(person.left_out.contains(&"email"), !email, "{columns}");
    }
    // The column of versions that knew no phones.
    let text =
        r#"{"id": "a", "email": "a@example.com", "confirmed_at": "2021-01-05", "encrypted_password": "x"}"#;
    let person = one(Source::Supabase, text).unwrap();
    assert!(person.email.is_some() && person.password.is_some());
    // A time, but no phone.
    let text = r#"{"id": "a", "phone_confirmed_at": "2025-01-05", "encrypted_password": "x"}"#;
    assert!(one(Source::Supabase, text).unwrap().password.is_none());
}

#[test]
fn an_id_is_a_text_or_a_whole_number() {
    for (id, expected) in [
        ("\"7\"", Some("7")),
        ("7", Some("7")),
        ("-7", Some("-7")),
        ("18446744073709551615", Some("18446744073709551615")),
        ("18446744073709551616", None),
        ("-9223372036854775808", Some("-9223372036854775808")),
        ("-9223372036854775809", None),
        ("7.0", None),
        ("7e3", None),
        ("true", None),
        ("[7]", None),
        ("null", Some("")),
        ("\"\"", Some("")),
    ] {
        for (source, text) in [
            (Source::Firebase, format!("{{\"users\": [{{\"localId\": {id}}}]}}")),
            (Source::Supabase, format!("{{\"id\": {id}}}")),
            (Source::Auth0, format!("{{\"user_id\": {id}}}")),
            (Source::Cognito, format!("{{\"Username\": {id}}}")),
            (Source::Cognito, format!("{{\"Attributes\": [{{\"Name\": \"sub\", \"Value\": {id}}}]}}")),
        ] {
            let found = one(source, &text).map(|person| person.old_id);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
