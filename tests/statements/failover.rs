//! What several providers cost: nothing for a first code that the first provider takes, and nothing at all where a country has one.

use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::support::{TestServer, proxy::Proxy};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn answer(stub: &MockServer, answer: ResponseTemplate) {
    stub.reset().await;
    Mock::given(any()).respond_with(answer).mount(stub).await;
}

fn accepted() -> ResponseTemplate {
    let sid = "SM0123456789abcdef0123456789abcdef";
    ResponseTemplate::new(201).set_body_json(json!({ "sid": sid, "status": "queued" }))
}

/// The round trips of a sign-up: the first one, a resend, and one that the first provider refuses.
async fn measure(list: &str) -> Option<Vec<(u16, u64)>> {
    let (twilio, webhook) = (MockServer::start().await, MockServer::start().await);
    answer(&webhook, ResponseTemplate::new(200)).await;
    let (of_twilio, of_webhook) = (twilio.uri(), webhook.uri());
    let settings = [
        // One connection, so that a statement is prepared once.
        ("DATABASE_MAX_CONNECTIONS", "1"),
        ("SMS_PROVIDERS", list),
        ("TWILIO_TEST_MODE", "false"),
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "the auth token of the tests"),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ("TWILIO_API_BASE_URL", of_twilio.as_str()),
        ("SMS_WEBHOOK_URL", of_webhook.as_str()),
        ("SMS_WEBHOOK_SECRET", SECRET),
        ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
    ];
    let (server, proxy) = TestServer::behind_proxy(&settings).await?;
    let mut counted = Vec::new();
    // The first round prepares every statement.
    for round in 1..=2 {
        counted.clear();
        answer(&twilio, accepted()).await;
        let phone = format!("+91987654321{round}");
        counted.push(sign_up(&server, &proxy, &phone).await);
        server.advance(30);
        counted.push(sign_up(&server, &proxy, &phone).await);
        answer(&twilio, ResponseTemplate::new(401)).await;
        counted.push(sign_up(&server, &proxy, &format!("+91987654331{round}")).await);
    }
    Some(counted)
}

async fn sign_up(server: &TestServer, proxy: &Proxy, phone: &str) -> (u16, u64) {
    // As background tasks do.
    loopin_auth::flows::blocks::refresh(&server.services).await.expect("the blocks are read");
    server.settle().await;
    server.services.audit.flush().await.expect("the entries are written");
    let before = proxy.round_trips();
    let answer = server.signup(phone).await;
    (answer.status.as_u16(), proxy.round_trips() - before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_provider_costs_only_where_it_is_needed() {
    let Some(one) = measure("*=twilio").await else { return };
    assert_eq!(one, [(200, 3), (200, 3), (502, 6)]);
    let two = measure("*=twilio,webhook").await.expect("there is a PostgreSQL");
    assert_eq!(two, [(200, 3), (200, 5), (200, 6)]);
}
