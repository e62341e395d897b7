//! Committed files that have to agree with the code: `docs/openapi.json` with the served document, `.env.example` with the
//! settings that are read.
//!
//! `UPDATE_OPENAPI=1 cargo test --test contract` writes the file again; its diff shows how the API has changed.

#[cfg(test)]
#[path = "contract/clients.rs"]
mod clients;

#[cfg(test)]
mod contract {
    use std::{collections::HashMap, path::PathBuf, sync::Arc};

    use loopin_auth::{
        app, clock::Clock, commands::settings, config::Config, domain::audit::Settings, random::Random,
    };
    use serde_json::{Value, json};

    const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

    pub(super) async fn document() -> Value {
        let config = Config::read(&|_| None, &Random::seeded(1)).unwrap();
        let services = app::services(&config, Clock::System, Random::seeded(1)).await.unwrap();
        app::document(&Arc::new(services))
    }

    /// Every operation with its name, `POST /api/auth/signup`.
    pub(super) fn operations(document: &Value) -> Vec<(String, &Value)> {
        let mut found = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(METHODS.contains(&method.as_str()), "{method} {path}");
                found.push((format!("{} {path}", method.to_uppercase()), operation));
            }
        }
        assert!(found.len() >= 14, "every operation is in the document");
        found
    }

    pub(super) fn is_text(value: &Value) -> bool {
        value.as_str().is_some_and(|text| !text.trim().is_empty())
    }

    /// The media types of a request or a response, each with its schema and examples.
    pub(super) fn media(owner: &Value) -> Vec<&Value> {
        owner["content"].as_object().into_iter().flatten().map(|(_, media)| media).collect()
    }

    /// Whether there is an example: beside the schema, or in the schema that it references.
    fn has_example(document: &Value, media: &Value) -> bool {
        let beside = media.get("example").is_some()
            || media["examples"].as_object().is_some_and(|all| !all.is_empty());
        let named =
            media["schema"]["$ref"].as_str().and_then(|name| document.pointer(name.trim_start_matches('#')));
        beside || named.is_some_and(|schema| schema.get("example").is_some())
    }

    #[tokio::test]
    async fn the_committed_document_is_the_one_that_is_served() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        let served = format!("{:#}\n", document().await);
        #[expect(
            clippy::disallowed_methods,
            reason = "the developer who changes the API asks for the file to be written"
        )]
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, &served).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == served,
            "docs/openapi.json is not what is served: run UPDATE_OPENAPI=1 cargo test --test contract, read the diff"
        );
    }

    #[tokio::test]
    async fn every_operation_says_what_it_does() {
        let document = document().await;
        let mut ids = Vec::new();
        for (name, operation) in operations(&document) {
            for member in ["operationId", "summary", "description"] {
                assert!(is_text(&operation[member]), "{name} has no {member}");
            }
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name} has one tag");
            ids.push(operation["operationId"].as_str().unwrap());
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "operation ids are unique: {ids:?}");
        for tag in document["tags"].as_array().unwrap() {
            assert!(is_text(&tag["name"]) && is_text(&tag["description"]), "{tag}");
        }
    }

    #[tokio::test]
    async fn every_request_and_every_answer_has_an_example() {
        let document = document().await;
        for (name, operation) in operations(&document) {
            for media in media(&operation["requestBody"]) {
                assert!(has_example(&document, media), "the request of {name} has no example");
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(is_text(&answer["description"]), "{status} of {name} has no description");
                assert!(
                    ["204", "304"].contains(&status.as_str()) || !media(answer).is_empty(),
                    "{status} of {name} has no body"
                );
                for media in media(answer) {
                    assert!(has_example(&document, media), "{status} of {name} has no example");
                }
                let headers = &answer["headers"];
                assert!(headers.get("X-Request-Id").is_some(), "{status} of {name} has no X-Request-Id");
            }
        }
    }

    #[tokio::test]
    async fn every_gated_operation_can_answer_401() {
        let document = document().await;
        let mut gated = 0;
        for (name, operation) in operations(&document) {
            let responses = &operation["responses"];
            let security = operation["security"].as_array().unwrap_or_else(|| panic!("{name} says who may"));
            let is_open = security.is_empty() || security.contains(&serde_json::json!({}));
            if !is_open {
                gated += 1;
                assert!(responses.get("401").is_some(), "{name} has no 401");
                assert!(responses["401"]["headers"].get("WWW-Authenticate").is_some(), "{name}");
            }
            assert!(responses.get("500").is_some(), "{name} has no 500");
            let body = operation.get("requestBody").map(|body| &body["content"]);
            let refusals: &[&str] = match body {
                None => &[],
                Some(content) if content.get("application/json").is_some() => &["400", "413", "415"],
                Some(_) => &["413"],
            };
            for status in refusals {
                assert!(responses.get(*status).is_some(), "{name} has no {status}");
            }
        }
        assert_eq!(
            gated, 48,
            "3 of the profile, 4 of sessions, 5 of proofs and phones, 2 of leaving, 3 of passwords, 7 of users, 5 of abuse, 5 of \
             leads, 2 of phones, 4 of blocks, 5 of other services, 3 of invitations"
        );
        let scheme = &document["components"]["securitySchemes"]["Bearer"];
        assert_eq!((scheme["type"].as_str(), scheme["scheme"].as_str()), (Some("http"), Some("bearer")));
    }

    #[tokio::test]
    async fn no_type_is_anonymous() {
        let document = document().await;
        for (name, operation) in operations(&document) {
            let answers = operation["responses"].as_object().unwrap().values();
            for owner in answers.chain([&operation["requestBody"]]) {
                for media in media(owner) {
                    assert!(is_text(&media["schema"]["$ref"]), "{name}: {}", media["schema"]);
                }
            }
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(
                name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{name} is no name that every language takes"
            );
            for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
                assert!(schema.get("properties").is_none(), "{name}.{member} is an anonymous object");
                assert!(
                    schema["items"].get("properties").is_none(),
                    "{name}.{member} holds anonymous objects"
                );
            }
        }
    }

    #[tokio::test]
    async fn every_member_of_an_answer_is_always_there() {
        let document = document().await;
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            if name.ends_with("Request")
                || ["DeliveryAnswer", "ErrorBody", "IntrospectionAnswer", "JsonWebKey", "TwilioReport"]
                    .contains(&name.as_str())
            {
                continue;
            }
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (member, _) in schema["properties"].as_object().into_iter().flatten() {
                // Only there where the operator has terms: without the setting a profile has the members of the contract.
                if (name.as_str(), member.as_str()) == ("Profile", "terms") {
                    continue;
                }
                assert!(
                    required.iter().any(|name| name == member),
                    "{name}.{member} may be null, never missing"
                );
            }
        }
        for (schema, member) in
            [("Failure", "data"), ("Failure", "token"), ("Profile", "bio"), ("LoggedInData", "name")]
        {
            let property = &document["components"]["schemas"][schema]["properties"][member];
            assert_eq!(property["nullable"], serde_json::json!(true), "{schema}.{member} can be null");
        }
        let lead = &document["components"]["schemas"]["ExportData"]["properties"]["lead"];
        assert_eq!(
            lead["oneOf"][0]["$ref"], "#/components/schemas/ExportedLead",
            "what can be null has its type"
        );
    }

    /// The schema that a reference names, or the schema itself.
    pub(super) fn named<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
        name.map_or(schema, |name| document.pointer(name.trim_start_matches('#')).unwrap())
    }

    /// Whether a body of this schema can have a value at this pointer.
    fn has_place(document: &Value, schema: &Value, pointer: &[&str]) -> bool {
        let schema = named(document, schema);
        let Some((first, rest)) = pointer.split_first() else {
            return true;
        };
        let any_of = schema["oneOf"].as_array().into_iter().flatten();
        let inner =
            if first.parse::<usize>().is_ok() { &schema["items"] } else { &schema["properties"][*first] };
        (!inner.is_null() && has_place(document, inner, rest))
            || any_of.into_iter().any(|one| has_place(document, one, pointer))
    }

    /// The members of every request, and the texts of every query.
    fn requested(document: &Value) -> Vec<(String, &Value)> {
        let mut found = Vec::new();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
                if name.ends_with("Request") {
                    found.push((format!("{name}.{member}"), schema));
                }
            }
        }
        for (name, operation) in operations(document) {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter["in"] == "query" {
                    found.push((format!("{name} {}", parameter["name"]), &parameter["schema"]));
                }
            }
        }
        found
    }

    #[tokio::test]
    async fn a_request_says_which_texts_and_words_are_refused() {
        let document = document().await;
        for (name, schema) in requested(&document) {
            let schema = if schema["nullable"] == true { schema } else { named(&document, schema) };
            let is_text = schema["type"] == "string";
            let says = ["pattern", "enum"].iter().any(|it| schema.get(it).is_some())
                || ["date", "email", "uri"].iter().any(|it| schema["format"] == *it);
            assert!(!is_text || says, "{name} takes control characters, as it says");
            // In OpenAPI 3.0 `nullable` adds nothing to a list of words.
            if let Some(words) = schema["enum"].as_array() {
                assert_eq!(words.contains(&Value::Null), schema["nullable"] == true, "{name}");
            }
        }
        for (request, member) in [("TokenRequest", "username"), ("TokenRequest", "password")] {
            let schema = &document["components"]["schemas"][request]["properties"][member];
            assert_eq!(schema["minLength"], 1, "{request}.{member} may not be empty");
        }
    }

    #[tokio::test]
    async fn a_link_leads_from_values_that_are_there_to_members_that_take_them() {
        let document = document().await;
        let operations = operations(&document);
        let schema =
            |owner: &Value| media(owner).first().map_or(Value::Null, |media| media["schema"].clone());
        let mut count = 0;
        for (name, operation) in &operations {
            for (_, answer) in operation["responses"].as_object().unwrap() {
                for (to, link) in answer["links"].as_object().into_iter().flatten() {
                    count += 1;
                    let target = operations
                        .iter()
                        .map(|(_, it)| it)
                        .find(|it| it["operationId"] == link["operationId"]);
                    let target = target.unwrap_or_else(|| panic!("{name}: no operation {to}"));
                    assert!(is_text(&link["description"]), "{name} to {to}");
                    let parameters = link["parameters"].as_object().into_iter().flatten();
                    let body = link["x-requestBody"].as_object().into_iter().flatten();
                    for (member, _) in body.clone() {
                        let takes = schema(&target["requestBody"]);
                        assert!(has_place(&document, &takes, &[member]), "{to} takes no {member}");
                    }
                    for (parameter, _) in parameters.clone() {
                        let takes = target["parameters"].as_array().into_iter().flatten();
                        assert!(
                            takes.clone().any(|it| it["name"] == json!(parameter)),
                            "{to} takes no {parameter}"
                        );
                    }
                    for (_, place) in parameters.chain(body) {
                        let (part, pointer) = place.as_str().unwrap().split_once("#/").unwrap_or(("", ""));
                        let pointer: Vec<&str> = pointer.split('/').collect();
                        let is_there = match (part, place.as_str().unwrap()) {
                            ("$response.body", _) => has_place(&document, &schema(answer), &pointer),
                            ("$request.body", _) => {
                                has_place(&document, &schema(&operation["requestBody"]), &pointer)
                            }
                            (_, "$request.path.id") => operation["parameters"][0]["name"] == "id",
                            _ => false,
                        };
                        assert!(is_there, "{name} to {to}: no {place}");
                    }
                }
            }
        }
        assert_eq!(count, 42, "every link is in the document");
    }

    /// The settings of `.env.example` in its order: name, value, and the comment above.
    fn examples() -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        let mut comment = String::new();
        for line in include_str!("../.env.example").lines() {
            let setting = line.strip_prefix('#').unwrap_or(line).split_once('=').filter(|(name, _)| {
                !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            });
            match setting {
                Some((name, value)) => found.push((name.to_owned(), value.to_owned(), comment.clone())),
                None if line.is_empty() => comment.clear(),
                None => comment.push_str(line.trim_start_matches(['#', ' '])),
            }
        }
        found
    }

    #[test]
    fn the_example_of_settings_names_what_is_read_and_nothing_else() {
        let mut read = Config::names();
        read.sort_unstable();
        let examples = examples();
        let mut named: Vec<&str> = examples.iter().map(|(name, _, _)| name.as_str()).collect();
        named.sort_unstable();
        assert_eq!(named, read);
        for (name, _, comment) in &examples {
            assert!(comment.len() >= 20, "{name} is explained");
        }
    }

    /// The configuration that the settings result in, without the list of the settings that were given.
    fn outcome(settings: &HashMap<String, String>) -> String {
        let mut config = Config::read(&|name| settings.get(name).cloned(), &Random::seeded(1)).unwrap();
        config.given = Settings::default();
        format!("{config:#?}")
    }

    #[test]
    fn the_example_of_settings_shows_the_defaults() {
        let examples = examples().into_iter().map(|(name, value, _)| (name, value));
        let mut examples: HashMap<String, String> = examples.collect();
        assert_eq!(outcome(&examples), outcome(&HashMap::new()));
        let needed = [
            ("ENVIRONMENT", "prod"),
            ("DATABASE_URL", "sqlite://loopin-auth.sqlite3"),
            ("SECRET_KEY", "a secret key of the tests, 32 bytes or more"),
            ("JWT_SECRET_KEY", "a token secret of the tests, 32 bytes or more"),
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
            ("TWILIO_AUTH_TOKEN", "the auth token of the tests"),
            ("TWILIO_PHONE_NUMBER", "+15005550006"),
            ("PUBLIC_BASE_URL", "https://auth.example.com"),
        ];
        let needed = needed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        // These have other defaults in prod, which their descriptions name.
        for name in ["BIND_ADDR", "SHUTDOWN_DELAY_SECONDS", "STAFF_SECOND_FACTOR", "TWILIO_TEST_MODE"] {
            assert!(examples.remove(name).is_some());
        }
        examples.extend(needed.clone());
        assert_eq!(outcome(&examples), outcome(&needed.into()));
    }

    #[test]
    fn the_committed_page_of_settings_is_made_from_the_example() {
        let committed = include_str!("../docs/SETTINGS.md");
        let command = "cargo run -- settings --markdown > docs/SETTINGS.md";
        assert!(settings::page() == committed, "docs/SETTINGS.md is not up to date: {command}");
        for name in Config::names() {
            assert!(committed.contains(&format!("`{name}`")), "{name}");
        }
    }
}
