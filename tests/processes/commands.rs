//! The commands, and the messages of a program that cannot start.

use serde_json::Value;

use crate::{
    server::{CommandOutput, Folder, Server, run},
    support::PHONE,
};

#[track_caller]
fn refuses(output: &CommandOutput, sentences: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{}{}", output.out, output.err);
    for sentence in sentences {
        assert!(output.err.contains(sentence), "{sentence:?} is not in:\n{}", output.err);
    }
    assert!(!output.err.contains("panicked"), "{}", output.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_far_too_much_hears_413_and_is_not_cut_off() {
    let server = Server::start(&Folder::new(), &[]).await;
    for size in [70_000, 1_000_000, 5_000_000] {
        for _ in 0..5 {
            let answer = server.post("/api/auth/signup", Value::String("x".repeat(size))).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (413, "payload_too_large"),
                "{size}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]).await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let output = run(&Folder::new(), &[], &[("BIND_ADDR", &address)]);
    refuses(
        &output,
        &["BIND_ADDR", &address, "in use", "another program listens there", "set another port, such as"],
    );
}

#[test]
fn every_wrong_setting_is_named_at_once() {
    let settings = [
        ("ENVIRONMENT", "staging"),
        ("OTP_LENGTH", "3"),
        ("BIND_ADDR", "everywhere"),
        ("DATABASE_URL", "mysql://root@localhost/loopin"),
        ("TIME_ZONE", "Asia/Atlantis"),
        ("PHONE_DEFAULT_REGION", "XX"),
        ("DEBUG", "perhaps"),
        ("TWILIO_API_BASE_URL", "twilio"),
        ("TWILIO_TEST_MODE", "false"),
        ("JWT_ALGORITHM", "none"),
        ("SECRET_KEY", "short-and-secret"),
    ];
    let output = run(&Folder::new(), &[], &settings);
    let mut names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    names.extend(["JWT_SECRET_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"]);
    names.retain(|name| *name != "TWILIO_TEST_MODE");
    refuses(&output, &names);
    assert!(!output.err.contains("short-and-secret"), "a secret is not repeated: {}", output.err);
}

#[test]
fn production_names_everything_that_it_lacks() {
    let output = run(
        &Folder::new(),
        &["serve"],
        &[
            ("ENVIRONMENT", "prod"),
            ("TWILIO_TEST_MODE", "true"),
            ("RATE_LIMITS_ENABLED", "false"),
            ("CORS_ALLOWED_ORIGINS", "*"),
        ],
    );
    let names = [
        "DATABASE_URL",
        "SECRET_KEY",
        "JWT_SECRET_KEY",
        "TWILIO_TEST_MODE",
        "RATE_LIMITS_ENABLED",
        "CORS_ALLOWED_ORIGINS",
    ];
    refuses(&output, &names);
}

#[test]
fn a_file_of_settings_that_cannot_be_read_is_named_and_not_repeated() {
    let folder = Folder::new();
    folder.write(".env", "OTP_LENGTH=6\nSECRET_KEY=\"not closed, and secret\n");
    let output = run(&folder, &[], &[]);
    refuses(&output, &[".env", "SECRET_KEY"]);
    assert!(!output.err.contains("and secret"), "a secret is not repeated: {}", output.err);
}

#[test]
fn a_database_that_cannot_be_opened_is_said() {
    let folder = Folder::new();
    let output = run(&folder, &["purge"], &[("DATABASE_URL", "sqlite:///nowhere/at/all.sqlite3")]);
    refuses(&output, &["database"]);
}

#[test]
fn migrate_makes_the_database_and_may_be_repeated() {
    let folder = Folder::new();
    for sentence in
        ["sqlite://loopin-auth.sqlite3: made, and ", "sqlite://loopin-auth.sqlite3: no migration was left"]
    {
        let output = run(&folder, &["migrate"], &[]);
        assert!(output.status.success(), "{}", output.err);
        assert!(
            output.out.contains(sentence) && output.out.contains("the database is up to date"),
            "{}",
            output.out
        );
    }
    assert!(folder.0.join("loopin-auth.sqlite3").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purge_removes_what_is_over_and_keeps_people() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]).await;
    server.signup(PHONE).await.ok();
    let code = server.code_for(PHONE).await;
    server.verify_otp(PHONE, &code).await.ok();
    let output = run(&folder, &["purge"], &[]);
    assert!(
        output.out.contains("removed 0 challenges, 0 messages, 0 sessions"),
        "{}{}",
        output.out,
        output.err
    );

    let url = format!("sqlite://{}", folder.0.join("loopin-auth.sqlite3").display());
    for (table, column) in [
        ("challenges", "opened_at"),
        ("challenges", "expires_at"),
        ("messages", "created_at"),
        ("sessions", "expires_at"),
    ] {
        let sql = format!("UPDATE {table} SET {column} = '2020-01-01 00:00:00.000000 +00:00'");
        crate::crashes::execute(&url, &sql).await;
    }
    let output = run(&folder, &["purge", "--older-than-days", "30"], &[]);
    assert!(
        output.out.contains("removed 1 challenges, 1 messages, 1 sessions"),
        "{}{}",
        output.out,
        output.err
    );
    for table in ["accounts", "leads"] {
        assert_eq!(crate::crashes::count(&url, &format!("SELECT COUNT(*) FROM {table}")).await, 1);
    }
}

#[test]
fn openapi_prints_the_document_that_is_served_and_nothing_else() {
    let folder = Folder::new();
    let output = run(&folder, &["openapi"], &[]);
    assert!(output.status.success(), "{}", output.err);
    let document: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!(document["info"]["title"], "loopin-auth");
    let committed = include_str!("../../docs/openapi.json");
    assert_eq!(document, serde_json::from_str::<Value>(committed).unwrap());
    assert!(!folder.0.join("loopin-auth.sqlite3").exists(), "a document needs no database");
}

#[test]
fn settings_says_what_is_in_force_and_where_it_comes_from() {
    let folder = Folder::new();
    folder.write(".env", "OTP_LENGTH=6\nPRODUCT_NAME=Mine\nLIMIT_SENDS_PER_PHONE=7/1h\n");
    let password = "the-password-of-the-database";
    let url = format!("postgres://loopin:{password}@db.example.com/loopin");
    let secret = ("SECRET_KEY", "a secret key of the tests, 32 bytes or more");
    let output = run(&folder, &["settings"], &[secret, ("PRODUCT_NAME", "Other"), ("DATABASE_URL", &url)]);
    assert!(output.status.success(), "{}", output.err);
    let row = |name: &str| -> Vec<&str> {
        let row = output.out.lines().find(|line| line.split_whitespace().next() == Some(name));
        row.unwrap_or_else(|| panic!("{name} is not in:\n{}", output.out))
            .split_whitespace()
            .skip(1)
            .collect()
    };
    for (name, expected) in [
        ("OTP_LENGTH", ["6", ".env"]),
        ("PRODUCT_NAME", ["Other", "environment"]),
        ("LIMIT_SENDS_PER_PHONE", ["7/1h", ".env"]),
        ("SECRET_KEY", ["(set)", "environment"]),
        ("DATABASE_URL", ["postgres://loopin:****@db.example.com/loopin", "environment"]),
        ("BIND_ADDR", ["127.0.0.1:8000", "default"]),
        ("TWILIO_TEST_MODE", ["true", "default"]),
    ] {
        assert_eq!(row(name), expected, "{name}");
    }
    assert_eq!(row("JWT_SECRET_KEY"), ["(not", "set)", "default"]);
    for hidden in [secret.1, password] {
        assert!(!output.out.contains(hidden), "{hidden}");
    }
    // In prod there are other defaults, and missing settings are reported.
    let output = run(&folder, &["settings"], &[("ENVIRONMENT", "prod")]);
    refuses(&output, &["SECRET_KEY must be set in prod"]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = output.out.lines().map(words).collect();
    for line in ["BIND_ADDR 0.0.0.0:8000 default", "TWILIO_TEST_MODE false default"] {
        assert!(lines.iter().any(|one| one == line), "{line} is not in:\n{}", output.out);
    }
}

#[test]
fn help_and_version_need_no_settings() {
    let folder = Folder::new();
    let broken = [("ENVIRONMENT", "nowhere")];
    let output = run(&folder, &["--version"], &broken);
    assert_eq!(output.out, format!("loopin-auth {}\n", env!("CARGO_PKG_VERSION")));
    let output = run(&folder, &["--help"], &broken);
    assert!(output.status.success());
    for command in
        ["serve", "migrate", "purge", "openapi", "doctor", "settings", "sms", "keys", "audit", ".env.example"]
    {
        assert!(output.out.contains(command), "{command} is not in:\n{}", output.out);
    }
    let output = run(&folder, &["dance"], &[]);
    assert_eq!(output.status.code(), Some(2));
}
