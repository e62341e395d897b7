//! `kill -9` under load, and a graceful stop.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use loopin_auth::store::{DatabaseSettings, Store};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::{
    server::{Folder, SECRETS, Server},
    support::{OTHER_PHONE, PHONE, postgres, wrong},
};

async fn store(url: &str) -> Store {
    let acquire_timeout = Duration::from_secs(30);
    let settings = DatabaseSettings { url: url.into(), max_connections: 1, acquire_timeout, pooler: None };
    Store::connect(&settings).await.expect("the URL is right")
}

/// Runs a statement directly on the database.
pub async fn execute(url: &str, sql: &str) {
    let store = store(url).await;
    store.execute_unprepared(sql).await.expect("the statement runs");
    store.close().await;
}

/// Reads one number directly from the database.
pub async fn count(url: &str, sql: &str) -> i64 {
    let store = store(url).await;
    let statement = Statement::from_string(store.get_database_backend(), sql.to_owned());
    let row = store.query_one_raw(statement).await.expect("the statement runs").expect("a row");
    store.close().await;
    row.try_get_by_index(0).expect("a number")
}

/// Signs up and verifies. `None` if the server was killed before it answered.
async fn sign_in(server: &Server, phone: &str) -> Option<(String, String)> {
    let body = json!({ "phone_number": phone });
    server.try_send(Method::POST, "/api/auth/signup", None, Some(body)).await.ok()?;
    let inbox = format!("/dev/inbox.json?phone_number={}", phone.replace('+', "%2B"));
    let code = server.try_send(Method::GET, &inbox, None, None).await.ok()?.text("/messages/0/otp_code");
    let body = json!({ "phone_number": phone, "otp_code": code });
    let answer = server.try_send(Method::POST, "/api/auth/verify-otp", None, Some(body)).await.ok()?;
    (answer.status == StatusCode::OK).then(|| (answer.text("/token"), answer.text("/data/user_id")))
}

async fn a_kill_in_the_middle_of_a_load_loses_nothing(url: &str) {
    let folder = Folder::new();
    // All requests come from one address.
    let load = [("DATABASE_URL", url), ("OTP_RESEND_SECONDS", "0"), ("RATE_LIMITS_ENABLED", "false")];
    let settings = [SECRETS.as_slice(), &load].concat();
    let mut server = Server::start(&folder, &settings).await;
    server.signup(PHONE).await.ok();
    let code = server.code_for(PHONE).await;
    for _ in 0..2 {
        assert_eq!(server.verify_otp(PHONE, &wrong(&code)).await.code(), "otp_invalid");
    }

    let phones: Vec<String> = (1000..1200).map(|number| format!("+91981110{number}")).collect();
    let answered = Arc::new(Mutex::new(Vec::new()));
    let load = {
        let (server, answered) = (&server, &answered);
        futures_util::future::join_all((0..20_usize).map(|lane| {
            let phones = phones.iter().skip(lane).step_by(20);
            async move {
                for phone in phones {
                    let Some(tokens) = sign_in(server, phone).await else { return };
                    answered.lock().unwrap().push(tokens);
                }
            }
        }))
    };
    let enough = async {
        while answered.lock().unwrap().len() < 40 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // The clients stop too, in the middle of their requests.
    tokio::select! {
        _ = load => panic!("the load was over before the server was killed"),
        () = enough => {}
    }
    server.kill();

    let server = Server::start(&folder, &settings).await;
    let answered = std::mem::take(&mut *answered.lock().unwrap());
    assert!(answered.len() >= 40);
    for (token, user_id) in answered {
        let profile = server.get_as(&token, "/api/auth/profile").await.ok();
        assert_eq!(profile.text("/user/id"), user_id);
    }
    let answer = server.verify_otp(PHONE, &wrong(&code)).await;
    assert_eq!(answer.body["error"]["attempts_remaining"], json!(0), "{}", answer.body);
    assert_eq!(server.verify_otp(PHONE, &code).await.code(), "otp_attempts_exhausted");
    for phone in phones.iter().chain([&PHONE.to_owned()]) {
        sign_in(&server, phone).await.expect("every phone can go on");
    }
    let accounts = i64::try_from(phones.len() + 1).unwrap();
    assert_eq!(count(url, "SELECT COUNT(*) FROM accounts").await, accounts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_a_load_loses_nothing_on_sqlite() {
    let folder = Folder::new();
    let url = format!("sqlite://{}", folder.0.join("killed.sqlite3").display());
    a_kill_in_the_middle_of_a_load_loses_nothing(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_a_load_loses_nothing_on_postgres() {
    if postgres::is_there() {
        a_kill_in_the_middle_of_a_load_loses_nothing(&postgres::new_database().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_is_answered_before_a_polite_stop() {
    let twilio = MockServer::start().await;
    let taken = ResponseTemplate::new(201)
        .set_delay(Duration::from_millis(1500))
        .set_body_json(json!({"sid": "SM00000000000000000000000000000001", "status": "queued"}));
    Mock::given(any()).respond_with(taken).mount(&twilio).await;
    let url = twilio.uri();
    let settings = [
        ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
        ("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
        ("TWILIO_API_BASE_URL", url.as_str()),
    ];
    let folder = Folder::new();
    let mut server = Server::start(&folder, &settings).await;
    let stop = async {
        while twilio.received_requests().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.terminate();
    };
    let (answer, ()) = tokio::join!(server.signup(OTHER_PHONE), stop);
    answer.ok();
    let status = server.ended().await;
    assert!(status.success(), "{status}: {}", server.log());
    let database = format!("sqlite://{}", folder.0.join("loopin-auth.sqlite3").display());
    assert_eq!(count(&database, "SELECT COUNT(*) FROM messages WHERE status = 'queued'").await, 1);
}
