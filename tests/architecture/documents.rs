//! What the documents and the comments point to exists: files in back quotes, and what they name inside of a file.

use std::path::{Path, PathBuf};

use super::source;

/// Where a path in a document may begin, besides the root: `ARCHITECTURE.md` names rooms, comments their neighbours.
const BASES: [&str; 4] = ["", "src", "tests", "docs"];

/// Folders whose paths are meant to exist, wherever a document names them.
const FOLDERS: [&str; 13] = [
    "src/",
    "tests/",
    "migration/",
    "docs/",
    ".ci/",
    "config/",
    "domain/",
    "flows/",
    "store/",
    "sms/",
    "http/",
    "support/",
    "admin/",
];

/// The words of a text in single back quotes, with their lines. Fenced blocks are read too, line by line, as far as
/// they hold back quotes.
fn quoted(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            continue;
        }
        found.extend(line.split('`').skip(1).step_by(2).map(|word| (number + 1, word)));
    }
    found
}

/// The file that a quoted word names, and the item inside of it: `store/otp.rs::claim_attempt`.
fn reference(word: &str) -> Option<(&str, Option<&str>)> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    // `mYYYYMMDD_NNNNNN_what.rs` shows a shape, and `mod.rs` is one of many.
    let is_pattern = word.contains("YYYY") || word == "mod.rs";
    if is_pattern || word.starts_with('/') || word.contains("://") || !word.chars().all(is_path) {
        return None;
    }
    let (file, item) = match word.split_once("::") {
        Some((file, item)) => (file, Some(item)),
        None => (word.split(':').next().unwrap_or(word), None),
    };
    let is_source = Path::new(file).extension().is_some_and(|extension| extension == "rs");
    let is_in_folder = FOLDERS.iter().any(|folder| file.starts_with(folder));
    (is_source || is_in_folder).then_some((file, item))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The file, seen from the root, from a room, or from the folder of whoever names it.
fn find(file: &str, named_in: &Path) -> Option<PathBuf> {
    let neighbours = named_in.parent().map(Path::to_path_buf);
    // A module of a folder speaks of the files in the folder: `phone.rs` of `phone/plan.rs`.
    let own = Some(named_in.with_extension(""));
    let bases = BASES.iter().map(|base| root().join(base));
    bases.chain(neighbours).chain(own).map(|base| base.join(file)).find(|path| path.exists())
}

/// Every reference of a text that leads nowhere.
fn dead_ends(named_in: &Path, text: &str) -> Vec<String> {
    let mut dead = Vec::new();
    for (line, word) in quoted(text) {
        let Some((file, item)) = reference(word) else {
            continue;
        };
        let name = named_in.strip_prefix(root()).unwrap_or(named_in).display();
        let Some(found) = find(file, named_in) else {
            dead.push(format!("{name}:{line}: there is no {file}"));
            continue;
        };
        let last = item.and_then(|item| item.rsplit("::").next());
        if let Some(item) = last.filter(|_| found.is_file()) {
            let source = std::fs::read_to_string(&found).unwrap_or_default();
            if !source.contains(item) {
                dead.push(format!("{name}:{line}: there is no {item} in {file}"));
            }
        }
    }
    dead
}

fn markdown() -> Vec<PathBuf> {
    let folders = [root(), root().join("docs")];
    let mut found: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    found.sort();
    found
}

#[test]
fn the_files_that_documents_name_exist() {
    let mut dead = Vec::new();
    for path in markdown() {
        dead.extend(dead_ends(&path, &std::fs::read_to_string(&path).unwrap()));
    }
    assert!(dead.is_empty(), "\n{}\n", dead.join("\n"));
}

#[test]
fn the_files_that_comments_name_exist() {
    let mut dead = Vec::new();
    for folder in ["src", "migration/src"] {
        for path in source::files(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            // Line by line what is no comment is emptied, so that the line numbers stay.
            let comments: Vec<&str> = text
                .lines()
                .map(|line| if line.trim_start().starts_with("//") { line } else { "" })
                .collect();
            dead.extend(dead_ends(&path, &comments.join("\n")));
        }
    }
    assert!(dead.is_empty(), "\n{}\n", dead.join("\n"));
}

#[test]
fn the_links_of_documents_lead_to_files() {
    let mut dead = Vec::new();
    for path in markdown() {
        let text = std::fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|after| after.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_elsewhere = file.is_empty() || file.contains(':') || file.starts_with('/');
            if !is_elsewhere && !path.with_file_name(file).exists() {
                dead.push(format!("{}: there is no {file}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "\n{}\n", dead.join("\n"));
}

/// Whether a file has a test of this name: one by attribute, or one of `on_both!`, which has a house.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    lines.iter().enumerate().any(|(number, line)| {
        let is_head = line.starts_with(&head) || line.starts_with(&format!("async {head}"));
        let attributes = lines
            .iter()
            .take(number)
            .rev()
            .take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        let mut attributes = attributes.copied();
        let is_marked = attributes.any(|line| line == "#[test]" || line.starts_with("#[tokio::test"));
        let is_on_both = source.contains("on_both! {") && line.contains("(house: TestHouse)");
        is_head && (is_marked || is_on_both)
    })
}

/// The attacks of a page, each a heading of the third level, that name no test, and the tests that they name and that are
/// none.
fn hopes(text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for section in text.split("\n### ").skip(1) {
        let attack = section.lines().next().unwrap_or_default();
        let section = section.split("\n## ").next().unwrap_or_default();
        let named = quoted(section).into_iter().filter_map(|(_, word)| word.split_once(".rs::"));
        let named: Vec<(String, &str)> = named.map(|(file, name)| (format!("{file}.rs"), name)).collect();
        if named.is_empty() {
            found.push(format!("{attack}: no test is named"));
        }
        for (file, name) in named {
            if !read(&file).is_some_and(|source| has_test(&source, name)) {
                found.push(format!("{attack}: {file} has no test {name}"));
            }
        }
    }
    found
}

#[test]
fn each_threat_names_tests_that_exist() {
    let text = std::fs::read_to_string(root().join("docs/THREATS.md")).unwrap();
    let hopes = hopes(&text, |file| std::fs::read_to_string(root().join(file)).ok());
    assert!(hopes.is_empty(), "\n{}\n", hopes.join("\n"));
    assert!(text.matches("\n### ").count() > 20, "the attacks are headings of the third level");
}

#[test]
fn a_threat_without_a_test_is_found() {
    let source = "fn helper() {}\n#[test]\nfn it_holds() {}\non_both! {\n    async fn it_too(house: TestHouse) {}\n    }";
    let text = "# Threats\n### One\nShown by `tests/a.rs::it_holds`, `tests/a.rs::it_too`.\n### Two\n`tests/a.rs`\n## More\n\
        ### Three\n`tests/a.rs::helper`, `tests/a.rs::it_hol`, `tests/b.rs::it_holds`";
    assert_eq!(
        hopes(text, |file| (file == "tests/a.rs").then(|| source.to_owned())),
        [
            "Two: no test is named",
            "Three: tests/a.rs has no test helper",
            "Three: tests/a.rs has no test it_hol",
            "Three: tests/b.rs has no test it_holds",
        ]
    );
}

/// The odds of the page, at the start of a server with the defaults and for each length of a code, are those that are
/// computed.
#[test]
fn the_odds_of_the_page_are_those_of_the_defaults() {
    use loopin_auth::domain::{
        budget::{BudgetPolicy, Odds},
        otp::{CodeLength, OtpPolicy},
    };
    let text = std::fs::read_to_string(root().join("docs/THREATS.md")).unwrap();
    let odds = |digits| {
        let otp = OtpPolicy {
            length: CodeLength::new(digits).unwrap(),
            life: chrono::Duration::minutes(10),
            max_attempts: 3,
            resend_after: chrono::Duration::seconds(30),
        };
        Odds::of(&otp, &BudgetPolicy::default())
    };
    assert!(text.contains(&odds(4).to_string()), "{}", odds(4));
    for digits in 4..=8 {
        let computed = odds(digits);
        let row =
            text.lines().find(|line| line.replace('*', "").starts_with(&format!("| {digits} |"))).unwrap();
        let cells: Vec<String> = row.replace(['*', ',', ' '], "").split('|').map(str::to_owned).collect();
        let one_in = |chance: f64| {
            if chance > 0.1 { format!("1in{:.1}", 1.0 / chance) } else { format!("1in{:.0}", 1.0 / chance) }
        };
        let chances = [computed.in_a_day, computed.between_sign_ins, computed.in_a_year].map(one_in);
        assert_eq!(cells[2..5], chances, "{digits}");
        let opened: f64 = cells[5].parse().unwrap();
        assert!((opened - computed.of_a_million).abs() < 0.001, "{digits}: {}", computed.of_a_million);
    }
}

#[test]
fn a_dead_end_is_found() {
    let document = root().join("docs/ARCHITECTURE.md");
    let text = "See `src/main.rs`, `store/otp.rs::claim_attempt` and `GET /api/docs`.\nThen `src/attic.rs`, \
        `store/otp.rs::give_back` and `http/nothing.rs`.";
    assert_eq!(
        dead_ends(&document, text),
        [
            "docs/ARCHITECTURE.md:2: there is no src/attic.rs",
            "docs/ARCHITECTURE.md:2: there is no give_back in store/otp.rs",
            "docs/ARCHITECTURE.md:2: there is no http/nothing.rs",
        ]
    );
}
