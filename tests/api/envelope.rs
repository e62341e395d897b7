//! Every error about a request body has the one envelope.

use poem::{
    Body,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};

use crate::{
    on_both,
    support::{Answer, PHONE, TestServer, whole_profile},
};

/// Every operation that reads a body, and whether it needs a signed-in user.
const WITH_BODY: [(Method, &str, bool); 8] = [
    (Method::POST, "/api/auth/signup", false),
    (Method::POST, "/api/auth/login", false),
    (Method::POST, "/api/auth/verify-otp", false),
    (Method::POST, "/api/auth/verify-login", false),
    (Method::POST, "/api/auth/refresh", false),
    (Method::POST, "/api/auth/logout", false),
    (Method::POST, "/api/auth/complete-profile", true),
    (Method::PUT, "/api/auth/profile", true),
];

/// Sends bytes to every operation that reads a body, signed in where that is needed.
async fn send_everywhere(
    server: &TestServer,
    token: &str,
    headers: &[(&str, &str)],
    bytes: &[u8],
) -> Vec<(&'static str, Answer)> {
    let mut answers = Vec::new();
    for (method, path, is_gated) in WITH_BODY {
        let mut request = server.client.request(method, path).body(Body::from_vec(bytes.to_vec()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if is_gated {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.send().await.0;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.into_body().into_string().await.unwrap();
        answers.push((path, Answer { status, headers, text }));
    }
    answers
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

on_both! {
    async fn what_is_no_json_object_is_malformed(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        let deep = "[".repeat(60_000);
        for body in [
            &b"{"[..], b"nonsense", b"[]", b"[{}]", b"\"text\"", b"null", b"true", b"7", b"{} {}", b"{}x", b"{'a': 1}",
            b"{\"a\": 1,}", b"\xef\xbb\xbf{}", b"{\"a\": \"\xff\"}", b"\0", b"   ",
            // Unpaired surrogates, in a value and in a name.
            br#"{"phone_number": "\ud800"}"#, br#"{"phone_number": "+9162\udfff05829376"}"#, br#"{"\ud800": 1}"#,
            br#"{"other": ["\udc00\ud800"]}"#, deep.as_bytes(),
        ] {
            for (path, answer) in send_everywhere(&server, &token, &JSON, body).await {
                let shown = String::from_utf8_lossy(body).chars().take(40).collect::<String>();
                assert_eq!(answer.text_at("/error/code"), "malformed_request", "{path} {shown}: {}", answer.text);
                answer.assert_error(400, "malformed_request");
            }
        }
    }

    async fn an_empty_body_is_malformed_where_there_must_be_one(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for (path, answer) in send_everywhere(&server, &token, &JSON, b"").await {
            if path == "/api/auth/logout" {
                answer.assert_ok();
            } else {
                answer.assert_error(400, "malformed_request");
            }
        }
    }

    async fn only_json_is_read(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for content_type in [
            "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
            "application/jsonp", "application/json-patch+json", "application", "*/*", "json",
        ] {
            let headers = [("content-type", content_type)];
            for (path, answer) in send_everywhere(&server, &token, &headers, b"{}").await {
                assert_eq!(answer.text_at("/error/code"), "unsupported_media_type", "{path} {content_type}");
                answer.assert_error(415, "unsupported_media_type");
            }
        }
        for (_, answer) in send_everywhere(&server, &token, &[], b"{}").await {
            answer.assert_error(415, "unsupported_media_type");
        }
        for content_type in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=UTF-8"] {
            for (path, answer) in send_everywhere(&server, &token, &[("content-type", content_type)], b"{}").await {
                assert_ne!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path} {content_type}");
            }
        }
    }

    async fn a_body_over_64_kib_is_too_large(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        let body = |bytes: usize| format!("{{\"other\":\"{}\"}}", "a".repeat(bytes - 12)).into_bytes();
        assert_eq!(body(65_536).len(), 65_536);
        // By its length, before anything of the body is sent.
        for length in ["65537", "9999999999"] {
            let headers = [JSON[0], ("content-length", length)];
            for (_, answer) in send_everywhere(&server, &token, &headers, b"").await {
                answer.assert_error(413, "payload_too_large");
            }
        }
        // By counting, if there is no length.
        for bytes in [65_537, 1_000_000] {
            for (_, answer) in send_everywhere(&server, &token, &JSON, &body(bytes)).await {
                answer.assert_error(413, "payload_too_large");
            }
        }
        for (path, answer) in send_everywhere(&server, &token, &JSON, &body(65_536)).await {
            assert!([200, 400, 422].contains(&answer.status.as_u16()), "{path}: {}", answer.text);
            assert_ne!(answer.text_at("/error/message"), "The body is not JSON");
        }
    }

    async fn a_wrong_type_in_a_field_is_that_fields_fault(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for (path, field, whole) in text_fields() {
            for value in [
                json!(7), json!(7.5), json!(true), json!([]), json!(["a"]), json!({}), json!({"a": 1}),
                json!("a\u{0}b"), json!("\u{0}"), json!("abc\n"), json!("a\tbc"), json!("a\u{7f}b"), json!("a\u{85}b"),
                json!("abc\r\nX: y"), json!("a\u{1b}[31m"),
            ] {
                let mut body = whole.clone();
                body[field] = value.clone();
                let answer = send(&server, &token, path, &body).await;
                assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {field} {value}: {}", answer.text);
                answer.assert_error(422, "validation_failed");
                let fields = answer.at("/error/fields");
                assert_eq!(fields.as_object().unwrap().keys().collect::<Vec<_>>(), [field], "{path} {value}: {fields}");
                let sentences = fields[field].as_array().unwrap();
                assert!(!sentences.is_empty() && sentences.iter().all(|one| one.as_str().is_some_and(|one| !one.is_empty())));
            }
        }
    }

    async fn digits_of_another_script_are_no_digits(server: TestServer) {
        let token = server.sign_in(PHONE).await.access;
        for (path, field, value) in [
            ("/api/auth/signup", "phone_number", "+٩١٦٢٠٥٨٢٩٣٧٦"),
            ("/api/auth/signup", "phone_number", "६२०५८२९३७६"),
            ("/api/auth/login", "phone_number", "+91620582937６"),
            ("/api/auth/verify-otp", "otp_code", "١٠٩٧"),
            ("/api/auth/verify-login", "otp_code", "1०97"),
            ("/api/auth/complete-profile", "birth_date", "١٩٩٥-٠١-٠١"),
            ("/api/auth/complete-profile", "phone_number", "+٩١٦٢٠٥٨٢٩٣٧٦"),
        ] {
            let mut body = if path.ends_with("profile") { whole_profile() } else { json!({"phone_number": PHONE, "otp_code": "1097"}) };
            body[field] = json!(value);
            let answer = send(&server, &token, path, &body).await;
            answer.assert_error(422, "validation_failed");
            assert!(answer.at("/error/fields")[field].is_array(), "{path} {value}: {}", answer.text);
        }
    }

    async fn both_fields_of_a_verification_are_looked_at(server: TestServer) {
        for path in ["/api/auth/verify-otp", "/api/auth/verify-login"] {
            for (body, names) in [
                (json!({}), vec!["otp_code", "phone_number"]),
                (json!({"phone_number": null, "otp_code": null}), vec!["otp_code", "phone_number"]),
                (json!({"phone_number": "12", "otp_code": "12"}), vec!["otp_code", "phone_number"]),
                (json!({"phone_number": PHONE}), vec!["otp_code"]),
                (json!({"otp_code": "1097"}), vec!["phone_number"]),
            ] {
                let answer = server.post(path, body.clone()).await;
                answer.assert_error(422, "validation_failed");
                assert_eq!(answer.at("/error/fields").as_object().unwrap().keys().collect::<Vec<_>>(), names, "{body}");
            }
        }
    }

    async fn a_faulty_body_costs_no_attempt(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        for code in [json!("12"), json!("12345"), json!(1097), json!("١٠٩٧"), json!("10 97"), Value::Null] {
            for _ in 0..3 {
                let body = json!({"phone_number": PHONE, "otp_code": code});
                server.post("/api/auth/verify-otp", body).await.assert_error(422, "validation_failed");
            }
        }
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn login_without_a_phone_is_malformed_and_signup_is_not(server: TestServer) {
        server.post("/api/auth/login", json!({})).await.assert_error(400, "malformed_request");
        server.post("/api/auth/login", json!({"phone_number": null})).await.assert_error(422, "validation_failed");
        let answer = server.post("/api/auth/signup", json!({})).await;
        answer.assert_error(422, "validation_failed");
        assert_eq!(answer.at("/error/fields"), json!({"phone_number": ["This field is required"]}));
    }

    async fn what_was_sent_in_a_secret_field_is_never_repeated(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let secret = "Xq7-49318";
        let mut bodies = Vec::new();
        for value in [json!(secret), json!([secret]), json!({"a": secret}), json!(format!("{secret}\n")), json!(49318)] {
            bodies.push(json!({"phone_number": PHONE, "otp_code": value, "refresh": value}).to_string());
            bodies.push(json!({"phone_number": [], "otp_code": value, "refresh": value, "code": value}).to_string());
        }
        for broken in [r#"{"otp_code": "Xq7-49318", "refresh": "Xq7-49318""#, r#"{"otp_code": Xq7-49318}"#, r#""Xq7-49318""#] {
            bodies.push(broken.to_owned());
        }
        bodies.push(json!({"phone_number": PHONE, "otp_code": "4931"}).to_string());
        for body in bodies {
            for (path, answer) in send_everywhere(&server, secret, &JSON, body.as_bytes()).await {
                assert!(!answer.text.contains("4931") && !answer.text.contains("Xq7"), "{path} {body}: {}", answer.text);
                for (name, value) in &answer.headers {
                    let is_id = name == "x-request-id";
                    assert!(is_id || !value.to_str().unwrap_or_default().contains("4931"), "{path} {name}");
                }
            }
        }
    }

    async fn a_name_that_is_sent_twice_counts_once(server: TestServer) {
        let answer = server.post_text("/api/auth/signup", r#"{"phone_number": 7, "phone_number": "+916205829376"}"#).await;
        assert!([200, 400, 422].contains(&answer.status.as_u16()), "{}", answer.text);
        assert!(server.codes_for(PHONE).len() <= 1);
    }
}

/// Every text field of every operation, with an otherwise valid body.
fn text_fields() -> Vec<(&'static str, &'static str, Value)> {
    let phone = json!({"phone_number": PHONE});
    let both = json!({"phone_number": PHONE, "otp_code": "1097"});
    let mut fields = vec![
        ("/api/auth/signup", "phone_number", phone.clone()),
        ("/api/auth/login", "phone_number", phone),
        ("/api/auth/verify-otp", "phone_number", both.clone()),
        ("/api/auth/verify-otp", "otp_code", both.clone()),
        ("/api/auth/verify-login", "phone_number", both.clone()),
        ("/api/auth/verify-login", "otp_code", both),
        ("/api/auth/refresh", "refresh", json!({"refresh": "a"})),
        ("/api/auth/logout", "refresh", json!({"refresh": "a"})),
    ];
    for name in ["phone_number", "name", "birth_date", "gender", "bio", "location"] {
        fields.push(("/api/auth/complete-profile", name, whole_profile()));
        fields.push(("/api/auth/profile", name, whole_profile()));
    }
    fields
}

async fn send(server: &TestServer, token: &str, path: &str, body: &Value) -> Answer {
    let (method, _, is_gated) = WITH_BODY.into_iter().find(|(_, known, _)| *known == path).unwrap();
    if is_gated {
        server.send_as(token, method, path, body.clone()).await
    } else {
        server.send(method, path, &JSON, Some(body.to_string())).await
    }
}
