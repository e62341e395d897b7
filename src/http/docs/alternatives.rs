//! Requests of which there are two kinds, by what they name: each kind has a schema of its own, and the request is one of
//! them.

use serde_json::{Map, Value, json};

/// One kind of a request.
struct Kind {
    name: &'static str,
    description: &'static str,
    /// What this kind must name.
    required: &'static [&'static str],
    /// What only the other kind names.
    others: &'static [&'static str],
    example: fn() -> Value,
}

/// The requests that have two kinds.
const REQUESTS: [(&str, [Kind; 2]); 2] = [
    (
        "LoginRequest",
        [
            Kind {
                name: "LoginByPhoneRequest",
                description: "A request for a code to log in with.",
                required: &["phone_number"],
                others: &["username", "password"],
                example: || json!({ "phone_number": "+916205829376" }),
            },
            Kind {
                name: "LoginByPasswordRequest",
                description: "A sign-in with a name and a password.",
                required: &["username", "password"],
                others: &["phone_number", "channel", "platform", "device_token", "challenge_response"],
                example: || json!({ "username": "gaurav", "password": "correct horse battery" }),
            },
        ],
    ),
    (
        "ConfirmRequest",
        [
            Kind {
                name: "ConfirmByCodeRequest",
                description: "A proof by the code of `confirm-code`.",
                required: &["otp_code"],
                others: &["password"],
                example: || json!({ "otp_code": "1097" }),
            },
            Kind {
                name: "ConfirmByPasswordRequest",
                description: "A proof by the password.",
                required: &["password"],
                others: &["otp_code"],
                example: || json!({ "password": "correct horse battery" }),
            },
        ],
    ),
];

/// Writes each of these requests as `oneOf` its kinds.
pub fn split(schemas: &mut Map<String, Value>) {
    for (request, kinds) in &REQUESTS {
        let Some(whole) = schemas.get(*request).cloned() else {
            continue;
        };
        for kind in kinds {
            schemas.insert(kind.name.to_owned(), kind.schema(&whole));
        }
        let names = kinds.iter().map(|kind| json!({ "$ref": format!("#/components/schemas/{}", kind.name) }));
        let description = whole.get("description").cloned().unwrap_or_default();
        let schema =
            json!({ "type": "object", "description": description, "oneOf": names.collect::<Vec<_>>() });
        schemas.insert((*request).to_owned(), schema);
    }
}

impl Kind {
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
