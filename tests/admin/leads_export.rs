//! `/admin/leads/export`: the CSV file, for admins only.

use futures_util::StreamExt;
use loopin_auth::domain::audit::Action;
use poem::http::Method;

use crate::{
    browser::{Browser, Page},
    leads::{entries, many_leads, open},
    on_both,
    support::{OTHER_PHONE, PHONE, wait_until},
};

const LIST: &str = "/admin/leads";
const EXPORT: &str = "/admin/leads/export";

/// The lines of a file without quotes inside of cells.
fn rows(file: &str) -> Vec<Vec<String>> {
    let file = file.strip_prefix('\u{feff}').expect("a byte order mark");
    let lines = file.strip_suffix("\r\n").expect("a line end").split("\r\n");
    let cells = |line: &str| {
        let inside = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).expect("quotes");
        inside.split("\",\"").map(str::to_owned).collect()
    };
    lines.map(cells).collect()
}

async fn export(browser: &Browser, query: &str) -> Page {
    let list = browser.get(&format!("{LIST}?{query}")).await;
    let link = list.links().into_iter().find(|link| link.starts_with(EXPORT)).expect("a link to the export");
    let ask = browser.get(&link).await;
    match ask.forms().into_iter().find(|form| form.action.starts_with(EXPORT)) {
        Some(form) => browser.submit(&ask, &form.action, &[]).await,
        None => ask,
    }
}

/// Begins an export without reading it.
async fn begin(browser: &Browser) -> poem::Response {
    let ask = browser.get(EXPORT).await;
    let token = ask.form(&format!("{EXPORT}?")).value("form_token").unwrap().to_owned();
    let request = browser.server.client.request(Method::POST, EXPORT);
    let request = request
        .header("cookie", format!("loopin_admin={}", browser.cookie("loopin_admin").unwrap()))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(format!("form_token={token}"));
    request.send().await.0
}

on_both! {
    async fn an_admin_gets_a_file_of_the_filtered_leads(server: TestServer) {
        let server = server.without_limits().await;
        let browser = Browser::admin(&server).await;
        server.signup(PHONE).await.assert_ok();
        server.advance(60);
        server.sign_in(OTHER_PHONE).await;
        server.execute(&format!("UPDATE accounts SET name = 'Gaurav Kumar' WHERE phone = '{OTHER_PHONE}'")).await;
        server.signup("+447400123456").await.assert_ok();
        let page = open(&browser, "9376").await;
        browser.submit(&page, &page.path, &[("name", "Asha"), ("note", "Call back")]).await.assert_status(200);
        let file = export(&browser, "country=IN").await;
        file.assert_status(200);
        assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8; header=present");
        assert_eq!(file.headers["content-disposition"], "attachment; filename=\"leads-2026-03-14.csv\"");
        let rows = rows(&file.html);
        assert_eq!(rows[0][..3], ["phone", "name", "country"]);
        assert_eq!(rows[0][7], "first asked (Asia/Kolkata)");
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1][..8], ["'+916205829376", "Asha", "IN", "new", "no", "signup", "1", "2026-03-14 14:56:53"]);
        assert_eq!(rows[1][11], "2026-03-14 14:57:53 admin: Call back");
        assert_eq!(rows[2][..5], ["'+919876543210", "Gaurav Kumar", "IN", "converted", "yes"]);
        let began = entries(&server, Action::LeadsExported).await;
        assert_eq!(began.len(), 1);
        assert_eq!(began[0].detail.json(), serde_json::json!({ "leads": 2, "filters": ["country"] }));
        let ended = entries(&server, Action::LeadsExportEnded).await;
        assert_eq!(ended[0].detail.json(), serde_json::json!({ "leads": 2, "outcome": "complete" }));
        assert!(!format!("{began:?}").contains("Asha"));
    }

    async fn the_page_before_says_what_is_exported(server: TestServer) {
        let browser = Browser::admin(&server).await;
        server.signup(PHONE).await.assert_ok();
        let all = browser.get(EXPORT).await;
        all.assert_status(200).assert_has("Export 1 lead?").assert_has("No filter is set: these are all leads.");
        all.assert_has("The audit log records who exported");
        let some = browser.get(&format!("{EXPORT}?q=9376&state=new&last_from=2026-03-14&sort=first&cursor=x")).await;
        some.assert_status(200).assert_has("Number or name 9376").assert_has("State New").assert_has("Last asked from 2026-03-14");
        some.assert_has_not("Order").assert_has_not("No filter is set").assert_has_not(PHONE);
        assert!(some.forms().iter().any(|form| form.action == format!("{EXPORT}?q=9376&state=new&last_from=2026-03-14&sort=first")));
        let none = browser.get(&format!("{EXPORT}?state=lost")).await;
        none.assert_status(200).assert_has("Export 0 leads?");
        assert!(!none.forms().iter().any(|form| form.action.starts_with(EXPORT)));
        assert_eq!(entries(&server, Action::LeadsExported).await.len(), 0);
    }

    async fn staff_may_not_export_by_page_or_by_request(server: TestServer) {
        let browser = Browser::staff(&server).await;
        server.signup(PHONE).await.assert_ok();
        let page = browser.get(LIST).await;
        page.assert_has_not("Export");
        browser.get(EXPORT).await.assert_status(403);
        let token = page.form("/admin/leads/act").value("form_token").unwrap().to_owned();
        let refused = browser.post(EXPORT, &format!("form_token={token}")).await;
        refused.assert_status(403).assert_has("Not allowed").assert_has_not(PHONE);
        assert_eq!(entries(&server, Action::LeadsExported).await.len(), 0);
    }

    async fn wrong_filters_export_nothing(server: TestServer) {
        let browser = Browser::admin(&server).await;
        server.signup(PHONE).await.assert_ok();
        let page = export(&browser, "state=old").await;
        page.assert_status(422).assert_has("Nothing was exported: check the filters first.");
        assert_eq!(entries(&server, Action::LeadsExported).await.len(), 0);
    }

    async fn what_a_spreadsheet_would_run_is_text(server: TestServer) {
        let browser = Browser::admin(&server).await;
        server.signup(PHONE).await.assert_ok();
        for (name, cell) in [
            ("=1+1", "'=1+1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("-2", "'-2"),
            ("+3", "'+3"),
            ("＝1", "'＝1"),
            ("\u{200b}=1", "'\u{200b}=1"),
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"\"x\"\")"),
            ("Asha, \"Rao\"", "Asha, \"\"Rao\"\""),
            ("<script>", "<script>"),
            ("محمد", "محمد"),
        ] {
            let page = open(&browser, "9376").await;
            browser.submit(&page, &page.path, &[("name", name)]).await.assert_status(200);
            let file = export(&browser, "q=9376").await;
            assert!(file.html.contains(&format!("\"{cell}\",\"IN\"")), "{name}: {}", file.html);
        }
    }

    async fn a_large_export_has_every_lead_once(server: TestServer) {
        let browser = Browser::admin(&server).await;
        many_leads(&server, 1_700).await;
        let file = export(&browser, "").await;
        let mut phones: Vec<String> = rows(&file.html).into_iter().skip(1).map(|row| row[0].clone()).collect();
        assert_eq!(phones.len(), 1_701);
        phones.sort();
        phones.dedup();
        assert_eq!(phones.len(), 1_701);
        let ended = entries(&server, Action::LeadsExportEnded).await;
        assert_eq!(ended[0].detail.get("leads"), Some(&serde_json::json!(1_701)));
    }

    async fn a_client_that_disconnects_stops_the_export(server: TestServer) {
        let browser = Browser::admin(&server).await;
        many_leads(&server, 4_000).await;
        let mut body = begin(&browser).await.into_body().into_bytes_stream();
        assert!(body.next().await.unwrap().is_ok());
        drop(body);
        wait_until("the export ends", async || !entries(&server, Action::LeadsExportEnded).await.is_empty()).await;
        let ended = entries(&server, Action::LeadsExportEnded).await;
        assert_eq!(ended[0].detail.get("outcome"), Some(&serde_json::json!("client_left")));
        assert!(ended[0].detail.get("leads").unwrap().as_u64().unwrap() < 4_001);
    }

    async fn a_failure_in_the_middle_cuts_the_file_off(server: TestServer) {
        let browser = Browser::admin(&server).await;
        many_leads(&server, 4_000).await;
        let mut body = begin(&browser).await.into_body().into_bytes_stream();
        assert!(body.next().await.unwrap().is_ok());
        server.execute("ALTER TABLE leads RENAME TO gone").await;
        let rest: Vec<bool> = body.map(|piece| piece.is_ok()).collect().await;
        assert_eq!(rest.last(), Some(&false), "the file ends with an error");
        let ended = entries(&server, Action::LeadsExportEnded).await;
        assert_eq!(ended[0].detail.get("outcome"), Some(&serde_json::json!("failed")));
    }
}
