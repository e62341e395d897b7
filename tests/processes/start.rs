//! A start with a database that is away or cannot be used, or without a database.

use std::time::Duration;

use loopin_auth::{
    app,
    store::{DatabaseSettings, Store},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use crate::{
    crashes::execute,
    server::{CommandOutput, Folder, SECRETS, Server, free_port, run},
    support::{PHONE, postgres},
};

fn on(url: &str, arguments: &[&str]) -> CommandOutput {
    run(&Folder::new(), arguments, &[SECRETS.as_slice(), &[("DATABASE_URL", url)]].concat())
}

/// Checks that the program ended without a retry, and printed these sentences.
#[track_caller]
fn ends_at_once(output: &CommandOutput, sentences: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{}{}", output.out, output.err);
    for sentence in sentences {
        assert!(output.err.contains(sentence), "{sentence:?} is not in:\n{}{}", output.out, output.err);
    }
    assert!(!output.out.contains("asked again"), "{}", output.out);
}

/// A server that answers the first message of every client with this error.
async fn refusing(code: &'static str, message: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let length = client.read_u32().await.unwrap();
            let mut body = vec![0; length as usize - 4];
            client.read_exact(&mut body).await.unwrap();
            let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
            client.write_all(b"E").await.unwrap();
            client.write_all(&u32::try_from(fields.len() + 4).unwrap().to_be_bytes()).await.unwrap();
            client.write_all(fields.as_bytes()).await.unwrap();
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waiting_does_not_help_ends_the_start_at_once_with_the_remedy() {
    for (code, message, remedy) in [
        ("28P01", "password authentication failed for user \"u\"", "check the user and the password"),
        ("28000", "no pg_hba.conf entry for host \"127.0.0.1\"", "pg_hba.conf"),
        ("3D000", "database \"loopin\" does not exist", "CREATE DATABASE loopin ENCODING 'UTF8'"),
        ("08P01", "no such database: loopin", "CREATE DATABASE loopin"),
        ("42501", "permission denied for database \"loopin\"", "GRANT CONNECT ON DATABASE loopin TO u;"),
    ] {
        let port = refusing(code, message).await;
        let url = format!("postgres://u:SECRET@127.0.0.1:{port}/loopin?sslmode=disable");
        let commands =
            [["serve"].as_slice(), &["migrate"], &["purge"], &["audit"], &["prefixes"], &["unlock", PHONE]];
        for command in commands {
            let output = tokio::task::block_in_place(|| on(&url, command));
            ends_at_once(&output, &["the database cannot be used", message, remedy]);
            assert!(!output.err.contains("SECRET") && !output.out.contains("SECRET"), "{}", output.err);
        }
        let output = tokio::task::block_in_place(|| on(&url, &["doctor"]));
        assert!(output.out.contains(message) && output.out.contains(remedy), "{}", output.out);
    }
}

#[test]
fn a_server_without_tls_that_is_asked_for_it_is_told() {
    if !postgres::is_there() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = runtime.block_on(postgres::new_database());
    let Some(url) = url.strip_suffix("?sslmode=disable") else { return };
    ends_at_once(&on(&format!("{url}?sslmode=require"), &["migrate"]), &["sslmode"]);
    let output = on(&format!("{url}?sslmode=verify-full&sslrootcert=/nowhere/ca.pem"), &["migrate"]);
    ends_at_once(&output, &["sslmode"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_of_the_log_has_the_real_cause_while_a_database_is_away() {
    let (port, folder) = (free_port(), Folder::new());
    let url = format!("postgres://u:SECRET@127.0.0.1:{port}/loopin");
    let server = Server::begin(&folder, &[SECRETS.as_slice(), &[("DATABASE_URL", &url)]].concat());
    let waiting = async {
        while server.log().matches("asked again").count() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it asks again");
    let log = server.log();
    for line in log.lines().filter(|line| line.contains("asked again")) {
        assert!(line.contains("Connection refused"), "{line}");
    }
    assert!(!log.contains("SECRET"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_never_answers_is_waited_for_for_a_minute() {
    // It accepts connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://u@{}/loopin", listener.local_addr().unwrap());
    let settings = DatabaseSettings {
        url: url.as_str().into(),
        max_connections: 1,
        acquire_timeout: Duration::from_secs(3),
        pooler: None,
    };
    let store = Store::connect(&settings).await.unwrap();
    let begun = Instant::now();
    let error = app::migrate(&store, &settings).await.unwrap_err();
    let waited = begun.elapsed();
    assert!((Duration::from_secs(57)..=Duration::from_secs(61)).contains(&waited), "{waited:?}");
    assert!(format!("{error:?}").contains("no answer in time"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_the_right_to_make_tables_is_told_the_grant() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    let mut limited = url::Url::parse(&url).unwrap();
    let database = limited.path().trim_start_matches('/').to_owned();
    let role = format!("{database}_Limited");
    limited.set_username(&role).unwrap();
    limited.set_password(Some("SECRET")).unwrap();
    let limited = limited.to_string();
    // Databases of tests are already migrated.
    for sql in [
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        &format!("DROP ROLE IF EXISTS \"{role}\""),
        &format!("CREATE ROLE \"{role}\" LOGIN PASSWORD 'SECRET'"),
    ] {
        execute(&url, sql).await;
    }
    let grant = format!("GRANT USAGE, CREATE ON SCHEMA public TO \"{role}\";");
    for command in ["serve", "migrate"] {
        ends_at_once(&on(&limited, &[command]), &[&grant]);
    }
    execute(&url, &grant).await;
    assert!(on(&limited, &["migrate"]).status.success());
    // Without a migration to run, this right is not needed.
    execute(&url, &format!("REVOKE CREATE ON SCHEMA public FROM \"{role}\"")).await;
    let output = on(&limited, &["migrate"]);
    assert!(
        output.status.success() && output.out.contains("no migration was left"),
        "{}{}",
        output.out,
        output.err
    );
    execute(&url, &format!("DROP OWNED BY \"{role}\"")).await;
    // Tables of another role.
    assert!(on(&url, &["migrate"]).status.success());
    execute(&url, &grant).await;
    ends_at_once(
        &on(&limited, &["migrate"]),
        &["permission denied", "GRANT ALL ON ALL TABLES IN SCHEMA public"],
    );
    execute(&url, &format!("DROP OWNED BY \"{role}\"")).await;
    execute(&url, &format!("DROP ROLE \"{role}\"")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_another_encoding_is_refused_with_the_remedy() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::new_database().await;
    let mut latin = url::Url::parse(&url).unwrap();
    let name = format!("{}_latin", latin.path().trim_start_matches('/'));
    latin.set_path(&name);
    execute(&url, &format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")).await;
    for command in ["serve", "migrate", "purge"] {
        ends_at_once(&on(latin.as_str(), &[command]), &["LATIN1", "ENCODING 'UTF8' TEMPLATE template0"]);
    }
    let output = on(latin.as_str(), &["doctor"]);
    assert!(
        output.out.contains("FAIL  database") && output.out.contains("ENCODING 'UTF8'"),
        "{}",
        output.out
    );
    execute(&url, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

#[test]
fn what_sqlite_cannot_use_ends_the_start_at_once() {
    let folder = Folder::new();
    folder
        .write("text.sqlite3", &"this is no database, but a text that is long enough to be one ".repeat(20));
    std::fs::create_dir(folder.0.join("folder.sqlite3")).unwrap();
    for (url, sentence) in [
        ("sqlite://text.sqlite3", "no SQLite database"),
        ("sqlite://folder.sqlite3", "folder"),
        ("sqlite:///nowhere/at/all.sqlite3", "/nowhere/at/all.sqlite3"),
    ] {
        for command in ["serve", "migrate"] {
            let output = run(&folder, &[command], &[SECRETS.as_slice(), &[("DATABASE_URL", url)]].concat());
            ends_at_once(&output, &[sentence]);
        }
    }
}

#[test]
fn whatever_only_reads_or_changes_makes_no_database() {
    let folder = Folder::new();
    let settings = [SECRETS.as_slice(), &[("LOOPIN_SUPERUSER_PASSWORD", "wistful-otter-71")]].concat();
    for command in [
        ["purge"].as_slice(),
        &["audit"],
        &["audit", "drop", "--before", "2020-01"],
        &["prefixes"],
        &["prefixes", "open", "+916205"],
        &["prefixes", "close", "+916205"],
        &["unlock", PHONE],
        &["createsuperuser", "--noinput", "--username", "ada"],
    ] {
        let output = run(&folder, command, &settings);
        ends_at_once(&output, &["the database is not migrated: run `loopin-auth migrate` first"]);
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "{command:?} makes nothing");
    }
}
