//! The commands in the documents work as written: pasted one after the other into a shell, against a real server.
//!
//! Blocks of `sh` are run; a block of `json` after one shows its output: the same fields with the same JSON types.
//! `docs/INTEGRATION.md` is run by `tests/interop`, because it needs the services of `examples/`.

use std::{ffi::OsString, fmt::Write as _, path::Path, process::Command};

use serde_json::Value;

use crate::server::{Folder, SECRETS, Server};

/// The pages, and the settings of the server that they describe.
const PAGES: [(&str, &[(&str, &str)]); 5] = [
    ("README.md", &[]),
    ("PHONE_AUTHENTICATION.md", &[("OTP_RESEND_SECONDS", "0")]),
    ("docs/GUESTS.md", &[("GUESTS", "on")]),
    ("docs/TEST_MODE.md", &[]),
    ("docs/RUNBOOKS.md", &SECRETS),
];

const BASE: &str = "http://127.0.0.1:8000";

fn read(page: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()
}

/// The fenced blocks of a page, also those in lists: language and text.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, block)), None) => {
                let _ = writeln!(block, "{line}");
            }
            (None, Some(language)) => open = Some((language, String::new())),
            (None, None) => {}
        }
    }
    blocks
}

/// The `PATH` of this process, with the folder of the program before.
fn path_with_program() -> OsString {
    #[expect(clippy::disallowed_methods, reason = "the environment tells where bash and curl are")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = Path::new(env!("CARGO_BIN_EXE_loopin-auth")).parent().unwrap().to_owned();
    std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path))).unwrap()
}

/// Whether two answers have the same fields with the same JSON types. A list is compared by its first item.
fn is_alike(shown: &Value, found: &Value) -> bool {
    match (shown, found) {
        (Value::Object(shown), Value::Object(found)) => {
            shown.len() == found.len()
                && shown
                    .iter()
                    .all(|(name, shown)| found.get(name).is_some_and(|found| is_alike(shown, found)))
        }
        (Value::Array(shown), Value::Array(found)) => {
            shown.is_empty() == found.is_empty()
                && shown.first().zip(found.first()).is_none_or(|(shown, found)| is_alike(shown, found))
        }
        _ => std::mem::discriminant(shown) == std::mem::discriminant(found),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_documents_answer_what_the_documents_show() {
    for (page, settings) in PAGES {
        let text = read(page);
        let blocks = blocks(&text);
        let folder = Folder::new();
        let server = Server::start(&folder, settings).await;
        // One shell for all blocks of a page, because later blocks use variables of earlier ones.
        let mut script = "set -euo pipefail\n".to_owned();
        for (place, (language, block)) in blocks.iter().enumerate() {
            if *language == "sh" {
                let _ = writeln!(script, "{{\n{}\n}} > {place}.out", block.replace(BASE, &server.base));
            }
        }
        let mut command = Command::new("bash");
        // The commands of the program have the settings of its server, as in its folder.
        command.args(["-c", &script]).current_dir(&folder.0).envs(settings.iter().copied());
        let shell = command.env("PATH", path_with_program()).env("PASSWORD", "amber-kite-4821").output();
        let shell = shell.unwrap_or_else(|error| panic!("{page} needs bash and curl: {error}"));
        assert!(shell.status.success(), "{page}: {}", String::from_utf8_lossy(&shell.stderr));
        let mut compared = 0;
        for (place, pair) in blocks.windows(2).enumerate() {
            let [("sh", command), ("json", shown)] = pair else { continue };
            let out = std::fs::read_to_string(folder.0.join(format!("{place}.out"))).unwrap();
            let found: Value = serde_json::from_str(&out).unwrap_or(Value::String(out));
            let shown: Value =
                serde_json::from_str(shown).unwrap_or_else(|error| panic!("{page}: {error}: {shown}"));
            assert!(is_alike(&shown, &found), "{page}: {command}\nshows {shown}\nfound {found}");
            compared += 1;
        }
        assert!(compared > 0, "{page} shows answers");
    }
}

#[test]
fn every_page_with_commands_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["", "docs", "docs/clients"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let page = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let has_curl = blocks(&read(&page)).iter().any(|(_, block)| block.contains("curl "));
            let is_run = page == "docs/INTEGRATION.md" || PAGES.iter().any(|(run, _)| *run == page);
            assert!(is_run || !has_curl, "{page} has commands that no test runs");
        }
    }
}
