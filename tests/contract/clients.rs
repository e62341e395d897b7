//! What client generators need of the document. `tests/generators` runs some of them.

use serde_json::json;

use crate::contract::{document, is_text, media, named, operations};

/// openapi-generator refuses a whole document because of one link with a body, and no link needs one.
#[tokio::test]
async fn no_link_has_a_body_where_generators_refuse_one() {
    let document = document().await;
    for (name, operation) in operations(&document) {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            for (to, link) in answer["links"].as_object().into_iter().flatten() {
                assert!(link.get("requestBody").is_none(), "{status} of {name}, link {to}");
            }
        }
    }
}

#[tokio::test]
async fn a_sign_in_always_answers_a_token_and_what_is_no_sign_in_never_does() {
    let document = document().await;
    let schemas = &document["components"]["schemas"];
    let mut with_token = 0;
    for path in ["/api/auth/verify-otp", "/api/auth/verify-login"] {
        let answer = &document["paths"][path]["post"]["responses"]["200"];
        let schema = named(&document, &media(answer)[0]["schema"]);
        assert_eq!(schema["properties"]["token"]["type"], "string", "{path}");
        assert!(schema["properties"]["token"].get("nullable").is_none(), "{path}");
        assert!(schema["required"].as_array().unwrap().contains(&json!("token")), "{path}");
        assert!(is_text(&schema["example"]["token"]), "{path}");
        with_token += 1;
    }
    assert_eq!(with_token, 2);
    assert_eq!(schemas["Success_CodeSentData"]["properties"]["token"]["nullable"], true);
}

#[tokio::test]
async fn what_is_one_of_a_few_words_says_so_by_one_type() {
    let document = document().await;
    let schemas = &document["components"]["schemas"];
    for (list, words) in [
        ("Gender", json!(["male", "female", "other"])),
        ("Channel", json!(["sms", "whatsapp", "call"])),
        ("Platform", json!(["android", "ios", "web"])),
        ("Role", json!(["guest", "user", "staff", "admin"])),
    ] {
        assert_eq!(schemas[list]["enum"], words);
        let member = list.to_lowercase();
        let mut uses = 0;
        for (name, schema) in schemas.as_object().unwrap() {
            let Some(property) = schema["properties"].get(&member) else { continue };
            let reference = ["allOf", "oneOf"].map(|keyword| &property[keyword][0]["$ref"]);
            // Nobody is made a guest.
            let list = if name == "ChangeUserRequest" && list == "Role" { "NewRole" } else { list };
            let wanted = json!(format!("#/components/schemas/{list}"));
            assert!(reference.contains(&&wanted), "{name}.{member}: {property}");
            uses += 1;
        }
        assert!(uses >= 3, "{list} is used {uses} times");
    }
    for (name, schema) in schemas.as_object().unwrap() {
        for (member, property) in schema["properties"].as_object().into_iter().flatten() {
            let count = property["enum"].as_array().map_or(0, Vec::len);
            assert!(count <= 1, "{name}.{member} has words of its own");
        }
    }
}

#[tokio::test]
async fn a_request_of_two_kinds_is_one_of_them() {
    let document = document().await;
    let schemas = &document["components"]["schemas"];
    for (request, kinds) in [
        (
            "LoginRequest",
            [
                ("LoginByPhoneRequest", json!(["phone_number"])),
                ("LoginByPasswordRequest", json!(["username", "password"])),
            ],
        ),
        (
            "ConfirmRequest",
            [
                ("ConfirmByCodeRequest", json!(["otp_code"])),
                ("ConfirmByPasswordRequest", json!(["password"])),
            ],
        ),
    ] {
        let one_of = schemas[request]["oneOf"].as_array().unwrap();
        assert_eq!(one_of.len(), 2, "{request}");
        for ((kind, required), reference) in kinds.iter().zip(one_of) {
            assert_eq!(reference["$ref"], format!("#/components/schemas/{kind}"));
            assert_eq!(&schemas[kind]["required"], required, "{kind}");
            for member in required.as_array().unwrap() {
                let property = &schemas[kind]["properties"][member.as_str().unwrap()];
                assert!(property.is_object() && property.get("nullable").is_none(), "{kind}.{member}");
            }
        }
        let [(first, _), (second, other)] = &kinds;
        for member in other.as_array().unwrap() {
            let member = member.as_str().unwrap();
            assert!(schemas[first]["properties"].get(member).is_none(), "{first} has {member} of {second}");
        }
    }
}

#[tokio::test]
async fn a_reader_meets_the_phone_first_and_the_server_last() {
    let document = document().await;
    let tags: Vec<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert_eq!(
        tags,
        [
            "Phone", "Profile", "Session", "Password", "Users", "Abuse", "Admin", "Services", "Reports",
            "Service"
        ]
    );
}

#[tokio::test]
async fn an_example_of_a_profile_is_for_whoever_is_signed_in() {
    let document = document().await;
    for request in ["CompleteProfileRequest", "ChangeProfileRequest"] {
        let example = &document["components"]["schemas"][request]["example"];
        assert!(example.is_object() && example.get("phone_number").is_none(), "{request}: {example}");
    }
}

#[tokio::test]
async fn no_operation_has_the_name_of_a_keyword() {
    let document = document().await;
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        let is_plain =
            id.chars().all(|c| c.is_ascii_alphanumeric()) && id.starts_with(|c: char| c.is_ascii_lowercase());
        assert!(is_plain, "{name}: {id}");
        // Generators rename members whose name is a keyword of JavaScript, Kotlin, Swift or Dart.
        assert!(!["export", "import", "delete", "default", "switch", "return"].contains(&id), "{name}: {id}");
        let summary = operation["summary"].as_str().unwrap();
        assert!(summary.len() <= 80 && !summary.ends_with('.'), "{name}: {summary}");
    }
}
