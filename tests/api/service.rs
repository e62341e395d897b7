//! The root pages, health and readiness, and the documents.

use std::{collections::BTreeMap, path::Path};

use poem::http::Method;
use serde_json::json;

use crate::{
    on_both,
    support::{Answer, PHONE, TestServer},
};

/// The `Accept` header of a browser.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

async fn get(server: &TestServer, path: &str, accept: &str) -> Answer {
    server.send(Method::GET, path, &[("accept", accept)], None).await
}

on_both! {
    async fn the_roots_say_who_answers_and_where_to_look(server: TestServer) {
        let answer = server.get("/").await;
        answer.assert_ok();
        assert_eq!(answer.json(), server.get("/api").await.json());
        assert_eq!(answer.at("/name"), json!("loopin-auth"));
        assert_eq!(answer.at("/version"), json!(env!("CARGO_PKG_VERSION")));
        for link in ["/docs", "/health", "/openapi", "/guide"] {
            let path = answer.text_at(link);
            server.get(&path).await.assert_ok();
        }
        assert!(answer.text_at("/admin").starts_with('/'));
    }

    async fn health_does_not_ask_the_database(server: TestServer) {
        let healthy = json!({"status": "healthy", "service": "loopin-auth", "version": env!("CARGO_PKG_VERSION")});
        assert_eq!(server.get("/api/health").await.assert_ok().json(), healthy);
        server.services.store.close().await;
        assert_eq!(server.get("/api/health").await.assert_ok().json(), healthy);
    }

    async fn readiness_asks_the_database(server: TestServer) {
        server.get("/api/health/ready").await.assert_ok();
        server.services.store.close().await;
        server.get("/api/health/ready").await.assert_error(503, "database_unavailable");
    }

    async fn the_documentation_asks_nobody_for_anything(server: TestServer) {
        let answer = server.get("/api/docs").await;
        answer.assert_ok();
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(!policy.contains("http"), "{policy}");
        assert!(policy.contains("connect-src 'self'"), "{policy}");
        for foreign in ["src=\"http", "src=\"//", "href=\"http", "@import"] {
            assert!(!answer.text.contains(foreign), "{foreign}");
        }
        assert!(answer.text.contains("persistAuthorization: true"));
        assert!(answer.text.contains("/api/auth/verify-otp"), "the document is inside of the page");
        assert!(answer.text.contains("<title>loopin-auth API</title>"));
    }

    async fn the_document_is_json_and_names_every_operation(server: TestServer) {
        let answer = server.get("/api/openapi.json").await;
        answer.assert_ok();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let document = answer.json();
        for (path, method) in [
            ("/", "get"), ("/api", "get"), ("/api/health", "get"), ("/api/health/ready", "get"),
            ("/api/auth/signup", "post"), ("/api/auth/login", "post"), ("/api/auth/verify-otp", "post"),
            ("/api/auth/verify-login", "post"), ("/api/auth/complete-profile", "post"), ("/api/auth/profile", "get"),
            ("/api/auth/profile", "put"), ("/api/auth/event-interests", "get"), ("/api/auth/refresh", "post"),
            ("/api/auth/logout", "post"),
        ] {
            assert!(document["paths"][path][method]["operationId"].is_string(), "{method} {path}");
        }
    }

    async fn a_browser_gets_a_page_and_a_program_json_at_the_root(server: TestServer) {
        let page = get(&server, "/", BROWSER).await;
        page.assert_ok();
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("vary"), Some("Accept"));
        for path in ["/api/docs", "/PHONE_AUTHENTICATION.md", "/api/health", "/dev/inbox"] {
            assert!(page.text.contains(&format!("href=\"{path}\"")), "{path}");
        }
        for accept in ["*/*", "application/json"] {
            let answer = get(&server, "/", accept).await;
            assert_eq!(answer.header("content-type"), Some("application/json"), "{accept}");
            assert_eq!(answer.header("vary"), Some("Accept"), "{accept}");
        }
        let answer = get(&server, "/api", BROWSER).await;
        assert_eq!(answer.header("content-type"), Some("application/json"), "the page is at / alone");
    }

    async fn every_link_of_every_page_leads_somewhere(server: TestServer) {
        let mut pages: BTreeMap<String, String> = BTreeMap::new();
        let mut links = vec![("/".to_owned(), "/".to_owned())];
        while let Some((from, link)) = links.pop() {
            let (path, fragment) = link.split_once('#').map_or((link.as_str(), None), |(path, id)| (path, Some(id)));
            let path = if path.is_empty() { from.as_str() } else { path };
            if !pages.contains_key(path) {
                // An image is not text.
                let is_image = Path::new(path).extension().is_some_and(|kind| kind == "png");
                let method = if is_image { Method::HEAD } else { Method::GET };
                let answer = server.send(method, path, &[("accept", BROWSER)], None).await;
                assert_eq!(answer.status, 200, "{from} links to {link}");
                let is_page = answer.text.contains("<link rel=\"stylesheet\" href=\"/pages.css\">");
                if is_page {
                    let policy = answer.header("content-security-policy").unwrap();
                    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
                    assert!(!answer.text.contains("<script") && !answer.text.contains("<td style="), "{path}");
                    // A tag like this is not from a code block, where the bracket is escaped.
                    let found = ["<a href=\"", "<img src=\"", "<link rel=\"stylesheet\" href=\""]
                        .into_iter()
                        .flat_map(|start| answer.text.split(start).skip(1));
                    let found = found.filter_map(|rest| rest.split('"').next());
                    let own = found.filter(|link| link.starts_with(['/', '#']));
                    links.extend(own.map(|link| (path.to_owned(), link.replace("&amp;", "&"))));
                }
                pages.insert(path.to_owned(), if is_page { answer.text } else { String::new() });
            }
            let page = &pages[path];
            let is_there = fragment.is_none_or(|id| page.is_empty() || page.contains(&format!(" id=\"{id}\"")));
            assert!(is_there, "{from} links to {link}");
        }
        assert!(pages.len() > 10, "{:?}", pages.keys());
    }

    async fn every_document_is_text_for_a_program_and_a_page_for_a_person(server: TestServer) {
        for path in ["/PHONE_AUTHENTICATION.md", "/README.md", "/docs/INTEGRATION.md"] {
            let text = get(&server, path, "*/*").await;
            assert_eq!(text.header("content-type"), Some("text/markdown; charset=utf-8"), "{path}");
            assert!(text.text.starts_with("# "), "{path}");
            let page = get(&server, path, BROWSER).await;
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
            let title = text.text.lines().next().unwrap().trim_start_matches("# ");
            assert!(page.text.contains(&format!("<title>{title}</title>")), "{path}");
            assert!(page.text.contains("<h2 id=\""), "{path}");
            for answer in [&text, &page] {
                assert_eq!(answer.header("vary"), Some("Accept"), "{path}");
            }
        }
    }

    async fn the_guide_is_markdown(server: TestServer) {
        let answer = server.get("/PHONE_AUTHENTICATION.md").await;
        answer.assert_ok();
        assert_eq!(answer.header("content-type"), Some("text/markdown; charset=utf-8"));
        assert!(answer.text.starts_with("# "));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_back_is_met_by_the_next_request() {
    let settings = [("DATABASE_MAX_CONNECTIONS", "1")];
    let Some((server, proxy)) = TestServer::behind_proxy(&settings).await else { return };
    for _ in 0..2 {
        server.get("/api/health/ready").await.assert_ok();
        proxy.go_away().await;
        server.get("/api/health/ready").await.assert_error(503, "database_unavailable");
        server.get("/api/health").await.assert_ok();
        server.signup(PHONE).await.assert_error(503, "database_unavailable");
        assert!(server.codes_for(PHONE).is_empty(), "no code is sent without a database");
        proxy.come_back();
    }
    server.get("/api/health/ready").await.assert_ok();
    server.signup(PHONE).await.assert_ok();
}
