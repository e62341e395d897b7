//! `import --from loopin`: the original's own schema with 1,000 people, and what it let in.

use serde_json::{Value, json};

use crate::{
    crashes::{count, execute},
    server::{CommandOutput, Folder, SECRETS, Server, program, run},
    support::postgres,
};

const PEOPLE: &str = include_str!("../imports/people.sql");
const ODDITIES: &str = include_str!("../imports/oddities.sql");

/// The password of the staff in `oddities.sql`.
const PASSWORD: &str = "purple-kettle-morning-71";

/// The original's database, and ours.
pub struct Move {
    folder: Folder,
    from: String,
    to: String,
}

impl Move {
    async fn on_sqlite() -> Self {
        let folder = Folder::new();
        let file = |name: &str| format!("sqlite://{}?mode=rwc", folder.0.join(name).display());
        let (from, to) = (file("original.sqlite3"), file("ours.sqlite3"));
        execute(&from, include_str!("../imports/original_sqlite.sql")).await;
        Self { folder, from, to }.migrated()
    }

    async fn on_postgres() -> Option<Self> {
        if !postgres::is_there() {
            return None;
        }
        let (from, to) = (postgres::new_database().await, postgres::new_database().await);
        execute(&from, include_str!("../imports/original_postgres.sql")).await;
        Some(Self { folder: Folder::new(), from, to }.migrated())
    }

    fn migrated(self) -> Self {
        let migrated = run(&self.folder, &["migrate"], &self.settings());
        assert!(migrated.status.success(), "{}", migrated.err);
        self
    }

    /// 1,000 people with all oddities.
    async fn with_everybody(self) -> Self {
        execute(&self.from, PEOPLE).await;
        if self.from.starts_with("postgres") {
            // A dump that was restored without its constraints.
            let constraint = "users_userprofile_ev_eventinterest_id_1f58c783_fk_users_eve";
            let drop = format!("ALTER TABLE users_userprofile_event_interests DROP CONSTRAINT {constraint}");
            execute(&self.from, &drop).await;
            execute(&self.from, ODDITIES).await;
        } else {
            execute(&self.from, &format!("PRAGMA foreign_keys = OFF;{ODDITIES}")).await;
        }
        self
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        let more = [("DATABASE_URL", self.to.as_str()), ("RATE_LIMITS_ENABLED", "false")];
        [SECRETS.as_slice(), &more].concat()
    }

    fn import(&self, more: &[&str]) -> CommandOutput {
        let arguments = [&["import", "--from", "loopin", self.from.as_str()], more].concat();
        run(&self.folder, &arguments, &self.settings())
    }

    /// The JSON report of an import, and its exit code.
    fn report(&self, more: &[&str]) -> (Value, Option<i32>) {
        let output = self.import(&[&["--report", "report.json"], more].concat());
        let text = std::fs::read_to_string(self.folder.0.join("report.json"));
        let text = text.unwrap_or_else(|error| panic!("{error}: {}{}", output.out, output.err));
        (serde_json::from_str(&text).expect("JSON"), output.status.code())
    }

    async fn count(&self, sql: &str) -> i64 {
        count(&self.to, sql).await
    }

    /// Everything that an import writes, as one number for each table.
    async fn state(&self) -> Vec<i64> {
        let mut state = Vec::new();
        for table in ["accounts", "leads", "event_interests", "imported_rows", "search_words", "audit"] {
            state.push(self.count(&format!("SELECT COUNT(*) FROM {table}")).await);
        }
        state
    }
}

/// The rows of the report about one id: outcome, and reason or fields.
fn told(report: &Value, subject: &str, old_id: &str) -> Vec<(String, Value)> {
    let rows = report["rows"].as_array().expect("rows").iter();
    rows.filter(|row| row["old_id"] == old_id && row["subject"] == subject)
        .map(|row| {
            let detail = row.get("left_out").or(row.get("into_old_id")).unwrap_or(&row["reason"]);
            (row["outcome"].as_str().unwrap_or_default().to_owned(), detail.clone())
        })
        .collect()
}

async fn everybody_comes_with_what_they_had(moving: Move) {
    let moving = moving.with_everybody().await;
    let before = moving.state().await;
    let (dry, code) = moving.report(&["--dry-run"]);
    assert_eq!(code, Some(3));
    assert_eq!(moving.state().await, before, "a dry run writes nothing");
    let (report, code) = moving.report(&[]);
    assert_eq!(code, Some(3), "rows were refused");
    assert_eq!((&report["counts"], &report["rows"]), (&dry["counts"], &dry["rows"]));
    let counts = json!({
        "rows": 1006, "accounts": 994, "staff": 3, "incomplete": 4, "merged": 1, "leads": 2, "interests": 2,
        "already_there": 2, "refused": 5,
    });
    assert_eq!(report["counts"], counts);
    for (subject, old_id, outcome, detail) in [
        ("person", "962", "merged", json!("961")),
        ("person", "964", "refused", json!("phone_without_plus")),
        ("person", "966", "incomplete", json!(["email"])),
        ("person", "971", "incomplete", json!(["password"])),
        ("person", "972", "refused", json!("no_way_in")),
        ("person", "975", "incomplete", json!(["interests"])),
        ("person", "976", "incomplete", json!(["birth_date", "gender", "profile_pictures"])),
        ("person", "978", "refused", json!("no_way_in")),
        ("person", "979", "refused", json!("phone_not_personal")),
        ("lead", "4", "refused", json!("phone_without_plus")),
    ] {
        assert_eq!(told(&report, subject, old_id), [(outcome.to_owned(), detail)], "{subject} {old_id}");
    }
    assert_eq!(report["rows"].as_array().map(Vec::len), Some(10));
    for (who, condition) in [
        (
            "the merged one",
            "external_id = '961' AND phone = '+919876100001' AND name = 'Meera Rao' AND bio = 'From Goa'",
        ),
        ("digits of another script", "external_id = '963' AND phone = '+919876100003'"),
        (
            "line ends",
            "external_id = '965' AND name = 'Ravi Kumar' AND bio = 'one two' AND first_name = 'Ravi'",
        ),
        ("the plus", "external_id = '966' AND phone = '+919876100006' AND email IS NULL"),
        ("the deactivated", "external_id IN ('967', '968') AND is_active = false AND seen_at IS NULL"),
        (
            "staff",
            "external_id = '969' AND role = 'staff' AND username = 'desk' AND password_hash LIKE 'pbkdf2$0001000000$%'",
        ),
        ("the admin", "external_id = '970' AND role = 'admin'"),
        (
            "a known password",
            "external_id = '971' AND role = 'staff' AND phone = '+919812345678' AND password_hash IS NULL",
        ),
        (
            "nobody's password",
            "external_id = '1' AND role = 'user' AND password_hash IS NULL AND username IS NULL",
        ),
    ] {
        let expected = i64::from(who == "the deactivated") + 1;
        let sql = format!("SELECT COUNT(*) FROM accounts WHERE {condition}");
        assert_eq!(moving.count(&sql).await, expected, "{who}");
    }
    let chosen = "SELECT COALESCE(SUM(c.accounts), 0) FROM interest_counts c JOIN event_interests i ON i.id = c.interest_id \
                  WHERE i.name = 'Chess Club'";
    assert_eq!(moving.count(&format!("SELECT CAST(({chosen}) AS bigint)")).await, 961);
    let words = "SELECT COUNT(DISTINCT subject_id) FROM search_words WHERE word = 'asha'";
    assert_eq!(moving.count(words).await, 960);
    assert_eq!(
        moving.count("SELECT COUNT(*) FROM leads WHERE state = 'new' AND phone = '+919876200001'").await,
        1
    );

    // What was changed here stays, and what was deleted here does not come back.
    execute(
        &moving.to,
        "UPDATE accounts SET name = 'Changed Here', phone = '+919876300001' WHERE external_id = '5'",
    )
    .await;
    execute(&moving.to, "DELETE FROM accounts WHERE external_id = '6'").await;
    execute(&moving.to, "DELETE FROM leads WHERE phone = '+919876200001'").await;
    execute(
        &moving.to,
        "UPDATE event_interests SET name = 'Chess', name_key = 'chess' WHERE name = 'Chess Club'",
    )
    .await;
    let before = moving.state().await;
    let (again, code) = moving.report(&[]);
    assert_eq!(code, Some(3));
    assert_eq!(moving.state().await, before, "a second run changes nothing");
    let came =
        ["accounts", "merged", "leads", "interests", "incomplete"].map(|name| again["counts"][name].as_i64());
    assert_eq!(came, [Some(0); 5]);
    let changed = "SELECT COUNT(*) FROM accounts WHERE external_id = '5' AND name = 'Changed Here'";
    assert_eq!(moving.count(changed).await, 1);
    let log = run(&moving.folder, &["audit", "--json"], &moving.settings()).out;
    for action in ["import_began", "import_ended"] {
        let entries: Vec<&str> = log.lines().filter(|line| line.contains(action)).collect();
        assert!(entries.len() == 1 && entries[0].contains("\"command\""), "{action}: {log}");
    }
    they_sign_in(&moving).await;
}

async fn they_sign_in(moving: &Move) {
    let server = Server::start(&moving.folder, &moving.settings()).await;
    // A user, by a code.
    let phone = "+919876000007";
    server.post("/api/auth/login", json!({"phone_number": phone})).await.ok();
    let code = server.code_for(phone).await;
    let answer =
        server.post("/api/auth/verify-login", json!({"phone_number": phone, "otp_code": code})).await.ok();
    assert_eq!(answer.body["data"]["needs_profile_completion"], json!(false), "{}", answer.body);
    let profile = server.get_as(&answer.text("/token"), "/api/auth/profile").await.ok();
    assert_eq!(
        (profile.text("/name"), profile.text("/location")),
        ("Asha Rao".to_owned(), "Pune".to_owned())
    );
    assert_eq!(profile.body["event_interests"].as_array().map(Vec::len), Some(2), "{}", profile.body);
    assert_eq!(profile.body["profile_pictures"].as_array().map(Vec::len), Some(2));
    let created = profile.text("/created_at");
    assert!(created.starts_with("2025-10-06T11:20:00"), "{created}");
    // A deactivated one.
    let answer = server.post("/api/auth/login", json!({"phone_number": "+919876100007"})).await;
    assert_eq!(answer.code(), "account_disabled");
    // Staff, by the old password. The hash is replaced.
    let old = "SELECT COUNT(*) FROM accounts WHERE username = 'desk' AND password_hash LIKE 'pbkdf2$%'";
    for (password, status, left) in
        [("not this one", 401, 1), (PASSWORD, 200, 0), (PASSWORD, 200, 0), ("not this", 401, 0)]
    {
        let answer = server.post("/api/token", json!({"username": "desk", "password": password})).await;
        assert_eq!(answer.status.as_u16(), status, "{password}: {}", answer.body);
        assert_eq!(moving.count(old).await, left, "{password}");
    }
    let new = "SELECT COUNT(*) FROM accounts WHERE username = 'desk' AND password_hash LIKE '$argon2id$%'";
    assert_eq!(moving.count(new).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_comes_from_sqlite() {
    everybody_comes_with_what_they_had(Move::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_comes_from_postgres() {
    if let Some(moving) = Move::on_postgres().await {
        everybody_comes_with_what_they_had(moving).await;
    }
}

async fn an_import_that_was_killed_goes_on(moving: Move) {
    let many = PEOPLE.replace("i < 960", "i < 6000");
    execute(&moving.from, &many).await;
    let arguments = ["import", "--from", "loopin", moving.from.as_str(), "--report", "report.json"];
    let mut import = program(&moving.folder.0, &arguments, &moving.settings()).spawn().expect("it starts");
    let all = "SELECT COUNT(*) FROM accounts";
    while moving.count(all).await == 0 {
        assert!(import.try_wait().expect("the process is ours").is_none(), "it ended before it wrote");
    }
    import.kill().expect("the process is ours");
    import.wait().expect("the process is ours");
    let came = moving.count(all).await;
    assert!(came < 6000, "it was over before it was killed");
    assert!(!moving.folder.0.join("report.json").exists(), "half a report is none");
    let (report, code) = moving.report(&[]);
    assert_eq!(code, Some(0));
    assert_eq!(report["counts"]["already_there"], json!(came + 3), "and the interests");
    assert_eq!(report["counts"]["accounts"], json!(6000 - came));
    assert_eq!(moving.count(all).await, 6000);
    assert_eq!(moving.count("SELECT COUNT(DISTINCT external_id) FROM accounts").await, 6000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_killed_goes_on_on_sqlite() {
    an_import_that_was_killed_goes_on(Move::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_killed_goes_on_on_postgres() {
    if let Some(moving) = Move::on_postgres().await {
        an_import_that_was_killed_goes_on(moving).await;
    }
}

/// Only on PostgreSQL do two batches run at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_at_once_refuse_nothing_that_the_other_brought() {
    let Some(moving) = Move::on_postgres().await else { return };
    execute(&moving.from, &PEOPLE.replace("i < 960", "i < 6000")).await;
    std::thread::scope(|scope| {
        for running in [scope.spawn(|| moving.import(&[])), scope.spawn(|| moving.import(&[]))] {
            let output = running.join().expect("it ends");
            assert_eq!(output.status.code(), Some(0), "{}{}", output.out, output.err);
        }
    });
    assert_eq!(moving.count("SELECT COUNT(*) FROM accounts").await, 6000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_source_is_said_without_its_password() {
    let moving = Move::on_sqlite().await;
    for (source, sentence) in [
        ("postgres://u:hunter2@127.0.0.1:1/x", "the original's database cannot be opened"),
        ("postgres://u:hunter2/x@127.0.0.1/x", "not percent-encoded"),
        ("mysql://u:hunter2@127.0.0.1/x", "must begin with"),
        ("sqlite:///nowhere/at/all.sqlite3", "does not exist"),
        (&moving.to, "no table auth_user"),
    ] {
        let output = run(&moving.folder, &["import", "--from", "loopin", source], &moving.settings());
        assert_eq!(output.status.code(), Some(1), "{source}: {}", output.out);
        assert!(output.err.contains(sentence), "{source}: {}", output.err);
        assert!(!output.err.contains("hunter2") && !output.out.contains("hunter2"), "{}", output.err);
    }
    let settings = [("DATABASE_URL", moving.to.as_str())];
    let output = run(&moving.folder, &["import", "--from", "loopin", &moving.from], &settings);
    assert!(output.err.contains("SECRET_KEY is not set"), "{}", output.err);
    let given = [moving.settings(), vec![("LOOPIN_IMPORT_URL", moving.from.as_str())]].concat();
    let output = run(&moving.folder, &["import", "--from", "loopin", "-"], &given);
    assert!(output.out.contains("nothing was left to import"), "{}{}", output.out, output.err);
}
