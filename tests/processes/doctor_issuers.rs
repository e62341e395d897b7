//! What `loopin-auth doctor` says about trusted issuers and open files.

use chrono::Duration;
use loopin_auth::clock::Clock;

use crate::server::{CommandOutput, Folder, run, run_by};

fn issuer(name: &str, more: &str) -> String {
    format!(
        "[[issuer]]\nname = \"{name}\"\niss = \"https://x\"\naud = \"us\"\nid_claim = \"sub\"\nalgorithm = \"HS256\"\n\
         secret = \"a secret of the old system, 32 bytes or more\"\n{more}\n"
    )
}

fn doctor(issuers: &str) -> CommandOutput {
    let folder = Folder::new();
    folder.write("issuers.toml", issuers);
    run(&folder, &["doctor"], &[("TRUSTED_ISSUERS_FILE", "issuers.toml"), ("TIME_ZONE", "UTC")])
}

#[track_caller]
fn line<'a>(output: &'a CommandOutput, about: &str) -> &'a str {
    let mut found =
        output.out.lines().filter(|line| line.get(6..).is_some_and(|line| line.starts_with(about)));
    let line = found.next();
    assert!(line.is_some(), "no line about {about}:\n{}{}", output.out, output.err);
    assert_eq!(found.next(), None);
    line.unwrap_or_default()
}

#[test]
fn each_trusted_issuer_is_named_with_its_end() {
    let now = Clock::System.now();
    let in_days = |days: i64, format: &str| (now + Duration::days(days)).format(format).to_string();
    let at = |days: i64| in_days(days, "until = %Y-%m-%dT%H:%M:00Z");
    let output = doctor(&format!("{}{}", issuer("app", ""), issuer("old", &at(60))));
    let found = line(&output, "trusted issuers");
    let beginning =
        format!("ok    trusted issuers: 2: app (no end), old (until {} ", in_days(60, "%Y-%m-%d"));
    assert!(found.starts_with(&beginning) && found.ends_with(" UTC)"), "{found}");
    let found_at = |days| doctor(&issuer("old", &at(days)));
    let output = found_at(13);
    let found = line(&output, "trusted issuers");
    assert!(found.starts_with("warn  ") && found.ends_with("UTC, which is within 14 days)"), "{found}");
    let output = found_at(-1);
    let found = line(&output, "trusted issuers");
    assert!(
        found.starts_with("warn  trusted issuers: 1: old (ended ") && found.ends_with(": remove it)"),
        "{found}"
    );
    // What is wrong is told instead, and a name that is none is not repeated.
    let output = doctor(&issuer("a\\u001b[2Jb", "\"colour\\u001b[2J\" = 1"));
    assert!(
        output.out.contains("FAIL  settings: TRUSTED_ISSUERS_FILE: issuers.toml: issuer 1: name must be"),
        "{}",
        output.out
    );
    assert!(output.out.contains("issuer 1: colour\\u{1b}[2J is not known"), "{}", output.out);
    assert!(!output.out.contains('\u{1b}') && !output.out.contains("trusted issuers:"), "{}", output.out);
    assert!(!run(&Folder::new(), &["doctor"], &[]).out.contains("trusted issuers"));
}

#[test]
fn connections_that_do_not_fit_into_the_open_files_are_told() {
    let limited = ["sh", "-c", "ulimit -n 3000 && exec \"$@\"", "sh"];
    for (connections, expected) in [
        ("900", "ok    open files: up to 3000"),
        (
            "901",
            "warn  open files: up to 3000, which is room for 900 connections, and MAX_CONNECTIONS=901: raise the hard limit \
             (ulimit -Hn, LimitNOFILE) or lower the setting",
        ),
    ] {
        let output = run_by(&limited, &Folder::new(), &["doctor"], &[("MAX_CONNECTIONS", connections)]);
        assert_eq!(line(&output, "open files"), expected);
        assert_eq!(output.status.code(), Some(0));
    }
}
