//! A PostgreSQL for the tests: the server of `TEST_DATABASE_URL`, or a temporary one that the installed PostgreSQL programs
//! start. Every test gets a database of its own, copied from one that was migrated once.

#![expect(clippy::disallowed_methods, reason = "the environment tells where PostgreSQL is")]

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use loopin_auth::store::{DatabaseSettings, Pooler, Store};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::sync::OnceCell;

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A template can only be copied while no other connection uses it, so copies are made one at a time.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A server: its URL without a database, and its process if this program started it.
struct Server {
    base: String,
    parameters: String,
    _process: Option<Child>,
}

impl Server {
    fn url(&self, database: &str) -> String {
        format!("{}/{database}{}", self.base, self.parameters)
    }
}

/// Whether there is a PostgreSQL to test with. If not, prints a warning.
pub fn is_there() -> bool {
    server().is_some()
}

fn server() -> Option<&'static Server> {
    SERVER
        .get_or_init(|| {
            let server = given().or_else(start);
            if server.is_none() {
                assert!(
                    std::env::var_os("REQUIRE_POSTGRES").is_none(),
                    "REQUIRE_POSTGRES is set, but there is neither TEST_DATABASE_URL nor a PostgreSQL that starts"
                );
                // Written directly, because the test runner captures `eprintln!`.
                let _ = std::io::stderr().write_all(
                    b"\n\
                    !! NO POSTGRESQL: TEST_DATABASE_URL is not set and initdb and postgres were not found or do not\n\
                    !! start. THE POSTGRESQL HALF OF THE TESTS DID NOT RUN. Install PostgreSQL, or name a server.\n\n",
                );
            }
            server
        })
        .as_ref()
}

fn given() -> Option<Server> {
    let url = url::Url::parse(&std::env::var("TEST_DATABASE_URL").ok()?).expect("TEST_DATABASE_URL is a URL");
    let parameters = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut base = url;
    base.set_query(None);
    base.set_path("");
    Some(Server { base: base.as_str().trim_end_matches('/').to_owned(), parameters, _process: None })
}

/// Starts a server in a new folder. It stops, and the folder is removed, when this process ends, even by a signal: a shell
/// waits for the end of its standard input, which this process holds open.
fn start() -> Option<Server> {
    let programs = programs()?;
    let folder = std::env::temp_dir().join(format!("loopin-auth-postgres-{}", std::process::id()));
    let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let script = format!(
        "set -e; data={folder}; rm -rf \"$data\"; mkdir -p \"$data\"; \
         PATH={programs}:$PATH; export PATH; \
         if [ \"$(id -u)\" = 0 ]; then chown {user} \"$data\"; as() {{ setpriv --reuid {user} --regid {user} --clear-groups \"$@\"; }}; \
         else as() {{ \"$@\"; }}; fi; \
         cd \"$data\"; \
         as initdb -D \"$data/db\" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null; \
         as postgres -D \"$data/db\" -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
           -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400 \
           -c shared_buffers=64MB -c log_min_messages=fatal >\"$data/log\" 2>&1 & \
         cat >/dev/null; kill -INT $(head -n 1 \"$data/db/postmaster.pid\"); wait; rm -rf \"$data\"",
        folder = folder.display(),
        programs = programs.display(),
        user = if has_user("postgres") { "postgres" } else { "nobody" },
    );
    let process = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let server = Server {
        base: format!("postgres://postgres@127.0.0.1:{port}"),
        parameters: "?sslmode=disable".to_owned(),
        _process: Some(process),
    };
    answers(port).then_some(server)
}

/// Waits until the server accepts connections: starting it takes a second or two.
fn answers(port: u16) -> bool {
    (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
}

fn has_user(name: &str) -> bool {
    std::fs::read_to_string("/etc/passwd")
        .is_ok_and(|users| users.lines().any(|line| line.starts_with(&format!("{name}:"))))
}

/// The folder with `initdb` and `postgres`: where Debian installs them, or one on the `PATH`.
fn programs() -> Option<PathBuf> {
    let has_both = |folder: &Path| folder.join("initdb").exists() && folder.join("postgres").exists();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH")?));
    folders.into_iter().find(|folder| has_both(folder))
}

/// Where a program of PostgreSQL is, such as `pg_dump`.
pub fn program(name: &str) -> PathBuf {
    programs().map_or_else(|| name.into(), |folder| folder.join(name))
}

async fn connect(url: &str) -> Store {
    let acquire_timeout = Duration::from_secs(30);
    let pooler = Some(Pooler::None);
    let settings = DatabaseSettings { url: url.into(), max_connections: 2, acquire_timeout, pooler };
    Store::connect(&settings).await.expect("the URL is right")
}

/// Runs statements on the server's own database, one connection a call.
async fn administer(statement: &str) {
    let store = connect(&server().expect("a PostgreSQL").url("postgres")).await;
    store.execute_unprepared(statement).await.expect("the server makes a database");
    store.close().await;
}

/// Removes the databases of earlier runs from a server that was not started here. A database in use belongs to another
/// run and stays.
async fn drop_left_overs() {
    let store = connect(&server().expect("a PostgreSQL").url("postgres")).await;
    let statement = "SELECT datname FROM pg_database WHERE datname LIKE 'loopin\\_test\\_%'";
    let statement = Statement::from_string(DbBackend::Postgres, statement);
    for row in store.query_all_raw(statement).await.expect("the server lists its databases") {
        let name: String = row.try_get_by_index(0).expect("a name");
        // Fails if the database is in use, or another run has removed it.
        let _ = store.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}")).await;
    }
    store.close().await;
}

/// A migrated database, from which the databases of the tests are copied.
async fn template() -> &'static str {
    TEMPLATE
        .get_or_init(|| async {
            drop_left_overs().await;
            let name = format!("loopin_test_{}_template", std::process::id());
            administer(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            administer(&format!("CREATE DATABASE {name}")).await;
            let store = connect(&server().expect("a PostgreSQL").url(&name)).await;
            store.migrate().await.expect("the migrations run");
            store.close().await;
            name
        })
        .await
}

/// Makes a new database. Returns its URL.
pub async fn new_database() -> String {
    let template = template().await;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("loopin_test_{}_{number}", std::process::id());
    administer(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    let _one = ONE_AT_A_TIME.lock().await;
    administer(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    server().expect("a PostgreSQL").url(&name)
}

/// The host and port of a database URL, and the same URL with another port of this machine.
pub fn with_local_port(url: &str, port: u16) -> ((String, u16), String) {
    let mut url = url::Url::parse(url).expect("a URL");
    let address = (url.host_str().expect("a host").to_owned(), url.port().unwrap_or(5432));
    url.set_host(Some("127.0.0.1")).expect("a host");
    url.set_port(Some(port)).expect("a port");
    (address, url.to_string())
}
