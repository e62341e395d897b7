//! `import` of the files that other services export, in the shapes that they document.

use serde_json::{Value, json};

use crate::{
    crashes::count,
    server::{CommandOutput, Folder, SECRETS, Server, run},
};

/// A row of a report: id, outcome, and reason or fields.
type Told = (Value, String, Value);

struct Here {
    folder: Folder,
    url: String,
}

impl Here {
    fn new() -> Self {
        let folder = Folder::new();
        let url = format!("sqlite://{}?mode=rwc", folder.0.join("ours.sqlite3").display());
        let here = Self { folder, url };
        assert!(run(&here.folder, &["migrate"], &here.settings()).status.success());
        here
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        [SECRETS.as_slice(), &[("DATABASE_URL", self.url.as_str()), ("RATE_LIMITS_ENABLED", "false")]]
            .concat()
    }

    fn import(&self, from: &str, text: &str, more: &[&str]) -> CommandOutput {
        self.folder.write("users", text);
        let arguments = [&["import", "--from", from, "users"], more].concat();
        run(&self.folder, &arguments, &self.settings())
    }

    /// Imports a file. Returns the counts that the text ends with, and the rows of the JSON report: id, outcome, detail.
    fn report(&self, from: &str, text: &str) -> (Vec<(String, i64)>, Vec<Told>) {
        let output = self.import(from, text, &["--report", "report.json"]);
        let report = std::fs::read_to_string(self.folder.0.join("report.json"));
        let report: Value = serde_json::from_str(&report.expect(&output.err)).expect("JSON");
        let counts: Vec<(String, i64)> = output
            .out
            .lines()
            .rev()
            .map_while(|line| {
                let (name, count) = line.split_once(char::is_whitespace)?;
                Some((name.to_owned(), count.trim().parse().ok()?))
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        for (name, count) in &counts {
            assert_eq!(report["counts"][name], json!(count), "the text and the JSON agree");
        }
        let rows = report["rows"].as_array().expect("rows").iter().map(|row| {
            let detail = row.get("left_out").unwrap_or(&row["reason"]);
            (row["old_id"].clone(), row["outcome"].as_str().unwrap_or_default().to_owned(), detail.clone())
        });
        (counts, rows.collect())
    }

    async fn has(&self, condition: &str) -> bool {
        count(&self.url, &format!("SELECT COUNT(*) FROM accounts WHERE {condition}")).await == 1
    }

    async fn count(&self, table: &str) -> i64 {
        count(&self.url, &format!("SELECT COUNT(*) FROM {table}")).await
    }
}

fn counts(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().rev().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn row(id: &str, outcome: &str, detail: Value) -> Told {
    (id.into(), outcome.to_owned(), detail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_firebase_come_with_their_ids_and_phones() {
    let (here, file) = (Here::new(), include_str!("../imports/firebase.json"));
    let (found, rows) = here.report("firebase", file);
    assert_eq!(found, counts(&[("rows", 3), ("accounts", 2), ("refused", 1)]));
    assert_eq!(rows, [row("Xa7dEfghIjklMnopQrstUvwxYz34", "refused", json!("no_way_in"))]);
    assert!(
        here.has(
            "external_id = '2uJrGzvJDdWkQ8BTuKpVbXmRzQ12' AND phone = '+919876400001' AND name = 'Asha Rao'"
        )
        .await
    );
    assert!(here.has("phone = '+919876400002' AND is_active = false AND role = 'user'").await);
    let (found, _) = here.report("firebase", file);
    assert_eq!(found, counts(&[("rows", 3), ("already_there", 2), ("refused", 1)]));
    // A file that ends too early brings what it has, and the next run the rest.
    let cut = file.split_at(file.find("customAttributes").unwrap()).0;
    let output = here.import("firebase", cut, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        output.err.contains("the source cannot be read") && output.err.contains("line"),
        "{}",
        output.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_supabase_keep_their_uuid_and_their_password() {
    let here = Here::new();
    let (found, rows) = here.report("supabase", include_str!("../imports/supabase.csv"));
    assert_eq!(found, counts(&[("rows", 7), ("accounts", 3), ("leads", 1), ("refused", 3)]));
    assert_eq!(
        rows,
        [
            row("0b8e1c1e-6a8e-4f0e-9a53-6f0d6a1e7a05", "refused", json!("deleted")),
            row("0b8e1c1e-6a8e-4f0e-9a53-6f0d6a1e7a06", "refused", json!("no_way_in")),
            // The e-mail address was never confirmed.
            row("0b8e1c1e-6a8e-4f0e-9a53-6f0d6a1e7a07", "refused", json!("no_way_in")),
        ]
    );
    assert_eq!(count(&here.url, "SELECT COUNT(*) FROM leads WHERE phone = '+919876400003'").await, 1);
    assert!(here.has("phone = '+919876400001' AND name = 'Asha Rao' AND external_id IS NULL").await);
    assert!(here.has("phone = '+919876400004' AND is_active = false").await);
    assert!(
        here.has(
            "email = 'mail@example.com' AND phone IS NULL AND password_hash LIKE 'bcrypt$0000000010$2b$%'"
        )
        .await
    );
    let server = Server::start(&here.folder, &here.settings()).await;
    let sign_in = async |password: &str| {
        server.post("/api/token", json!({"username": "Mail@example.com", "password": password})).await
    };
    assert_eq!(sign_in("copper-lantern-evening-39").await.status.as_u16(), 401);
    let token = sign_in("copper-lantern-evening-38").await.ok().text("/access");
    assert!(here.has("email = 'mail@example.com' AND password_hash LIKE '$argon2id$%'").await);
    sign_in("copper-lantern-evening-38").await.ok();
    let profile = server.get_as(&token, "/api/auth/profile").await.ok();
    assert_eq!(profile.text("/user/id"), "0b8e1c1e-6a8e-4f0e-9a53-6f0d6a1e7a02");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supabase_also_exports_json_in_two_shapes() {
    let user = |n: u8| {
        json!({"id": format!("0b8e1c1e-6a8e-4f0e-9a53-6f0d6a1e7a0{n}"), "phone": format!("91987640000{n}"),
            "phone_confirmed_at": "2025-01-05T10:00:10+00:00", "raw_user_meta_data": {"name": "Asha Rao"}})
    };
    let list = json!([user(1), user(2)]).to_string();
    for text in [list, format!("{}\n{}\n", user(1), user(2))] {
        let here = Here::new();
        assert_eq!(here.report("supabase", &text).0, counts(&[("rows", 2), ("accounts", 2)]), "{text}");
        assert!(here.has("phone = '+919876400002' AND name = 'Asha Rao'").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_auth0_come_from_ndjson() {
    let here = Here::new();
    let (found, rows) = here.report("auth0", include_str!("../imports/auth0.ndjson"));
    assert_eq!(found, counts(&[("rows", 5), ("accounts", 2), ("leads", 1), ("refused", 2)]));
    assert_eq!(rows[0], row("auth0|5f7c8ec7c33c6c004bbafe83", "refused", json!("no_way_in")));
    assert_eq!(rows[1], (Value::Null, "refused".to_owned(), json!("unreadable")));
    assert!(
        here.has("external_id = 'sms|5f7c8ec7c33c6c004bbafe82' AND phone = '+919876400001' AND name IS NULL")
            .await
    );
    assert!(here.has("phone = '+919876400002' AND name = 'Ravi Kumar' AND is_active = false").await);
    assert_eq!(count(&here.url, "SELECT COUNT(*) FROM leads WHERE name = 'Tara Sen'").await, 1);
    // The lead signs up meanwhile: the account has the number, and the import says so.
    let verified = "{\"user_id\":\"auth0|9\",\"phone_number\":\"+919876400001\",\"phone_verified\":true}";
    let (_, rows) = here.report("auth0", verified);
    assert_eq!(rows, [row("auth0|9", "refused", json!("phone_taken"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_cognito_come_from_json_and_csv() {
    let here = Here::new();
    let (found, rows) = here.report("cognito", include_str!("../imports/cognito.json"));
    assert_eq!(found, counts(&[("rows", 2), ("accounts", 1), ("leads", 1)]));
    assert_eq!(rows, []);
    assert!(
        here.has(
            "phone = '+919876400001' AND external_id IS NULL AND gender = 'female' AND username IS NULL"
        )
        .await
    );
    assert_eq!(here.import("cognito", include_str!("../imports/cognito.csv"), &[]).status.code(), Some(3));
    let here = Here::new();
    let (found, _) = here.report("cognito", include_str!("../imports/cognito.csv"));
    assert_eq!(found, counts(&[("rows", 1), ("accounts", 1)]));
    assert!(
        here.has("external_id = 'ravi' AND phone = '+919876400001' AND email = 'ravi@example.com'").await
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_csv_file_of_our_own_brings_everything_else() {
    let (here, file) = (Here::new(), include_str!("../imports/own.csv"));
    let before = [here.count("accounts").await, here.count("audit").await];
    let output = here.import("csv", file, &["--dry-run"]);
    assert!(output.out.contains("nothing was written (--dry-run)"), "{}{}", output.out, output.err);
    assert_eq!([here.count("accounts").await, here.count("audit").await], before);
    let (found, rows) = here.report("csv", file);
    assert_eq!(
        found,
        counts(&[("rows", 6), ("accounts", 2), ("incomplete", 1), ("leads", 1), ("refused", 3)])
    );
    assert_eq!(
        rows,
        [
            row("old-4", "refused", json!("phone_without_plus")),
            row("old-1", "refused", json!("id_twice")),
            (Value::Null, "refused".to_owned(), json!("unreadable")),
            row("old-3", "incomplete", json!(["interests"])),
        ]
    );
    assert!(
        here.has(
            "external_id = 'old-1' AND phone = '+919876400001' AND username = 'asha' AND bio = 'Hi, all'"
        )
        .await
    );
    assert!(here.has("external_id = 'old-3' AND phone = '+447911123456' AND is_active = false").await);
    // The numbers of another country come with its name.
    let output = here.import("csv", file, &["--region", "GB"]);
    assert!(output.out.contains("accounts                1"), "{}{}", output.out, output.err);
    assert!(here.has("external_id = 'old-4' AND phone = '+447911123457'").await);
    for (text, sentence) in [
        ("id,phone\nx,+919876400009\n", "columns that are not known: phone"),
        ("phone_number\n+919876400009\n", "no column id"),
        ("x,+919876400009\n", "no header that is known"),
    ] {
        let output = here.import("csv", text, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.err.contains(sentence) && !output.err.contains("+9198"), "{}", output.err);
    }
}

#[tokio::test]
async fn a_report_replaces_neither_the_source_nor_what_is_no_file() {
    let (here, text) = (Here::new(), "id,phone_number\nx,+919876400009\n");
    for (name, sentence) in [
        ("users", "is what is imported"),
        ("link", "is no file"),
        (".", "is no file"),
        ("no/where", "cannot be written"),
    ] {
        #[cfg(unix)]
        let _ = std::os::unix::fs::symlink("elsewhere", here.folder.0.join("link"));
        let output = here.import("csv", text, &["--report", name]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", output.out);
        assert!(output.err.contains(sentence), "{name}: {}", output.err);
    }
    assert_eq!(std::fs::read_to_string(here.folder.0.join("users")).unwrap(), text);
    assert_eq!(here.count("accounts").await, 0);
    for _ in 0..2 {
        here.report("csv", text);
    }
    let left = std::fs::read_dir(&here.folder.0).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(".loopin-auth-")));
}

#[tokio::test]
async fn two_spellings_of_a_uuid_are_one_id_and_no_time_stops_an_import() {
    let here = Here::new();
    let (found, rows) = here.report(
        "csv",
        "id,phone_number,created_at\n\
         0b8e1c1e-6a8e-4f0e-9a53-6f0d6a1e7a01,+919876400001,-9999-01-01T00:00:00Z\n\
         0B8E1C1E-6A8E-4F0E-9A53-6F0D6A1E7A01,+919876400002,\n",
    );
    assert_eq!(found, counts(&[("rows", 2), ("accounts", 1), ("refused", 1)]));
    assert_eq!(rows, [row("0B8E1C1E-6A8E-4F0E-9A53-6F0D6A1E7A01", "refused", json!("id_twice"))]);
    assert!(here.has("phone = '+919876400001' AND created_at > '2026'").await);
}

#[test]
fn an_address_that_is_no_file_is_not_shown() {
    let here = Here::new();
    let import = ["import", "--from", "csv", "postgres://u:hunter2@127.0.0.1/x"];
    let output = run(&here.folder, &import, &here.settings());
    assert!(output.err.contains("only --from loopin takes the address"), "{}", output.err);
    assert!(!output.err.contains("hunter2"), "{}", output.err);
}
