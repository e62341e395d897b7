//! The lengths of texts: the server enforces what the OpenAPI document says, and its errors name the limit.

use std::collections::BTreeMap;

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{Answer, PHONE, TestServer, service::Service},
};

/// The members of a request with a `minLength` or `maxLength`, and its value.
async fn bounds(server: &TestServer, request: &str, bound: &str) -> Vec<(String, usize)> {
    let document = server.get("/api/openapi.json").await;
    let schemas = document.at("/components/schemas");
    let whole = &schemas[request];
    // A request that is one of two schemas has the members of both.
    let kinds = whole["oneOf"].as_array().into_iter().flatten();
    let kinds = kinds.map(|kind| &schemas[kind["$ref"].as_str().unwrap().rsplit('/').next().unwrap()]);
    let members = std::iter::once(whole).chain(kinds).filter_map(|schema| schema["properties"].as_object());
    let bounds: BTreeMap<String, usize> = members
        .flatten()
        .filter_map(|(name, schema)| Some((name.clone(), usize::try_from(schema[bound].as_u64()?).ok()?)))
        .collect();
    bounds.into_iter().collect()
}

/// A body with a text of this length in this member. `login` takes a password only beside a username.
fn body(request: &str, member: &str, length: usize) -> Value {
    let letter = if member.starts_with("phone") { "1" } else { "a" };
    let mut body = json!({member: letter.repeat(length)});
    if (request, member) == ("LoginRequest", "password") {
        body["username"] = json!("gaurav");
    } else if member == "challenge_response" {
        body["phone_number"] = json!(PHONE);
    }
    body
}

/// The error messages about a member.
fn sentences(answer: &Answer, member: &str) -> String {
    answer.at(&format!("/error/fields/{member}")).to_string()
}

const REQUESTS: [(&str, Method, &str); 12] = [
    ("SignupRequest", Method::POST, "/api/auth/signup"),
    ("LoginRequest", Method::POST, "/api/auth/login"),
    ("VerifyRequest", Method::POST, "/api/auth/verify-otp"),
    ("ChangePhoneRequest", Method::POST, "/api/auth/change-phone"),
    ("CompleteProfileRequest", Method::POST, "/api/auth/complete-profile"),
    ("ChangeProfileRequest", Method::PUT, "/api/auth/profile"),
    ("RegisterRequest", Method::POST, "/api/auth/register"),
    ("RegisterAccountRequest", Method::POST, "/api/register"),
    ("TokenRequest", Method::POST, "/api/token"),
    ("PasswordRequest", Method::POST, "/api/auth/password"),
    ("DashboardRequest", Method::POST, "/api/dashboard"),
    ("StartVerificationRequest", Method::POST, "/api/verifications"),
];

on_both! {
    async fn what_the_document_calls_too_long_is_refused_and_the_error_says_how_long_it_may_be(server: TestServer) {
        let (user, key) = (server.sign_in(PHONE).await.access, Service::new(&server, "shop").await.key);
        let server = server.without_limits().await;
        let mut looked_at = 0;
        for (request, method, path) in REQUESTS {
            let token = if path == "/api/verifications" { &key } else { &user };
            for (member, most) in bounds(&server, request, "maxLength").await {
                looked_at += 1;
                let send = async |length: usize| {
                    server.send_as(token, method.clone(), path, body(request, &member, length)).await
                };
                let answer = send(most + 1).await;
                answer.assert_error(422, "validation_failed");
                let says = sentences(&answer, &member);
                assert!(says.contains(&most.to_string()), "{request}.{member} of {}: {}", most + 1, answer.text);
                let says = sentences(&send(most).await, &member);
                assert!(!says.contains(&most.to_string()), "{request}.{member} of {most}: {says}");
            }
        }
        assert!(looked_at > 20, "{looked_at}");
    }

    async fn what_the_document_calls_too_short_is_refused(server: TestServer) {
        let (user, key) = (server.sign_in(PHONE).await.access, Service::new(&server, "shop").await.key);
        let server = server.without_limits().await;
        let mut looked_at = 0;
        for (request, method, path) in REQUESTS {
            let token = if path == "/api/verifications" { &key } else { &user };
            for (member, least) in bounds(&server, request, "minLength").await {
                looked_at += 1;
                let answer = server.send_as(token, method.clone(), path, body(request, &member, least - 1)).await;
                answer.assert_error(422, "validation_failed");
                assert_ne!(sentences(&answer, &member), "null", "{request}.{member} of {}", least - 1);
            }
        }
        assert!(looked_at > 5, "{looked_at}");
    }

    async fn names_are_as_short_as_the_setting_says(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for (least, taken, refused) in [("1", vec!["王", "Bo"], vec![""]), ("2", vec!["王明", "Bo", "Li"], vec!["王"]),
            ("3", vec!["Ana"], vec!["王明", "Bo", "Li"]), ("10", vec!["Gaurav Kum"], vec!["Gaurav Ku"])] {
            let server = server.second_server(&[("NAME_MIN_CHARACTERS", least)]).await;
            let name = async |name: &str| {
                server.send_as(&token, Method::PUT, "/api/auth/profile", json!({"name": name})).await
            };
            for text in taken {
                assert_eq!(name(text).await.assert_ok().at("/name"), json!(text));
            }
            for text in refused {
                let answer = name(text).await;
                answer.assert_error(422, "validation_failed");
                let says = answer.text_at("/error/fields/name/0");
                assert!(says.starts_with(&format!("Name must be at least {least} character")), "{says}");
            }
            let document = server.get("/api/openapi.json").await;
            for request in ["CompleteProfileRequest", "ChangeProfileRequest"] {
                let schema = document.at(&format!("/components/schemas/{request}/properties/name"));
                assert_eq!(schema["minLength"], json!(least.parse::<u64>().unwrap()), "{request}");
            }
        }
    }

    async fn names_hold_the_marks_of_their_scripts(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for text in ["བསོད་ནམས", "\u{2018}Abd al-Rahman", "Gal·la Miralles", "ジョン・スミス", "ז׳בוטינסקי", "卡尔·马克思"] {
            let answer = server.send_as(&token, Method::PUT, "/api/auth/profile", json!({"name": text})).await;
            assert_eq!(answer.assert_ok().at("/name"), Value::from(text));
        }
    }
}
