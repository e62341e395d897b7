//! Flood control: too many requests from one address are refused before the database is read.

use chrono::Duration;
use poem::http::Method;
use serde_json::json;

use crate::{
    on_both,
    support::{Answer, TestServer},
};

const CHEAP: &str = "/api/auth/event-interests";

/// A server that allows an address three requests at once, and then two a second.
async fn guarded(server: &TestServer) -> TestServer {
    server.second_server(&[("GUARD_REQUESTS_PER_SECOND", "2"), ("GUARD_BURST", "3")]).await
}

#[track_caller]
fn is_shed(answer: &Answer) {
    answer.assert_error(429, "rate_limited");
    assert_eq!(answer.at("/error/retry_after"), json!(1), "{}", answer.text);
    assert_eq!(answer.header("ratelimit"), Some("\"guard\";r=0;t=1"));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"guard\";q=3;w=2"));
    assert!(answer.header("x-request-id").is_some());
}

on_both! {
    async fn the_fourth_at_once_is_refused_and_half_a_second_later_one_more_is_let_through(server: TestServer) {
        let server = guarded(&server).await;
        for _ in 0..3 {
            let answer = server.get(CHEAP).await;
            answer.assert_ok();
            assert_eq!(answer.header("ratelimit"), None);
            assert_eq!(answer.header("ratelimit-policy"), None);
        }
        is_shed(&server.get(CHEAP).await);
        server.clock.advance(Duration::milliseconds(499));
        is_shed(&server.get(CHEAP).await);
        server.clock.advance(Duration::milliseconds(1));
        server.get(CHEAP).await.assert_ok();
        is_shed(&server.get(CHEAP).await);
        server.advance(1);
        server.get(CHEAP).await.assert_ok();
        server.get(CHEAP).await.assert_ok();
        is_shed(&server.get(CHEAP).await);
    }

    async fn two_addresses_do_not_disturb_each_other(server: TestServer) {
        let server = guarded(&server).await;
        let (one, other) = (server.from("203.0.113.7"), server.from("203.0.113.8"));
        for _ in 0..3 {
            one.get(CHEAP).await.assert_ok();
        }
        is_shed(&one.get(CHEAP).await);
        for _ in 0..3 {
            other.get(CHEAP).await.assert_ok();
        }
        is_shed(&other.get(CHEAP).await);
    }

    async fn a_subscriber_of_ipv6_is_one_and_so_is_an_ipv4_address_in_disguise(server: TestServer) {
        let server = guarded(&server).await;
        for address in ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:3:4:5:6"] {
            server.from(address).get(CHEAP).await.assert_ok();
        }
        is_shed(&server.from("2001:db8:1:2:ffff:ffff:ffff:ffff").get(CHEAP).await);
        server.from("2001:db8:1:3::1").get(CHEAP).await.assert_ok();
        for address in ["203.0.113.7", "::ffff:203.0.113.7", "[::ffff:203.0.113.7]:80"] {
            server.from(address).get(CHEAP).await.assert_ok();
        }
        is_shed(&server.from("203.0.113.7").get(CHEAP).await);
    }

    async fn a_forged_address_is_no_way_around_it(server: TestServer) {
        let settings =
            [("GUARD_REQUESTS_PER_SECOND", "2"), ("GUARD_BURST", "3"), ("TRUSTED_PROXIES", "")];
        let server = server.second_server(&settings).await;
        for number in 0..3 {
            server.from(format!("203.0.113.{number}")).get(CHEAP).await.assert_ok();
        }
        is_shed(&server.from("203.0.113.99").get(CHEAP).await);
    }

    async fn health_is_never_refused(server: TestServer) {
        let server = guarded(&server).await;
        for path in ["/api/health", "/api/health/", "/api/health/ready", "/api/health/ready/"] {
            for _ in 0..4 {
                server.get(path).await.assert_ok();
            }
        }
        // A refused request does not use up the budget either.
        for _ in 0..3 {
            server.get(CHEAP).await.assert_ok();
        }
        is_shed(&server.get(CHEAP).await);
        is_shed(&server.get("/api/healthy").await);
    }

    async fn everything_else_is_refused_before_it_is_looked_at(server: TestServer) {
        let server = guarded(&server).await;
        for _ in 0..3 {
            server.get("/nothing/here").await.assert_error(404, "not_found");
        }
        // Neither the database nor the body is read: both would have given another error.
        server.services.store.close().await;
        let json = [("content-type", "application/json")];
        let big = Some("x".repeat(100_000));
        for (method, path, headers, body) in [
            (Method::GET, "/", &[][..], None),
            (Method::GET, "/nothing/here", &[], None),
            (Method::DELETE, CHEAP, &[], None),
            (Method::POST, "/api/auth/signup", &json, Some("{".to_owned())),
            (Method::POST, "/api/auth/signup", &json, Some(json!({ "phone_number": "1" }).to_string())),
            (Method::POST, "/api/auth/verify-otp", &json, big),
            (Method::GET, "/api/auth/profile", &[("authorization", "Bearer junk")], None),
            (Method::GET, "/api/docs", &[], None),
            (Method::GET, "/dev/inbox.json", &[], None),
        ] {
            is_shed(&server.send(method, path, headers, body).await);
        }
    }

    async fn a_page_in_a_browser_may_read_that_it_was_refused(server: TestServer) {
        let origin = "https://app.example.com";
        let settings = [
            ("GUARD_REQUESTS_PER_SECOND", "2"),
            ("GUARD_BURST", "1"),
            ("CORS_ALLOWED_ORIGINS", origin),
        ];
        let server = server.second_server(&settings).await;
        server.get(CHEAP).await.assert_ok();
        let answer = server.send(Method::GET, CHEAP, &[("origin", origin)], None).await;
        answer.assert_error(429, "rate_limited");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        let exposed = answer.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
        for name in ["retry-after", "ratelimit", "ratelimit-policy", "x-request-id"] {
            assert!(exposed.split(',').any(|exposed| exposed.trim() == name), "{name} in {exposed}");
        }
    }

    async fn it_can_be_switched_off(server: TestServer) {
        for settings in [
            [("GUARD_REQUESTS_PER_SECOND", "0"), ("GUARD_BURST", "1"), ("RATE_LIMITS_ENABLED", "true")],
            [("GUARD_REQUESTS_PER_SECOND", "1"), ("GUARD_BURST", "1"), ("RATE_LIMITS_ENABLED", "false")],
        ] {
            let server = server.second_server(&settings).await;
            for _ in 0..20 {
                server.get(CHEAP).await.assert_ok();
            }
        }
    }
}
