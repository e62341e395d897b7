//! The gates of operations, which poem-openapi documents by the names of their security schemes.

use serde_json::{Value, json};

use super::super::security::{BEARER, BEARER_OR_GUEST};

/// Gives the gates for users and for guests one name, because a client sends the same token to both. Returns whether the operation
/// refuses guests.
pub fn name_one(operation: &mut Value) -> bool {
    let schemes = operation.pointer_mut("/security/0").and_then(Value::as_object_mut);
    let Some(scheme) = schemes else { return false };
    if scheme.remove(BEARER_OR_GUEST).is_some() {
        scheme.insert(BEARER.to_owned(), json!([]));
        return false;
    }
    scheme.contains_key(BEARER)
}

/// Removes the scheme that no operation names any more.
pub fn remove_other_names(document: &mut Value) {
    let schemes = document.pointer_mut("/components/securitySchemes").and_then(Value::as_object_mut);
    if let Some(schemes) = schemes {
        schemes.remove(BEARER_OR_GUEST);
    }
}
