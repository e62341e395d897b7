//! What is true of every list: it holds no whole number, and it is light.

use std::collections::BTreeSet;

use poem::http::Method;
use serde_json::json;

use crate::{
    browser::Browser,
    on_both,
    routes::{example, routes},
    support::{OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS},
};

/// The largest page of the list of leads with its stylesheet and script, before compression.
const MOST_BYTES: usize = 40 * 1024;

/// The largest page of any list, with names of a hundred marks.
const MOST_BYTES_OF_ANY: usize = 64 * 1024;

/// Everything that writes a phone: leads, people, messages, wrong codes, a changed number.
async fn people_come(server: &TestServer) -> Vec<String> {
    let mut phones = vec![PHONE.to_owned(), OTHER_PHONE.to_owned()];
    server.sign_in_and_complete(PHONE).await;
    server.signup(OTHER_PHONE).await.assert_ok();
    server.verify_otp(OTHER_PHONE, &server.wrong_code_for(OTHER_PHONE)).await;
    for number in 0..4 {
        let phone = format!("+9198123456{number}7");
        server.signup(&phone).await.assert_ok();
        phones.push(phone);
    }
    let registered =
        json!({ "username": "asha", "password": "violet-canoe-7350", "phone_number": "+919811112222" });
    server.post("/api/auth/register", registered).await;
    phones.push("+919811112222".to_owned());
    server.services.audit.flush().await.expect("the entries are written");
    phones
}

/// The national number, however it is written: digits with spaces, hyphens or nothing between them.
fn digits(html: &str) -> String {
    let mut digits = String::new();
    for c in html.chars() {
        match c {
            c if c.is_ascii_digit() => digits.push(c),
            ' ' | '-' | '\u{a0}' => {}
            _ => digits.push('x'),
        }
    }
    digits
}

on_both! {
    async fn no_list_holds_a_whole_number(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        let phones = people_come(&server).await;
        let admin = Browser::admin(&server).await;
        let lists = routes(&server).into_iter().filter(|route| route.method == Method::GET && !route.pattern.contains('{'));
        let lists: BTreeSet<String> = lists.map(|route| route.pattern).collect();
        assert!(lists.contains("/admin/audit"), "{lists:?}");
        // Searches show what they find as lists do.
        let searches = ["/admin/search?q=gaurav", "/admin/people?search=gaurav", "/admin/leads?q=4567", "/admin/leads?q=%2B9198"];
        for path in lists.iter().map(String::as_str).chain(searches) {
            let page = admin.send(Method::GET, path, &[], None).await;
            for phone in &phones {
                let national = &phone[3..];
                assert!(!digits(&page.html).contains(national), "{path} holds {phone}: {}", page.html);
            }
        }
    }

    async fn a_stranger_of_an_odd_name_is_only_text(server: TestServer) {
        let admin = Browser::admin(&server).await;
        let names = ["<script>alert(1)</script>", "محمد علي", &"a\u{301}".repeat(50)];
        for (number, name) in names.iter().enumerate() {
            let tokens = server.sign_in(&format!("+9198123456{number}7")).await;
            let mut profile = crate::support::whole_profile();
            profile["name"] = json!(name);
            server.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", profile).await;
            server.execute(&format!("UPDATE accounts SET name = '{name}' WHERE id = {}", id(&server, &tokens.user_id))).await;
        }
        for route in routes(&server).into_iter().filter(|route| route.method == Method::GET) {
            let page = admin.send(Method::GET, &example(&route.pattern), &[], None).await;
            assert!(!page.html.contains("<script>"), "{}", page.html);
        }
    }
}

/// An id in SQL.
fn id(server: &TestServer, id: &str) -> String {
    match server.database {
        crate::support::Database::Sqlite => format!("x'{}'", id.replace('-', "")),
        crate::support::Database::Postgres => format!("'{id}'"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_fifty_leads_weighs_less_than_forty_kibibytes() {
    let server = TestServer::with(crate::support::Database::Sqlite, &WIDE_LIMITS).await;
    for number in 0..50 {
        server.signup(&format!("+9198123456{number:02}")).await.assert_ok();
    }
    let admin = Browser::admin(&server).await;
    let page = admin.get("/admin/leads").await;
    page.assert_status(200);
    let shown = page.links().iter().filter(|link| link.len() == "/admin/leads/".len() + 36).count();
    assert!(shown >= 50, "{shown} leads are shown: {:?}", page.links());
    let mut bytes = page.html.len();
    for asset in ["/admin/admin.css", "/admin/admin.js"] {
        bytes += admin.get(asset).await.html.len();
    }
    assert!(bytes < MOST_BYTES, "{bytes} bytes");
}

/// Fifty rows of every list, with names that are hard to show. SQLite only.
const FIFTY_OF_EACH: &str = "
    UPDATE leads SET name = CASE (SELECT COUNT(*) FROM leads AS other WHERE other.id < leads.id) % 3
        WHEN 0 THEN '<script>alert(1)</script>' WHEN 1 THEN 'محمد علي عبد الرحمن' ELSE 'a' || replace(hex(zeroblob(50)), '0', char(769)) END;
    INSERT INTO accounts (id, phone, is_active, created_at, updated_at, seen_at, profile_id, name, name_key, event_interests, profile_pictures,
        role, device_epoch, is_review)
    SELECT id, phone, 1, last_requested_at, last_requested_at, last_requested_at, randomblob(16), name, name, '[]', '[]', 'user', 0, 0 FROM leads;
    INSERT INTO messages (id, phone, channel, template, provider, status, created_at, updated_at, attempt, language, region, challenge_id, error_code)
    SELECT randomblob(16), phone, 'whatsapp', 'sign_in', 'twilio', 'undelivered', last_requested_at, last_requested_at, 1, 'en', 'IN', id, 30003
    FROM leads;
    INSERT INTO audit (id, at, action, actor_kind, user_id, phone_masked, address, detail)
    SELECT randomblob(16), last_requested_at, 'account_unlinked', 'person', id, '+91******' || substr(phone, -4), '2001:db8:1234:5678:9abc:def0:1234:5678',
        '{\"new_user_id\": \"0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11\", \"unused_days\": 180}' FROM leads;
    INSERT INTO blocks (id, kind, value, reason, reference, made_at)
    SELECT randomblob(16), 'phone', phone, name, name, last_requested_at FROM leads;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_of_fifty_rows_is_light_and_odd_names_stay_text() {
    let server = TestServer::with(crate::support::Database::Sqlite, &WIDE_LIMITS).await;
    let admin = Browser::admin(&server).await;
    crate::leads::many_leads(&server, 59).await;
    for statement in FIFTY_OF_EACH.split(';').filter(|statement| !statement.trim().is_empty()) {
        server.execute(statement).await;
    }
    let mut assets = 0;
    for asset in ["/admin/admin.css", "/admin/admin.js"] {
        assets += admin.get(asset).await.html.len();
    }
    for list in ["/admin/leads", "/admin/people", "/admin/messages", "/admin/audit", "/admin/blocks"] {
        let page = admin.get(list).await;
        page.assert_status(200);
        let rows = page.html.matches("<th scope=\"row\"").count();
        assert_eq!(rows, 50, "{list}");
        let bytes = page.html.len() + assets;
        assert!(bytes < MOST_BYTES_OF_ANY, "{list} has {bytes} bytes");
        assert!(!page.html.contains("<script>alert"), "{list}");
        if list != "/admin/messages" {
            page.assert_has("محمد علي").assert_has("<script>alert(1)</script>").assert_has("a\u{301}\u{301}");
        }
    }
}
