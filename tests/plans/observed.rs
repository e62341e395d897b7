//! A server on a filled database, whose plans are collected and read.

use std::{
    collections::BTreeSet,
    io::Write,
    sync::{Mutex, OnceLock, PoisonError},
};

use tokio::sync::OnceCell;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::support::{Answer, Database, TestServer, postgres};

/// Tables that grow with the number of users.
const LARGE: [&str; 10] = [
    "accounts",
    "audit",
    "budgets",
    "challenges",
    "leads",
    "messages",
    "outbox",
    "search_words",
    "sessions",
    "verifications",
];

/// Enough rows that PostgreSQL prefers an index where there is one.
pub const ROWS: i64 = 20_000;

/// The most rows that one step of a plan may read for nothing, because a filter removes them. An index that finds all rows is no
/// better than reading the whole table. A page of a list may read the newest thousands for a filter that many rows satisfy.
const MOST_THROWN_AWAY: u64 = 4000;

/// The most rows that one step of a plan may find. The counts of the console stop before.
const MOST_FOUND: u64 = 15_000;

static PLANS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The plans of two tests would be mixed, so only one test runs at a time.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The address of the filled database. It is filled once for all tests.
static FILLED: OnceCell<String> = OnceCell::const_new();

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        PLANS.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Kept {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

/// Keeps what PostgreSQL sends beside its answers, and the errors of the server.
fn keep_notices() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let notices = EnvFilter::new("off,sqlx::postgres::notice=info,loopin_auth=error");
        tracing_subscriber::fmt().with_env_filter(notices).with_ansi(false).with_writer(Kept).init();
    });
}

/// How PostgreSQL plans a prepared statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planning {
    /// For the values of each execution: the first five executions, and all of an unnamed statement.
    Custom,
    /// Once, without values: from the sixth execution on, if that seems to be as good.
    Generic,
}

impl Planning {
    fn setting(self) -> &'static str {
        match self {
            Self::Custom => "force_custom_plan",
            Self::Generic => "force_generic_plan",
        }
    }
}

/// A request that may read a large table row by row: the beginning of its name, the table, and the reason.
pub type Exception = (&'static str, &'static str, &'static str);

/// A server that reports its plans, and what was found in them.
pub struct Observed {
    pub server: TestServer,
    /// Which requests were sent.
    pub asked: BTreeSet<&'static str>,
    exceptions: Vec<Exception>,
    used_exceptions: BTreeSet<&'static str>,
    found: Vec<String>,
    _alone: tokio::sync::MutexGuard<'static, ()>,
}

impl Observed {
    /// A server with these settings on the filled database. `None` where there is no PostgreSQL.
    pub async fn new(
        planning: Planning,
        settings: &[(&str, &str)],
        exceptions: Vec<Exception>,
    ) -> Option<Self> {
        if !postgres::is_there() {
            return None;
        }
        let alone = ONE_AT_A_TIME.lock().await;
        let url = FILLED.get_or_init(fill).await;
        let server = TestServer::with(Database::Postgres, &[("DATABASE_URL", url)]).await;
        Some(Self::with(server, alone, planning, settings, exceptions).await)
    }

    /// A server with these settings, whose database was empty when PostgreSQL last looked, and has many pending codes now.
    pub async fn new_with_codes(planning: Planning, settings: &[(&str, &str)]) -> Option<Self> {
        if !postgres::is_there() {
            return None;
        }
        let alone = ONE_AT_A_TIME.lock().await;
        let server = TestServer::on(Database::Postgres).await;
        server.execute("VACUUM ANALYZE").await;
        insert_codes(&server).await;
        Some(Self::with(server, alone, planning, settings, Vec::new()).await)
    }

    async fn with(
        server: TestServer,
        alone: tokio::sync::MutexGuard<'static, ()>,
        planning: Planning,
        settings: &[(&str, &str)],
        exceptions: Vec<Exception>,
    ) -> Self {
        keep_notices();
        // What an earlier test was charged. The filled rows have no log.
        server.execute("DELETE FROM budgets WHERE log <> ''").await;
        let report = [
            ("session_preload_libraries", "auto_explain"),
            ("auto_explain.log_min_duration", "0"),
            ("auto_explain.log_level", "notice"),
            // How many rows each step read, without the time of each.
            ("auto_explain.log_analyze", "on"),
            ("auto_explain.log_timing", "off"),
            // The statements of triggers.
            ("auto_explain.log_nested_statements", "on"),
            ("plan_cache_mode", planning.setting()),
        ];
        for (name, value) in report {
            server.execute(&set(name, value)).await;
        }
        // Its connections are new, so they have these settings.
        let server = server.second_server(settings).await;
        server.count("SELECT count(*) FROM leads WHERE phone = '+916205829376'").await;
        take_plans();
        Self {
            server,
            asked: BTreeSet::new(),
            exceptions,
            used_exceptions: BTreeSet::new(),
            found: Vec::new(),
            _alone: alone,
        }
    }

    /// Sends a request and reads the plans of its statements.
    pub async fn ask(
        &mut self,
        name: &'static str,
        status: u16,
        request: impl AsyncFnOnce(&TestServer) -> Answer,
    ) -> Answer {
        self.asked.insert(name);
        let answer = self.watch(name, request).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text);
        answer
    }

    /// Runs something and reads the plans of its statements.
    pub async fn watch<T>(&mut self, name: &str, run: impl AsyncFnOnce(&TestServer) -> T) -> T {
        let server = self.server.clone();
        take_plans();
        let result = run(&server).await;
        let plans = take_plans();
        for (plan, table) in slow(&plans) {
            let is_known =
                |(known, of, _): &&(&'static str, &str, &str)| name.starts_with(known) && *of == table;
            match self.exceptions.iter().find(is_known) {
                Some((known, _, _)) => drop(self.used_exceptions.insert(known)),
                None => self.found.push(format!("{name}: {table}\n{plan}")),
            }
        }
        result
    }

    /// Forgets what was found about other tables than this one: in a test whose other tables are empty, and are read as a whole.
    pub fn only(&mut self, table: &str) {
        self.found.retain(|found| found.lines().next().is_some_and(|line| line.ends_with(table)));
    }

    /// Excepts these from now on.
    pub fn except(&mut self, exceptions: Vec<Exception>) {
        self.exceptions = exceptions;
    }

    /// Notes something that is not right.
    pub fn note(&mut self, what: String) {
        self.found.push(what);
    }

    /// Fails if a large table was read row by row.
    pub fn assert_all_right(&self) {
        assert!(
            self.found.is_empty(),
            "{} statements are not right:\n{}",
            self.found.len(),
            self.found.join("\n")
        );
    }

    /// Fails if an exception was not needed.
    pub fn assert_exceptions_are_used(&self) {
        for (name, table, _) in &self.exceptions {
            assert!(self.used_exceptions.contains(name), "{name} no longer reads {table} row by row");
        }
    }
}

fn set(name: &str, value: &str) -> String {
    format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {name} = {value}', current_database()); END $$"
    )
}

/// Makes a database with many rows, and with as many pending codes that the statistics do not know of.
async fn fill() -> String {
    let server = TestServer::on(Database::Postgres).await;
    let mut fill = include_str!("../scale/fill.sql").replace("{now}", &server.now().to_rfc3339());
    for (name, rows) in [("leads", 1), ("accounts", 1), ("sessions", 1), ("messages", 3)] {
        fill = fill.replace(&format!("{{{name}}}"), &(rows * ROWS).to_string());
    }
    server.execute(&fill).await;
    let verifications = format!(
        "INSERT INTO verifications (id, api_key_id, phone, channel, status, was_known, challenge_id, created_at, expires_at) \
         SELECT gen_random_uuid(), gen_random_uuid(), '+9198' || lpad(i::text, 8, '0'), 'sms', 'approved', FALSE, gen_random_uuid(), \
         TIMESTAMPTZ '{now}' - interval '1 day', TIMESTAMPTZ '{now}' - interval '1 day' FROM generate_series(1, {ROWS}) AS i",
        now = server.now().to_rfc3339()
    );
    server.execute(&verifications).await;
    // Also marks what an index alone can answer.
    server.execute("VACUUM ANALYZE").await;
    insert_codes(&server).await;
    server.setting("DATABASE_URL").to_owned()
}

/// Inserts as many pending codes, and as many budgets, as there are rows. The statistics know of none of them.
async fn insert_codes(server: &TestServer) {
    let now = server.now().to_rfc3339();
    let codes = format!(
        "INSERT INTO challenges (phone, purpose, holder, id, key_version, attempts, opened_at, expires_at, sent_at) \
         SELECT '+9199' || lpad(i::text, 8, '0'), 'sign_in', '', gen_random_uuid(), 'scale', 0, at, at + interval '10 minutes', at \
         FROM generate_series(1, {ROWS}) AS i, (SELECT TIMESTAMPTZ '{now}' AS at) AS now"
    );
    let budgets = format!(
        "INSERT INTO budgets (key, ends_at) SELECT 'phone/' || md5(i::text) || '/guesses', TIMESTAMPTZ '{now}' + interval '1 day' \
         FROM generate_series(1, {ROWS}) AS i"
    );
    server.execute(&codes).await;
    server.execute(&budgets).await;
}

/// The plans since the last call.
pub fn take_plans() -> String {
    let kept = std::mem::take(&mut *PLANS.lock().unwrap_or_else(PoisonError::into_inner));
    String::from_utf8_lossy(&kept).into_owned()
}

/// The plans that read one of the large tables row by row, each with the table.
pub fn slow(plans: &str) -> Vec<(&str, &str)> {
    plans.split("duration: ").filter_map(|plan| Some((plan, read_row_by_row(plan)?))).collect()
}

/// The large table that a plan reads row by row: as a whole, by an index that finds nearly all rows, or to throw most of them away.
fn read_row_by_row(plan: &str) -> Option<&str> {
    let mut last = "";
    plan.lines().find_map(|line| {
        let mut found = None;
        if let Some(table) = scanned(line) {
            last = table;
            found = number_after(line, "(actual rows=");
        }
        let thrown_away = number_after(line, "Rows Removed by Filter: ")
            .or_else(|| number_after(line, "Rows Removed by Index Recheck: "));
        let is_slow = line.contains("Seq Scan on ")
            || thrown_away.is_some_and(|rows| rows > MOST_THROWN_AWAY)
            || found.is_some_and(|rows| rows > MOST_FOUND);
        (is_slow && LARGE.contains(&last)).then_some(last)
    })
}

/// The table that a step of a plan reads.
fn scanned(line: &str) -> Option<&str> {
    let (step, rest) = line.split_once(" on ")?;
    let is_scan = ["Seq Scan", "Bitmap Heap Scan"].iter().any(|scan| step.ends_with(scan))
        || step.contains("Index Scan") && step.contains(" using ")
        || step.contains("Index Only Scan");
    is_scan.then(|| rest.split(' ').next().unwrap_or_default())
}

fn number_after(line: &str, text: &str) -> Option<u64> {
    let rest = line.split_once(text)?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The indexes by which plans read these tables: those whose names begin so.
pub fn indexes<'a>(plans: &'a str, beginnings: &[&str]) -> Vec<&'a str> {
    let of_these = |index: &&str| beginnings.iter().any(|beginning| index.starts_with(beginning));
    let mut found: Vec<&str> = plans.lines().filter_map(index_of).filter(of_these).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn index_of(line: &str) -> Option<&str> {
    let scans = [
        "Index Scan using ",
        "Index Only Scan using ",
        "Index Scan Backward using ",
        "Bitmap Index Scan on ",
    ];
    scans.iter().find_map(|scan| line.split_once(scan))?.1.split(' ').next()
}
