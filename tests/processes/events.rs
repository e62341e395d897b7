//! Events and `kill -9`: none is lost, and none tells what did not happen.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::{
    crashes::{count, execute},
    server::{Folder, SECRETS, Server, run},
    support::{postgres, wait_until},
};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Signs up and verifies. `None` if the server was killed before it answered.
async fn sign_in(server: &Server, phone: &str) -> Option<String> {
    let body = json!({ "phone_number": phone });
    server.try_send(Method::POST, "/api/auth/signup", None, Some(body)).await.ok()?;
    let inbox = format!("/dev/inbox.json?phone_number={}", phone.replace('+', "%2B"));
    let code = server.try_send(Method::GET, &inbox, None, None).await.ok()?.text("/messages/0/otp_code");
    let body = json!({ "phone_number": phone, "otp_code": code });
    let answer = server.try_send(Method::POST, "/api/auth/verify-otp", None, Some(body)).await.ok()?;
    (answer.status == StatusCode::OK).then(|| answer.text("/data/user_id"))
}

/// The payloads that came, each once, in the order of their first try.
async fn taken(receiver: &MockServer) -> Vec<Value> {
    let mut known = HashSet::new();
    let requests = receiver.received_requests().await.unwrap();
    let new = requests.iter().filter(|request| known.insert(request.headers["webhook-id"].clone()));
    new.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

async fn no_event_is_lost_by_a_kill(url: &str) {
    let receiver = MockServer::start().await;
    // So slow that most events are not sent when the server is killed.
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_millis(300));
    Mock::given(any()).respond_with(slow).mount(&receiver).await;
    let folder = Folder::new();
    let uri = receiver.uri();
    let load = [
        ("DATABASE_URL", url),
        ("RATE_LIMITS_ENABLED", "false"),
        ("EVENTS_URL", uri.as_str()),
        ("EVENTS_SECRET", SECRET),
        ("HOOKS_ALLOW_PRIVATE_NETWORKS", "true"),
    ];
    let settings = [SECRETS.as_slice(), &load].concat();
    let mut server = Server::start(&folder, &settings).await;
    let phones: Vec<String> = (1000..1060).map(|number| format!("+91981110{number}")).collect();
    let lanes = futures_util::future::join_all((0..6_usize).map(|lane| {
        let (server, phones) = (&server, phones.iter().skip(lane).step_by(6));
        async move {
            for phone in phones {
                if sign_in(server, phone).await.is_none() {
                    return;
                }
            }
        }
    }));
    let some = wait_until("events were sent", async || taken(&receiver).await.len() >= 16);
    tokio::select! {
        _ = lanes => {}
        () = some => {}
    }
    server.kill();
    let accounts = count(url, "SELECT COUNT(*) FROM accounts").await;
    let waiting = count(url, "SELECT COUNT(*) FROM outbox").await;
    assert!(accounts > 0 && waiting > 0, "{accounts} accounts, {waiting} events");

    let listed = run(&folder, &["events", "list", "--json"], &settings);
    assert!(listed.status.success(), "{}", listed.err);
    assert_eq!(listed.out.lines().count(), usize::try_from(waiting).unwrap().min(100));

    // As after half a minute.
    execute(url, "DELETE FROM leases").await;
    let server = Server::start(&folder, &settings).await;
    wait_until("all events were sent", async || count(url, "SELECT COUNT(*) FROM outbox").await == 0).await;
    let mut of_users: HashMap<String, Vec<String>> = HashMap::new();
    let mut leads = 0;
    for event in taken(&receiver).await {
        let kind = event["type"].as_str().unwrap().to_owned();
        match event["data"]["user_id"].as_str() {
            Some(user) => of_users.entry(user.to_owned()).or_default().push(kind),
            None => leads += 1,
        }
    }
    assert_eq!(leads, count(url, "SELECT COUNT(*) FROM leads").await);
    assert_eq!(i64::try_from(of_users.len()).unwrap(), count(url, "SELECT COUNT(*) FROM accounts").await);
    for (user, kinds) in &of_users {
        assert_eq!(kinds, &["user.created", "lead.converted", "session.started"], "{user}");
    }
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_by_a_kill_on_sqlite() {
    let folder = Folder::new();
    let url = format!("sqlite://{}", folder.0.join("killed.sqlite3").display());
    no_event_is_lost_by_a_kill(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_by_a_kill_on_postgres() {
    if postgres::is_there() {
        no_event_is_lost_by_a_kill(&postgres::new_database().await).await;
    }
}
