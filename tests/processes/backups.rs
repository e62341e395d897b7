//! `loopin-auth backup` and `restore`: the drill that an operator repeats, and what is refused.

use std::{path::Path, process::Command};

use futures_util::future::join_all;

use crate::{
    crashes::{count, execute},
    server::{CommandOutput, Folder, SECRETS, Server, run, run_by},
    support::{PHONE, postgres},
};

const COPY: &str = "copy.sqlite3";

/// All requests of a test come from one address.
const LOAD: [(&str, &str); 2] = [("RATE_LIMITS_ENABLED", "false"), ("OTP_RESEND_SECONDS", "0")];

/// Signs in. Returns the access token and the refresh token.
async fn sign_in(server: &Server, phone: &str) -> (String, String) {
    server.signup(phone).await.ok();
    let code = server.code_for(phone).await;
    let answer = server.verify_otp(phone, &code).await.ok();
    (answer.text("/token"), answer.text("/data/refresh_token"))
}

/// Users who sign up until the copy is there. Returns how many did.
async fn sign_up_until(server: &Server, is_done: &std::sync::atomic::AtomicBool) -> usize {
    let lanes = (0..4_usize).map(|lane| async move {
        let mut number = 0;
        while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
            sign_in(server, &format!("+9198{lane}11{:05}", number + 10_000)).await;
            number += 1;
        }
        number
    });
    join_all(lanes).await.into_iter().sum()
}

/// Runs a blocking command while users sign up.
async fn under_writes<T: Send + 'static>(
    server: &Server,
    command: impl FnOnce() -> T + Send + 'static,
) -> (T, usize) {
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let copying = async {
        let output = tokio::task::spawn_blocking(command).await.unwrap();
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        output
    };
    tokio::join!(copying, sign_up_until(server, &is_done))
}

/// The tokens of before work, and so does a new sign-in.
async fn goes_on(server: &Server, (access, refresh): &(String, String)) {
    let profile = server.get_as(access, "/api/auth/profile").await.ok();
    assert_eq!(profile.text("/phone_number"), PHONE);
    let refreshed = server.post("/api/auth/refresh", serde_json::json!({ "refresh": refresh })).await;
    assert!(!refreshed.ok().text("/access").is_empty());
    server.post("/api/auth/login", serde_json::json!({ "phone_number": PHONE })).await.ok();
    let code = server.code_for(PHONE).await;
    let verify = serde_json::json!({ "phone_number": PHONE, "otp_code": code });
    server.post("/api/auth/verify-login", verify).await.ok();
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(&folder.0).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[track_caller]
fn refuses(output: &CommandOutput, sentence: &str) {
    assert_eq!(output.status.code(), Some(1), "{}{}", output.out, output.err);
    assert!(output.err.contains(sentence), "{sentence:?} is not in:\n{}{}", output.out, output.err);
}

/// Back up under writes, lose the database, restore, sign in again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_sqlite_that_is_lost_comes_back() {
    let folder = Folder::new();
    let settings = [SECRETS.as_slice(), &LOAD].concat();
    let mut server = Server::start(&folder, &settings).await;
    let tokens = sign_in(&server, PHONE).await;
    let command = {
        let (path, settings) = (folder.0.clone(), settings.clone());
        move || {
            crate::server::program(&path, &["backup", COPY], &settings).output().expect("the program starts")
        }
    };
    let (output, signed_up) = under_writes(&server, command).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{COPY}: a whole copy of sqlite://loopin-auth.sqlite3")), "{said}");
    assert!(signed_up > 0, "nothing was written in the meantime");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(folder.0.join(COPY)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // The restored database is no older than the copy, and the copy no newer than the database.
    let url = format!("sqlite://{}", folder.0.join("loopin-auth.sqlite3").display());
    let before = count(&url, "SELECT COUNT(*) FROM accounts").await;

    // While anything is left of the database, nothing is written over it. A log of the lost database would end up in the new one.
    server.kill();
    refuses(&run(&folder, &["restore", COPY], &settings), "loopin-auth.sqlite3 is there: stop the server");
    std::fs::remove_file(folder.0.join("loopin-auth.sqlite3")).unwrap();
    folder.write("loopin-auth.sqlite3-wal", "the log of the lost database");
    refuses(&run(&folder, &["restore", COPY], &settings), "loopin-auth.sqlite3-wal is there");
    for name in names(&folder).iter().filter(|name| name.starts_with("loopin-auth.sqlite3")) {
        std::fs::remove_file(folder.0.join(name)).unwrap();
    }

    let output = run(&folder, &["restore", COPY], &settings);
    assert!(output.status.success(), "{}", output.err);
    assert!(
        output.out.contains("sqlite://loopin-auth.sqlite3: restored from copy.sqlite3"),
        "{}",
        output.out
    );
    let after = count(&url, "SELECT COUNT(*) FROM accounts").await;
    assert!((1..=before).contains(&after), "{after} of {before}");
    assert!(output.out.contains(&format!("rows: {after} accounts, {after} sessions, ")), "{}", output.out);
    let server = Server::start(&folder, &settings).await;
    goes_on(&server, &tokens).await;
    assert!(!names(&folder).iter().any(|name| name.starts_with(".loopin-auth-")), "{:?}", names(&folder));
}

/// The commands of docs/RUNBOOKS.md.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_postgresql_that_is_lost_comes_back() {
    if !postgres::is_there() {
        return;
    }
    let folder = Folder::new();
    let url = postgres::new_database().await;
    let settings = [SECRETS.as_slice(), &LOAD, &[("DATABASE_URL", url.as_str())]].concat();
    let mut server = Server::start(&folder, &settings).await;
    let tokens = sign_in(&server, PHONE).await;

    let output = run(&folder, &["backup", "loopin.dump"], &settings);
    refuses(&output, "pg_dump --format=custom --no-owner --no-privileges --file=loopin.dump");
    let dumping = {
        let (folder, url) = (folder.0.clone(), url.clone());
        move || {
            let dump = ["--format=custom", "--no-owner", "--no-privileges", "--file=loopin.dump", &url];
            postgres_program("pg_dump", &folder, &dump);
        }
    };
    let ((), signed_up) = under_writes(&server, dumping).await;
    assert!(signed_up > 0, "nothing was written in the meantime");
    refuses(&run(&folder, &["restore", "--check", "loopin.dump"], &[]), "is a dump of PostgreSQL");
    server.kill();

    let restored = postgres::new_database().await;
    execute(&restored, "DROP SCHEMA public CASCADE").await;
    execute(&restored, "CREATE SCHEMA public").await;
    let target = format!("--dbname={restored}");
    let restore =
        ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", &target, "loopin.dump"];
    postgres_program("pg_restore", &folder.0, &restore);
    let settings = [SECRETS.as_slice(), &LOAD, &[("DATABASE_URL", restored.as_str())]].concat();
    let doctor = run(&folder, &["doctor"], &settings);
    assert!(doctor.out.contains("ok    migrations: "), "{}{}", doctor.out, doctor.err);
    let server = Server::start(&folder, &settings).await;
    goes_on(&server, &tokens).await;
}

fn postgres_program(name: &str, folder: &Path, arguments: &[&str]) {
    let program = postgres::program(name);
    let output = Command::new(program).args(arguments).current_dir(folder).output().expect("it is installed");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_cannot_be_restored_is_told() {
    let folder = Folder::new();
    let output = run(&folder, &["migrate"], &[]);
    assert!(output.status.success(), "{}", output.err);
    let output = run(&folder, &["backup", COPY], &[]);
    assert!(
        output.out.contains(", the one of this version\nrows: 0 accounts"),
        "{}{}",
        output.out,
        output.err
    );
    let check = |name: &str| run(&folder, &["restore", "--check", name], &[("ENVIRONMENT", "nowhere")]);
    let output = check(COPY);
    assert!(
        output.status.success() && output.out.starts_with("copy.sqlite3: whole\nschema: m2"),
        "{}",
        output.err
    );

    let whole = std::fs::read(folder.0.join(COPY)).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.0.join(name), bytes).unwrap();
    write("half.sqlite3", &whole[..whole.len() / 2]);
    let mut broken = whole.clone();
    let third_page = broken.chunks_mut(4096).nth(2).unwrap();
    third_page.fill(0xff);
    write("broken.sqlite3", &broken);
    write("text.sqlite3", b"SQLite");
    write("nothing.sqlite3", b"");
    write("copied.sqlite3", &whole);
    write("copied.sqlite3-wal", b"a log");
    for (name, sentence) in [
        ("half.sqlite3", "half.sqlite3 is no backup that can be restored: it is damaged"),
        ("broken.sqlite3", "it is damaged"),
        ("text.sqlite3", "it is damaged, or no SQLite database"),
        ("nothing.sqlite3", "without the tables of loopin-auth"),
        ("copied.sqlite3", "copied.sqlite3-wal is beside the backup"),
        ("absent.sqlite3", "absent.sqlite3 cannot be read"),
    ] {
        refuses(&check(name), sentence);
    }

    // One migration less is an old backup, and one more is that of a newer version.
    let url = |name: &str| format!("sqlite://{}", folder.0.join(name).display());
    for (name, sql) in [
        (
            "older.sqlite3",
            "DELETE FROM seaql_migrations WHERE version = (SELECT MAX(version) FROM seaql_migrations)",
        ),
        ("newer.sqlite3", "INSERT INTO seaql_migrations VALUES ('m29990101_000001_robots', 0)"),
    ] {
        write(name, &whole);
        execute(&url(name), sql).await;
    }
    let output = check("older.sqlite3");
    assert!(output.out.contains("older: 1 migration runs at the next start"), "{}{}", output.out, output.err);
    refuses(
        &check("newer.sqlite3"),
        "a newer version of loopin-auth has migrated it (m29990101_000001_robots)",
    );
    // What cannot be used is not restored either.
    std::fs::remove_file(folder.0.join("loopin-auth.sqlite3")).unwrap();
    refuses(&run(&folder, &["restore", "half.sqlite3"], &[]), "it is damaged");
    assert!(!folder.0.join("loopin-auth.sqlite3").exists());
}

/// Such a copy would pass every other check, and the server would fail with it, or do what somebody else wrote into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_not_as_the_migrations_make_it_is_told() {
    let folder = Folder::new();
    assert!(run(&folder, &["migrate"], &[]).status.success());
    assert!(run(&folder, &["backup", COPY], &[]).status.success());
    let without = "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON;";
    for (sql, sentence) in [
        ("DROP TABLE accounts", Some("the table accounts is missing")),
        ("DROP TABLE blocks; CREATE VIEW blocks AS SELECT 1 AS id", Some("the table blocks is missing")),
        ("CREATE VIEW everyone AS SELECT * FROM accounts", Some("the view everyone was added")),
        (
            "CREATE TRIGGER stolen AFTER INSERT ON accounts BEGIN DELETE FROM leads; END",
            Some("the trigger stolen was added"),
        ),
        ("DROP TRIGGER audit_no_delete", Some("the trigger audit_no_delete is missing")),
        ("CREATE TABLE notes (text TEXT); CREATE INDEX notes_text ON notes (text)", None),
    ] {
        std::fs::copy(folder.0.join(COPY), folder.0.join("changed.sqlite3")).unwrap();
        let url = format!("sqlite://{}", folder.0.join("changed.sqlite3").display());
        execute(&url, &format!("{without} {sql}")).await;
        let output = run(&folder, &["restore", "--check", "changed.sqlite3"], &[]);
        match sentence {
            Some(sentence) => refuses(&output, &format!("it is not as loopin-auth makes it: {sentence}")),
            None => assert!(output.status.success(), "{sql}: {}", output.err),
        }
    }
}

#[test]
fn a_named_pipe_is_no_backup() {
    let folder = Folder::new();
    let pipe = folder.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    for arguments in [["restore", "--check", "pipe"].as_slice(), &["restore", "pipe"]] {
        refuses(&run_by(&["timeout", "30"], &folder, arguments, &[]), "pipe is not a file");
    }
}

#[test]
fn a_backup_overwrites_nothing_and_leaves_nothing_behind() {
    let folder = Folder::new();
    refuses(&run(&folder, &["backup", COPY], &[]), "sqlite://loopin-auth.sqlite3: there is no such file");
    assert!(run(&folder, &["migrate"], &[]).status.success());
    folder.write(COPY, "the only good one");
    refuses(&run(&folder, &["backup", COPY], &[]), "copy.sqlite3 exists already and is not overwritten");
    assert_eq!(std::fs::read_to_string(folder.0.join(COPY)).unwrap(), "the only good one");
    refuses(&run(&folder, &["backup", "no/such/folder"], &[]), "no/such/folder cannot be written");
    let memory = [("DATABASE_URL", "sqlite::memory:")];
    refuses(&run(&folder, &["backup", "other"], &memory), "is a database in memory");
    // A database that is damaged is no backup, and its copy does not stay.
    let database = folder.0.join("loopin-auth.sqlite3");
    let bytes = std::fs::read(&database).unwrap();
    std::fs::write(&database, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(run(&folder, &["backup", "other"], &[]).status.code(), Some(1));
    let mut names = names(&folder);
    names.retain(|name| !name.starts_with("loopin-auth.sqlite3"));
    assert_eq!(names, [COPY]);
}
