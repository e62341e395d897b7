//! The end of a server: it is not ready first, serves on for a while, and ends what it began.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::{
    server::{Folder, Server},
    support::{PHONE, wait_until},
};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A connection of its own, as a load balancer makes for each check.
async fn new_connection(server: &Server, path: &str) -> Result<StatusCode, reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    Ok(client.get(format!("{}{path}", server.base)).send().await?.status())
}

// It waits in real time: the delay is one of a process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_is_not_ready_first_and_serves_on_for_a_while() {
    let folder = Folder::new();
    let mut server = Server::start(&folder, &[("SHUTDOWN_DELAY_SECONDS", "3")]).await;
    server.terminate();
    let not_ready = async || {
        let status = new_connection(&server, "/api/health/ready").await.expect("it takes connections");
        status == StatusCode::SERVICE_UNAVAILABLE
    };
    wait_until("it is not ready", not_ready).await;
    assert_eq!(new_connection(&server, "/api/health").await.expect("it takes connections"), StatusCode::OK);
    server.signup(PHONE).await.ok();
    let answer = server.get("/api/health/ready").await;
    assert_eq!(answer.text("/message"), "This server is stopping");
    assert!(server.ended().await.success());
    assert!(new_connection(&server, "/api/health").await.is_err());
    let log = server.log();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text} is not in {log}"));
    assert!(at("serving on for a while") < at("requests in progress are completed"));
    assert!(!log.contains("ERROR"), "that it is not ready is no error: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_delay() {
    let folder = Folder::new();
    let mut server = Server::start(&folder, &[("SHUTDOWN_DELAY_SECONDS", "120")]).await;
    server.terminate();
    wait_until("it stops", async || server.log().contains("serving on for a while")).await;
    server.terminate();
    assert!(server.ended().await.success());
}

// The provider is slow in real time, because the process waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_client_has_gone_is_sent_to_its_end() {
    let provider = MockServer::start().await;
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(2));
    Mock::given(any()).respond_with(slow).mount(&provider).await;
    let folder = Folder::new();
    let mut server = Server::start(
        &folder,
        &[
            ("SMS_PROVIDERS", "*=webhook"),
            ("SMS_WEBHOOK_URL", &provider.uri()),
            ("SMS_WEBHOOK_SECRET", SECRET),
            ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
        ],
    )
    .await;
    let impatient = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = impatient.post(format!("{}/api/auth/signup", server.base));
    let request = tokio::spawn(request.json(&json!({ "phone_number": PHONE })).send());
    let is_asked = async || !provider.received_requests().await.unwrap_or_default().is_empty();
    wait_until("the provider is asked", is_asked).await;
    request.abort();
    drop(impatient);
    let _ = request.await;
    server.terminate();
    assert!(server.ended().await.success());
    let log = server.log();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text} is not in {log}"));
    assert!(at("message taken") < at("stopped"), "{log}");
}
