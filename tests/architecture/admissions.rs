//! Who gets an account is decided by one rule, `Signups::admit`: an account cannot be written without its `Admission`, which the
//! compiler checks. This test checks that the exceptions to the rule stay those that are named, each in its one place.

use std::{fs, path::Path};

use super::source;

/// What makes an admission, or the proof for one, without asking the rule; and the file that may.
const EXCEPTIONS: [(&str, &str); 6] = [
    ("by_admin", "src/flows/users/create.rs"),
    ("by_createsuperuser", "src/flows/users.rs"),
    ("by_hand", "src/flows/leads/by_hand.rs"),
    ("by_import", "src/flows/import/batch.rs"),
    ("by_undo", "src/flows/merge/undo.rs"),
    ("claimed", "crates/store/src/invitations.rs"),
];

/// The types that these are functions of.
const TYPES: [&str; 2] = ["Admission", "UsedInvitation"];

/// The exceptions that a file names.
fn used_in(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let tokens = source::without_tests(&source::tokens(&text));
    let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let paths = texts.windows(3).filter(|window| TYPES.contains(&window[0]) && window[1] == "::");
    paths.map(|window| window[2].to_owned()).collect()
}

#[test]
fn whoever_makes_an_account_asks_the_rule_or_is_a_named_exception() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "crates"] {
        for file in source::files(&root.join(folder)) {
            let name = file.strip_prefix(root).unwrap().display().to_string();
            if !source::is_test(&name) && !name.ends_with("domain/src/signups.rs") {
                found.extend(used_in(&file).into_iter().map(|function| (function, name.clone())));
            }
        }
    }
    found.sort();
    let expected = EXCEPTIONS.map(|(function, file)| (function.to_owned(), file.to_owned()));
    assert_eq!(found, expected, "an account is made past the rule of domain/signups.rs");
}
