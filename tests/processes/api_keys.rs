//! `loopin-auth api-keys`

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{Folder, SECRETS, Server, run};

fn key_in(out: &str) -> &str {
    out.lines().find(|line| line.starts_with("lak_")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_created_used_listed_and_ended() {
    let folder = Folder::new();
    let server = Server::start(&folder, &SECRETS).await;
    let command = |arguments: &[&str]| run(&folder, &[&["api-keys"], arguments].concat(), &SECRETS);
    let created =
        command(&["create", "--name", "Order service", "--scope", "verifications", "--scope", "introspect"]);
    assert!(created.status.success(), "{}", created.err);
    let key = key_in(&created.out);
    let body = json!({ "phone_number": "+916205829376" });
    let answer = server.post_as(key, "/api/verifications", body.clone()).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let as_json = command(&[
        "create",
        "--name",
        "gateway",
        "--scope",
        "introspect",
        "--country",
        "in",
        "--sends-per-day",
        "5",
        "--json",
    ]);
    let made: Value = serde_json::from_str(&as_json.out).unwrap();
    assert_eq!(made["countries"], json!(["IN"]));
    assert_eq!(
        (&made["sends_per_hour"], &made["sends_per_day"], &made["wrong_codes_per_hour"]),
        (&json!(100), &json!(5), &json!(100))
    );
    assert!(made["key"].as_str().unwrap().starts_with("lak_"));
    let refused = command(&["create", "--name", "order SERVICE", "--scope", "introspect"]);
    assert!(!refused.status.success() && refused.err.contains("a live key has this name"), "{}", refused.err);

    let listed = command(&["list"]);
    let lines: Vec<&str> = listed.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", listed.out);
    assert!(lines[1].starts_with("Order service") && lines[2].contains("never"), "{}", listed.out);
    let ended = command(&["end", "order service"]);
    assert!(ended.status.success(), "{}", ended.err);
    let answer = server.post_as(key, "/api/verifications", body).await;
    assert_eq!(
        (answer.status, answer.text("/error/code")),
        (StatusCode::UNAUTHORIZED, "token_invalid".to_owned())
    );
    let again = command(&["end", "order service"]);
    assert!(!again.status.success() && again.err.contains("no live key has this name"), "{}", again.err);
    let listed = command(&["list", "--json"]);
    let ended: Vec<bool> = listed
        .out
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(line.get("key").is_none() && !line.to_string().contains("lak_"));
            !line["ended_at"].is_null()
        })
        .collect();
    assert_eq!(ended, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_is_refused_with_a_sentence() {
    let folder = Folder::new();
    for (arguments, sentence) in [
        (&["create", "--scope", "verifications"][..], "--name"),
        (&["create", "--name", "shop"], "--scope"),
        (&["create", "--name", "shop", "--scope", "all"], "must be verifications or introspect"),
        (&["create", "--name", "a/b", "--scope", "introspect"], "must be 1 to 50 letters"),
        (
            &["create", "--name", "shop", "--scope", "introspect", "--sends-per-hour", "1001"],
            "1001 is not in 1..=1000",
        ),
        (
            &["create", "--name", "shop", "--scope", "introspect", "--country", "XX"],
            "must be the two letters of a country",
        ),
        (&["create", "--name", "shop", "--scope", "introspect"], "the database is not migrated"),
        (&["end", ""], "must be 1 to 50 letters"),
    ] {
        let refused = run(&folder, &[&["api-keys"], arguments].concat(), &SECRETS);
        assert!(
            !refused.status.success() && refused.err.contains(sentence),
            "{arguments:?}: {}",
            refused.err
        );
    }
}
