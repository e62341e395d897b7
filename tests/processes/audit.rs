//! `loopin-auth audit` and `audit drop`: prints, follows and shortens the audit log.

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::{
    server::{CommandOutput, Folder, SECRETS, Server, program, run},
    support::{OTHER_PHONE, PHONE},
};

fn audit(folder: &Folder, arguments: &[&str]) -> CommandOutput {
    let all: Vec<&str> = ["audit"].into_iter().chain(arguments.iter().copied()).collect();
    let output = run(folder, &all, &SECRETS);
    assert!(output.status.success(), "{}{}", output.out, output.err);
    output
}

/// The entries as `--json` prints them.
fn entries(folder: &Folder, arguments: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = ["--json"].into_iter().chain(arguments.iter().copied()).collect();
    audit(folder, &all).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

/// Starts a server, signs up, and stops the server as a process manager does. Waits for its end.
async fn run_server(folder: &Folder, settings: &[(&str, &str)], phone: &str) -> String {
    let all: Vec<(&str, &str)> = SECRETS.iter().chain(settings).copied().collect();
    let mut server = Server::start(folder, &all).await;
    server.signup(phone).await.ok();
    let code = server.code_for(phone).await;
    let id = server.verify_otp(phone, &code).await.ok().text("/data/user_id");
    server.terminate();
    assert!(server.ended().await.success());
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_wrote_is_printed_and_found() {
    let folder = Folder::new();
    let id = run_server(&folder, &[("OTP_LENGTH", "6")], PHONE).await;
    // A server that gets SIGTERM writes everything first.
    let all = entries(&folder, &[]);
    assert_eq!(actions(&all), ["server_started", "settings_changed", "code_sent", "signed_in"]);
    let changed = all[1]["detail"]["changed"].as_array().unwrap();
    assert!(changed.contains(&json!({"name": "OTP_LENGTH", "old": null, "new": "6"})), "{changed:?}");
    assert!(changed.contains(&json!({"name": "SECRET_KEY", "old": null, "new": "secret"})), "{changed:?}");
    assert_eq!(all[3]["user_id"], json!(id));
    assert_eq!(all[3]["address"], json!("127.0.0.1"));
    assert_eq!(all[3]["phone_masked"], json!("+91******9376"));
    assert!(all[3]["at"].as_str().unwrap().ends_with("+00:00"), "{}", all[3]);

    let other = run_server(&folder, &[("OTP_LENGTH", "8")], OTHER_PHONE).await;
    let all = entries(&folder, &["--action", "settings_changed"]);
    let change: Vec<&Value> = all[1]["detail"]["changed"].as_array().unwrap().iter().collect();
    assert!(change.contains(&&json!({"name": "OTP_LENGTH", "old": "6", "new": "8"})), "{change:?}");
    assert!(!change.iter().any(|change| change["name"] == "SECRET_KEY"), "{change:?}");

    for (arguments, expected) in [
        (vec!["--phone", PHONE], vec!["code_sent", "signed_in"]),
        (vec!["--phone", "062058 29376"], vec!["code_sent", "signed_in"]),
        (vec!["--user", &other], vec!["signed_in"]),
        (vec!["--user", &id, "--phone", OTHER_PHONE], vec![]),
        (vec!["--address", "127.0.0.1", "--action", "signed_in"], vec!["signed_in", "signed_in"]),
        (vec!["--address", "203.0.113.7"], vec![]),
        (vec!["--since", "1h", "--limit", "1"], vec!["signed_in"]),
        (vec!["--since", "2999-01-01"], vec![]),
    ] {
        let found = entries(&folder, &arguments);
        assert_eq!(actions(&found), expected, "{arguments:?}");
    }

    let text = audit(&folder, &[]).out;
    let last = text.lines().last().unwrap();
    for part in
        ["+0530", "signed_in", &format!("user={other}"), "from=127.0.0.1", "phone=+91******3210", "by=code"]
    {
        assert!(last.contains(part), "{part} is not in {last}");
    }
    for hidden in [&PHONE[3..], &OTHER_PHONE[3..], SECRETS[0].1, SECRETS[1].1] {
        assert!(!text.contains(hidden), "{hidden} is in {text}");
    }
    assert_eq!(audit(&folder, &["--limit", "2"]).out.lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_new_is_followed() {
    let folder = Folder::new();
    let server = Server::start(&folder, &SECRETS).await;
    let arguments = ["audit", "--follow", "--json", "--action", "code_sent"];
    let mut following = program(&folder.0, &arguments, &SECRETS).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    for phone in [PHONE, OTHER_PHONE] {
        server.signup(phone).await.ok();
        let line = tokio::task::block_in_place(|| lines.next()).unwrap().unwrap();
        let entry: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(entry["action"], json!("code_sent"));
        assert!(phone.ends_with(&entry["phone_masked"].as_str().unwrap()[9..]), "{entry}");
    }
    // The command ends when its reader has closed the pipe, at the next new entry.
    drop(lines);
    server.signup("+919811112222").await.ok();
    let status = tokio::task::block_in_place(|| following.wait()).unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_months_are_dropped_by_a_command_and_the_one_that_goes_on_is_not() {
    let folder = Folder::new();
    run_server(&folder, &[], PHONE).await;
    let before = entries(&folder, &[]);
    let output = run(&folder, &["audit", "drop", "--before", "2999-01"], &SECRETS);
    assert_eq!(output.status.code(), Some(1), "{}", output.out);
    assert!(output.err.contains("only months that are over"), "{}", output.err);
    assert_eq!(entries(&folder, &[]), before);
    let output = run(&folder, &["audit", "drop", "--before", "2020-01"], &SECRETS);
    assert!(output.out.contains("dropped 0 entries of before 2020-01"), "{}{}", output.out, output.err);
    let after = entries(&folder, &[]);
    assert_eq!(after[..before.len()], before);
    assert_eq!(actions(&after[before.len()..]), ["audit_dropped"]);
    assert_eq!(after.last().unwrap()["actor_kind"], json!("command"));
    // `purge` removes other old rows, but not those of this log.
    assert!(run(&folder, &["purge", "--older-than-days", "1"], &SECRETS).status.success());
    assert_eq!(entries(&folder, &[]).len(), after.len());
    for wrong in [["--before", "May"], ["--before", "2026-13"]] {
        let output = run(&folder, &["audit", "drop", wrong[0], wrong[1]], &SECRETS);
        assert_eq!(output.status.code(), Some(2), "{}", output.out);
    }
}

#[test]
fn an_admin_who_was_made_by_a_command_is_in_the_log() {
    let folder = Folder::new();
    assert!(run(&folder, &["migrate"], &SECRETS).status.success());
    let settings: Vec<(&str, &str)> =
        SECRETS.into_iter().chain([("LOOPIN_SUPERUSER_PASSWORD", "wistful-otter-71")]).collect();
    let output = run(&folder, &["createsuperuser", "--username", "ada", "--noinput"], &settings);
    assert!(output.status.success(), "{}", output.err);
    let all = entries(&folder, &[]);
    assert_eq!(actions(&all), ["registered"]);
    assert_eq!(
        (&all[0]["actor_kind"], &all[0]["detail"]),
        (&json!("command"), &json!({"by": "password", "role": "admin"}))
    );
    assert!(!all[0].to_string().contains("ada\""), "{}", all[0]);
}

#[test]
fn what_cannot_be_read_or_is_no_condition_is_said() {
    let folder = Folder::new();
    let output = run(&folder, &["audit"], &SECRETS);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.err.contains("loopin-auth migrate"), "{}", output.err);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "nothing was made");
    assert!(run(&folder, &["migrate"], &SECRETS).status.success());
    let output = audit(&folder, &[]);
    assert_eq!((output.out.as_str(), output.err.as_str()), ("", "the audit log is empty\n"));
    let output = audit(&folder, &["--json", "--action", "signed_in"]);
    assert_eq!(
        (output.out.as_str(), output.err.as_str()),
        ("", "no entry of the audit log fits all conditions\n")
    );
    // With a generated key no phone would be found.
    let output = run(&folder, &["audit", "--phone", PHONE], &[]);
    assert!(
        output.status.code() == Some(1) && output.err.contains("SECRET_KEY is not set"),
        "{}",
        output.err
    );
    let output = run(&folder, &["audit", "--phone", "12"], &SECRETS);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.err.contains("--phone: "), "{}", output.err);
    for (name, value, hint) in [
        ("--action", "signed_out", "signed_in"),
        ("--since", "yesterday", "2h"),
        ("--user", "gaurav", "--user"),
        ("--address", "somewhere", "--address"),
        ("--limit", "0", "--limit"),
    ] {
        let output = run(&folder, &["audit", name, value], &SECRETS);
        assert_eq!(output.status.code(), Some(2), "{name}: {}", output.out);
        assert!(output.err.contains(hint), "{hint} is not in {}", output.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_only_the_beginning_has_what_she_wants() {
    let folder = Folder::new();
    run_server(&folder, &[], PHONE).await;
    let mut reading = program(&folder.0, &["audit"], &SECRETS)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(reading.stdout.take());
    let status = reading.wait().unwrap();
    let mut output = String::new();
    reading.stderr.take().unwrap().read_to_string(&mut output).unwrap();
    assert!(status.success() && output.is_empty(), "{status}: {output}");
}
