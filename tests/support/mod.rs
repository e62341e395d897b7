//! The test house: the whole server in this process, with a clock that is moved by hand, seeded chance, and an inbox.
//!
//! A test names the house as its argument and runs once on SQLite and once on PostgreSQL:
//!
//! ```ignore
//! on_both! {
//!     async fn a_code_is_used_once(house: TestHouse) { … }
//! }
//! ```
//!
//! Requests come from an address of no meaning unless a test says from where:
//!
//! ```ignore
//! let stranger = house.from("203.0.113.7");
//! stranger.signup(PHONE).await.assert_error(429, "rate_limited");
//! house.from("2001:db8::1").signup(PHONE).await.assert_ok();
//! ```

#![allow(dead_code, reason = "every test binary uses another part of the house")]

pub mod keys;
pub mod pgbouncer;
pub mod postgres;
pub mod proxy;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{DateTime, Duration, TimeZone, Utc};
use loopin_auth::{app, clock::Clock, config::Config, flows::Services, random::Random};
use poem::{
    Response,
    endpoint::BoxEndpoint,
    http::{Method, StatusCode},
    test::TestClient,
};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

/// A phone of the README.
pub const PHONE: &str = "+916205829376";

/// Another one.
pub const OTHER_PHONE: &str = "+919876543210";

/// The address of requests that come through no socket, as the server sees it (`src/http/client_ip.rs`).
const NO_SOCKET: &str = "0.0.0.0";

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The seeds of further servers: two with the same seed would make the same ids.
static SEEDS: AtomicU64 = AtomicU64::new(8);

/// Limits that no test of something else runs into, while all of them are on.
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

/// Runs each test on SQLite and on PostgreSQL. Where no PostgreSQL is found, that half says so loudly and passes,
/// unless `REQUIRE_POSTGRES` is set.
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
    /// What `X-Forwarded-For` says of every request.
    address: Option<String>,
    folder: Option<Arc<Folder>>,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: poem::http::HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A part of the body, by JSON pointer.
    pub fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    /// A text in the body, by JSON pointer.
    pub fn text_at(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Checks status and `error.code`, and that a failure has the shape of the contract.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.text_at("/error/code").as_str()),
            (status, code),
            "{}",
            self.text
        );
        assert_eq!(self.at("/success"), json!(false), "{}", self.text);
        for null in ["data", "token"] {
            assert_eq!(self.json().get(null), Some(&Value::Null), "{null} of {}", self.text);
        }
        assert!(!self.text_at("/message").is_empty(), "{}", self.text);
        let in_body = self.at("/error/retry_after").as_i64().map(|seconds| seconds.to_string());
        assert_eq!(self.header("retry-after").map(str::to_owned), in_body, "{}", self.text);
    }

    #[track_caller]
    pub fn assert_ok(&self) -> &Self {
        assert_eq!(self.status.as_u16(), 200, "{}", self.text);
        self
    }
}

/// What a person holds after she signed in.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    pub user_id: String,
}

impl TestServer {
    /// A house with the settings of `dev`.
    pub async fn on(database: Database) -> Self {
        Self::with(database, &[]).await
    }

    /// A house with other settings.
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
            // Requests in this process have no socket; this is the address that stands for it. It is trusted to say
            // from where a request comes, as `from` does.
            ("TRUSTED_PROXIES", NO_SOCKET),
            // The clock stands still, and many a test asks more than five hundred times. Tests of the guard set it.
            ("GUARD_REQUESTS_PER_SECOND", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let clock = Clock::fixed(start());
        let server = Self::build(database, all, clock, 7, folder).await;
        server.services.store.migrate().await.expect("the migrations run");
        server
    }

    /// A second server on the same database and the same clock, with other settings if need be.
    pub async fn second_server(&self, settings: &[(&str, &str)]) -> Self {
        let mut all = self.settings.clone();
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let seed = SEEDS.fetch_add(1, Ordering::Relaxed);
        let server = Self::build(self.database, all, self.clock.clone(), seed, None).await;
        Self { address: self.address.clone(), folder: self.folder.clone(), ..server }
    }

    /// A second server that counts nothing, for a test that has nothing to do with limits and would run into one. The
    /// test says why.
    pub async fn without_limits(&self) -> Self {
        self.second_server(&[("RATE_LIMITS_ENABLED", "false")]).await
    }

    /// The same server, asked from this address: whatever is sent through what this returns comes from there. Addresses
    /// that stand for nobody are 192.0.2.0/24, 198.51.100.0/24 and 203.0.113.0/24 (RFC 5737) and `2001:db8::/32` (RFC
    /// 3849). It costs nothing to make one for each request, and clock, inbox, database and codes are the same ones.
    ///
    /// The address goes into `X-Forwarded-For` as it is, so a chain such as `"198.51.100.1, 203.0.113.7"` can be given
    /// too; a test that sends headers of its own (`send`) may send the header itself, several times if it likes, and
    /// then this one is left out.
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
        // A request of HTTP/1.1 has a host; a test that sends one of its own replaces this.
        let client = TestClient::new(poem::EndpointExt::boxed(endpoint)).default_header("host", "localhost");
        let client = Arc::new(client);
        Self { clock, services, client, database, settings, address: None, folder }
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

    /// Any request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let mut request = self.client.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let says_itself = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(FORWARDED_FOR));
        if let Some(address) = self.address.as_ref().filter(|_| !says_itself) {
            request = request.header(FORWARDED_FOR, address);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.0;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.into_body().into_string().await.expect("an answer is text");
        Answer { status, headers, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    pub async fn post_text(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/json")], Some(body.to_owned())).await
    }

    pub async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.send(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], None).await
    }

    pub async fn send_as(&self, token: &str, method: Method, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send(method, path, &headers, Some(body.to_string())).await
    }

    pub async fn signup(&self, phone: &str) -> Answer {
        self.post("/api/auth/signup", json!({ "phone_number": phone })).await
    }

    pub async fn login(&self, phone: &str) -> Answer {
        self.post("/api/auth/login", json!({ "phone_number": phone })).await
    }

    /// Signs up with more than a phone, as the browser or app of somebody who reads these languages.
    pub async fn signup_with(&self, phone: &str, more: Value, languages: &str) -> Answer {
        let mut body = json!({ "phone_number": phone });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        let headers = [("content-type", "application/json"), ("accept-language", languages)];
        self.send(Method::POST, "/api/auth/signup", &headers, Some(body.to_string())).await
    }

    /// What is known of a delivery.
    pub async fn delivery(&self, answer: &Answer) -> Answer {
        self.get(&format!("/api/auth/deliveries/{}", answer.text_at("/data/delivery_id"))).await
    }

    /// Moves the clock, and lets the test inbox report what is due by then.
    pub async fn play(&self, seconds: i64) {
        self.advance(seconds);
        loopin_auth::flows::delivery::play(&self.services).await.expect("the reports are written down");
    }

    /// The messages of the inbox to this phone, newest first.
    pub fn inbox_of(&self, phone: &str) -> Vec<loopin_auth::sms::InboxMessage> {
        let phone = loopin_auth::domain::phone::PhoneNumber::from_e164(phone).expect("a phone in E.164");
        self.services.sms.inbox().expect("the house has an inbox").list(Some(&phone))
    }

    pub async fn verify_otp(&self, phone: &str, code: &str) -> Answer {
        self.post("/api/auth/verify-otp", json!({ "phone_number": phone, "otp_code": code })).await
    }

    pub async fn verify_login(&self, phone: &str, code: &str) -> Answer {
        self.post("/api/auth/verify-login", json!({ "phone_number": phone, "otp_code": code })).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/auth/refresh", json!({ "refresh": token })).await
    }

    /// The codes that this phone was sent, newest first.
    pub fn codes_for(&self, phone: &str) -> Vec<String> {
        self.inbox_of(phone).into_iter().filter_map(|message| message.otp_code).collect()
    }

    /// The last code that this phone was sent.
    pub fn last_code_for(&self, phone: &str) -> String {
        self.codes_for(phone).into_iter().next().expect("a code was sent")
    }

    /// A code that is not the right one, as long as it.
    pub fn wrong_code_for(&self, phone: &str) -> String {
        wrong(&self.last_code_for(phone))
    }

    /// Signs up and verifies.
    #[track_caller]
    pub fn sign_in(&self, phone: &str) -> impl Future<Output = Tokens> {
        let phone = phone.to_owned();
        async move {
            self.signup(&phone).await.assert_ok();
            let answer = self.verify_otp(&phone, &self.last_code_for(&phone)).await;
            answer.assert_ok();
            Tokens {
                access: answer.text_at("/token"),
                refresh: answer.text_at("/data/refresh_token"),
                user_id: answer.text_at("/data/user_id"),
            }
        }
    }

    /// Signs up, verifies and completes the profile.
    pub async fn sign_in_and_complete(&self, phone: &str) -> Tokens {
        let tokens = self.sign_in(phone).await;
        self.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", whole_profile())
            .await
            .assert_ok();
        tokens
    }

    /// A statement of the test's own, past the server.
    pub async fn execute(&self, sql: &str) -> u64 {
        self.services.store.execute_unprepared(sql).await.expect("the statement runs").rows_affected()
    }

    /// A number that a statement of the test's own finds.
    pub async fn count(&self, sql: &str) -> i64 {
        let store = &self.services.store;
        let statement = Statement::from_string(store.get_database_backend(), sql.to_owned());
        let row = store.query_one_raw(statement).await.expect("the statement runs").expect("a row");
        row.try_get_by_index::<i64>(0).expect("a number")
    }

    /// Disables the account of a phone, as a staff member would.
    pub async fn disable(&self, phone: &str) {
        let rows =
            self.execute(&format!("UPDATE accounts SET is_active = FALSE WHERE phone = '{phone}'")).await;
        assert_eq!(rows, 1, "the phone has an account");
    }
}

/// When every test begins: mid-day in India, with microseconds.
pub fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap() + Duration::microseconds(589_793)
}

/// A code that is not this one, as long as it.
pub fn wrong(code: &str) -> String {
    let last = if code.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &code[..code.len() - 1])
}

/// A profile that `complete-profile` takes.
pub fn whole_profile() -> Value {
    json!({
        "phone_number": PHONE,
        "name": "Gaurav Kumar",
        "birth_date": "1995-01-01",
        "gender": "male",
        "event_interests": [1, 2, 3],
        "profile_pictures": ["https://example.com/pic1.jpg", "https://example.com/pic2.jpg"],
    })
}

/// A folder that goes with the test.
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
