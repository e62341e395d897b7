//! An attacker against the real program: `tests/attack/attack.py`, for a moment. For as long as one likes, by hand:
//!
//! ```text
//! ATTACK_SECONDS=60 cargo test --test processes attack -- --nocapture
//! ```

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::{server::Folder, support::postgres};

/// How long each of the five attacks takes here, in seconds.
const A_MOMENT: &str = "1.5";

#[expect(clippy::disallowed_methods, reason = "how long it takes is asked of whoever runs the test")]
fn seconds() -> String {
    std::env::var("ATTACK_SECONDS").unwrap_or_else(|_| A_MOMENT.to_owned())
}

/// Whether there is a Python to attack with. If not, says so where nobody can miss it; the gate does not go without.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        #[expect(
            clippy::disallowed_methods,
            reason = "as for PostgreSQL: the gate requires what it brings along"
        )]
        let is_required = std::env::var_os("REQUIRE_POSTGRES").is_some();
        assert!(!is_required, "REQUIRE_POSTGRES is set, but there is no python3");
        // Past the capture of the test runner, which would hide it.
        let _ = std::io::stderr().write_all(b"\n!! NO PYTHON3: THE ATTACKS DID NOT RUN.\n\n");
    }
    found
}

/// Attacks so many servers on this database, and checks that every bound held.
async fn attacked(database_url: String, servers: &'static str) {
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
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{servers} server(s)\n{said}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert_eq!(said.matches("were wrong and judged").count(), 5, "{said}\n{errors}");
}

async fn on_sqlite(servers: &'static str) {
    let folder = Folder::new();
    attacked(format!("sqlite://{}", folder.0.join("attacked.sqlite3").display()), servers).await;
}

async fn on_postgres(servers: &'static str) {
    if postgres::is_there() {
        attacked(postgres::new_database().await, servers).await;
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
