//! Every route of the console, from its own table: whom it lets in, which requests it refuses, and what it does without a database. A
//! page that is added is in that table, so it is tried here without being named.

use loopin_auth::admin::{self, ConsoleSettings, RouteInfo};
use poem::http::Method;

use crate::{
    browser::{Browser, Page},
    on_both,
    support::{PHONE, TestServer},
};

/// What everyone reaches: the sign-in with both of its steps, and what its pages load.
const FOR_GUESTS: [&str; 5] =
    ["/admin/admin.css", "/admin/admin.js", "/admin/enroll/{token}", "/admin/sign-in", "/admin/sign-in/code"];

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

pub fn routes(server: &TestServer) -> Vec<RouteInfo> {
    admin::console(&server.services, ConsoleSettings::default()).routes().to_vec()
}

/// A path of this pattern. No row has the id; the number is nobody's.
pub fn example(pattern: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        None => segment.to_owned(),
        Some("number" | "phone") => PHONE.replace('+', "%2B"),
        Some(_) => "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
    };
    pattern.split('/').map(segment).collect::<Vec<_>>().join("/")
}

async fn form_token(browser: &Browser) -> String {
    let page = browser.get("/admin").await;
    page.forms().iter().find_map(|form| form.value("form_token").map(str::to_owned)).expect("a form")
}

async fn post(browser: &Browser, path: &str, headers: &[(&str, &str)], body: String) -> Page {
    browser.send(Method::POST, path, headers, Some(body)).await
}

on_both! {
    async fn guests_reach_the_sign_in_and_nothing_else(server: TestServer) {
        let routes = routes(&server);
        assert!(routes.len() > 5, "{routes:?}");
        let guest = Browser::new(&server);
        let token = form_token(&guest).await;
        for route in &routes {
            let path = example(&route.pattern);
            if route.rank == "guest" {
                assert!(FOR_GUESTS.contains(&route.pattern.as_str()), "everyone reaches {}", route.pattern);
                continue;
            }
            let page = match &route.method {
                method if *method == Method::GET => guest.send(Method::GET, &path, &[], None).await,
                method => {
                    let refused = guest.send(method.clone(), &path, &[FORM, OWN], Some(String::new())).await;
                    refused.assert_status(403);
                    let body = format!("form_token={token}");
                    guest.send(method.clone(), &path, &[FORM, OWN], Some(body)).await
                }
            };
            page.assert_status(303);
            let to = page.headers["location"].to_str().unwrap();
            assert!(to.starts_with("/admin/sign-in"), "{} {path} leads to {to}", route.method);
        }
    }

    async fn staff_can_do_nothing_that_is_for_admins(server: TestServer) {
        let staff = Browser::staff(&server).await;
        let token = form_token(&staff).await;
        let for_admins: Vec<RouteInfo> =
            routes(&server).into_iter().filter(|route| route.rank == "admin").collect();
        assert!(!for_admins.is_empty());
        for route in for_admins {
            let path = example(&route.pattern);
            let page = if route.method == Method::GET {
                staff.send(Method::GET, &path, &[], None).await
            } else {
                post(&staff, &path, &[FORM, OWN], format!("form_token={token}")).await
            };
            page.assert_status(403).assert_has("Your role does not allow this");
        }
    }

    async fn every_form_must_come_from_a_page_of_its_session(server: TestServer) {
        let admin = Browser::admin(&server).await;
        let other = Browser::signed_in(&server, "other", "admin").await;
        let (own, foreign) = (form_token(&admin).await, form_token(&other).await);
        let posts: Vec<RouteInfo> =
            routes(&server).into_iter().filter(|route| route.method != Method::GET).collect();
        assert!(posts.len() > 1, "{posts:?}");
        for route in posts {
            let path = example(&route.pattern);
            let attempts: [(&[(&str, &str)], String); 7] = [
                (&[FORM, OWN], String::new()),
                (&[FORM, OWN], "form_token=".to_owned()),
                (&[FORM, OWN], format!("form_token={foreign}")),
                (&[FORM, ("sec-fetch-site", "cross-site")], format!("form_token={own}")),
                (&[FORM, ("sec-fetch-site", "same-site")], format!("form_token={own}")),
                (&[FORM, ("origin", "https://evil.example")], format!("form_token={own}")),
                (&[FORM], format!("form_token={own}")),
            ];
            for (headers, body) in attempts {
                let page = post(&admin, &path, headers, body.clone()).await;
                assert_eq!(page.status.as_u16(), 403, "{path} {headers:?} {body}: {}", page.text());
                page.assert_has("no longer valid");
            }
        }
    }

    async fn no_id_and_no_filter_of_an_address_is_an_error_of_the_server(server: TestServer) {
        let admin = Browser::admin(&server).await;
        let odd = "%00%ff&state=%27%22%3Cscript%3E&sort=x&from=0000-00-00&to=99999-12-31&country=ZZZ&status=%F0%9F%98%80&error=-1\
                   &channel=x&who=x&what=x&whom=%3Cb%3E&by=x&address=x&cursor=AAAA&days=-1&from_day=x&until=x";
        for route in routes(&server).into_iter().filter(|route| route.method == Method::GET) {
            for path in [
                format!("{}?q={odd}", example(&route.pattern)),
                route.pattern.replace("{id}", "1").replace("{number}", "%2B1"),
                route.pattern.replace("{id}", "%3Cscript%3E").replace("{number}", "%00%E2%82"),
            ] {
                let page = admin.send(Method::GET, &path, &[], None).await;
                assert!(page.status.as_u16() < 500, "{path}: {}: {}", page.status, page.text());
                assert!(!page.html.contains("<script>") && !page.html.contains("<b>"), "{path}: {}", page.html);
            }
        }
    }
}

/// The client's address is what the edge finds, also behind a proxy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_other_networks_there_is_no_console() {
    let settings = [("ADMIN_ALLOWED_NETWORKS", "203.0.113.0/24, 2001:db8::/32")];
    let server = TestServer::with(crate::support::Database::Sqlite, &settings).await;
    let missing = server.from("198.51.100.7").get("/no/such/page").await;
    for route in routes(&server) {
        let path = example(&route.pattern);
        for address in ["198.51.100.7", "2001:db9::1"] {
            let answer = server.from(address).send(route.method.clone(), &path, &[OWN], None).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text.as_str()),
                (404, missing.text.as_str()),
                "{path}"
            );
        }
    }
    for address in ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8:1::1"] {
        assert_eq!(server.from(address).get("/admin/sign-in").await.status.as_u16(), 200, "{address}");
    }
    // The API is not the console.
    server.from("198.51.100.7").get("/api/health").await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_every_page_says_so_and_works_again_afterwards() {
    let Some((server, proxy)) = TestServer::behind_proxy(&[]).await else { return };
    let admin = Browser::admin(&server).await;
    let token = form_token(&admin).await;
    let routes = routes(&server);
    proxy.go_away().await;
    for route in routes.iter().filter(|route| route.rank != "guest") {
        let path = example(&route.pattern);
        let page = if route.method == Method::GET {
            admin.send(Method::GET, &path, &[], None).await
        } else {
            post(&admin, &path, &[FORM, OWN], format!("form_token={token}")).await
        };
        page.assert_status(503).assert_has("The database does not answer");
        assert!(page.html.starts_with("<!doctype html>"), "{path}: {}", page.html);
        assert!(page.headers.contains_key("retry-after"), "{path}");
    }
    proxy.come_back();
    for route in routes.iter().filter(|route| route.rank != "guest" && route.method == Method::GET) {
        let page = admin.send(Method::GET, &example(&route.pattern), &[], None).await;
        assert!(page.status.as_u16() < 500, "{}: {}", route.pattern, page.text());
    }
}
