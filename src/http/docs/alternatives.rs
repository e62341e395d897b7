//! Requests that have two variants with different members: each variant gets a schema of its own, and the request is
//! `oneOf` them.

use serde_json::{Map, Value, json};

/// A variant of a request.
struct Variant {
    name: &'static str,
    description: &'static str,
    /// The members that this variant requires.
    required: &'static [&'static str],
    /// The members that only the other variant has.
    others: &'static [&'static str],
    example: fn() -> Value,
}

/// The requests with two variants.
const REQUESTS: [(&str, [Variant; 2]); 2] = [
    (
        "LoginRequest",
        [
            Variant {
                name: "LoginByPhoneRequest",
                description: "A request for a code to log in with.",
                required: &["phone_number"],
                others: &["username", "password"],
                example: || json!({ "phone_number": "+916205829376" }),
            },
            Variant {
                name: "LoginByPasswordRequest",
                description: "A sign-in with a username and a password.",
                required: &["username", "password"],
                others: &["phone_number", "channel", "platform", "device_token", "challenge_response"],
                example: || json!({ "username": "gaurav", "password": "correct horse battery" }),
            },
        ],
    ),
    (
        "ConfirmRequest",
        [
            Variant {
                name: "ConfirmByCodeRequest",
                description: "A confirmation by the code of `confirm-code`.",
                required: &["otp_code"],
                others: &["password"],
                example: || json!({ "otp_code": "1097" }),
            },
            Variant {
                name: "ConfirmByPasswordRequest",
                description: "A confirmation by the password.",
                required: &["password"],
                others: &["otp_code"],
                example: || json!({ "password": "correct horse battery" }),
            },
        ],
    ),
];

/// Replaces each of these requests by `oneOf` its variants.
pub fn split(schemas: &mut Map<String, Value>) {
    for (request, variants) in &REQUESTS {
        let Some(whole) = schemas.get(*request).cloned() else {
            continue;
        };
        for variant in variants {
            schemas.insert(variant.name.to_owned(), variant.schema(&whole));
        }
        let names = variants
            .iter()
            .map(|variant| json!({ "$ref": format!("#/components/schemas/{}", variant.name) }));
        let description = whole.get("description").cloned().unwrap_or_default();
        let schema =
            json!({ "type": "object", "description": description, "oneOf": names.collect::<Vec<_>>() });
        schemas.insert((*request).to_owned(), schema);
    }
}

impl Variant {
    fn schema(&self, whole: &Value) -> Value {
        let all = whole.get("properties").and_then(Value::as_object);
        let own = all.into_iter().flatten().filter(|(member, _)| !self.others.contains(&member.as_str()));
        let properties: Map<String, Value> = own
            .map(|(member, schema)| {
                let mut schema = schema.clone();
                if self.required.contains(&member.as_str())
                    && let Some(schema) = schema.as_object_mut()
                {
                    schema.shift_remove("nullable");
                    if schema.get("example").is_some_and(Value::is_null) {
                        schema.shift_remove("example");
                    }
                }
                (member.clone(), schema)
            })
            .collect();
        json!({
            "type": "object",
            "description": self.description,
            "required": self.required,
            "properties": properties,
            "example": (self.example)(),
        })
    }
}
