//! The test server: the whole server in this process, with a clock that is moved by hand, seeded randomness, and an inbox.
//!
//! A test takes the server as its argument and runs once on SQLite and once on PostgreSQL:
//!
//! ```ignore
//! on_both! {
//!     async fn a_code_is_used_once(server: TestServer) { … }
//! }
//! ```
//!
//! Requests come from one default address unless a test names another:
//!
//! ```ignore
//! let stranger = server.from("203.0.113.7");
//! stranger.signup(PHONE).await.assert_error(429, "rate_limited");
//! server.from("2001:db8::1").signup(PHONE).await.assert_ok();
//! ```

#![allow(dead_code, unused_imports, reason = "every test binary uses another part of this")]

mod answer;
mod authenticator;
pub mod hook;
pub mod issuer;
pub mod keys;
pub mod pgbouncer;
pub mod postgres;
pub mod proxy;
mod requests;
pub mod service;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{DateTime, Duration, TimeZone, Utc};
use loopin_auth::{app, clock::Clock, config::Config, flows::Services, random::Random};
use poem::{Response, endpoint::BoxEndpoint, test::TestClient};
use sea_orm::{ConnectionTrait, Statement};

use self::proxy::Proxy;
pub use self::{
    answer::Answer,
    authenticator::Authenticator,
    requests::{Tokens, whole_profile, wrong},
};

/// The phone of the examples in the README.
pub const PHONE: &str = "+916205829376";

/// Another phone.
pub const OTHER_PHONE: &str = "+919876543210";

/// The client address that the server sees for requests without a socket (`src/http/client_ip.rs`).
const NO_SOCKET: &str = "0.0.0.0";

/// The seeds of further servers. Two servers with the same seed would make the same ids.
static SEEDS: AtomicU64 = AtomicU64::new(8);

/// Limits so wide that a test of something else does not reach them. All limits are on.
pub const WIDE_LIMITS: [(&str, &str); 4] = [
    ("LIMIT_REQUESTS_PER_ADDRESS", "1000/1h"),
    ("LIMIT_SENDS_PER_PHONE", "1000/1h"),
    ("LIMIT_SENDS_PER_PHONE_AND_ADDRESS", "1000/1h"),
    ("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "1000/1h"),
];

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Runs each test on SQLite and on PostgreSQL. Without a PostgreSQL, that half prints a warning and passes, unless
/// `REQUIRE_POSTGRES` is set.
#[macro_export]
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($server:ident: TestServer) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every test needs everything")]
            use super::*;
            use $crate::support::{Database, TestServer};

            async fn test($server: TestServer) $body

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                test(TestServer::on(Database::Sqlite).await).await;
            }

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if $crate::support::postgres::is_there() {
                    test(TestServer::on(Database::Postgres).await).await;
                }
            }
        }
    )*};
}

/// The whole server, in this process. A clone is the same server, on the same clock and the same database.
#[derive(Clone)]
pub struct TestServer {
    pub clock: Clock,
    pub services: Arc<Services>,
    pub client: Arc<TestClient<BoxEndpoint<'static, Response>>>,
    pub database: Database,
    settings: HashMap<String, String>,
    /// The `X-Forwarded-For` header of every request.
    address: Option<String>,
    folder: Option<Arc<Folder>>,
    /// All servers on the same database.
    all: Arc<Mutex<Vec<Weak<Services>>>>,
}

impl TestServer {
    /// A server with the settings of `dev`.
    pub async fn on(database: Database) -> Self {
        Self::with(database, &[]).await
    }

    /// A server with further settings.
    pub async fn with(database: Database, settings: &[(&str, &str)]) -> Self {
        let (url, folder) = match database {
            Database::Sqlite => {
                let folder = Folder::new();
                (format!("sqlite://{}", folder.0.join("test.sqlite3").display()), Some(Arc::new(folder)))
            }
            Database::Postgres => (postgres::new_database().await, None),
        };
        let mut all: HashMap<String, String> = [
            ("DATABASE_URL", url.as_str()),
            ("SECRET_KEY", "a secret key of the tests, 32 bytes or more"),
            ("JWT_SECRET_KEY", "a token secret of the tests, 32 bytes or more"),
            // Requests in this process have no socket, and this address stands for it. It is a trusted proxy, so that
            // `from` can set the client's address by a header.
            ("TRUSTED_PROXIES", NO_SOCKET),
            // The clock stands still, and many tests send more requests than the burst of the guard allows.
            ("GUARD_REQUESTS_PER_SECOND", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let clock = Clock::fixed(start());
        let server = Self::build(database, all, clock, 7, folder).await.among(Arc::default());
        server.services.store.migrate().await.expect("the migrations run");
        server
    }

    /// A server whose PostgreSQL is behind a proxy, and the proxy. `None` where there is no PostgreSQL.
    pub async fn behind_proxy(settings: &[(&str, &str)]) -> Option<(Self, Proxy)> {
        if !postgres::is_there() {
            return None;
        }
        let (proxy, url) = Proxy::before(&postgres::new_database().await).await;
        let settings = [settings, &[("DATABASE_URL", url.as_str())]].concat();
        Some((Self::with(Database::Postgres, &settings).await, proxy))
    }

    /// A second server on the same database and the same clock, with changed settings.
    pub async fn second_server(&self, settings: &[(&str, &str)]) -> Self {
        let mut all = self.settings.clone();
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let seed = SEEDS.fetch_add(1, Ordering::Relaxed);
        let server = Self::build(self.database, all, self.clock.clone(), seed, None).await;
        Self { address: self.address.clone(), folder: self.folder.clone(), ..server }
            .among(Arc::clone(&self.all))
    }

    fn among(self, all: Arc<Mutex<Vec<Weak<Services>>>>) -> Self {
        all.lock().expect("no thread panics").push(Arc::downgrade(&self.services));
        Self { all, ..self }
    }

    /// Writes the receipts of all servers on the same database, as their background tasks do a moment later.
    pub async fn settle(&self) {
        let all: Vec<_> =
            self.all.lock().expect("no thread panics").iter().filter_map(Weak::upgrade).collect();
        for services in all {
            services.receipts.settle().await;
        }
    }

    /// A second server without limits, for a test that is not about limits and would reach one. The test says why.
    pub async fn without_limits(&self) -> Self {
        self.second_server(&[("RATE_LIMITS_ENABLED", "false")]).await
    }

    /// The same server for a client with this address. Addresses for documentation are 192.0.2.0/24, 198.51.100.0/24 and
    /// 203.0.113.0/24 (RFC 5737) and `2001:db8::/32` (RFC 3849). It is cheap: clock, inbox, database and codes are shared.
    ///
    /// The address becomes the value of `X-Forwarded-For`, so a chain such as `"198.51.100.1, 203.0.113.7"` works too. A
    /// test that passes this header to `send` itself, once or several times, replaces it.
    #[must_use]
    pub fn from(&self, address: impl std::fmt::Display) -> Self {
        Self { address: Some(address.to_string()), ..self.clone() }
    }

    async fn build(
        database: Database,
        settings: HashMap<String, String>,
        clock: Clock,
        seed: u64,
        folder: Option<Arc<Folder>>,
    ) -> Self {
        let random = Random::seeded(seed);
        let config =
            Config::read(&|name| settings.get(name).cloned(), &random).expect("the settings are right");
        let services = app::services(&config, clock.clone(), random).await.expect("the parts are made");
        let services = Arc::new(services);
        let endpoint = app::endpoint(&config, Arc::clone(&services));
        // A request of HTTP/1.1 has a host. A test can replace it.
        let client = TestClient::new(poem::EndpointExt::boxed(endpoint)).default_header("host", "localhost");
        let client = Arc::new(client);
        Self { clock, services, client, database, settings, address: None, folder, all: Arc::default() }
    }

    pub fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", String::as_str)
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.advance(Duration::seconds(seconds));
    }

    /// Runs a statement directly on the database. Returns the number of rows.
    pub async fn execute(&self, sql: &str) -> u64 {
        self.settle().await;
        self.services.store.execute_unprepared(sql).await.expect("the statement runs").rows_affected()
    }

    /// Reads one number directly from the database.
    pub async fn count(&self, sql: &str) -> i64 {
        self.settle().await;
        self.count_unsettled(sql).await
    }

    /// Reads one number directly from the database, as it is while receipts are queued.
    pub async fn count_unsettled(&self, sql: &str) -> i64 {
        let store = &self.services.store;
        let statement = Statement::from_string(store.get_database_backend(), sql.to_owned());
        let row = store.query_one_raw(statement).await.expect("the statement runs").expect("a row");
        row.try_get_by_index::<i64>(0).expect("a number")
    }

    /// Reads one text directly from the database.
    pub async fn text(&self, sql: &str) -> String {
        self.settle().await;
        let store = &self.services.store;
        let statement = Statement::from_string(store.get_database_backend(), sql.to_owned());
        let row = store.query_one_raw(statement).await.expect("the statement runs").expect("a row");
        row.try_get_by_index::<String>(0).expect("a text")
    }

    /// Disables the account of a phone, as a staff member would.
    pub async fn disable(&self, phone: &str) {
        let rows =
            self.execute(&format!("UPDATE accounts SET is_active = FALSE WHERE phone = '{phone}'")).await;
        assert_eq!(rows, 1, "the phone has an account");
    }
}

/// Polls until the condition holds, for what happens in a background task. Fails after a minute.
pub async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let polling = async {
        while !condition().await {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_mins(1), polling).await;
    assert!(waited.is_ok(), "still waiting after a minute: {what}");
}

/// The time at which every test begins: the afternoon in India, with microseconds.
pub fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap() + Duration::microseconds(589_793)
}

/// A folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("loopin-auth-test-{}", uuid::Uuid::from_bytes(Random::System.bytes()));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder for the test");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
