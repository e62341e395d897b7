//! The console's pages take numbers and names in their addresses and forms. The log has patterns only.

use loopin_auth::admin::{self, ConsoleSettings};
use poem::http::Method;

use crate::{
    browser::{Browser, PASSWORD},
    leaks::Walk,
    log::{assert_is_nowhere, log},
    support::{Database, postgres},
};

const PHONE: &str = "+919898989801";
const NAME: &str = "Kavya-Unmistakable";

async fn the_console_logs_patterns_only(database: Database) {
    let walk = Walk::on(database).await;
    let server = &walk.server;
    server.signup(PHONE).await.assert_ok();
    let browser = Browser::signed_in(server, "kavya-of-the-console", "admin").await;
    let guest = Browser::new(server);
    guest.sign_in(NAME).await.assert_status(401);
    let typed = format!("q={0}&search={0}&whom={0}&by={NAME}&state={NAME}&cursor={0}", &PHONE[1..]);
    let own = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
    let page = browser.get("/admin").await;
    let token = page.form("/admin/sign-out").value("form_token").unwrap().to_owned();
    let console = admin::console(&server.services, ConsoleSettings::default());
    let mut routes = console.routes().to_vec();
    // The sign-out comes last.
    routes.sort_by_key(|route| route.pattern == "/admin/sign-out");
    for route in routes {
        let segment = |segment: &str| {
            if segment.starts_with('{') { PHONE.replace('+', "%2B") } else { segment.to_owned() }
        };
        let path = route.pattern.split('/').map(segment).collect::<Vec<_>>().join("/");
        let path = format!("{path}?{typed}");
        let body = (route.method == Method::POST)
            .then(|| format!("form_token={token}&note={NAME}&name={NAME}&{typed}"));
        let page = browser.send(route.method.clone(), &path, &own, body).await;
        assert!(page.status.as_u16() < 500, "{} {path}: {}", route.method, page.text());
    }
    browser.get(&format!("/admin/nothing/{PHONE}?q={PHONE}")).await;
    server.services.audit.flush().await.unwrap();
    let log = log();
    assert!(log.contains("/admin/audit"), "the log has the patterns of the console");
    for secret in [&PHONE[1..], &PHONE[3..], NAME, "kavya-of-the-console", PASSWORD, &token] {
        assert_is_nowhere(secret, "what was typed in the console", "the log", &log);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_logs_patterns_only_on_sqlite() {
    the_console_logs_patterns_only(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_logs_patterns_only_on_postgres() {
    if postgres::is_there() {
        the_console_logs_patterns_only(Database::Postgres).await;
    }
}
