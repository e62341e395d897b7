//! A short run of the attacker of `tests/attack/attack.py` against the real program. For a longer run by hand:
//!
//! ```text
//! ATTACK_SECONDS=60 cargo test --test processes attack -- --nocapture
//! ```

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::{server::Folder, support::postgres};

/// The duration of each of the five attacks, in seconds.
const DEFAULT_SECONDS: &str = "1.5";

#[expect(clippy::disallowed_methods, reason = "the duration can be set when the test is run by hand")]
fn seconds() -> String {
    std::env::var("ATTACK_SECONDS").unwrap_or_else(|_| DEFAULT_SECONDS.to_owned())
}

/// Whether there is a Python to run the attacker. If not, prints a warning, or fails where `REQUIRE_POSTGRES` is set.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        #[expect(
            clippy::disallowed_methods,
            reason = "as for PostgreSQL: the gate requires what it brings along"
        )]
        let is_required = std::env::var_os("REQUIRE_POSTGRES").is_some();
        assert!(!is_required, "REQUIRE_POSTGRES is set, but there is no python3");
        // Written directly, because the test runner captures `eprintln!`.
        let _ = std::io::stderr().write_all(b"\n!! NO PYTHON3: THE ATTACKS DID NOT RUN.\n\n");
    }
    found
}

/// Attacks this many servers on this database, and checks that no bound was exceeded.
async fn attack(database_url: String, servers: &'static str) {
    if !has_python() {
        return;
    }
    let running = tokio::task::spawn_blocking(move || {
        Command::new("python3")
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attack/attack.py")])
            .args(["--program", env!("CARGO_BIN_EXE_loopin-auth"), "--database-url", &database_url])
            .args(["--servers", servers, "--seconds", &seconds()])
            .stdin(Stdio::null())
            .output()
    });
    let output = running.await.expect("the attacker is not cancelled").expect("python3 is there");
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{servers} server(s)\n{printed}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    assert_eq!(printed.matches("were wrong and judged").count(), 5, "{printed}\n{errors}");
}

async fn on_sqlite(servers: &'static str) {
    let folder = Folder::new();
    attack(format!("sqlite://{}", folder.0.join("attack.sqlite3").display()), servers).await;
}

async fn on_postgres(servers: &'static str) {
    if postgres::is_there() {
        attack(postgres::new_database().await, servers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_on_sqlite_gets_no_further_than_the_limits() {
    on_sqlite("1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_on_two_servers_on_sqlite_gets_no_further_than_the_limits() {
    on_sqlite("2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_on_postgres_gets_no_further_than_the_limits() {
    on_postgres("1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_on_two_servers_on_postgres_gets_no_further_than_the_limits() {
    on_postgres("2").await;
}
