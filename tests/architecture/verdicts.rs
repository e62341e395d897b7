//! Every case of the verdict on a phone is made through the API by a test that reads its sentence on the page and in the JSON,
//! and is explained in `docs/PHONE_PAGE.md`. The cases are read from the source, so a new one without a test is found here.

use std::{collections::BTreeSet, fs, path::Path};

/// The files whose function `code` names the cases.
const CASES: [&str; 5] = ["../verdict.rs", "event.rs", "last_message.rs", "limit.rs", "stop.rs"];

/// The tests that look at a case with `Desk::sees`, which reads the page and the JSON.
const TESTS: [&str; 4] =
    ["verdict_blocks.rs", "verdict_messages.rs", "verdict_refusals.rs", "verdict_sign_ins.rs"];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The names in the function `code` of a file.
fn codes(file: &str) -> Vec<String> {
    let text = read(&format!("crates/domain/src/verdict/{file}"));
    let (_, function) = text.split_once("fn code(").unwrap();
    let body = function.split_once("\n    }\n").unwrap().0;
    let names = body.split('"').skip(1).step_by(2).map(str::to_owned);
    names.collect()
}

#[test]
fn every_case_is_made_through_the_api_and_explained() {
    let codes: Vec<String> = CASES.iter().flat_map(|file| codes(file)).collect();
    let distinct: BTreeSet<&String> = codes.iter().collect();
    assert_eq!(distinct.len(), codes.len(), "two cases have one name");
    assert!(codes.len() >= 60, "{codes:?}");
    let tests: String = TESTS.iter().map(|file| read(&format!("tests/admin/{file}"))).collect();
    let explained = read("docs/PHONE_PAGE.md");
    let is_untested = |code: &&&String| !tests.contains(&format!("\"{code}\""));
    let untested: Vec<_> = distinct.iter().filter(is_untested).collect();
    assert!(untested.is_empty(), "no test in tests/admin makes these cases: {untested:?}");
    let is_unexplained = |code: &&&String| !explained.contains(&format!("`{code}`"));
    let unexplained: Vec<_> = distinct.iter().filter(is_unexplained).collect();
    assert!(unexplained.is_empty(), "docs/PHONE_PAGE.md does not explain these cases: {unexplained:?}");
}
