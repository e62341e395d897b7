//! Enums: each one gets a schema of its own, so that a generated client has one type for it.

use serde_json::{Map, Value, json};

use crate::domain::{
    access::OpenedBy,
    account::Role,
    block,
    budget::PrefixState,
    delivery::{Channel, Platform},
    lead,
    otp::Purpose,
    profile::Gender,
};

/// An enum, and the members that have its type.
struct EnumSchema {
    name: &'static str,
    description: &'static str,
    values: Vec<&'static str>,
    /// Schema and member.
    members: &'static [(&'static str, &'static str)],
}

fn enums() -> [EnumSchema; 11] {
    [
        EnumSchema {
            name: "Gender",
            description: "A gender.",
            values: Gender::ALL.map(Gender::as_str).to_vec(),
            members: &[
                ("CompleteProfileRequest", "gender"),
                ("ChangeProfileRequest", "gender"),
                ("CompletedProfileData", "gender"),
                ("ExportedProfile", "gender"),
                ("Profile", "gender"),
            ],
        },
        EnumSchema {
            name: "Channel",
            description: "How a message is sent.",
            values: Channel::ALL.map(Channel::as_str).to_vec(),
            members: &[
                ("SignupRequest", "channel"),
                ("LoginRequest", "channel"),
                ("ChangePhoneRequest", "channel"),
                ("ForgotPasswordRequest", "channel"),
                ("StartVerificationRequest", "channel"),
                ("ExportedMessage", "channel"),
                ("ResendCodeRequest", "channel"),
                ("ResentCode", "channel"),
                ("PhoneTimelineEntry", "channel"),
            ],
        },
        EnumSchema {
            name: "Platform",
            description: "The platform of an app.",
            values: [Platform::Android, Platform::Ios, Platform::Web].map(Platform::as_str).to_vec(),
            members: &[
                ("SignupRequest", "platform"),
                ("LoginRequest", "platform"),
                ("ChangePhoneRequest", "platform"),
                ("ForgotPasswordRequest", "platform"),
            ],
        },
        EnumSchema {
            name: "Role",
            description: "What a user may do.",
            values: Role::ALL.map(Role::as_str).to_vec(),
            members: &[("ExportedAccount", "role"), ("User", "role"), ("IntrospectionAnswer", "role")],
        },
        EnumSchema {
            name: "NewRole",
            description: "A role that an admin can give.",
            values: Role::NEW.map(Role::as_str).to_vec(),
            members: &[("ChangeUserRequest", "role")],
        },
        EnumSchema {
            name: "SessionOpenedBy",
            description: "How a session was opened.",
            values: OpenedBy::ALL.map(OpenedBy::as_str).to_vec(),
            members: &[("ExportedSession", "opened_by")],
        },
        EnumSchema {
            name: "CodePurpose",
            description: "What a code is for.",
            values: Purpose::ALL.map(Purpose::as_str).to_vec(),
            members: &[("ExportedCode", "purpose")],
        },
        EnumSchema {
            name: "LeadSource",
            description: "The operation of the first request.",
            values: [lead::Source::Signup, lead::Source::Login].map(lead::Source::as_str).to_vec(),
            members: &[("ExportedLead", "source"), ("ListedLead", "source"), ("Lead", "source")],
        },
        EnumSchema {
            name: "LeadState",
            description: "The progress of the sales team.",
            values: lead::State::ALL.map(lead::State::as_str).to_vec(),
            members: &[
                ("ExportedLead", "state"),
                ("ListedLead", "state"),
                ("Lead", "state"),
                ("ChangeLeadRequest", "state"),
            ],
        },
        EnumSchema {
            name: "PrefixState",
            description: "Whether a number prefix gets messages.",
            values: PrefixState::ALL.map(PrefixState::as_str).to_vec(),
            members: &[("Prefix", "state")],
        },
        EnumSchema {
            name: "BlockKind",
            description: "What is blocked.",
            values: block::Kind::ALL.map(block::Kind::as_str).to_vec(),
            members: &[("NewBlockRequest", "kind"), ("Block", "kind")],
        },
    ]
}

/// Adds the schemas of the enums, and references them in their members.
pub fn add_schemas(schemas: &mut Map<String, Value>) {
    for schema in enums() {
        let EnumSchema { name, description, values, members } = schema;
        let schema = json!({ "type": "string", "description": description, "enum": values });
        schemas.entry(name).or_insert(schema);
        for (owner, member) in members {
            let property = schemas.get_mut(*owner).and_then(|schema| schema.pointer_mut("/properties"));
            if let Some(property) = property.and_then(|all| all.get_mut(*member)) {
                *property = reference(property, name);
            }
        }
    }
}

/// A reference to an enum, with the description and the example of the member.
fn reference(property: &Value, name: &str) -> Value {
    let mut member = Map::new();
    for kept in ["description", "example"] {
        if let Some(value) = property.get(kept) {
            member.insert(kept.to_owned(), value.clone());
        }
    }
    let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
    if property.get("nullable").is_some() {
        member.insert("oneOf".to_owned(), or_null(&reference, "string"));
    } else {
        member.insert("allOf".to_owned(), json!([reference]));
    }
    member.into()
}

/// The `oneOf` alternatives of a nullable reference. In OpenAPI 3.0 a reference cannot have siblings, and generators
/// ignore `nullable` beside `allOf`.
pub fn or_null(reference: &Value, null_of: &str) -> Value {
    json!([reference, { "type": null_of, "nullable": true, "enum": [null] }])
}
