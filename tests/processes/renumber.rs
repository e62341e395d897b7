//! `renumber`: a country changes its numbering plan.

use serde_json::{Value, json};

use crate::{
    crashes::{count, execute},
    server::{CommandOutput, Folder, SECRETS, Server, program, run},
    support::postgres,
};

const FROM: &str = "+229XXXXXXXX";
const TO: &str = "+22901XXXXXXXX";

struct Plan {
    folder: Folder,
    url: String,
}

impl Plan {
    async fn on_sqlite() -> Self {
        let folder = Folder::new();
        let url = format!("sqlite://{}?mode=rwc", folder.0.join("ours.sqlite3").display());
        Self { folder, url }.migrated()
    }

    async fn on_postgres() -> Option<Self> {
        if !postgres::is_there() {
            return None;
        }
        Some(Self { folder: Folder::new(), url: postgres::new_database().await }.migrated())
    }

    fn migrated(self) -> Self {
        let migrated = run(&self.folder, &["migrate"], &self.settings());
        assert!(migrated.status.success(), "{}", migrated.err);
        self
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        let more = [
            ("DATABASE_URL", self.url.as_str()),
            ("RATE_LIMITS_ENABLED", "false"),
            ("PHONE_DEFAULT_REGION", "BJ"),
        ];
        [SECRETS.as_slice(), &more].concat()
    }

    fn id(&self, nth: u32) -> String {
        let id = format!("0199aa555a2b7c609d3c{nth:012}");
        if self.url.starts_with("postgres") { format!("'{id}'") } else { format!("x'{id}'") }
    }

    /// An account with this phone, and what belongs to it.
    async fn add(&self, nth: u32, phone: &str) {
        let (id, profile) = (self.id(nth), self.id(nth + 500_000));
        let at = "'2026-03-14T09:00:00+00:00'";
        execute(
            &self.url,
            &format!(
                "INSERT INTO accounts (id, phone, is_active, created_at, updated_at, profile_id, event_interests, \
                 profile_pictures, role, device_epoch, is_review) \
                 VALUES ({id}, '{phone}', TRUE, {at}, {at}, {profile}, '[]', '[]', 'user', 0, FALSE)"
            ),
        )
        .await;
    }

    async fn add_lead(&self, nth: u32, phone: &str) {
        let at = "'2026-03-14T09:00:00+00:00'";
        execute(
            &self.url,
            &format!(
                "INSERT INTO leads (id, phone, source, state, requests, first_requested_at, last_requested_at, notes, version) \
                 VALUES ({}, '{phone}', 'signup', 'new', 1, {at}, {at}, '', 0)",
                self.id(nth + 600_000)
            ),
        )
        .await;
    }

    async fn add_block(&self, nth: u32, kind: &str, value: &str) {
        execute(
            &self.url,
            &format!(
                "INSERT INTO blocks (id, kind, value, reason, made_at) \
                 VALUES ({}, '{kind}', '{value}', 'a test', '2026-03-14T09:00:00+00:00')",
                self.id(nth + 700_000)
            ),
        )
        .await;
    }

    fn renumber(&self, more: &[&str]) -> CommandOutput {
        run(&self.folder, &[&["renumber", "--from", FROM, "--to", TO], more].concat(), &self.settings())
    }

    fn report(&self, more: &[&str]) -> (Value, Option<i32>) {
        let output = self.renumber(&[&["--report", "report.json"], more].concat());
        let text = std::fs::read_to_string(self.folder.0.join("report.json"));
        let text = text.unwrap_or_else(|error| panic!("{error}: {}{}", output.out, output.err));
        (serde_json::from_str(&text).expect("JSON"), output.status.code())
    }

    async fn count(&self, sql: &str) -> i64 {
        count(&self.url, sql).await
    }

    async fn has(&self, table: &str, column: &str, phone: &str) -> i64 {
        self.count(&format!("SELECT COUNT(*) FROM {table} WHERE {column} = '{phone}'")).await
    }
}

/// Accounts, leads, blocks and a message of the old plan, of the new one, and of others.
async fn fill(plan: &Plan) {
    for (nth, phone) in [
        (1, "+22990123456"),
        (2, "+22997000001"),
        // Not of this plan.
        (3, "+919876543210"),
        (4, "+2290190000009"),
        // Its new number has another account.
        (5, "+22990000005"),
        (6, "+2290190000005"),
        // Its new number does not exist.
        (7, "+22900123456"),
    ] {
        plan.add(nth, phone).await;
    }
    for (nth, phone) in [
        (1, "+22990123456"),
        (2, "+22966000000"),
        (3, "+919876543210"),
        (5, "+22990000005"),
        // Both numbers asked for a code.
        (8, "+22996000008"),
        (9, "+2290196000008"),
    ] {
        plan.add_lead(nth, phone).await;
    }
    plan.add_block(1, "phone", "+22997000001").await;
    plan.add_block(2, "phone", "+22961000000").await;
    plan.add_block(3, "prefix", "+22997").await;
    plan.add_block(4, "prefix", "+229").await;
    execute(
        &plan.url,
        &format!(
            "INSERT INTO messages (id, phone, channel, language, template, provider, status, attempt, created_at, updated_at) \
             VALUES ({}, '+22990123456', 'sms', 'en', 'otp', 'inbox', 'delivered', 1, '2026-03-14T09:00:00+00:00', '2026-03-14T09:00:00+00:00')",
            plan.id(800_000)
        ),
    )
    .await;
    execute(
        &plan.url,
        &format!("UPDATE accounts SET former_phone = '+22990777777' WHERE id = {}", plan.id(3)),
    )
    .await;
}

async fn everybody_gets_the_new_number(plan: Plan) {
    fill(&plan).await;
    let (dry, code) = plan.report(&["--dry-run"]);
    assert_eq!(code, Some(3));
    assert_eq!(plan.has("accounts", "phone", "+22990123456").await, 1, "a dry run writes nothing");
    assert_eq!(plan.count("SELECT COUNT(*) FROM audit WHERE action LIKE 'renumbering%'").await, 0);
    let (report, code) = plan.report(&[]);
    assert_eq!(code, Some(3), "rows keep their number");
    assert_eq!(report["counts"], json!({"accounts": 2, "leads": 3, "blocks": 2, "conflicts": 3}));
    assert_eq!((&report["counts"], &report["rows"]), (&dry["counts"], &dry["rows"]));
    assert_eq!(
        (&report["from"], &report["to"], &report["dry_run"]),
        (&json!(FROM), &json!(TO), &json!(false))
    );
    let reasons: Vec<_> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["subject"].as_str(), row["reason"].as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            (Some("account"), Some("not_in_plan")),
            (Some("account"), Some("taken")),
            (Some("block"), Some("prefix"))
        ]
        .map(|pair| pair)
    );
    assert!(
        !std::fs::read_to_string(plan.folder.0.join("report.json")).unwrap().contains("90123456"),
        "no phone"
    );
    for (table, column, phone, rows) in [
        ("accounts", "phone", "+2290190123456", 1),
        ("accounts", "phone", "+2290197000001", 1),
        ("accounts", "phone", "+919876543210", 1),
        ("accounts", "phone", "+22990000005", 1),
        ("accounts", "phone", "+22900123456", 1),
        ("accounts", "former_phone", "+2290190777777", 1),
        ("leads", "phone", "+2290190123456", 1),
        ("leads", "phone", "+2290166000000", 1),
        ("leads", "phone", "+2290196000008", 1),
        ("leads", "phone", "+22996000008", 0),
        ("leads", "phone", "+22990000005", 1),
        ("blocks", "value", "+2290197000001", 1),
        ("blocks", "value", "+2290161000000", 1),
        ("blocks", "value", "+22997", 1),
    ] {
        assert_eq!(plan.has(table, column, phone).await, rows, "{table} {phone}");
    }
    // The history keeps the number, and belongs to the account.
    let kept =
        format!("SELECT COUNT(*) FROM messages WHERE phone = '+22990123456' AND account_id = {}", plan.id(1));
    assert_eq!(plan.count(&kept).await, 1);
    assert_eq!(plan.count("SELECT COUNT(*) FROM audit WHERE action = 'phone_renumbered'").await, 2);
    assert_eq!(plan.count("SELECT COUNT(*) FROM audit WHERE action LIKE 'renumbering%'").await, 2);

    // Once more changes nothing.
    let (again, code) = plan.report(&[]);
    assert_eq!(code, Some(3), "the conflicts are still there");
    assert_eq!(again["counts"], json!({"accounts": 0, "leads": 0, "blocks": 0, "conflicts": 3}));
    assert_eq!(plan.count("SELECT COUNT(*) FROM audit WHERE action LIKE 'renumbering%'").await, 2);
    let output = plan.renumber(&[]);
    assert!(output.out.contains("no number was left to change"), "{}", output.out);
}

async fn a_session_gets_the_new_number_at_its_next_refresh(plan: Plan) {
    let server = Server::start(&plan.folder, &plan.settings()).await;
    server.signup("+22901 90 12 34 56").await.ok();
    let code = server.code_for("+2290190123456").await;
    let signed_in = server.verify_otp("+2290190123456", &code).await;
    // As if it had signed up before the change.
    execute(&plan.url, "UPDATE accounts SET phone = '+22990123456'").await;
    let output = plan.renumber(&[]);
    assert!(output.status.success() && output.out.contains("changed"), "{}{}", output.out, output.err);
    let refresh = json!({ "refresh": signed_in.text("/data/refresh_token") });
    let refreshed = server.post("/api/auth/refresh", refresh).await;
    let claims = refreshed.text("/access");
    let claims = claims.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["phone_number"], json!("+2290190123456"));
}

async fn a_run_that_is_killed_goes_on(plan: Plan) {
    // As many rows as two seconds of writing have, in one statement.
    let rows = 6_000;
    let at = "'2026-03-14T09:00:00+00:00'";
    let series = if plan.url.starts_with("postgres") {
        format!(
            "INSERT INTO accounts (id, phone, is_active, created_at, updated_at, profile_id, event_interests, profile_pictures, \
             role, device_epoch, is_review) SELECT gen_random_uuid(), '+229' || (90000000 + n), TRUE, {at}, {at}, \
             gen_random_uuid(), '[]', '[]', 'user', 0, FALSE FROM generate_series(1, {rows}) AS n"
        )
    } else {
        format!(
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) \
             INSERT INTO accounts (id, phone, is_active, created_at, updated_at, profile_id, event_interests, profile_pictures, \
             role, device_epoch, is_review) SELECT randomblob(16), '+229' || (90000000 + n), TRUE, {at}, {at}, \
             randomblob(16), '[]', '[]', 'user', 0, FALSE FROM s"
        )
    };
    execute(&plan.url, &series).await;
    let old = "SELECT COUNT(*) FROM accounts WHERE phone LIKE '+2299%'";
    let new = "SELECT COUNT(*) FROM accounts WHERE phone LIKE '+22901%'";
    let arguments = ["renumber", "--from", FROM, "--to", TO];
    let mut child = program(&plan.folder.0, &arguments, &plan.settings()).spawn().expect("it starts");
    while plan.count(new).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    let moved = plan.count(new).await;
    assert!(moved > 0 && moved % 500 == 0, "whole batches: {moved}");
    assert_eq!(plan.count(old).await + moved, rows);
    let (report, code) = plan.report(&[]);
    assert_eq!(code, Some(0));
    assert_eq!(report["counts"]["accounts"], json!(rows - moved));
    assert_eq!((plan.count(old).await, plan.count(new).await), (0, rows));
    assert_eq!(plan.count("SELECT COUNT(*) FROM audit WHERE action = 'phone_renumbered'").await, rows);
}

macro_rules! on_both {
    ($($name:ident)*) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$name(super::Plan::on_sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(plan) = super::Plan::on_postgres().await {
                    super::$name(plan).await;
                }
            }
        })*
    };
}

on_both! {
    everybody_gets_the_new_number
    a_session_gets_the_new_number_at_its_next_refresh
    a_run_that_is_killed_goes_on
}

#[test]
fn bad_patterns_are_refused_before_anything_is_read() {
    let folder = Folder::new();
    for (from, to, sentence) in [
        ("229XXXXXXXX", TO, "must be a plus and"),
        (FROM, "+22901XXXXXXX", "the same number of X"),
        (FROM, "+229XXXXXXXX", "a second run would change it again"),
    ] {
        let output = run(&folder, &["renumber", "--from", from, "--to", to], &SECRETS);
        assert!(!output.status.success() && output.err.contains(sentence), "{from} {to}: {}", output.err);
    }
    let output = run(&folder, &["renumber", "--from", FROM, "--to", TO], &[]);
    assert!(output.err.contains("SECRET_KEY is not set"), "{}", output.err);
}
