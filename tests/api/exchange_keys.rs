//! The published keys of an issuer: when they are fetched, how long they are kept, and what happens while there are none.

use std::time::Duration;

use futures_util::future::join_all;
use loopin_auth::commands::keys::KeyAlgorithm;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::{
    on_both,
    support::{
        Answer, PHONE, TestServer,
        issuer::{Issuer, phone_claims, signed_by_key},
        keys::KeyFile,
    },
};

/// A token that this key signs.
async fn by(server: &TestServer, key: &KeyFile) -> Answer {
    server.exchange(&signed_by_key(key, &phone_claims(server, PHONE))).await
}

fn broken() -> [(&'static str, ResponseTemplate); 7] {
    let huge = json!({ "keys": [], "more": "x".repeat(70_000) });
    [
        ("an error", ResponseTemplate::new(500)),
        ("a page", ResponseTemplate::new(200).set_body_raw("<html>Sign in to the Wi-Fi</html>", "text/html")),
        ("a redirect", ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1/jwks")),
        ("too long", ResponseTemplate::new(200).set_body_json(huge)),
        ("no set", ResponseTemplate::new(200).set_body_json(json!([1]))),
        ("an empty set", ResponseTemplate::new(200).set_body_json(json!({ "keys": [] }))),
        (
            "a secret",
            ResponseTemplate::new(200).set_body_json(json!({ "keys": [{"kty": "oct", "k": "AAAA"}] })),
        ),
    ]
}

on_both! {
    async fn many_requests_at_once_fetch_the_keys_once(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        assert_eq!(issuer.fetches().await, 0);
        let answers = join_all((0..20).map(|_| by(&server, &issuer.key))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(issuer.fetches().await, 1);
        assert!(server.services.metrics.text().contains("loopin_issuer_keys_total{issuer=\"phones\",outcome=\"fetched\"} 1"));
    }

    async fn a_key_that_is_not_known_asks_at_most_once_a_minute(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[("RATE_LIMITS_ENABLED", "false")]).await;
        by(&server, &issuer.key).await.assert_ok();
        let (next, stranger) = (KeyFile::new(KeyAlgorithm::Es256), KeyFile::new(KeyAlgorithm::Es256));
        issuer.publish(&[&issuer.key, &next]);
        // The keys were fetched in this minute.
        by(&server, &next).await.assert_error(401, "token_invalid");
        server.advance(60);
        for answer in join_all((0..10).map(|_| by(&server, &next))).await {
            answer.assert_ok();
        }
        assert_eq!(issuer.fetches().await, 2);
        for _ in 0..10 {
            by(&server, &stranger).await.assert_error(401, "token_invalid");
        }
        assert_eq!(issuer.fetches().await, 2);
        server.advance(60);
        join_all((0..10).map(|_| by(&server, &stranger))).await;
        assert_eq!(issuer.fetches().await, 3);
        by(&server, &issuer.key).await.assert_ok();
        // The old key is gone an hour later.
        issuer.publish(&[&next]);
        server.advance(3_600);
        by(&server, &next).await.assert_ok();
        by(&server, &issuer.key).await.assert_error(401, "token_invalid");
    }

    async fn keys_are_kept_for_a_day_while_the_issuer_is_away(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        by(&server, &issuer.key).await.assert_ok();
        issuer.answer(ResponseTemplate::new(500));
        server.advance(3_600);
        join_all((0..10).map(|_| by(&server, &issuer.key))).await.iter().for_each(|answer| {
            answer.assert_ok();
        });
        assert_eq!(issuer.fetches().await, 2);
        server.advance(86_399 - 3_600);
        by(&server, &issuer.key).await.assert_ok();
        // Whether an unknown key is the issuer's cannot be said.
        let unknown = by(&server, &KeyFile::new(KeyAlgorithm::Es256)).await;
        unknown.assert_error(503, "issuer_unavailable");
        server.advance(1);
        by(&server, &issuer.key).await.assert_error(503, "issuer_unavailable");
        issuer.publish(&[&issuer.key]);
        server.advance(5);
        by(&server, &issuer.key).await.assert_ok();
    }

    async fn without_keys_nobody_comes_in_and_one_request_in_five_seconds_asks(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        for (count, (why, answer)) in (1..).zip(broken()) {
            issuer.answer(answer);
            for refused in join_all((0..5).map(|_| by(&server, &issuer.key))).await {
                assert_eq!(refused.text_at("/error/code"), "issuer_unavailable", "{why}: {}", refused.text);
                refused.assert_error(503, "issuer_unavailable");
                assert_eq!(refused.at("/error/retry_after"), json!(5), "{why}");
            }
            by(&server, &issuer.key).await.assert_error(503, "issuer_unavailable");
            assert_eq!(issuer.fetches().await, count, "{why}");
            server.advance(5);
        }
        // None of it was the clients' fault, so nothing was counted, and the same token is taken later.
        let token = issuer.proves(&server, PHONE);
        server.exchange(&token).await.assert_error(503, "issuer_unavailable");
        issuer.publish(&[&issuer.key]);
        server.advance(5);
        server.exchange(&token).await.assert_ok();
    }
}

// In real time, because the deadline is that of the HTTP client: three seconds.
on_both! {
    async fn a_slow_issuer_is_not_waited_for(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        issuer.answer(ResponseTemplate::new(200).set_delay(Duration::from_secs(20)));
        let began = tokio::time::Instant::now();
        for answer in join_all((0..5).map(|_| by(&server, &issuer.key))).await {
            answer.assert_error(503, "issuer_unavailable");
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!(issuer.fetches().await, 1);
    }
}
