//! `loopin-auth doctor`: what it finds, its messages, and that it changes nothing.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::{
    server::{CommandOutput, Folder, SECRETS, free_port, run},
    support::{pgbouncer::PgBouncer, postgres},
};

pub const SID: &str = "AC0123456789abcdef0123456789abcdef";
pub const TOKEN: &str = "the-auth-token-of-the-tests";

/// The settings of an account at a stub of Twilio.
pub fn account(url: &str) -> Vec<(&str, &str)> {
    let mut settings = SECRETS.to_vec();
    settings.extend([
        ("TWILIO_ACCOUNT_SID", SID),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ("TWILIO_API_BASE_URL", url),
    ]);
    settings
}

/// The lines about one subject.
pub fn about<'a>(output: &'a CommandOutput, what: &str) -> Vec<&'a str> {
    let what = format!("  {what}: ");
    output.out.lines().filter(|line| line.get(4..).is_some_and(|line| line.starts_with(&what))).collect()
}

#[track_caller]
pub fn assert_line(output: &CommandOutput, what: &str, word: &str, sentences: &[&str]) {
    let lines = about(output, what);
    let found = lines
        .iter()
        .any(|line| line.starts_with(word) && sentences.iter().all(|sentence| line.contains(sentence)));
    assert!(found, "no {word} line about {what} says {sentences:?}:\n{}{}", output.out, output.err);
}

#[track_caller]
pub fn ended(output: &CommandOutput, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", output.out, output.err);
    assert_eq!(output.out.lines().any(|line| line.starts_with("FAIL")), code == 1, "{}", output.out);
    // A blank line separates the findings from the texts to register in India.
    let findings = output.out.split("\n\n").next().unwrap();
    for line in findings.lines() {
        let is_line = ["ok    ", "warn  ", "FAIL  "].iter().any(|word| line.starts_with(word));
        assert!(is_line && line.contains(": "), "{line:?} in:\n{}", output.out);
    }
    assert_eq!(output.err, "");
}

/// A Twilio stub that gives this answer about the account.
async fn twilio(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::method("GET"))
        .and(matchers::path(format!("/2010-04-01/Accounts/{SID}.json")))
        .and(matchers::basic_auth(SID, TOKEN))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn known(status: &str, kind: &str) -> ResponseTemplate {
    let account: Value = json!({"sid": SID, "friendly_name": "Loopin", "status": status, "type": kind});
    ResponseTemplate::new(200).set_body_json(account)
}

/// The output when Twilio gives this answer about the account.
async fn output_with(answer: ResponseTemplate) -> CommandOutput {
    let twilio = twilio(answer).await;
    run(&Folder::new(), &["doctor"], &account(&twilio.uri()))
}

#[test]
fn with_no_settings_it_warns_and_makes_nothing() {
    let folder = Folder::new();
    let output = run(&folder, &["doctor"], &[]);
    ended(&output, 0);
    assert_line(&output, "settings", "ok", &["ENVIRONMENT=dev"]);
    assert_line(&output, "secrets", "warn", &["SECRET_KEY is not set"]);
    assert_line(&output, "secrets", "warn", &["JWT_SECRET_KEY is not set"]);
    assert_line(
        &output,
        "database",
        "warn",
        &["loopin-auth.sqlite3", "does not exist yet", "loopin-auth migrate"],
    );
    assert_line(&output, "migrations", "warn", &["no database yet"]);
    assert_line(&output, "SMS providers", "ok", &["test mode"]);
    assert_line(&output, "delivery reports", "ok", &["test mode"]);
    assert_line(&output, "texts", "ok", &["one segment"]);
    assert_line(&output, "client addresses", "ok", &["TRUSTED_PROXIES is not set"]);
    let plans = loopin_auth::domain::phone::Edition::from_plans().to_string();
    assert!(output.out.contains(&format!("numbering plans: libphonenumber {plans}")), "{}", output.out);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "nothing is made");
}

#[test]
fn everything_that_is_wrong_has_a_line_and_the_rest_is_still_looked_at() {
    let folder = Folder::new();
    folder.write(".env", "OTP_LENGTH=6\nSECRET_KEY=\"not closed, and secret\n");
    let output = run(
        &folder,
        &["doctor"],
        &[
            ("ENVIRONMENT", "prod"),
            ("SECRET_KEY", "short-and-secret"),
            ("JWT_SECRET_KEY", "short-and-secret"),
            ("OTP_EXPIRE_MINUTES", "90"),
            ("OTP_CHANNELS", "sms,pigeon"),
            ("TWILIO_API_KEY_SID", "SK1"),
            ("SMS_TEXTS_DIR", "/nowhere/at/all"),
        ],
    );
    ended(&output, 1);
    for names in [
        ".env cannot be read at line 2 (SECRET_KEY)",
        "OTP_EXPIRE_MINUTES must be",
        "OTP_CHANNELS",
        "TWILIO_API_KEY_SECRET must be set",
        "TWILIO_ACCOUNT_SID must be set",
        "TWILIO_PHONE_NUMBER, TWILIO_MESSAGING_SERVICE_SID or TWILIO_SENDERS must be set",
        "SMS_TEXTS_DIR",
    ] {
        assert_line(&output, "settings", "FAIL", &[names]);
    }
    for name in ["SECRET_KEY is shorter", "JWT_SECRET_KEY is shorter"] {
        assert_line(&output, "secrets", "FAIL", &[name]);
    }
    assert_line(&output, "secrets", "warn", &["are the same"]);
    assert_line(&output, "settings", "FAIL", &["DATABASE_URL must be set in prod"]);
    assert_line(&output, "database", "warn", &["not checked"]);
    assert_line(&output, "SMS providers", "warn", &["not checked"]);
    assert!(!output.out.contains("test mode"), "it is off: {}", output.out);
    assert_line(&output, "delivery reports", "warn", &["PUBLIC_BASE_URL is not set"]);
    assert_line(&output, "client addresses", "warn", &["only right without a proxy", "TRUSTED_PROXIES"]);
    for secret in ["short-and-secret", "and secret", "not closed"] {
        assert!(!output.out.contains(secret), "{secret} in {}", output.out);
    }
}

#[test]
fn trusted_proxies_are_named() {
    let output = run(&Folder::new(), &["doctor"], &[("TRUSTED_PROXIES", "10.0.0.5, 2001:db8::/48")]);
    assert_line(&output, "client addresses", "ok", &["used from 10.0.0.5/32, 2001:db8::/48"]);
}

#[test]
fn migrations_that_have_not_run_are_counted() {
    let folder = Folder::new();
    // The file of a server that was stopped before its first migration.
    folder.write("loopin-auth.sqlite3", "");
    let output = run(&folder, &["doctor"], &SECRETS);
    ended(&output, 0);
    assert_line(&output, "secrets", "ok", &[]);
    assert_line(&output, "database", "ok", &["SQLite", "answers"]);
    assert_line(&output, "migrations", "warn", &["pending", "loopin-auth migrate"]);
    assert_eq!(
        std::fs::metadata(folder.0.join("loopin-auth.sqlite3")).unwrap().len(),
        0,
        "nothing is changed"
    );

    assert!(run(&folder, &["migrate"], &SECRETS).status.success());
    let output = run(&folder, &["doctor"], &SECRETS);
    assert_line(&output, "migrations", "ok", &["all are applied"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_version_fails() {
    let folder = Folder::new();
    assert!(run(&folder, &["migrate"], &SECRETS).status.success());
    let url = format!("sqlite://{}", folder.0.join("loopin-auth.sqlite3").display());
    let sql = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20990101_000001_flying_cars', 0)";
    crate::crashes::execute(&url, sql).await;
    let output = run(&folder, &["doctor"], &SECRETS);
    ended(&output, 1);
    assert_line(&output, "migrations", "FAIL", &["m20990101_000001_flying_cars", "newer version"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_looked_at_too() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    // Databases of tests are already migrated.
    for sql in ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"] {
        crate::crashes::execute(&url, sql).await;
    }
    let settings = [SECRETS.as_slice(), &[("DATABASE_URL", &url)]].concat();
    let output = run(&Folder::new(), &["doctor"], &settings);
    ended(&output, 0);
    assert_line(&output, "database", "ok", &["PostgreSQL", "answers"]);
    assert_line(&output, "migrations", "warn", &["pending"]);
    let sql = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema()";
    assert_eq!(crate::crashes::count(&url, sql).await, 0, "nothing is made");
    assert!(run(&Folder::new(), &["migrate"], &settings).status.success());
    let output = run(&Folder::new(), &["doctor"], &settings);
    assert_line(&output, "migrations", "ok", &["all are applied"]);
}

#[test]
fn a_database_that_is_away_fails_with_the_cause_and_without_the_password() {
    let url = format!("postgres://loopin:hunter2@127.0.0.1:{}/loopin", free_port());
    let output = run(&Folder::new(), &["doctor"], &[SECRETS.as_slice(), &[("DATABASE_URL", &url)]].concat());
    ended(&output, 1);
    assert_line(
        &output,
        "database",
        "FAIL",
        &["PostgreSQL", "refused", "loopin:****@127.0.0.1", "DATABASE_URL"],
    );
    assert_line(&output, "migrations", "warn", &["the database comes first"]);
    assert_line(&output, "texts", "ok", &[]);
    assert!(!output.out.contains("hunter2"), "{}", output.out);

    let output = run(&Folder::new(), &["doctor"], &[("DATABASE_URL", "sqlite:///nowhere/at/all.sqlite3")]);
    ended(&output, 1);
    assert_line(&output, "database", "FAIL", &["neither does its folder"]);
    let folder = Folder::new();
    folder.write("loopin-auth.sqlite3", &"no database at all ".repeat(100));
    assert_line(&run(&folder, &["doctor"], &[]), "database", "FAIL", &["not a database"]);
    assert_line(
        &run(&folder, &["doctor"], &[("DATABASE_URL", "mysql://x")]),
        "database",
        "warn",
        &["fix DATABASE_URL"],
    );
}

/// The database accepts the connection and never answers.
#[test]
fn a_database_that_hangs_does_not_hang_the_doctor() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://loopin@{}/loopin", silent.local_addr().unwrap());
    let output = run(&Folder::new(), &["doctor"], &[SECRETS.as_slice(), &[("DATABASE_URL", &url)]].concat());
    ended(&output, 1);
    assert_line(&output, "database", "FAIL", &["no answer in time"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_credentials_are_ok() {
    let twilio = twilio(known("active", "Full")).await;
    let url = twilio.uri();
    let settings = [account(&url), vec![("PUBLIC_BASE_URL", "https://auth.example.com/base")]].concat();
    let output = run(&Folder::new(), &["doctor"], &settings);
    ended(&output, 0);
    assert_line(&output, "Twilio", "ok", &["credentials are good", "active"]);
    assert_line(&output, "delivery reports", "ok", &["https://auth.example.com/base/api/twilio/status"]);
    assert_eq!(twilio.received_requests().await.unwrap().len(), 1, "it sends one request, and no message");
    for secret in [TOKEN, SID, SECRETS[0].1] {
        assert!(!output.out.contains(secret), "{secret} in {}", output.out);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_key_is_tried_as_what_it_may_do() {
    let twilio = MockServer::start().await;
    let key = ("SK0123456789abcdef0123456789abcdef", "the-key-secret-of-the-tests");
    Mock::given(matchers::method("GET"))
        .and(matchers::basic_auth(key.0, key.1))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"messages": []})))
        .mount(&twilio)
        .await;
    let url = twilio.uri();
    let with_key =
        [("TWILIO_API_KEY_SID", key.0), ("TWILIO_API_KEY_SECRET", key.1), ("TWILIO_AUTH_TOKEN", "")];
    let output = run(&Folder::new(), &["doctor"], &[account(&url), with_key.to_vec()].concat());
    ended(&output, 0);
    assert_line(&output, "Twilio", "ok", &["credentials are good"]);
    assert_line(&output, "delivery reports", "warn", &["none will come"]);
    assert!(!output.out.contains(key.1) && !output.out.contains(key.0), "{}", output.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_account_is_a_warning_and_a_stopped_one_a_failure() {
    let output = output_with(known("active", "Trial")).await;
    ended(&output, 0);
    assert_line(&output, "Twilio", "warn", &["trial", "upgrade"]);
    assert_line(&output, "delivery reports", "warn", &["PUBLIC_BASE_URL is not set"]);
    for (status, word) in [("suspended", "suspended"), ("closed", "closed")] {
        let output = output_with(known(status, "Full")).await;
        ended(&output, 1);
        assert_line(&output, "Twilio", "FAIL", &[word]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_fail_with_what_to_check() {
    let refused = json!({"code": 20003, "message": format!("Authenticate {SID}"), "status": 401});
    let output = output_with(ResponseTemplate::new(401).set_body_json(refused)).await;
    ended(&output, 1);
    assert_line(&output, "Twilio", "FAIL", &["20003", "TWILIO_ACCOUNT_SID"]);
    assert!(!output.out.contains(SID), "{}", output.out);

    let unreachable = format!("http://127.0.0.1:{}", free_port());
    let output = run(&Folder::new(), &["doctor"], &account(&unreachable));
    ended(&output, 1);
    assert_line(&output, "Twilio", "FAIL", &["no connection", "TWILIO_API_BASE_URL"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_twilio_that_hangs_does_not_hang_the_doctor() {
    let output = output_with(known("active", "Full").set_delay(Duration::from_mins(5))).await;
    ended(&output, 1);
    assert_eq!(about(&output, "Twilio").len(), 1, "{}", output.out);
    assert_line(&output, "texts", "ok", &[]);
}

#[test]
fn a_text_over_one_segment_is_named() {
    let folder = Folder::new();
    let long = ("PRODUCT_NAME", "Лупин, приложение для встреч с людьми");
    let output = run(&folder, &["doctor"], &[SECRETS.as_slice(), &[long]].concat());
    ended(&output, 0);
    assert_line(&output, "texts", "warn", &["en"]);
}

#[tokio::test]
async fn a_connection_pooler_that_the_settings_do_not_name_is_told_of() {
    if !postgres::is_there() {
        return;
    }
    let folder = Folder::new();
    let direct = postgres::new_database().await;
    let doctor = |url: &str, settings: &[(&str, &str)]| {
        run(&folder, &["doctor"], &[SECRETS.as_slice(), &[("DATABASE_URL", url)], settings].concat())
    };
    let output = doctor(&direct, &[]);
    assert_eq!(about(&output, "connection pooler"), Vec::<&str>::new());
    let output = doctor(&direct, &[("DATABASE_POOLER", "transaction")]);
    assert_line(&output, "connection pooler", "warn", &["none was found"]);

    let Some(bouncer) = PgBouncer::before(&direct, "transaction", "") else { return };
    let url = bouncer.url(&direct);
    let output = doctor(&url, &[]);
    assert_line(&output, "database", "ok", &["answers"]);
    assert_line(&output, "connection pooler", "warn", &["set DATABASE_POOLER=transaction"]);
    let output = doctor(&url, &[("DATABASE_POOLER", "transaction")]);
    assert_line(&output, "connection pooler", "ok", &["transaction mode"]);
    let output = doctor(&url, &[("DATABASE_POOLER", "none")]);
    assert_line(&output, "connection pooler", "FAIL", &["DATABASE_POOLER=none"]);
    ended(&output, 1);
}

#[test]
fn with_another_provider_nothing_is_said_about_twilio() {
    let secret = format!("whsec_{}", "A".repeat(32));
    let settings = [
        SECRETS.to_vec(),
        vec![
            ("SMS_PROVIDERS", "*=webhook"),
            ("SMS_WEBHOOK_URL", "http://10.0.0.1/send"),
            ("SMS_WEBHOOK_SECRET", &secret),
        ],
    ]
    .concat();
    let output = run(&Folder::new(), &["doctor"], &settings);
    assert_line(&output, "settings", "FAIL", &["SMS_WEBHOOK_URL", "HOOKS_ALLOW_PRIVATE_NETWORKS"]);
    assert_line(&output, "SMS providers", "warn", &["fix the settings above first"]);
    assert!(!output.out.contains("Twilio") && !output.out.contains("TWILIO"), "{}", output.out);
}
