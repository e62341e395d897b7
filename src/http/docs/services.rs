//! Operations for other services, which send an API key.

use serde_json::Value;

/// The responses of their gate.
pub const RESPONSES: [(&str, &str); 3] = [
    ("401", "`token_missing`: there is no API key. `token_invalid`: it is not a live key of this server."),
    ("403", "`forbidden`: the key does not have the scope that this needs."),
    ("429", "`rate_limited`: too many unknown keys from this address."),
];

/// Whether an operation is one.
pub fn is_for_one(operation: &Value) -> bool {
    let schemes = operation.get("security").and_then(Value::as_array);
    schemes.into_iter().flatten().any(|scheme| scheme.get("ApiKey").is_some())
}
