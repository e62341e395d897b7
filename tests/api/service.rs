//! The roots, health and readiness, the documents.

use serde_json::json;

use crate::{
    on_both,
    support::{Database, PHONE, TestHouse, postgres, proxy::Proxy},
};

on_both! {
    async fn the_roots_say_who_answers_and_where_to_look(house: TestHouse) {
        let answer = house.get("/").await;
        answer.assert_ok();
        assert_eq!(answer.json(), house.get("/api").await.json());
        assert_eq!(answer.at("/name"), json!("loopin-auth"));
        assert_eq!(answer.at("/version"), json!(env!("CARGO_PKG_VERSION")));
        for link in ["/docs", "/health", "/openapi", "/guide"] {
            let path = answer.text_at(link);
            house.get(&path).await.assert_ok();
        }
        assert!(answer.text_at("/admin").starts_with('/'));
    }

    async fn health_does_not_ask_the_database(house: TestHouse) {
        let healthy = json!({"status": "healthy", "service": "loopin-auth", "version": env!("CARGO_PKG_VERSION")});
        assert_eq!(house.get("/api/health").await.assert_ok().json(), healthy);
        house.services.store.close().await;
        assert_eq!(house.get("/api/health").await.assert_ok().json(), healthy);
    }

    async fn readiness_asks_the_database(house: TestHouse) {
        house.get("/api/health/ready").await.assert_ok();
        house.services.store.close().await;
        house.get("/api/health/ready").await.assert_error(503, "database_unavailable");
    }

    async fn the_documentation_asks_nobody_for_anything(house: TestHouse) {
        let answer = house.get("/api/docs").await;
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

    async fn the_document_is_json_and_names_every_operation(house: TestHouse) {
        let answer = house.get("/api/openapi.json").await;
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

    async fn the_guide_is_markdown(house: TestHouse) {
        let answer = house.get("/PHONE_AUTHENTICATION.md").await;
        answer.assert_ok();
        assert_eq!(answer.header("content-type"), Some("text/markdown; charset=utf-8"));
        assert!(answer.text.starts_with("# "));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_back_is_met_by_the_next_request() {
    if !postgres::is_there() {
        return;
    }
    let (server, url) = postgres::through(&postgres::new_database().await, 0);
    let proxy = Proxy::to(server).await;
    let url = postgres::through(&url, proxy.address.port()).1;
    let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_MAX_CONNECTIONS", "1")];
    let house = TestHouse::with(Database::Postgres, &settings).await;
    for _ in 0..2 {
        house.get("/api/health/ready").await.assert_ok();
        proxy.go_away();
        house.get("/api/health/ready").await.assert_error(503, "database_unavailable");
        house.get("/api/health").await.assert_ok();
        house.signup(PHONE).await.assert_error(503, "database_unavailable");
        assert!(house.codes_for(PHONE).is_empty(), "no code is sent without a database");
        proxy.come_back();
    }
    house.get("/api/health/ready").await.assert_ok();
    house.signup(PHONE).await.assert_ok();
}
