//! The shapes of files, and what becomes of one that is broken.

use domain::import::Source;
use serde_json::Value;

use super::{ReadError, read_from};

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
        (Source::Csv, "{\"users\": []}", "not known"),
    ] {
        let found = rows(source, text).unwrap_err().to_string();
        assert!(found.contains(error), "{text}: {found}");
    }
}
