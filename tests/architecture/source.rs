//! Reads as much Rust as the dependency rules need: which paths a file names, and on which line.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// A word or a sign of the source. Comments, string literals and test modules are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A path that a file names, such as `crate::store::otp::open`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
}

impl Named {
    /// Whether this is the path `prefix` or one below it.
    pub fn is_below(&self, prefix: &str) -> bool {
        let prefix: Vec<&str> = prefix.split("::").collect();
        self.path.len() >= prefix.len() && self.path.iter().zip(prefix).all(|(one, other)| one == other)
    }
}

/// Every `.rs` file below a folder, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The modules that are crates of their own, which code may name without `crate`.
pub const MEMBERS: [&str; 6] = ["clock", "domain", "import_formats", "outbound", "store", "sms"];

/// Whether a file is only compiled for tests or benchmarks.
pub fn is_test(file: &str) -> bool {
    file.split('/').any(|part| ["tests", "tests.rs", "benches"].contains(&part))
}

/// The path of a file from the folder of the modules: `http/auth.rs` for `src/http/auth.rs`, `domain/otp.rs` for
/// `crates/domain/src/otp.rs`.
pub fn path_in_module(file: &str) -> String {
    match file.strip_prefix("crates/") {
        Some(file) => file.replacen("/src/", "/", 1),
        None => file.trim_start_matches("src/").to_owned(),
    }
}

/// The module of a file, `["http", "auth"]` for `src/http/auth.rs`.
pub fn module_of(file: &str) -> Vec<String> {
    let file = path_in_module(file);
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

/// Words and signs. `::` is one sign; strings, characters, lifetimes and comments are left out.
pub fn tokens(source: &str) -> Vec<Token> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let rest = &source[at..];
        let length = skipped(rest).unwrap_or_else(|| {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => rest.chars().next().map_or(1, char::len_utf8),
                word => word,
            };
            let text = &rest[..length];
            if !text.trim().is_empty() {
                tokens.push(Token { text: text.to_owned(), line });
            }
            length
        });
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

/// The length of a comment, a string, a character or a lifetime, if the source begins with one.
fn skipped(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let raw = rest
        .strip_prefix("br")
        .or_else(|| rest.strip_prefix('r'))
        .filter(|raw| raw.trim_start_matches('#').starts_with('"'));
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let opened = rest.len() - raw.len() + hashes + 1;
        return Some(rest[opened..].find(&end).map_or(rest.len(), |found| opened + found + end.len()));
    }
    if rest.starts_with('"') {
        return Some(quoted(rest, '"'));
    }
    if let Some(after) = rest.strip_prefix('\'') {
        let mut characters = after.chars();
        let (first, second) = (characters.next(), characters.next());
        return Some(if first == Some('\\') || second == Some('\'') {
            quoted(rest, '\'')
        } else {
            1 + after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len())
        });
    }
    None
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if character == '\\' {
            is_escaped = true;
        } else if character == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// The tokens without modules that are only there for tests.
pub fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const ONLY_IN_TESTS: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let window = &tokens[at..tokens.len().min(at + ONLY_IN_TESTS.len())];
        if !window.iter().map(|token| token.text.as_str()).eq(ONLY_IN_TESTS) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += ONLY_IN_TESTS.len();
        let mut depth = 0_usize;
        while at < tokens.len() {
            let text = tokens[at].text.as_str();
            at += 1;
            match text {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 && matches!(text, "}" | ";") {
                break;
            }
        }
    }
    kept
}

fn is_word(token: &Token) -> bool {
    token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Every path that these tokens of a file name: each leaf of a `use`, and each path in the code, with what `use` brought in
/// written out, and `self` and `super` too. A path reads the same whether its module is in `src` or a member of the
/// workspace: `crate::store::otp`.
pub fn named(tokens: &[Token], file: &str) -> Vec<Named> {
    let module = module_of(file);
    let own_crate = module.first().filter(|_| file.starts_with("crates/"));
    let mut names = Vec::new();
    let mut known = HashMap::new();
    let mut code = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        // `use<>` captures a lifetime and imports nothing.
        let is_import = tokens[at].text == "use" && tokens.get(at + 1).is_some_and(|next| next.text != "<");
        if is_import {
            at += 1;
            let mut leaves = Vec::new();
            use_tree(tokens, &mut at, &[], &mut leaves);
            for (local, leaf) in leaves {
                let mut leaf = Named { path: absolute(leaf.path, &module, own_crate), ..leaf };
                if leaf.path.first().is_some_and(|first| MEMBERS.contains(&first.as_str())) {
                    leaf.path.insert(0, "crate".to_owned());
                }
                known.insert(local, leaf.path.clone());
                names.push(leaf);
            }
        } else {
            code.push(tokens[at].clone());
            at += 1;
        }
    }
    for path in paths(&code) {
        let mut path = Named { path: absolute(path.path, &module, own_crate), ..path };
        if let Some(whole) = path.path.first().and_then(|first| known.get(first)) {
            path.path.splice(..1, whole.iter().cloned());
        } else if path.path.len() > 1 && MEMBERS.contains(&path.path[0].as_str()) {
            path.path.insert(0, "crate".to_owned());
        }
        names.push(path);
    }
    names
}

/// The leaves of one `use`, each with the name that it gets here.
fn use_tree(tokens: &[Token], at: &mut usize, before: &[String], leaves: &mut Vec<(String, Named)>) {
    let mut path = before.to_vec();
    let line = tokens.get(*at).map_or(0, |token| token.line);
    let mut local = None;
    while let Some(token) = tokens.get(*at) {
        match token.text.as_str() {
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token.text != "}") {
                    use_tree(tokens, at, &path, leaves);
                    if tokens.get(*at).is_some_and(|token| token.text != "}") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "as" => {
                local = tokens.get(*at + 1).map(|token| token.text.clone());
                *at += 2;
            }
            "," | "}" | ";" => break,
            "::" => *at += 1,
            word => {
                path.push(word.to_owned());
                *at += 1;
            }
        }
    }
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let local = local.or_else(|| path.last().cloned()).unwrap_or_default();
    leaves.push((local, Named { path, line }));
}

/// Words joined by `::`, and words that stand alone.
fn paths(code: &[Token]) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut goes_on = false;
    for (at, token) in code.iter().enumerate() {
        if token.text == "::" {
            goes_on = at > 0 && is_word(&code[at - 1]);
        } else if is_word(token) {
            match found.last_mut().filter(|_| goes_on) {
                Some(path) => path.path.push(token.text.clone()),
                None => found.push(Named { path: vec![token.text.clone()], line: token.line }),
            }
            goes_on = false;
        } else {
            goes_on = false;
        }
    }
    found
}

/// The path from the root, where it is one of this crate's.
fn absolute(mut path: Vec<String>, module: &[String], own_crate: Option<&String>) -> Vec<String> {
    if let Some(own) = own_crate.filter(|_| path.first().is_some_and(|first| first == "crate")) {
        path.insert(1, own.clone());
        return path;
    }
    if path.first().is_some_and(|first| first == "loopin_auth") {
        "crate".clone_into(&mut path[0]);
        return path;
    }
    let mut here = module.to_vec();
    let mut is_relative = false;
    while let Some(first) = path.first().filter(|first| ["self", "super"].contains(&first.as_str())) {
        if first == "super" {
            here.pop();
        }
        is_relative = true;
        path.remove(0);
    }
    if is_relative {
        path.splice(0..0, ["crate".to_owned()].into_iter().chain(here));
    }
    path
}
