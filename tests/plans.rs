//! How PostgreSQL finds what the console shows: no list and no search reads a whole table. PostgreSQL itself reports the plan of
//! each statement that a page sends (`auto_explain`), with the values that were sent, so no statement is written down here.
//!
//! This is a test binary of its own, because the plans arrive in the log of the whole process.

#[cfg(test)]
#[allow(dead_code, reason = "the tests of the console need more of it")]
#[path = "admin/browser.rs"]
mod browser;
#[cfg(test)]
mod support;

#[cfg(test)]
mod plans {
    use std::{
        io::Write,
        sync::{Mutex, OnceLock, PoisonError},
    };

    use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

    use super::{
        browser::{Browser, new_account},
        support::{Database, TestServer, postgres},
    };

    /// Tables that grow with the number of users. `budgets` and `challenges` are read by their keys only.
    const LARGE: [&str; 8] =
        ["accounts", "audit", "budgets", "challenges", "leads", "messages", "search_words", "sessions"];

    /// Enough rows that PostgreSQL prefers an index where there is one.
    const ROWS: &str = "20000";

    static PLANS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

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

    /// The plans since the last call.
    fn take_plans() -> String {
        let kept = std::mem::take(&mut *PLANS.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// The plans that read one of the large tables row by row.
    fn whole_tables(plans: &str) -> Vec<&str> {
        let reads_all = |plan: &&str| {
            plan.lines().any(|line| {
                let table = line
                    .split_once("Seq Scan on ")
                    .map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
                table.is_some_and(|table| LARGE.contains(&table))
            })
        };
        plans.split("duration: ").filter(reads_all).collect()
    }

    /// A server on a filled database that reports its plans.
    async fn filled() -> Option<TestServer> {
        if !postgres::is_there() {
            return None;
        }
        keep_notices();
        let server = TestServer::on(Database::Postgres).await;
        let fill =
            include_str!("scale/fill.sql").replace("{n}", ROWS).replace("{now}", &server.now().to_rfc3339());
        server.execute(&fill).await;
        // Also marks what an index alone can answer.
        server.execute("VACUUM ANALYZE").await;
        server
            .execute(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = auto_explain', current_database()); \
                 EXECUTE format('ALTER DATABASE %I SET auto_explain.log_min_duration = 0', current_database()); \
                 EXECUTE format('ALTER DATABASE %I SET auto_explain.log_level = notice', current_database()); END $$",
            )
            .await;
        // Its connections are new, so they have these settings.
        Some(server.second_server(&[]).await)
    }

    /// The path with the id of a row, or the query of the second page, of the list that it begins with. `None` if the list has no
    /// such link.
    async fn path(browser: &Browser, template: &str) -> Option<String> {
        let Some((list, rest)) = template.split_once('{') else { return Some(template.to_owned()) };
        let list = list.trim_end_matches('/');
        let links = browser.get(list).await.links();
        if rest == "next}" {
            return links.into_iter().find(|link| link.contains("cursor="));
        }
        let id = |link: &String| {
            link.strip_prefix(list)?.strip_prefix('/').filter(|id| id.len() == 36).map(str::to_owned)
        };
        links.iter().find_map(id).map(|id| template.replace("{id}", &id))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_page_of_the_console_reads_a_whole_table() {
        let Some(server) = filled().await else { return };
        take_plans();
        // A table that is read as a whole is noticed.
        server.count("SELECT count(*) FROM leads WHERE notes = 'x'").await;
        assert_eq!(whole_tables(&take_plans()).len(), 1);
        server.count("SELECT count(*) FROM leads WHERE phone = '+916205829376'").await;
        let plans = take_plans();
        assert!(plans.contains("leads_phone_key") && whole_tables(&plans).is_empty(), "{plans}");

        new_account(&server, "admin", "admin").await;
        let browser = Browser::new(&server);
        browser.sign_in("admin").await;
        let mut found = Vec::new();
        for line in include_str!("scale/pages.txt").lines().filter(|line| !line.starts_with('#')) {
            let (name, template) = line.rsplit_once("  ").expect("a name and a path");
            let Some(path) = path(&browser, template).await else {
                found.push(format!("{}: the list has no link to {template}", name.trim()));
                continue;
            };
            take_plans();
            let page = browser.get(&path).await;
            let plans = take_plans();
            if page.status.as_u16() != 200 {
                let errors: Vec<&str> = plans.lines().filter(|line| line.contains("ERROR")).collect();
                found.push(format!("{}: {path} answers {}: {}", name.trim(), page.status, errors.join("\n")));
            }
            assert!(plans.contains("Query Text"), "{path}: PostgreSQL reports its plans");
            found.extend(whole_tables(&plans).iter().map(|plan| format!("{}: {path}\n{plan}", name.trim())));
        }
        assert!(found.is_empty(), "{} pages or statements are not right:\n{}", found.len(), found.join("\n"));
    }
}
