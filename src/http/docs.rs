//! The OpenAPI document and Swagger UI.
//!
//! poem-openapi generates the document from the operations. This module adds the responses of the edge to every
//! operation, and the examples of failures, which it makes from the error codes that descriptions name in back quotes.

mod alternatives;
mod enums;
mod gates;
mod links;
mod pages;
mod requests;
mod services;

use poem_openapi::{LicenseObject, OpenApi, OpenApiService, types::ToJSON};
use serde_json::{Map, Value, json};

pub use self::pages::{openapi_json, swagger_ui};
use super::{
    bot_check::Challenge,
    envelope::{ErrorCode, ErrorResponse, UnreachableReason},
    json::JSON,
};

const DESCRIPTION: &str = "Sign-in by phone number: the server sends a code by SMS, the app sends it back and gets a JWT.\n\n\
    Every error has the same shape, with a stable `error.code` for programs and a `message` for people. Every path answers \
    with and without a trailing slash. Times are RFC 3339 in UTC.\n\n\
    In test mode no SMS is sent: the codes are at [/dev/inbox](/dev/inbox). The guide is at \
    [/PHONE_AUTHENTICATION.md](/PHONE_AUTHENTICATION.md).";

/// The groups of operations in the order of Swagger UI.
const TAGS: [&str; 10] =
    ["Phone", "Profile", "Session", "Password", "Users", "Abuse", "Admin", "Services", "Reports", "Service"];

/// The operations that send a code or let a user in, and so can meet a block.
const BLOCKABLE: [&str; 19] = [
    "signup",
    "login",
    "verifyOtp",
    "verifyLogin",
    "exchange",
    "enterAsGuest",
    "confirmCode",
    "confirm",
    "changePhone",
    "verifyChangePhone",
    "register",
    "registerAccount",
    "obtainToken",
    "forgotPassword",
    "resetPassword",
    "refresh",
    "refreshToken",
    "startVerification",
    "checkVerification",
];

/// A schema of a response, and its member that is only there with a setting (`TERMS_VERSION`).
const MAY_BE_MISSING: (&str, &str) = ("Profile", "terms");

/// The headers of cacheable responses: their names in poem-openapi, and the usual ones.
const CACHING: [(&str, &str); 2] = [("CACHE-CONTROL", "Cache-Control"), ("ETAG", "ETag")];

/// The headers of responses that report limits.
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

/// Sets the description, the licence and the server of the document.
pub fn describe_service<T: OpenApi, W>(service: OpenApiService<T, W>) -> OpenApiService<T, W> {
    service
        .description(DESCRIPTION)
        .license(LicenseObject::new("MIT").url("https://opensource.org/license/mit"))
        .server("/")
        .url_prefix("")
}

/// The complete document. `name_min_chars` is the minimum length of profile names.
#[must_use]
pub fn document(spec: &str, name_min_chars: u64) -> Value {
    let mut document: Value = serde_json::from_str(spec).unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for (_method, operation) in item.as_object_mut().into_iter().flatten() {
            let refuses_guests = gates::name_one(operation);
            add_edge_responses(path, operation, refuses_guests);
            add_headers_and_examples(operation);
            set_security(path, operation);
            links::add(operation);
            requests::complete_query_parameters(operation);
            requests::add_device_name_header(path, operation);
        }
    }
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten() {
        mark_nullable_members(name, schema);
        if name.ends_with("Request") {
            requests::complete_members(schema);
            requests::set_min_name_length(schema, name_min_chars);
        }
        set_example_message(name, schema);
    }
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        enums::add_schemas(schemas);
        alternatives::split(schemas);
    }
    gates::remove_other_names(&mut document);
    add_union_examples(&mut document);
    order_tags(&mut document);
    document
}

/// Sorts the groups for Swagger UI by [`TAGS`]; poem-openapi sorts them by name.
fn order_tags(document: &mut Value) {
    let position = |tag: &Value| {
        let name = tag.get("name").and_then(Value::as_str);
        TAGS.iter().position(|tag| Some(*tag) == name).unwrap_or(TAGS.len())
    };
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        tags.sort_by_key(position);
    }
}

/// Adds the responses that the edge may give instead of an operation.
fn add_edge_responses(path: &str, operation: &mut Value, refuses_guests: bool) {
    let has_body = operation.get("requestBody").is_some();
    let has_json =
        operation.pointer("/requestBody/content").is_some_and(|content| content.get(JSON).is_some());
    let is_gated = operation.get("security").is_some();
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
    let can_be_blocked = BLOCKABLE.contains(&id);
    let mut edge_responses = vec![("500", "`internal`: an error of the server.")];
    if !path.starts_with("/api/health") {
        edge_responses.push(("400", "`host_not_allowed`: the `Host` header is not a host of this server."));
        edge_responses.push(("429", "`rate_limited`: too many requests per second from this address."));
    }
    if path != "/api/health" {
        edge_responses.push((
            "503",
            "`database_unavailable`: the database does not answer; nothing was done. `timeout`: the server took too long.",
        ));
    }
    if has_body {
        edge_responses.push(("413", "`payload_too_large`: the body is over 64 KiB."));
    }
    if has_json {
        edge_responses.push(("400", "`malformed_request`: the body is not JSON, or not an object."));
        edge_responses.push((
            "415",
            "`unsupported_media_type`: the body is not `application/json`, or it has a `Content-Encoding`.",
        ));
    }
    if can_be_blocked {
        edge_responses.push((
            "403",
            "`forbidden`: an admin has blocked the phone number or the client's network. Nothing was done.",
        ));
    }
    if services::is_for_one(operation) {
        edge_responses.extend(services::RESPONSES);
    } else if refuses_guests {
        edge_responses.push(("403", "`forbidden`: the user is a guest, who has to verify a phone first."));
    }
    if is_gated {
        edge_responses.push((
            "401",
            "`token_missing`: there is no access token. `token_invalid`: it is not a valid token of this server. \
                 `token_expired`: it has expired. `token_revoked`: its session has ended.",
        ));
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, sentence) in edge_responses {
        let response = responses.entry(status).or_insert_with(|| failure_response(""));
        let before = response.get("description").and_then(Value::as_str).unwrap_or_default();
        let description = format!("{before} {sentence}");
        if let Some(response) = response.as_object_mut() {
            response.insert("description".to_owned(), description.trim().into());
        }
    }
    sort_by_status(responses);
}

/// States that an operation needs no token: otherwise generators use the default of the document.
fn set_security(path: &str, operation: &mut Value) {
    let takes_a_token = path == "/api/auth/logout";
    let security = if takes_a_token { json!([{}, { "Bearer": [] }]) } else { json!([]) };
    if let Some(operation) = operation.as_object_mut() {
        operation.entry("security").or_insert(security);
    }
}

/// Marks the optional members of a response as required and nullable. A response always has all of its members, but
/// poem-openapi describes an `Option` as a member that may be missing. Exceptions are the members of an error, the
/// `reason` of a delivery and the numbers of a key, which may be missing, the `terms` of a profile, and requests, whose schemas
/// are complete.
fn mark_nullable_members(name: &str, schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    let all: Vec<String> = properties.keys().cloned().collect();
    for property in properties.values_mut() {
        remove_repeated_description(property);
    }
    if name.ends_with("Request")
        || ["DeliveryAnswer", "ErrorBody", "IntrospectionAnswer", "JsonWebKey", "TwilioReport"]
            .contains(&name)
    {
        return;
    }
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for (member, property) in
        schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
    {
        if required.iter().any(|name| name == member) || (name, member.as_str()) == MAY_BE_MISSING {
            continue;
        }
        if let Some(property) = property.as_object_mut() {
            // A member that is always null needs no type of its own.
            if let Some(parts) = property.remove("allOf") {
                let reference = parts
                    .get(0)
                    .filter(|it| it.get("$ref").is_some_and(|name| name != "#/components/schemas/Nothing"));
                if let Some(reference) = reference {
                    property.insert("oneOf".to_owned(), enums::or_null(reference, "object"));
                    continue;
                }
                property.insert("type".to_owned(), "object".into());
            }
            property.insert("nullable".to_owned(), true.into());
        }
    }
    let all: Vec<String> =
        all.into_iter().filter(|member| (name, member.as_str()) != MAY_BE_MISSING).collect();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("required".to_owned(), all.into());
    }
}

/// poem-openapi repeats the description of a referenced member inside of `allOf`, where generators see an anonymous type.
fn remove_repeated_description(property: &mut Value) {
    if let Some(parts) = property.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.retain(|part| part.get("$ref").is_some());
    }
}

/// Sets the `message` of the example of responses in an envelope.
fn set_example_message(name: &str, schema: &mut Value) {
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

/// Gives a `oneOf` schema the example of its first alternative: poem-openapi gives it none.
fn add_union_examples(document: &mut Value) {
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

/// Adds headers to every response, and to failures an example per error code that the description names.
fn add_headers_and_examples(operation: &mut Value) {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, response) in responses {
        let description = response.get("description").and_then(Value::as_str).unwrap_or_default();
        let codes = codes_in(description);
        let mut headers = Map::new();
        headers.insert("X-Request-Id".to_owned(), text_header("The id of this request in the server's log."));
        for (declared, name) in CACHING {
            let description = response.pointer(&format!("/headers/{declared}/description"));
            if let Some(description) = description.and_then(Value::as_str) {
                headers.insert(name.to_owned(), text_header(description));
            }
        }
        if status == "401" {
            headers.insert("WWW-Authenticate".to_owned(), text_header("`Bearer` (RFC 6750)."));
        }
        if status == "429" {
            headers
                .extend(RATE_LIMITS.map(|(name, description)| (name.to_owned(), text_header(description))));
        }
        if codes.iter().any(|code| example(*code).error.retry_after.is_some()) {
            let schema = json!({ "type": "integer", "minimum": 1 });
            let description = "Seconds until a retry may succeed.";
            headers.insert("Retry-After".to_owned(), json!({ "description": description, "schema": schema }));
        }
        let examples: Map<String, Value> = codes
            .iter()
            .map(|code| (code.as_str(), json!({ "value": example(*code).to_json().unwrap_or_default() })))
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

/// The error codes that a description names in back quotes, in their order.
fn codes_in(description: &str) -> Vec<ErrorCode> {
    use poem_openapi::types::ParseFromJSON;
    description
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|word| ErrorCode::parse_from_json(Some(word.into())).ok())
        .collect()
}

/// An example of a failure with this code.
fn example(code: ErrorCode) -> ErrorResponse {
    let mut failure = ErrorResponse::from_code(code);
    match code {
        ErrorCode::OtpInvalid => {
            "Invalid OTP. 2 attempts remaining".clone_into(&mut failure.message);
            failure.attempts_remaining(2)
        }
        ErrorCode::OtpAttemptsExhausted | ErrorCode::OtpCooldown => failure.retry_after(24),
        ErrorCode::SmsUnavailable | ErrorCode::IssuerUnavailable => failure.retry_after(5),
        ErrorCode::PhoneLocked => failure.retry_after(5400),
        ErrorCode::RateLimited => failure.retry_after(1800),
        ErrorCode::DatabaseUnavailable | ErrorCode::Timeout => failure.retry_after(2),
        ErrorCode::ChallengeRequired => {
            failure.error.challenge = Some(Challenge::example());
            failure
        }
        ErrorCode::PhoneUnreachable => {
            failure.error.reason = Some(UnreachableReason::NotMobile);
            failure
        }
        ErrorCode::AccountMerged => {
            failure.error.merged_into = Some("0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned());
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
        | ErrorCode::SignupClosed
        | ErrorCode::ReauthenticationRequired
        | ErrorCode::UsernameTaken
        | ErrorCode::EmailTaken
        | ErrorCode::PhoneTaken
        | ErrorCode::TokenUsed
        | ErrorCode::EditConflict
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
