//! What every request says of its texts, because every one is read alike.

use serde_json::Value;

/// No text of ours holds a control character. Written so that every dialect of regular expressions reads it.
const NO_CONTROL_CHARACTERS: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// Formats that leave no room for a control character.
const STRICT_FORMATS: [&str; 3] = ["date", "email", "uri"];

/// Completes the schemas of the members of a request.
pub fn say_what_is_refused(schema: &mut Value) {
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_name, member) in members.into_iter().flatten() {
        complete(member);
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
