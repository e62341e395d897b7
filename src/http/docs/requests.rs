//! Constraints that all requests share, because all fields are read in the same way.

use serde_json::{Value, json};

/// No text may contain control characters. The pattern works in every dialect of regular expressions.
const NO_CONTROL_CHARACTERS: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// Formats that exclude control characters.
const STRICT_FORMATS: [&str; 3] = ["date", "email", "uri"];

/// The operations that open a session, which stores the device name.
const SIGN_INS: [&str; 7] = [
    "/api/auth/exchange",
    "/api/auth/login",
    "/api/auth/guest",
    "/api/auth/register",
    "/api/auth/verify-login",
    "/api/auth/verify-otp",
    "/api/token",
];

const DEVICE_NAME: &str = "The name of the device, as the list of sessions shows it: 200 characters at most; without one \
    it shows `User-Agent`. A name that is not ASCII is sent in the form of RFC 8187, section 3.2, that is, `UTF-8''` and the \
    percent-encoded UTF-8 of the name: `UTF-8''%E0%A4%97%E0%A5%8C%E0%A4%B0%E0%A4%B5` is `गौरव`.";

/// Adds the header `X-Device-Name` to the operations that store it.
pub fn add_device_name_header(path: &str, operation: &mut Value) {
    let Some(operation) = operation.as_object_mut().filter(|_| SIGN_INS.contains(&path)) else {
        return;
    };
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({
            "name": "X-Device-Name",
            "in": "header",
            "description": DEVICE_NAME,
            "required": false,
            "schema": { "type": "string" },
            "example": "UTF-8''%E0%A4%97%E0%A5%8C%E0%A4%B0%E0%A4%B5",
        }));
    }
}

/// Completes the schemas of the members of a request.
pub fn complete_members(schema: &mut Value) {
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_name, member) in members.into_iter().flatten() {
        complete(member);
    }
}

/// Sets the minimum length of a profile name, which is a setting.
pub fn set_min_name_length(schema: &mut Value, min_chars: u64) {
    if let Some(name) = schema.pointer_mut("/properties/name").and_then(Value::as_object_mut) {
        name.insert("minLength".to_owned(), min_chars.into());
    }
}

/// Completes the schemas of query parameters.
pub fn complete_query_parameters(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let is_query = parameter.get("in").is_some_and(|place| place == "query");
        if let Some(schema) = parameter.get_mut("schema").filter(|_| is_query) {
            complete(schema);
        }
    }
}

fn complete(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    let is_nullable = schema.get("nullable").is_some_and(|value| value == true);
    // In OpenAPI 3.0 `nullable` does not add null to an enum: null has to be one of its values.
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        if is_nullable && !values.contains(&Value::Null) {
            values.push(Value::Null);
        }
        return;
    }
    let is_text = schema.get("type").is_some_and(|kind| kind == "string");
    let is_strict =
        schema.get("format").is_some_and(|format| STRICT_FORMATS.iter().any(|strict| format == strict));
    if is_text && !is_strict {
        schema.entry("pattern").or_insert_with(|| NO_CONTROL_CHARACTERS.into());
    }
}
