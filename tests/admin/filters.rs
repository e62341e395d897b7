//! The filters of every list: one that cannot be read is shown beside its field, and filters nothing.

use serde_json::json;
use url::form_urlencoded;

use crate::{
    browser::{Browser, Page},
    on_both,
    support::{PHONE, TestServer, WIDE_LIMITS},
};

/// How a field of a filter is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Words to search for: nearly all texts may be searched for.
    Search,
    /// One of a list, an account, a number, an address.
    Exact,
    /// A day.
    Day,
}

use Kind::{Day, Exact, Search};

/// Every field of the filters of every list.
const LISTS: [(&str, &[(&str, Kind)]); 6] = [
    (
        "/admin/leads",
        &[
            ("q", Search),
            ("state", Exact),
            ("verified", Exact),
            ("country", Exact),
            ("source", Exact),
            ("sort", Exact),
            ("first_from", Day),
            ("first_to", Day),
            ("last_from", Day),
            ("last_to", Day),
        ],
    ),
    (
        "/admin/people",
        &[
            ("search", Search),
            ("role", Exact),
            ("state", Exact),
            ("phone", Exact),
            ("profile", Exact),
            ("from", Day),
            ("to", Day),
            ("order", Exact),
        ],
    ),
    (
        "/admin/messages",
        &[
            ("state", Exact),
            ("channel", Exact),
            ("error", Exact),
            ("country", Exact),
            ("from", Day),
            ("to", Day),
        ],
    ),
    (
        "/admin/audit",
        &[
            ("who", Exact),
            ("by", Exact),
            ("what", Exact),
            ("whom", Exact),
            ("address", Exact),
            ("from", Day),
            ("to", Day),
        ],
    ),
    ("/admin/blocks", &[("kind", Exact), ("state", Exact), ("value", Exact)]),
    ("/admin/blocks/prefixes", &[("state", Exact)]),
];

/// A row of every list.
async fn one_of_each(server: &TestServer) -> Browser {
    server.signup(PHONE).await.assert_ok();
    let admin = Browser::admin(server).await;
    let form = admin.get("/admin/blocks").await;
    let token = form.form("/admin/sign-out").value("form_token").unwrap().to_owned();
    let block = json!({"form_token": token, "kind": "address", "value": "198.51.100.0/24", "reason": "x"});
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(block.as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap())));
    admin.post("/admin/blocks", &body.finish()).await.assert_status(200);
    server.services.audit.flush().await.expect("the entries are written");
    admin
}

fn query(field: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(field, value).finish()
}

/// The text beside a field of the filters, if it is marked as wrong.
fn problem(page: &Page, field: &str) -> Option<String> {
    let (_, main) = page.html.split_once("<main").expect("a page");
    let tags = main.split('<').filter(|tag| tag.starts_with("input") || tag.starts_with("select"));
    let tag = tags.into_iter().find(|tag| tag.contains(&format!(" name=\"{field}\""))).expect(field);
    let open = tag.split('>').next().unwrap();
    if !open.contains("aria-invalid=\"true\"") {
        return None;
    }
    let id = open.split("aria-describedby=\"").nth(1).expect("a description").split('"').next().unwrap();
    let (_, beside) = page.html.split_once(&format!("<p class=\"error\" id=\"{id}\">")).expect(id);
    Some(beside.split('<').next().unwrap().to_owned())
}

fn has_rows(page: &Page) -> bool {
    page.html.contains("<th scope=\"row\"")
}

on_both! {
    async fn a_wrong_filter_is_beside_its_field_on_every_list(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        let admin = one_of_each(&server).await;
        let long = "x".repeat(10_000);
        for (list, fields) in LISTS {
            let page = admin.get(list).await;
            page.assert_status(200);
            assert!(has_rows(&page), "{list} has a row: {}", page.text());
            for (field, kind) in fields {
                let mut wrong = vec!["a\0b", "\0", long.as_str()];
                if *kind != Search {
                    wrong.extend(["nonsense", "<b>x</b>", "💥", "%27%00"]);
                }
                if *kind == Day {
                    wrong.extend(["2026-02-30", "0000-00-00", "-0001-01-01", "99999-12-31", "9999-12-31", "14.3.2026"]);
                }
                for value in wrong {
                    let path = format!("{list}?{}", query(field, value));
                    let page = admin.get(&path).await;
                    let shown = value.chars().take(20).collect::<String>();
                    assert!([200, 422].contains(&page.status.as_u16()), "{list} {field}={shown}: {}", page.status);
                    let problem = problem(&page, field);
                    assert!(problem.is_some_and(|text| text.len() > 10), "{list} {field}={shown}: {}", page.text());
                    assert!(has_rows(&page), "{list} {field}={shown} filters nothing: {}", page.text());
                    assert!(!page.html.contains("<b>x"), "{list} {field}={shown}");
                }
            }
        }
    }

    async fn days_of_all_times_are_days(server: TestServer) {
        let admin = one_of_each(&server).await;
        for (list, fields) in LISTS {
            for (field, _) in fields.iter().filter(|(_, kind)| *kind == Day) {
                let days: &[(&str, bool)] = if field.ends_with("from") {
                    &[("0001-01-01", true), ("1066-10-14", true), ("9998-12-31", false)]
                } else {
                    &[("0001-01-01", false), ("1066-10-14", false), ("9998-12-31", true)]
                };
                for (day, is_found) in days {
                    let page = admin.get(&format!("{list}?{field}={day}")).await;
                    page.assert_status(200);
                    assert_eq!(problem(&page, field), None, "{list} {field}={day}");
                    assert_eq!(has_rows(&page), *is_found, "{list} {field}={day}: {}", page.text());
                }
            }
        }
    }
}
