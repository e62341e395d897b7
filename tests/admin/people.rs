//! `/admin/people`: the list with its search, filters, orders and pages.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, Page, new_account},
    on_both,
    support::{Database, OTHER_PHONE, PHONE, TestServer, Tokens, whole_profile},
};

const LIST: &str = "/admin/people";

/// Signs up a user who completes the profile with this name.
pub async fn known_as(server: &TestServer, phone: &str, name: &str) -> Tokens {
    let tokens = server.sign_in(phone).await;
    let mut profile = whole_profile();
    profile["phone_number"] = json!(phone);
    profile["name"] = json!(name);
    server.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", profile).await.assert_ok();
    tokens
}

/// Sets fields of `PUT /api/users/{id}` as the user.
pub async fn set(server: &TestServer, who: &Tokens, fields: Value) {
    let path = format!("/api/users/{}", who.user_id);
    server.send_as(&who.access, Method::PUT, &path, fields).await.assert_ok();
}

async fn list(browser: &Browser, filters: &[(&str, &str)]) -> Page {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(filters).finish();
    let page = browser.get(&format!("{LIST}?{query}")).await;
    page.assert_status(200);
    page
}

/// The names in the list, in their order.
fn names(page: &Page) -> Vec<String> {
    let parts = page.html.split("<th scope=\"row\"><a href=\"/admin/people/").skip(1);
    let name = |part: &str| {
        let rest = part.split_once("<bdi>").map_or("", |(_, rest)| rest);
        rest.split("</bdi>").next().unwrap_or_default().to_owned()
    };
    parts.map(name).collect()
}

async fn found(browser: &Browser, search: &str) -> Vec<String> {
    let mut names = names(&list(browser, &[("search", search)]).await);
    names.sort();
    names
}

/// Adds users of whom only the number, the name and the time differ, newest first.
async fn many(server: &TestServer, count: u32) {
    let sql = match server.database {
        Database::Postgres => format!(
            "INSERT INTO accounts (id, phone, is_active, created_at, updated_at, profile_id, event_interests, \
             profile_pictures, role, name, name_key, device_epoch, is_review) \
             SELECT gen_random_uuid(), '+9190000' || lpad(i::text, 5, '0'), TRUE, now() - i * interval '1 minute', now(), \
             gen_random_uuid(), '[]', '[]', 'user', 'User ' || i, 'user ' || i, 0, FALSE FROM generate_series(1, {count}) AS i"
        ),
        Database::Sqlite => format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             INSERT INTO accounts (id, phone, is_active, created_at, updated_at, profile_id, event_interests, \
             profile_pictures, role, name, name_key, device_epoch, is_review) \
             SELECT randomblob(16), printf('+9190000%05d', i), TRUE, \
             strftime('%Y-%m-%dT%H:%M:%f', '2026-03-01', '-' || i || ' minutes') || '+00:00', '2026-03-01T00:00:00+00:00', \
             randomblob(16), '[]', '[]', 'user', 'User ' || i, 'user ' || i, 0, FALSE FROM n"
        ),
    };
    server.execute(&sql).await;
}

on_both! {
    async fn people_are_found_by_number_name_address_and_id(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let gaurav = known_as(&server, PHONE, "Gaurav Kumar").await;
        let asha = known_as(&server, OTHER_PHONE, "Asha Jean-Pierre").await;
        set(&server, &asha, json!({"email": "Asha.Rao@Example.com", "first_name": "Zoë"})).await;
        for (search, expected) in [
            ("9376", &["Gaurav Kumar"] as &[&str]),
            ("76", &["Gaurav Kumar"]),
            ("62058", &["Gaurav Kumar"]),
            ("+91 98765", &["Asha Jean-Pierre"]),
            ("6205829376", &["Gaurav Kumar"]),
            ("06205 829376", &["Gaurav Kumar"]),
            ("+91", &["Asha Jean-Pierre", "Gaurav Kumar"]),
            ("5829", &[]),
            ("gau", &["Gaurav Kumar"]),
            ("KUMAR gaurav", &["Gaurav Kumar"]),
            ("pierre", &["Asha Jean-Pierre"]),
            ("zoe\u{308}", &["Asha Jean-Pierre"]),
            ("umar", &[]),
            ("kumar asha", &[]),
            ("asha.rao@ex", &["Asha Jean-Pierre"]),
            ("rao", &["Asha Jean-Pierre"]),
            ("staff", &["staff"]),
            (gaurav.user_id.as_str(), &["Gaurav Kumar"]),
            ("0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11", &[]),
            ("%", &[]),
            ("_", &[]),
        ] {
            if search == "_" {
                // Only a separator: nothing to search for.
                list(&browser, &[("search", "_")]).await.assert_has("Search for a number");
                continue;
            }
            assert_eq!(found(&browser, search).await, expected, "{search}");
        }
        let page = list(&browser, &[("search", "nobody")]).await;
        page.assert_has("No account fits these filters");
        assert_eq!(page.form(LIST).value("search"), Some("nobody"));
    }

    async fn no_list_holds_a_whole_number(server: TestServer) {
        let browser = Browser::staff(&server).await;
        known_as(&server, PHONE, "Gaurav Kumar").await;
        let page = list(&browser, &[]).await;
        page.assert_has("+91 ••••• ••376").assert_has("2 people").assert_has("completed");
        for part in ["6205829", "829376", "9376"] {
            assert!(!page.html.contains(part), "{part}");
        }
        assert!(page.headers["content-security-policy"].to_str().unwrap().contains("img-src 'self' data:;"));
    }

    async fn every_filter_filters(server: TestServer) {
        let browser = Browser::staff(&server).await;
        known_as(&server, PHONE, "Gaurav Kumar").await;
        server.sign_in(OTHER_PHONE).await;
        server.disable(OTHER_PHONE).await;
        for (field, value, expected) in [
            ("role", "staff", 1),
            ("role", "user", 2),
            ("role", "admin", 0),
            ("state", "inactive", 1),
            ("state", "active", 2),
            ("phone", "verified", 2),
            ("phone", "none", 1),
            ("profile", "complete", 1),
            ("profile", "incomplete", 2),
            // It is the 14th in India.
            ("from", "2026-03-14", 3),
            ("from", "2026-03-15", 0),
            ("to", "2026-03-13", 0),
            ("to", "2026-03-14", 3),
            ("order", "last-sign-in", 3),
            ("order", "name", 3),
        ] {
            let page = list(&browser, &[(field, value)]).await;
            assert_eq!(names(&page).len(), expected, "{field}={value}");
            assert_eq!(page.form(LIST).value(field), Some(value));
        }
        let both = list(&browser, &[("role", "user"), ("state", "inactive"), ("search", "210")]).await;
        assert_eq!(names(&both), ["No name"]);
    }

    async fn a_wrong_filter_is_named_and_the_list_stays(server: TestServer) {
        let browser = Browser::staff(&server).await;
        for (field, value, sentence) in [
            ("search", "a\u{7}b", "must not contain control characters"),
            ("search", "- ( )", "Search for a number"),
            ("role", "root", "Choose one of the list"),
            ("state", "1", "Choose one of the list"),
            ("phone", "x", "Choose one of the list"),
            ("profile", "x", "Choose one of the list"),
            ("order", "id; DROP TABLE accounts", "Choose one of the list"),
            ("from", "14.3.2026", "YYYY-MM-DD"),
            ("to", "2026-02-30", "YYYY-MM-DD"),
            ("cursor", "nonsense", "The list begins again"),
        ] {
            let page = list(&browser, &[(field, value)]).await;
            page.assert_has(sentence);
            assert_eq!(names(&page), ["staff"], "{field}={value}");
        }
        let long = "x".repeat(101);
        list(&browser, &[("search", long.as_str())]).await.assert_has("at most 100 characters");
        let days = [("from", "2026-03-15"), ("to", "2026-03-14")];
        list(&browser, &days).await.assert_has("before the first day");
    }

    async fn pages_follow_each_other_in_every_order(server: TestServer) {
        let browser = Browser::staff(&server).await;
        many(&server, 120).await;
        for order in ["newest", "last-sign-in", "name"] {
            let mut page = list(&browser, &[("order", order), ("role", "user")]).await;
            page.assert_has("120 people");
            let mut seen = names(&page);
            while let Some(next) = page.links().into_iter().find(|link| link.contains("cursor=")) {
                assert!(next.contains("role=user"), "{next}");
                page = browser.get(&next).await;
                page.assert_status(200).assert_has("First page");
                seen.extend(names(&page));
            }
            assert_eq!(seen.len(), 120, "{order}");
            let mut expected: Vec<String> = (1..=120).map(|i| format!("User {i}")).collect();
            if order == "name" {
                expected.sort();
            }
            assert_eq!(seen, expected, "{order}");
        }
        // A place in another order is no place in this one.
        let page = list(&browser, &[("order", "name")]).await;
        let next = page.links().into_iter().find(|link| link.contains("cursor=")).unwrap();
        let page = browser.get(&next.replace("order=name", "order=newest")).await;
        page.assert_status(200).assert_has("The list begins again");
        let html = list(&browser, &[]).await.html.len();
        let assets = ["/admin/admin.css", "/admin/admin.js"];
        let mut bytes = html;
        for asset in assets {
            bytes += browser.get(asset).await.html.len();
        }
        assert!(bytes < 40 * 1024, "{bytes} bytes, of which {html} are the page");
    }

    async fn a_name_of_any_kind_stays_text(server: TestServer) {
        let browser = Browser::staff(&server).await;
        let script = "<script>alert(1)</script>".to_owned();
        let marks = format!("a{}", "\u{301}".repeat(100));
        let arabic = "محمد \u{202e}علي".to_owned();
        for (n, name) in [script, marks, arabic].iter().enumerate() {
            let user = server.sign_in(&format!("+91987654322{n}")).await;
            set(&server, &user, json!({"first_name": name, "last_name": "\"><img src=x>"})).await;
            let page = browser.get(&format!("{LIST}/{}", user.user_id)).await;
            page.assert_status(200).assert_has(name).assert_has("\"><img src=x>");
            for part in ["<script>alert", "<img src=x"] {
                assert!(!page.html.contains(part), "{part}");
            }
            for act in ["edit", "deactivate"] {
                browser.get(&format!("{LIST}/{}/{act}", user.user_id)).await.assert_status(200).assert_has(name);
            }
            let first: String = name.chars().take(1).collect();
            let shown = found(&browser, &name.replace(['<', '>'], "")).await;
            assert!(shown.is_empty() || shown[0].contains(&first), "{shown:?}");
        }
        let page = list(&browser, &[("search", "<script")]).await;
        assert!(!page.html.contains("<script>alert"));
        page.assert_has("<script>alert(1)</script>");
        assert_eq!(names(&list(&browser, &[("search", "محمد")]).await).len(), 1);
    }

    async fn only_staff_see_people(server: TestServer) {
        new_account(&server, "asha", "user").await;
        let browser = Browser::new(&server);
        for path in [LIST, "/admin/people/0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11"] {
            assert!(browser.get(path).await.path.starts_with("/admin/sign-in"));
        }
        let browser = Browser::staff(&server).await;
        for path in ["0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11", "nonsense", "1"] {
            browser.get(&format!("{LIST}/{path}")).await.assert_status(404);
            browser.get(&format!("{LIST}/{path}/edit")).await.assert_status(404);
        }
    }
}
