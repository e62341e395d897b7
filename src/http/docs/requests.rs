//! What every request says of its texts, because every one is read alike.

use serde_json::{Value, json};

/// No text of ours holds a control character. Written so that every dialect of regular expressions reads it.
const NO_CONTROL_CHARACTERS: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// Formats that leave no room for a control character.
const STRICT_FORMATS: [&str; 3] = ["date", "email", "uri"];

/// The operations that open a session, which keeps the name of its device.
const SIGN_INS: [&str; 5] =
    ["/api/auth/login", "/api/auth/register", "/api/auth/verify-login", "/api/auth/verify-otp", "/api/token"];

const DEVICE_NAME: &str = "The name of the device, as the list of sessions shows it: 200 characters at most; without one \
    it shows `User-Agent`. A name that is not ASCII is sent in the form of RFC 8187, section 3.2, that is, `UTF-8''` and the \
    percent-encoded UTF-8 of the name: `UTF-8''%E0%A4%97%E0%A5%8C%E0%A4%B0%E0%A4%B5` is `गौरव`.";

/// Says that a device may be named, where that is kept.
pub fn add_the_name_of_the_device(path: &str, operation: &mut Value) {
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
pub fn say_what_is_refused(schema: &mut Value) {
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_name, member) in members.into_iter().flatten() {
        complete(member);
    }
}

/// The name of a profile is as short as a setting says.
pub fn say_how_short_a_name_may_be(schema: &mut Value, min_chars: u64) {
    if let Some(name) = schema.pointer_mut("/properties/name").and_then(Value::as_object_mut) {
        name.insert("minLength".to_owned(), min_chars.into());
    }
}

/// Completes the schemas of the parameters behind the question mark.
pub fn say_what_is_refused_in_a_query(operation: &mut Value) {
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
    let is_nullable = schema.get("nullable").is_some_and(|it| it == true);
    // In OpenAPI 3.0 `nullable` adds nothing to a list of words: null has to be one of them.
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        if is_nullable && !words.contains(&Value::Null) {
            words.push(Value::Null);
        }
        return;
    }
    let is_text = schema.get("type").is_some_and(|it| it == "string");
    let is_strict = schema.get("format").is_some_and(|format| STRICT_FORMATS.iter().any(|it| format == it));
    if is_text && !is_strict {
        schema.entry("pattern").or_insert_with(|| NO_CONTROL_CHARACTERS.into());
    }
}
