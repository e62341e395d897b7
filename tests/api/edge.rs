//! What applies to every request and answer: paths and methods, request ids, headers, hosts, origins.

use std::collections::BTreeMap;

use poem::http::{Method, StatusCode};
use serde_json::Value;

use crate::{
    on_both,
    support::{Answer, PHONE, TestServer},
};

const PAGES: [&str; 7] = [
    "/api/docs",
    "/api/openapi.json",
    "/PHONE_AUTHENTICATION.md",
    "/dev/inbox",
    "/dev/inbox.css",
    "/dev/inbox.js",
    "/dev/inbox.json",
];

const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

/// Every path of the server with its methods.
async fn table(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let document = server.get("/api/openapi.json").await.json();
    let mut table = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        table.insert(
            path.clone(),
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect(),
        );
    }
    for page in PAGES {
        table.insert(page.to_owned(), vec!["GET".to_owned()]);
    }
    for methods in table.values_mut() {
        let methods: &mut Vec<String> = methods;
        if methods.contains(&"GET".to_owned()) {
            methods.push("HEAD".to_owned());
        }
        methods.sort();
    }
    assert!(table.len() >= 19, "{table:?}");
    table
}

async fn send(server: &TestServer, method: &Method, path: &str) -> Answer {
    let body = [Method::POST, Method::PUT].contains(method).then(|| "{}".to_owned());
    server.send(method.clone(), path, &[("content-type", "application/json")], body).await
}

/// Paths that answer 404 without a setting.
const OFF: [&str; 2] = ["/.well-known/openid-configuration", "/api/auth/guest"];

on_both! {
    async fn every_path_answers_with_and_without_a_trailing_slash(server: TestServer) {
        for (path, methods) in table(&server).await {
            for method in methods {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let plain = send(&server, &method, &path).await;
                assert!(!plain.status.is_redirection(), "{method} {path}");
                // The name of a parameter is no valid id, and some settings are off here.
                let is_there = path.contains('{') || OFF.contains(&path.as_str()) || plain.status != StatusCode::NOT_FOUND;
                assert!(is_there && plain.status != StatusCode::METHOD_NOT_ALLOWED, "{method} {path}: {}", plain.text);
                for slashes in ["/", "//", "/?", "/?a=b"] {
                    let with = send(&server, &method, &format!("{path}{slashes}")).await;
                    assert_eq!((with.status, &with.text), (plain.status, &plain.text), "{method} {path}{slashes}");
                    assert_eq!(with.header("content-type"), plain.header("content-type"));
                }
            }
        }
    }

    async fn a_path_says_which_methods_it_knows(server: TestServer) {
        for (path, known) in table(&server).await {
            for method in METHODS.iter().filter(|method| !known.contains(&method.to_string())) {
                for path in [path.clone(), format!("{path}/")] {
                    let answer = send(&server, method, &path).await;
                    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}: {}", answer.text);
                    answer.assert_error(405, "method_not_allowed");
                    assert_eq!(answer.header("allow"), Some(known.join(", ").as_str()), "{method} {path}");
                }
            }
            let strange = send(&server, &Method::from_bytes(b"FROBNICATE").unwrap(), &path).await;
            strange.assert_error(405, "method_not_allowed");
        }
    }

    async fn head_is_get_without_a_body(server: TestServer) {
        for path in table(&server).await.into_iter().filter(|(_, known)| known.contains(&"GET".to_owned())).map(|(path, _)| path) {
            let get = send(&server, &Method::GET, &path).await;
            let head = send(&server, &Method::HEAD, &path).await;
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
            if head.status.is_success() {
                assert_eq!(head.text, "", "{path}");
            }
        }
    }

    async fn an_unknown_path_is_not_found_by_any_method(server: TestServer) {
        for path in [
            "/nothing", "/api/nothing", "/api/auth", "/api/auth/", "/api/auth/signup/now", "/api/auth/signu", "/API/HEALTH",
            "/api/auth/profile/1", "/api/health/ready/x", "/favicon.ico", "/api/docs/x", "/.env", "/api/../etc/passwd",
            "/%00", "/%2e%2e/", "/api/auth/%73ignup%2f", "/api/auth/passwords", "/api/user", "/metrics",
        ] {
            for method in [Method::GET, Method::POST, Method::OPTIONS, Method::DELETE, Method::HEAD] {
                let answer = send(&server, &method, path).await;
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.text);
                answer.assert_error(404, "not_found");
            }
        }
    }

    async fn a_path_that_is_no_text_is_no_path_of_ours(server: TestServer) {
        for path in ["/a%ff", "/api/auth/%c3%28"] {
            server.get(path).await.assert_error(404, "not_found");
        }
    }

    async fn forms_of_a_request_that_name_no_path_are_answered(server: TestServer) {
        for (method, target) in [
            (Method::OPTIONS, "*"), (Method::CONNECT, "example.com:443"), (Method::GET, "http://example.com/api/health"),
            (Method::GET, "http://example.com"), (Method::GET, "/?"), (Method::GET, "//"), (Method::GET, "///api///health//"),
        ] {
            let answer = send(&server, &method, target).await;
            assert!(answer.header("x-request-id").is_some(), "{method} {target}");
            assert!(answer.status.as_u16() < 500, "{method} {target}: {}", answer.text);
            if !answer.status.is_success() {
                assert!(!answer.text_at("/error/code").is_empty(), "{method} {target}: {}", answer.text);
            }
        }
    }

    async fn every_answer_has_a_name_of_its_own(server: TestServer) {
        let mut seen = std::collections::HashSet::new();
        for (method, path) in [
            (Method::GET, "/"), (Method::GET, "/nothing"), (Method::DELETE, "/api"), (Method::POST, "/api/auth/signup"),
            (Method::GET, "/api/auth/profile"), (Method::GET, "/api/docs"), (Method::GET, "/dev/inbox.json"),
            (Method::OPTIONS, "/"),
        ] {
            for _ in 0..2 {
                let answer = send(&server, &method, path).await;
                let id = answer.header("x-request-id").unwrap().to_owned();
                assert!(uuid::Uuid::parse_str(&id).is_ok_and(|id| id.get_version_num() == 7), "{id}");
                assert!(seen.insert(id));
            }
        }
    }

    async fn a_name_from_outside_is_taken_over_if_it_is_sane(server: TestServer) {
        let long = "a".repeat(64);
        for id in ["abcd1234", "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11", "req_7f3A-00000", &long] {
            for path in ["/api/health", "/nothing"] {
                let answer = server.send(Method::GET, path, &[("x-request-id", id)], None).await;
                assert_eq!(answer.header("x-request-id"), Some(id));
            }
        }
        let too_long = "a".repeat(65);
        for id in [
            "", "short", "with a space", "semi;colon", "<script>alert(1)</script>", "quote\"quote", "a/../../b", "a.b.c.d.e",
            "नमस्ते नमस्ते", "tab\ttabtab", "6205829376", "1097-1097-1097", "+916205829376", &too_long,
        ] {
            let answer = server.send(Method::GET, "/api/health", &[("x-request-id", id)], None).await;
            let given = answer.header("x-request-id").unwrap();
            assert_ne!(given, id);
            assert!(uuid::Uuid::parse_str(given).is_ok(), "{id}: {given}");
        }
    }

    async fn every_answer_is_dressed(server: TestServer) {
        for (path, methods) in table(&server).await {
            for method in methods.into_iter().chain(["PATCH".to_owned()]) {
                let answer = send(&server, &Method::from_bytes(method.as_bytes()).unwrap(), &path).await;
                for (name, value) in [
                    // Public keys may be cached, but not a refusal.
                    ("cache-control", if path.ends_with("jwks.json") && answer.status.is_success() { "public, max-age=300" } else { "no-store" }),
                    ("referrer-policy", "no-referrer"),
                    ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"),
                ] {
                    assert_eq!(answer.header(name), Some(value), "{method} {path}");
                }
                let policy = answer.header("content-security-policy").unwrap();
                assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{policy}");
                assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1);
                assert!(answer.header("server").is_none());
            }
        }
    }

    async fn only_named_hosts_are_answered(server: TestServer) {
        let other = server.second_server(&[("ALLOWED_HOSTS", "api.example.com, .loopin.test,[::1]")]).await;
        for host in ["api.example.com", "API.Example.com:8000", "loopin.test", "a.loopin.test", "[::1]:8000"] {
            other.send(Method::GET, "/api", &[("host", host)], None).await.assert_ok();
        }
        for host in ["example.com", "api.example.com.evil.test", "evilloopin.test", "127.0.0.1"] {
            for (method, path) in [(Method::GET, "/api"), (Method::POST, "/api/auth/signup"), (Method::GET, "/nothing"),
                (Method::GET, "/api/healthy"), (Method::DELETE, "/")] {
                let answer = other.send(method, path, &[("host", host)], None).await;
                answer.assert_error(400, "host_not_allowed");
            }
            for path in ["/api/health", "/api/health/", "/api/health/ready", "/api/health/ready/"] {
                other.send(Method::GET, path, &[("host", host)], None).await.assert_ok();
            }
        }
        for server in [&server, &other] {
            for host in ["", "api.example.com@evil.test", "[::1", "api.example.com, loopin.test", "a b", "api.example.com:http"] {
                for path in ["/api", "/nothing", "/api/health"] {
                    server.send(Method::GET, path, &[("host", host)], None).await.assert_error(400, "malformed_request");
                }
            }
        }
        // Without a list, a server in dev accepts any host.
        server.send(Method::GET, "/api", &[("host", "anything.example")], None).await.assert_ok();
    }

    async fn a_packed_body_is_415(server: TestServer) {
        let json = ("content-type", "application/json");
        let body = || Some(format!("{{\"phone_number\":\"{PHONE}\"}}"));
        for coding in ["gzip", "br", "deflate, identity", "nonsense"] {
            let headers = [json, ("content-encoding", coding)];
            let answer = server.send(Method::POST, "/api/auth/signup", &headers, body()).await;
            answer.assert_error(415, "unsupported_media_type");
            assert_eq!(answer.header("accept-encoding"), Some("identity"), "{coding}");
        }
        let headers = [json, ("content-encoding", "identity")];
        server.send(Method::POST, "/api/auth/signup", &headers, body()).await.assert_ok();
    }

    async fn production_answers_for_its_public_address(server: TestServer) {
        let server = server.second_server(&[
            ("ENVIRONMENT", "prod"), ("PUBLIC_BASE_URL", "https://auth.example.com"),
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"), ("TWILIO_AUTH_TOKEN", "none"),
            ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ]).await;
        server.send(Method::GET, "/api", &[("host", "auth.example.com")], None).await.assert_ok();
        server.send(Method::GET, "/api", &[("host", "10.0.0.7")], None).await.assert_error(400, "host_not_allowed");
        server.send(Method::GET, "/api/health", &[("host", "10.0.0.7")], None).await.assert_ok();
    }

    async fn a_named_origin_may_read_every_answer(server: TestServer) {
        // Also the origins of apps in a web view.
        let origins = [
            "https://app.example.com", "capacitor://localhost", "ionic://localhost", "tauri://localhost", "http://localhost",
        ];
        let named = format!("https://www.example.com,{}", origins.join(", "));
        let server = server.second_server(&[("CORS_ALLOWED_ORIGINS", named.as_str())]).await;
        for origin in origins {
            may_read(&server, origin).await;
        }
    }

    async fn a_strange_origin_may_read_nothing(server: TestServer) {
        let other = server.second_server(&[("CORS_ALLOWED_ORIGINS", "https://app.example.com")]).await;
        for origin in [
            "https://evil.example", "http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.test",
            "null", "*", "https://APP.example.com.", "\u{e9}", "capacitor://localhost",
        ] {
            for server in [&server, &other] {
                let answer = server.send(Method::GET, "/api/health", &[("origin", origin)], None).await;
                answer.assert_ok();
                let preflight_headers = [("origin", origin), ("access-control-request-method", "PUT")];
                let preflight = server.send(Method::OPTIONS, "/api/auth/profile", &preflight_headers, None).await;
                preflight.assert_error(405, "method_not_allowed");
                for answer in [answer, preflight] {
                    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-allow")), "{origin}");
                }
            }
        }
    }

    async fn a_preflight_that_asks_for_nothing_is_no_preflight(server: TestServer) {
        let origin = "https://app.example.com";
        let server = server.second_server(&[("CORS_ALLOWED_ORIGINS", origin)]).await;
        for method in [None, Some(""), Some("F OO"), Some("\u{e9}")] {
            let headers: Vec<_> = [("origin", origin)].into_iter()
                .chain(method.map(|method| ("access-control-request-method", method))).collect();
            let answer = server.send(Method::OPTIONS, "/api/health", &headers, None).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method:?}: {}", answer.text);
            answer.assert_error(405, "method_not_allowed");
        }
    }

    async fn any_origin_is_any_origin(server: TestServer) {
        let server = server.second_server(&[("CORS_ALLOWED_ORIGINS", "*")]).await;
        let answer = server.send(Method::GET, "/api/health", &[("origin", "http://localhost:5173")], None).await;
        assert!([Some("*"), Some("http://localhost:5173")].contains(&answer.header("access-control-allow-origin")));
    }

    async fn a_database_that_refuses_a_statement_is_an_internal_error_and_tells_nothing(server: TestServer) {
        server.execute("ALTER TABLE challenges RENAME TO challenges_gone").await;
        let answer = server.signup(PHONE).await;
        answer.assert_error(500, "internal");
        for inside in ["challenges", "SQL", "sql", "relation", "table", "62058"] {
            assert!(!answer.text.contains(inside), "{}", answer.text);
        }
        assert_eq!(answer.at("/error").as_object().map(serde_json::Map::len), Some(1));
        assert_eq!(answer.at("/data"), Value::Null);
        assert!(server.codes_for(PHONE).is_empty());
    }
}

/// An answer, and a preflight.
async fn may_read(server: &TestServer, origin: &str) {
    for (method, path) in [
        (Method::GET, "/api/health"),
        (Method::GET, "/nothing"),
        (Method::DELETE, "/api"),
        (Method::POST, "/api/auth/signup"),
        (Method::GET, "/api/auth/profile"),
    ] {
        let answer = server.send(method.clone(), path, &[("origin", origin)], None).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{method} {path}");
        assert_eq!(
            answer.header("vary").map(str::to_lowercase).as_deref(),
            Some("origin"),
            "{method} {path}"
        );
        assert!(answer.header("access-control-allow-credentials").is_none());
        let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
        assert!(exposed.contains("x-request-id") && exposed.contains("retry-after"), "{exposed}");
    }
    let preflight = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    for path in ["/api/auth/profile", "/api/auth/profile/"] {
        let answer = server.send(Method::OPTIONS, path, &preflight, None).await;
        assert!(answer.status.is_success());
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert!(answer.header("access-control-allow-methods").unwrap().contains("PUT"));
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
        assert!(answer.header("x-request-id").is_some());
    }
}
