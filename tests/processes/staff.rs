//! The operator's commands about locks, prefixes and staff: `prefixes`, `unlock`, `second-factor` and `set-password`.

use serde_json::json;

use crate::{
    server::{Folder, Server, run, run_with_input},
    support::PHONE,
};

#[test]
fn a_database_without_tables_is_told() {
    for command in [&["prefixes"][..], &["prefixes", "open", "+916205"], &["unlock", PHONE]] {
        let output =
            run(&Folder::new(), command, &[("SECRET_KEY", "a secret key of the tests, 32 bytes or more")]);
        assert!(output.err.contains("run `loopin-auth migrate` first"), "{}{}", output.out, output.err);
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn what_is_no_prefix_and_no_phone_is_refused() {
    let folder = Folder::new();
    run(&folder, &["migrate"], &[]);
    for (command, sentence) in [
        (&["prefixes", "open", "India"][..], "Prefix must be a country code"),
        (&["prefixes", "open", "+916205", "--hours", "721"], "721"),
        (&["prefixes", "close", "+916205"], "no message was ever sent to this prefix"),
        (&["unlock", "12"], "Phone number"),
    ] {
        let output = run(&folder, command, &[]);
        assert!(output.err.contains(sentence), "{command:?}: {}{}", output.out, output.err);
        assert_ne!(output.status.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefixes_are_printed_opened_and_closed_and_a_phone_unlocked() {
    let folder = Folder::new();
    let settings =
        [("LIMIT_FAILURES_IN_A_ROW", "2"), ("SECRET_KEY", "a secret key of the tests, 32 bytes or more")];
    let server = Server::start(&folder, &settings).await;
    server.signup(PHONE).await.ok();
    let right = server.code_for(PHONE).await;
    for _ in 0..2 {
        server.verify_otp(PHONE, &crate::support::wrong(&right)).await;
    }
    assert_eq!(server.verify_otp(PHONE, &right).await.code(), "phone_locked");
    let line = |out: &str| {
        let line = out.lines().find(|line| line.starts_with("+916205")).unwrap_or_default();
        line.split_whitespace().take(5).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let listed = run(&folder, &["prefixes"], &[]);
    assert_eq!(line(&listed.out), "+916205 IN open 1 0", "{}{}", listed.out, listed.err);
    assert!(listed.out.contains("PREFIXES"), "{}", listed.out);
    let closed = run(&folder, &["prefixes", "close", "916205"], &[]);
    assert_eq!(line(&closed.out), "+916205 IN closed 1 0", "{}{}", closed.out, closed.err);
    let listed = run(&folder, &["prefixes", "list", "--closed"], &[]);
    assert_eq!(line(&listed.out), "+916205 IN closed 1 0");
    let opened = run(&folder, &["prefixes", "open", "+916205", "--hours", "1"], &[]);
    assert_eq!(line(&opened.out), "+916205 IN held_open 1 0", "{}{}", opened.out, opened.err);
    let lost = run(&folder, &["unlock", PHONE], &settings[..1]);
    assert!(lost.err.contains("SECRET_KEY is not set"), "{}{}", lost.out, lost.err);
    let unlocked = run(&folder, &["unlock", PHONE], &settings);
    assert_eq!(
        unlocked.out.trim(),
        "+91******9376 is unlocked; it was locked by phone-failures-in-a-row",
        "{}",
        unlocked.err
    );
    server.verify_otp(PHONE, &right).await.ok();
    let audit = run(&folder, &["audit", "--json"], &[]);
    for action in ["phone_unlocked", "prefix_closed", "prefix_held_open"] {
        let entry = audit.out.lines().find(|line| line.contains(action));
        assert!(entry.is_some_and(|entry| entry.contains("\"command\"")), "{action}: {}", audit.out);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_for_a_second_factor_is_printed_and_leads_to_its_page() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]).await;
    let made = run(
        &folder,
        &["createsuperuser", "--username", "boss", "--noinput"],
        &[
            ("LOOPIN_SUPERUSER_PASSWORD", "wistful-otter-71"),
            ("PUBLIC_BASE_URL", "https://auth.example.com/x"),
        ],
    );
    let reset = run(&folder, &["second-factor", "reset", "BOSS"], &[]);
    let link = |out: &str| {
        out.lines().find_map(|line| {
            line.split_once("/admin/enroll/")
                .map(|(origin, token)| (origin.to_owned(), format!("/admin/enroll/{token}")))
        })
    };
    let (origin, first) = link(&made.out).unwrap_or_else(|| panic!("{}{}", made.out, made.err));
    assert_eq!(origin, "https://auth.example.com");
    let (origin, second) = link(&reset.out).unwrap_or_else(|| panic!("{}{}", reset.out, reset.err));
    assert_eq!(origin, "http://127.0.0.1:8000");
    assert_eq!(server.get(&first).await.status, 404, "the second one replaced it");
    assert_eq!(server.get(&second).await.status, 200);
    for (name, sentence) in
        [("nobody", "no account has this name"), ("boss@example.com", "no account has this name")]
    {
        let refused = run(&folder, &["second-factor", "reset", name], &[]);
        assert!(refused.err.contains(sentence), "{}{}", refused.out, refused.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_who_forgot_the_password_gets_a_new_one() {
    const OLD: &str = "wistful-otter-71";
    const NEW: &str = "copper-lantern-evening-38";
    let folder = Folder::new();
    let server = Server::start(&folder, &[]).await;
    let arguments = ["createsuperuser", "--username", "boss", "--email", "boss@example.com", "--noinput"];
    assert!(run(&folder, &arguments, &[("LOOPIN_SUPERUSER_PASSWORD", OLD)]).status.success());
    let sign_in = async |password: &str| {
        server.post("/api/token/", json!({"username": "boss", "password": password})).await
    };
    let refresh = sign_in(OLD).await.ok().text("/refresh");
    let set =
        |name: &str, input: &str| run_with_input(&folder, &["set-password", name, "--stdin"], &[], input);
    for (name, input, sentence) in [
        ("nobody", "copper-lantern-evening-38\n", "no account has this name"),
        ("boss", "short\n", "at least 8 characters"),
        ("boss", "boss-boss-boss", "too much like"),
        ("boss", "", "the standard input has no password"),
        ("boss", "\n", "the standard input has no password"),
    ] {
        let refused = set(name, input);
        assert!(refused.err.contains(sentence), "{}{}", refused.out, refused.err);
        assert_eq!(refused.status.code(), Some(1));
    }
    let asked = run(&folder, &["set-password", "boss"], &[]);
    assert!(asked.err.contains("there is no terminal to ask on: use --stdin"), "{}{}", asked.out, asked.err);
    sign_in(OLD).await.ok();
    let done = set("BOSS@example.com", &format!("{NEW}\r\nmore\n"));
    assert!(done.status.success(), "{}{}", done.out, done.err);
    assert!(done.out.contains("the password is set; 2 sessions"), "{}", done.out);
    assert!(!done.out.contains(NEW) && !done.err.contains(NEW), "{}{}", done.out, done.err);
    assert_eq!(sign_in(OLD).await.code(), "credentials_invalid");
    sign_in(NEW).await.ok();
    assert_eq!(server.post("/api/auth/refresh", json!({ "refresh": refresh })).await.code(), "token_revoked");
    let audit = run(&folder, &["audit", "--json"], &[]);
    let entry = audit.out.lines().find(|line| line.contains("password_changed"));
    assert!(entry.is_some_and(|entry| entry.contains("\"command\"")), "{}", audit.out);
}
