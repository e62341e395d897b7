//! What clients read: the OpenAPI document and Swagger UI.
//!
//! poem-openapi makes the document from the operations. What the edge can answer for any of them is added here, in one
//! place, and so are the examples of failures, from the codes that the descriptions name in back quotes.

mod alternatives;
mod links;
mod requests;
mod words;

use poem::{Endpoint, Response, endpoint::make_sync, http::header};
use poem_openapi::{LicenseObject, OpenApi, OpenApiService, types::ToJSON};
use serde_json::{Map, Value, json};

use super::{
    bot_check::Challenge,
    envelope::{ErrorCode, Failure, UnreachableReason},
    json::JSON,
};

const DESCRIPTION: &str = "Sign-in by phone number: a code comes by SMS, the app sends it back and gets a JWT.\n\n\
    Every error has the same shape, with a stable `error.code` for programs and a `message` for people. Every path answers \
    with and without a trailing slash. Times are RFC 3339 in UTC.\n\n\
    In test mode no SMS is sent: the codes are at [/dev/inbox](/dev/inbox). The guide is at \
    [/PHONE_AUTHENTICATION.md](/PHONE_AUTHENTICATION.md).";

/// The groups of operations, in the order in which a reader meets them.
const TAGS: [&str; 7] = ["Phone", "Profile", "Session", "Password", "Users", "Abuse", "Service"];

/// The headers of answers that may be kept: as poem-openapi writes their names, and as everybody else does.
const CACHING: [(&str, &str); 2] = [("CACHE-CONTROL", "Cache-Control"), ("ETAG", "ETag")];

/// What an answer that speaks of a limit says of it.
const RATE_LIMITS: [(&str, &str); 2] = [
    (
        "RateLimit",
        "The limits that apply: for each its name, what is left (`r`), and the seconds until there is more (`t`), \
             as in `\"guard\";r=0;t=1` (draft-ietf-httpapi-ratelimit-headers). Absent if no such limit applies.",
    ),
    (
        "RateLimit-Policy",
        "The quota (`q`) and window in seconds (`w`) of these limits, as in `\"guard\";q=500;w=5`.",
    ),
];

/// Swagger UI is one page with its script and style inside, so this page alone may run what is inline.
const SWAGGER_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Says what the service is.
pub fn introduce<T: OpenApi, W>(service: OpenApiService<T, W>) -> OpenApiService<T, W> {
    service
        .description(DESCRIPTION)
        .license(LicenseObject::new("MIT").url("https://opensource.org/license/mit"))
        .server("/")
        .url_prefix("")
}

/// The whole document, of a server that takes names from so many characters on.
#[must_use]
pub fn document(spec: &str, name_min_chars: u64) -> Value {
    let mut document: Value = serde_json::from_str(spec).unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for (_method, operation) in item.as_object_mut().into_iter().flatten() {
            add_answers_of_the_edge(path, operation);
            describe_answers(operation);
            say_who_may(path, operation);
            links::add(operation);
            requests::say_what_is_refused_in_a_query(operation);
            requests::add_the_name_of_the_device(path, operation);
        }
    }
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten() {
        say_what_may_be_null(name, schema);
        if name.ends_with("Request") {
            requests::say_what_is_refused(schema);
            requests::say_how_short_a_name_may_be(schema, name_min_chars);
        }
        show_a_real_answer(name, schema);
    }
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        words::name_lists(schemas);
        alternatives::split(schemas);
    }
    show_one_of_several(&mut document);
    order_tags(&mut document);
    document
}

/// The order in which Swagger UI shows the groups: what an app needs first comes first. poem-openapi sorts them by name.
fn order_tags(document: &mut Value) {
    let place = |tag: &Value| {
        let name = tag.get("name").and_then(Value::as_str);
        TAGS.iter().position(|tag| Some(*tag) == name).unwrap_or(TAGS.len())
    };
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        tags.sort_by_key(place);
    }
}

/// What the edge can answer before or after an operation does.
fn add_answers_of_the_edge(path: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let has_json =
        operation.pointer("/requestBody/content").is_some_and(|content| content.get(JSON).is_some());
    let is_gated = operation.get("security").is_some();
    let mut answers = vec![("500", "`internal`: an error of the server.")];
    if !path.starts_with("/api/health") {
        answers.push(("400", "`host_not_allowed`: the `Host` header is not a host of this server."));
        answers.push(("429", "`rate_limited`: too many requests per second from this address."));
    }
    if path != "/api/health" {
        answers.push((
            "503",
            "`database_unavailable`: the database does not answer; nothing was done. `timeout`: the server took too long.",
        ));
    }
    if has_body {
        answers.push(("413", "`payload_too_large`: the body is over 64 KiB."));
    }
    if has_json {
        answers.push(("400", "`malformed_request`: the body is not JSON, or not an object."));
        answers.push((
            "415",
            "`unsupported_media_type`: the body is not `application/json`, or it has a `Content-Encoding`.",
        ));
    }
    if is_gated {
        answers.push((
            "401",
            "`token_missing`: there is no access token. `token_invalid`: it is not a valid token of this server. \
                 `token_expired`: it has expired. `token_revoked`: its session has ended.",
        ));
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, sentence) in answers {
        let response = responses.entry(status).or_insert_with(|| failure_response(""));
        let before = response.get("description").and_then(Value::as_str).unwrap_or_default();
        let description = format!("{before} {sentence}");
        if let Some(response) = response.as_object_mut() {
            response.insert("description".to_owned(), description.trim().into());
        }
    }
    sort_by_status(responses);
}

/// An operation without a gate says so: with none, generators fall back to whatever the document's root says.
fn say_who_may(path: &str, operation: &mut Value) {
    let takes_a_token = path == "/api/auth/logout";
    let security = if takes_a_token { json!([{}, { "Bearer": [] }]) } else { json!([]) };
    if let Some(operation) = operation.as_object_mut() {
        operation.entry("security").or_insert(security);
    }
}

/// An answer always has all of its members, some of them null; poem-openapi says of an `Option` that it may be missing.
/// Only the members of an error, the reason of a delivery and the numbers of a key are left out, and requests say
/// themselves what they take.
fn say_what_may_be_null(name: &str, schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    let all: Vec<String> = properties.keys().cloned().collect();
    for property in properties.values_mut() {
        repeat_no_description(property);
    }
    if name.ends_with("Request")
        || ["DeliveryAnswer", "ErrorBody", "JsonWebKey", "TwilioReport"].contains(&name)
    {
        return;
    }
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for (member, property) in
        schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
    {
        if required.iter().any(|name| name == member) {
            continue;
        }
        if let Some(property) = property.as_object_mut() {
            // What is always null needs no type of its own.
            if let Some(parts) = property.remove("allOf") {
                let reference = parts
                    .get(0)
                    .filter(|it| it.get("$ref").is_some_and(|name| name != "#/components/schemas/Nothing"));
                if let Some(reference) = reference {
                    property.insert("oneOf".to_owned(), words::or_null(reference, "object"));
                    continue;
                }
                property.insert("type".to_owned(), "object".into());
            }
            property.insert("nullable".to_owned(), true.into());
        }
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("required".to_owned(), all.into());
    }
}

/// poem-openapi describes a member of another type twice, once inside of `allOf`, where generators see an anonymous type.
fn repeat_no_description(property: &mut Value) {
    if let Some(parts) = property.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.retain(|part| part.get("$ref").is_some());
    }
}

/// The sentence of the answers that share an envelope.
fn show_a_real_answer(name: &str, schema: &mut Value) {
    let message = match name {
        "Success_CodeSentData" => "OTP sent successfully to your phone number",
        "SuccessWithToken_VerifiedData" => "OTP verified successfully. Please complete your profile.",
        "SuccessWithToken_LoggedInData" => "Login successful",
        "Success_CompletedProfileData" => "Profile completed successfully",
        "Success_EndedData" => "The session is ended",
        "Success_ConfirmedData" => "Confirmed",
        "Success_PhoneChangedData" => "Phone number changed successfully",
        "Success_LeftData" => "Account deleted successfully",
        "Success_Nothing" => "Logged out successfully",
        _ => return,
    };
    if let Some(example) = schema.get_mut("example").and_then(Value::as_object_mut) {
        example.insert("message".to_owned(), message.into());
    }
}

/// An answer of several shapes is shown in its first one: poem-openapi gives such a schema no example.
fn show_one_of_several(document: &mut Value) {
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    let examples: Vec<(String, Value)> = schemas
        .iter()
        .filter_map(|(name, schema)| {
            let first = schema.pointer("/oneOf/0/$ref")?.as_str()?.rsplit('/').next()?;
            Some((name.clone(), schemas.get(first)?.get("example")?.clone()))
        })
        .collect();
    for (name, example) in examples {
        if let Some(schema) = schemas.get_mut(&name).and_then(Value::as_object_mut) {
            schema.entry("example").or_insert(example);
        }
    }
}

fn failure_response(description: &str) -> Value {
    json!({
        "description": description,
        "content": { JSON: { "schema": { "$ref": "#/components/schemas/Failure" } } },
    })
}

fn sort_by_status(responses: &mut Map<String, Value>) {
    let mut sorted: Vec<_> = std::mem::take(responses).into_iter().collect();
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    responses.extend(sorted);
}

/// Gives every answer its headers and every failure an example per code that its description names.
fn describe_answers(operation: &mut Value) {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, response) in responses {
        let description = response.get("description").and_then(Value::as_str).unwrap_or_default();
        let codes = codes_in(description);
        let mut headers = Map::new();
        headers.insert("X-Request-Id".to_owned(), text_header("The id of this request in the server's log."));
        for (declared, name) in CACHING {
            let sentence = response.pointer(&format!("/headers/{declared}/description"));
            if let Some(sentence) = sentence.and_then(Value::as_str) {
                headers.insert(name.to_owned(), text_header(sentence));
            }
        }
        if status == "401" {
            headers.insert("WWW-Authenticate".to_owned(), text_header("`Bearer` (RFC 6750)."));
        }
        if status == "429" {
            headers.extend(RATE_LIMITS.map(|(name, sentence)| (name.to_owned(), text_header(sentence))));
        }
        if codes.iter().any(|code| sample(*code).error.retry_after.is_some()) {
            let schema = json!({ "type": "integer", "minimum": 1 });
            let description = "Seconds until a retry may succeed.";
            headers.insert("Retry-After".to_owned(), json!({ "description": description, "schema": schema }));
        }
        let examples: Map<String, Value> = codes
            .iter()
            .map(|code| (code.as_str(), json!({ "value": sample(*code).to_json().unwrap_or_default() })))
            .collect();
        let Some(response) = response.as_object_mut() else {
            continue;
        };
        response.insert("headers".to_owned(), headers.into());
        let media = response.get_mut("content").and_then(|content| content.get_mut(JSON));
        if let Some(media) = media.and_then(Value::as_object_mut)
            && !examples.is_empty()
        {
            media.insert("examples".to_owned(), examples.into());
        }
    }
}

fn text_header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

/// The codes that a description names in back quotes, in its order.
fn codes_in(description: &str) -> Vec<ErrorCode> {
    use poem_openapi::types::ParseFromJSON;
    description
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|word| ErrorCode::parse_from_json(Some(word.into())).ok())
        .collect()
}

/// A failure as a client may meet it.
fn sample(code: ErrorCode) -> Failure {
    let mut failure = Failure::from_code(code);
    match code {
        ErrorCode::OtpInvalid => {
            "Invalid OTP. 2 attempts remaining".clone_into(&mut failure.message);
            failure.attempts_remaining(2)
        }
        ErrorCode::OtpAttemptsExhausted | ErrorCode::OtpCooldown => failure.retry_after(24),
        ErrorCode::SmsUnavailable => failure.retry_after(5),
        ErrorCode::PhoneLocked => failure.retry_after(5400),
        ErrorCode::RateLimited => failure.retry_after(1800),
        ErrorCode::DatabaseUnavailable | ErrorCode::Timeout => failure.retry_after(2),
        ErrorCode::ChallengeRequired => {
            failure.error.challenge = Some(Challenge::sample());
            failure
        }
        ErrorCode::PhoneUnreachable => {
            failure.error.reason = Some(UnreachableReason::NotMobile);
            failure
        }
        ErrorCode::ValidationFailed => {
            let errors = [("name".to_owned(), vec!["Name must be at least 3 characters long".to_owned()])];
            failure.error.fields = Some(errors.into());
            failure
        }
        ErrorCode::MalformedRequest
        | ErrorCode::HostNotAllowed
        | ErrorCode::OtpNotFound
        | ErrorCode::OtpExpired
        | ErrorCode::TokenMissing
        | ErrorCode::TokenInvalid
        | ErrorCode::TokenExpired
        | ErrorCode::TokenRevoked
        | ErrorCode::AccountDisabled
        | ErrorCode::CredentialsInvalid
        | ErrorCode::Forbidden
        | ErrorCode::ReauthenticationRequired
        | ErrorCode::UsernameTaken
        | ErrorCode::EmailTaken
        | ErrorCode::PhoneTaken
        | ErrorCode::UserNotFound
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::UserAlreadyExists
        | ErrorCode::PayloadTooLarge
        | ErrorCode::UnsupportedMediaType
        | ErrorCode::Internal
        | ErrorCode::SmsRejected => failure,
    }
}

/// Swagger UI with the document inside: it asks nobody for anything.
pub fn swagger_ui<T: OpenApi, W: poem_openapi::Webhook>(
    service: &OpenApiService<T, W>,
    document: &Value,
) -> impl Endpoint + use<T, W> {
    let document = document.to_string();
    let html = service
        .swagger_ui_html()
        .replacen(&service.spec(), &document, 1)
        .replacen(
            "deepLinking: true,",
            "deepLinking: true, persistAuthorization: true, tryItOutEnabled: true,",
            1,
        )
        .replacen(
            "<title>Swagger UI</title>",
            "<title>loopin-auth API</title><link rel=\"icon\" href=\"data:,\">",
            1,
        );
    make_sync(move |_| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, SWAGGER_POLICY)
            .body(html.clone())
    })
}

/// The document as JSON.
#[must_use]
pub fn openapi_json(document: &Value) -> impl Endpoint + use<> {
    // Half a megabyte that all answers share, however slowly their clients take them.
    let text = hyper::body::Bytes::from(document.to_string());
    make_sync(move |_| Response::builder().content_type(JSON).body(text.clone()))
}
