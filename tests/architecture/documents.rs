//! What the documents and the comments point to exists: files and items in back quotes, links and their anchors. And the
//! documents are complete: every error code, every operation, every page.

use std::path::{Path, PathBuf};

use super::source;

/// Where a path in a document may begin, besides the root: `ARCHITECTURE.md` begins at the module, comments name files beside
/// them.
const BASES: [&str; 4] = ["", "src", "tests", "docs"];

/// Folders whose paths are meant to exist, wherever a document names them.
const FOLDERS: [&str; 15] = [
    "src/",
    "crates/",
    "tests/",
    "loadtest/",
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
    "bot_check/",
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

/// The file that is meant: from the root, from a module, or from the folder of the file that names it. A module may be a
/// crate.
fn find(file: &str, named_in: &Path) -> Option<PathBuf> {
    let in_a_crate = file.trim_start_matches("src/").split_once('/');
    let in_a_crate =
        in_a_crate.map(|(module, rest)| root().join("crates").join(module).join("src").join(rest));
    if let Some(path) = in_a_crate.filter(|path| path.exists()) {
        return Some(path);
    }
    let neighbours = named_in.parent().map(Path::to_path_buf);
    // A module names the files of its own folder: `phone.rs` names `plan.rs`.
    let own = Some(named_in.with_extension(""));
    let bases = BASES.iter().map(|base| root().join(base));
    // `store/otp.rs` is in the module `store`, which is a crate.
    let in_a_module =
        file.split_once('/').map(|(module, file)| root().join("crates").join(module).join("src").join(file));
    if let Some(path) = in_a_module.filter(|path| path.exists()) {
        return Some(path);
    }
    bases.chain(neighbours).chain(own).map(|base| base.join(file)).find(|path| path.exists())
}

/// Whether a source defines a function or a type of this name.
fn defines(source: &str, name: &str) -> bool {
    let is_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = source.split(|c| !is_of_a_word(c)).filter(|word| !word.is_empty()).collect();
    words.windows(2).any(|pair| ["fn", "struct", "enum"].contains(&pair[0]) && pair[1] == name)
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
            if !defines(&source, item) {
                dead.push(format!("{name}:{line}: there is no {item} in {file}"));
            }
        }
    }
    dead
}

fn markdown() -> Vec<PathBuf> {
    let folders = [root(), root().join("docs"), root().join("docs/clients")];
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

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// The lines of a text outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    })
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for heading in prose(text).filter(|line| line.starts_with('#')) {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let is_kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
        let anchor = title.chars().filter(is_kept).collect::<String>().replace(' ', "-");
        let same = found.iter().filter(|one| **one == anchor).count();
        found.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
    }
    found
}

/// The links of a text that lead to no file, or to no heading in it.
fn dead_links(path: &Path, text: &str) -> Vec<String> {
    let mut dead = Vec::new();
    for link in
        prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|after| after.split(')').next())
    {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        if file.contains(':') || file.starts_with('/') {
            continue;
        }
        let target = if file.is_empty() { path.to_owned() } else { path.with_file_name(file) };
        let page =
            if file.is_empty() { Some(text.to_owned()) } else { std::fs::read_to_string(&target).ok() };
        let is_there =
            anchor.is_empty() || page.is_some_and(|page| anchors(&page).iter().any(|one| one == anchor));
        if !target.exists() || !is_there {
            dead.push(format!("{}: there is no {link}", path.display()));
        }
    }
    dead
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
    for folder in ["src", "crates", "migration/src"] {
        for path in source::files(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            // Lines that are no comments are emptied, so that the line numbers stay.
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
fn the_links_of_documents_lead_to_files_and_headings() {
    let dead = markdown().into_iter().flat_map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        dead_links(&path, &text)
    });
    let dead: Vec<String> = dead.collect();
    assert!(dead.is_empty(), "\n{}\n", dead.join("\n"));
}

#[test]
fn a_dead_link_is_found() {
    let text = "# One `two`, three\n## Four\n## Four\n[a](#one-two-three) [b](#four-1) [c](#five) [d](nowhere.md)\n\
        [e](SUMMARY.md#apps) [f](SUMMARY.md#nobody) [g](https://example.com#x)\n```\n# Five\n[h](nothing.md)\n```";
    let path = root().join("docs/METRICS.md");
    let expected = ["#five", "nowhere.md", "SUMMARY.md#nobody"];
    let expected = expected.map(|link| format!("{}: there is no {link}", path.display()));
    assert_eq!(dead_links(&path, text), expected);
}

#[test]
fn every_page_is_in_the_book() {
    let summary = read("docs/SUMMARY.md");
    for path in
        markdown().iter().filter_map(|path| path.strip_prefix(root().join("docs")).ok().map(Path::to_owned))
    {
        let is_there = path == Path::new("SUMMARY.md") || summary.contains(&format!("({})", path.display()));
        assert!(is_there, "docs/SUMMARY.md does not name {}", path.display());
    }
}

#[test]
fn every_error_code_and_every_operation_is_documented() {
    let document: serde_json::Value = serde_json::from_str(&read("docs/openapi.json")).unwrap();
    let (guide, api) = (read("PHONE_AUTHENTICATION.md"), read("docs/API.md"));
    let errors = guide.split("\n## Errors\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let codes = document.pointer("/components/schemas/ErrorCode/enum").unwrap().as_array().unwrap();
    for code in codes.iter().map(|code| code.as_str().unwrap()) {
        let is_in_table =
            errors.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{code}`")));
        assert!(is_in_table, "{code} is not in the error table of the guide");
    }
    let mentions = |path: &str| [&guide, &api].iter().any(|page| page.contains(path));
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(mentions(path), "{path} is neither in the guide nor in docs/API.md");
    }
}

/// Whether a file has a test of this name: one with an attribute, or one of `on_both!`, which takes a `TestServer`.
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
        let is_on_both = source.contains("on_both! {") && line.contains("(server: TestServer)");
        is_head && (is_marked || is_on_both)
    })
}

/// The errors of a page of threats: threats (headings of the third level) that name no test, and tests that do not exist.
fn threats_without_tests(text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
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
    let text = read("docs/THREATS.md");
    let threats_without_tests =
        threats_without_tests(&text, |file| std::fs::read_to_string(root().join(file)).ok());
    assert!(threats_without_tests.is_empty(), "\n{}\n", threats_without_tests.join("\n"));
    assert!(text.matches("\n### ").count() > 20, "the attacks are headings of the third level");
}

#[test]
fn a_threat_without_a_test_is_found() {
    let source = "fn helper() {}\n#[test]\nfn it_holds() {}\non_both! {\n    async fn it_too(server: TestServer) {}\n    }";
    let text = "# Threats\n### One\nShown by `tests/a.rs::it_holds`, `tests/a.rs::it_too`.\n### Two\n`tests/a.rs`\n## More\n\
        ### Three\n`tests/a.rs::helper`, `tests/a.rs::it_hol`, `tests/b.rs::it_holds`";
    assert_eq!(
        threats_without_tests(text, |file| (file == "tests/a.rs").then(|| source.to_owned())),
        [
            "Two: no test is named",
            "Three: tests/a.rs has no test helper",
            "Three: tests/a.rs has no test it_hol",
            "Three: tests/b.rs has no test it_holds",
        ]
    );
}

/// The odds on the page, for the defaults and for each length of a code, are those that the code computes.
#[test]
fn the_odds_of_the_page_are_those_of_the_defaults() {
    use loopin_auth::domain::{
        budget::{BudgetPolicy, Odds},
        otp::{CodeLength, OtpPolicy},
    };
    let text = read("docs/THREATS.md");
    let odds = |digits| {
        let otp = OtpPolicy {
            length: CodeLength::new(digits).unwrap(),
            life: chrono::Duration::minutes(10),
            max_attempts: 3,
            resend_after: chrono::Duration::seconds(30),
        };
        Odds::from_policies(&otp, &BudgetPolicy::default())
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
        `store/otp.rs::claim` and `http/nothing.rs`.";
    assert_eq!(
        dead_ends(&document, text),
        [
            "docs/ARCHITECTURE.md:2: there is no src/attic.rs",
            "docs/ARCHITECTURE.md:2: there is no claim in store/otp.rs",
            "docs/ARCHITECTURE.md:2: there is no http/nothing.rs",
        ]
    );
}
