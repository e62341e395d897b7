//! Random bodies and headers for every operation of the OpenAPI document: an error is an envelope, and never a 5xx.

use std::cell::RefCell;

use loopin_auth::app;
use poem::http::Method;
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::{
    holds_on_server,
    support::{Answer, PHONE, TestServer},
};

/// An operation that takes JSON: its method and path, and the members of its body.
#[derive(Debug, Clone)]
struct Operation {
    method: Method,
    path: String,
    members: Vec<String>,
}

/// Every operation with a body, from the document, so that a new operation is tested too.
async fn operations() -> Vec<Operation> {
    let server = TestServer::on(crate::support::Database::Sqlite).await;
    let document = app::document(&server.services);
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(schema) =
                schema.as_str().and_then(|name| document.pointer(name.trim_start_matches('#')))
            else {
                continue;
            };
            // A request that is one of two schemas has the members of both.
            let kinds = schema["oneOf"].as_array().into_iter().flatten();
            let kinds =
                kinds.filter_map(|kind| document.pointer(kind["$ref"].as_str()?.trim_start_matches('#')));
            let all = std::iter::once(schema).chain(kinds);
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.replace("{id}", "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11"),
                members: all
                    .filter_map(|schema| schema["properties"].as_object())
                    .flat_map(|members| members.keys().cloned())
                    .collect(),
            });
        }
    }
    assert!(operations.len() >= 15, "{operations:?}");
    operations
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "\\+91[6-9][0-9]{9}".prop_map(Value::from),
        "[0-9]{4}".prop_map(Value::from),
        "[a-z]{3,12}@?[a-z.]{0,9}".prop_map(Value::from),
        "\\PC{8,40}".prop_map(Value::from),
        prop::sample::select(vec![
            "1995-01-01",
            "male",
            "sms",
            "android",
            "https://example.com/a.jpg",
            "\u{0}",
            ""
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("\\PC{0,8}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn assert_sound(answer: &Answer, what: &str) -> Result<(), TestCaseError> {
    let status = answer.status.as_u16();
    prop_assert!((200..500).contains(&status), "{what}: {status} {}", answer.text);
    if status >= 400 {
        let body = answer.json();
        prop_assert_eq!(&body["success"], &Value::Bool(false), "{}: {}", what, answer.text);
        prop_assert!(
            body["error"]["code"].is_string() && body["message"].is_string(),
            "{what}: {}",
            answer.text
        );
        prop_assert!(body["data"].is_null() && body["token"].is_null(), "{what}: {}", answer.text);
    }
    prop_assert!(answer.header("x-request-id").is_some(), "{what}");
    Ok(())
}

/// Without limits, which would answer before the body is read.
const OPEN: [(&str, &str); 2] = [("RATE_LIMITS_ENABLED", "false"), ("OTP_RESEND_SECONDS", "0")];

fn all_operations() -> Vec<Operation> {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(operations())
}

/// A token of a signed-in user. If the last request ended the session, a new one.
async fn token(server: &TestServer, kept: &RefCell<String>) -> String {
    let known = kept.borrow().clone();
    if !known.is_empty() && server.get_as(&known, "/api/auth/profile").await.status == 200 {
        return known;
    }
    let token = server.sign_in(PHONE).await.access;
    kept.replace(token.clone());
    token
}

#[test]
fn a_member_of_a_body_may_be_anything() {
    let kept = RefCell::new(String::new());
    let operation = prop::sample::select(all_operations());
    let values = prop::collection::vec(prop::option::weighted(0.8, json()), 12);
    holds_on_server(&OPEN, 600, &(operation, values), async |server, (operation, values)| {
        let token = token(server, &kept).await;
        let members =
            operation.members.iter().zip(values).filter_map(|(name, value)| Some((name.clone(), value?)));
        let body = Value::Object(members.collect());
        let answer = server.send_as(&token, operation.method.clone(), &operation.path, body).await;
        assert_sound(&answer, &operation.path)
    });
}

#[test]
fn a_body_may_be_anything() {
    let kept = RefCell::new(String::new());
    let operation = prop::sample::select(all_operations());
    let body = prop_oneof![
        json()
            .prop_filter("an object is a body", |value| !value.is_object())
            .prop_map(|value| value.to_string()),
        any::<String>(),
        "[\\[\\]{}\":,0-9a-z\\\\ ]{0,60}",
    ];
    holds_on_server(&OPEN, 400, &(operation, body), async |server, (operation, body)| {
        prop_assume!(serde_json::from_str::<Map<String, Value>>(&body).is_err());
        let bearer = format!("Bearer {}", token(server, &kept).await);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = server.send(operation.method.clone(), &operation.path, &headers, Some(body)).await;
        assert_sound(&answer, &operation.path)?;
        // An optional body may also be empty. A user without the right, and an unsigned report, learn nothing about errors in
        // the body.
        let is_guarded = ["/api/abuse/", "/api/admin/"].iter().any(|path| operation.path.starts_with(path))
            || operation.path.contains("/status")
            || operation.path == "/api/users";
        // A user's token is no API key.
        let needs_key = ["/api/verifications", "/api/auth/introspect"]
            .iter()
            .any(|path| operation.path.starts_with(path));
        let is_refused = is_guarded && answer.status == 403 || needs_key && answer.status == 401;
        prop_assert!(
            answer.status == 400 || is_refused || operation.path == "/api/auth/logout",
            "{}: {}",
            operation.path,
            answer.text
        );
        Ok(())
    });
}

#[test]
fn headers_may_be_anything() {
    let text = || {
        prop_oneof![
            "[\\x20-\\x7e]{0,80}",
            "([a-z]{1,8}(-[A-Za-z0-9]{1,8}){0,3}(;q=[0-9.]{1,5})?, ?){0,6}",
            "([0-9]{1,3}(\\.[0-9]{1,3}){3}(:[0-9]{1,5})?, ?){0,5}",
            "\\[?[0-9a-f:.%]{0,45}\\]?(:[0-9]{0,6})?",
            "[a-z0-9.\\-]{0,60}(:[0-9]{0,6})?",
        ]
    };
    let settings = [&OPEN[..], &[("TRUSTED_PROXIES", "10.0.0.0/8,::1")]].concat();
    let headers = (text(), text(), text(), text());
    holds_on_server(&settings, 400, &headers, async |server, (language, host, forwarded, agent)| {
        let headers = [
            ("content-type", "application/json"),
            ("accept-language", &language),
            ("host", &host),
            ("x-forwarded-for", &forwarded),
            ("user-agent", &agent),
            ("x-request-id", &agent),
            ("x-device-name", &language),
        ];
        let body = serde_json::json!({ "phone_number": PHONE }).to_string();
        let answer = server.send(Method::POST, "/api/auth/signup", &headers, Some(body)).await;
        assert_sound(&answer, "signup")?;
        // In dev an empty list of hosts allows any, but a malformed host is refused. Malformed languages and device names do
        // not stop the message.
        if answer.status.as_u16() == 400 {
            prop_assert!(answer.text_at("/message").contains("Host"), "{}", answer.text);
        } else {
            prop_assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        }
        Ok(())
    });
}
