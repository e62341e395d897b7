//! Behind a proxy, through a real socket.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{Folder, SECRETS, Server};

/// Registers through a proxy with this header. Returns the address of the session.
async fn address_of_session(server: &Server, name: &str, forwarded_for: Option<&str>) -> String {
    let email = format!("{name}@example.com");
    let body = json!({ "username": name, "email": email, "password": "purple-kettle-morning-71" });
    let mut request = server.client.post(format!("{}/api/auth/register", server.base)).json(&body);
    if let Some(value) = forwarded_for {
        request = request.header("x-forwarded-for", value);
    }
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::CREATED);
    let answer: Value = answer.json().await.expect("JSON");
    let token = answer["access"].as_str().expect("a token");
    server.get_as(token, "/api/auth/sessions").await.ok().text("/data/0/address")
}

async fn server(folder: &Folder, proxies: &str) -> Server {
    let mut settings = SECRETS.to_vec();
    settings.push(("TRUSTED_PROXIES", proxies));
    Server::start(folder, &settings).await
}

#[tokio::test]
async fn a_proxy_on_this_machine_says_who_asks() {
    let folder = Folder::new();
    let server = server(&folder, "127.0.0.1/32").await;
    let forwarded = "198.51.100.1, 203.0.113.7:4711";
    assert_eq!(address_of_session(&server, "asha", Some(forwarded)).await, "203.0.113.7");
    assert_eq!(address_of_session(&server, "gaurav", None).await, "127.0.0.1");
    assert!(!server.log().contains("a proxy seems to stand"), "{}", server.log());
}

#[tokio::test]
async fn a_proxy_that_nobody_named_is_not_believed_and_spoken_of_once() {
    let folder = Folder::new();
    let server = server(&folder, "").await;
    for name in ["asha", "gaurav"] {
        assert_eq!(address_of_session(&server, name, Some("203.0.113.7")).await, "127.0.0.1");
    }
    let log = server.log();
    assert_eq!(log.matches("a proxy seems to stand before the server").count(), 1, "{log}");
}
