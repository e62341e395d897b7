//! Texts that are one of a few words: each list has a schema of its own, so that a generated client has one type for it.

use serde_json::{Map, Value, json};

use crate::domain::{
    access::OpenedBy,
    account::Role,
    budget::PrefixState,
    delivery::{Channel, Platform},
    lead,
    otp::Purpose,
    profile::Gender,
};

/// A list of words, and the members whose values are on it.
struct Words {
    name: &'static str,
    description: &'static str,
    words: Vec<&'static str>,
    /// The schema and the member.
    places: &'static [(&'static str, &'static str)],
}

fn lists() -> [Words; 9] {
    [
        Words {
            name: "Gender",
            description: "A gender.",
            words: Gender::ALL.map(Gender::as_str).to_vec(),
            places: &[
                ("CompleteProfileRequest", "gender"),
                ("ChangeProfileRequest", "gender"),
                ("CompletedProfileData", "gender"),
                ("ExportedProfile", "gender"),
                ("Profile", "gender"),
            ],
        },
        Words {
            name: "Channel",
            description: "How a message is sent.",
            words: Channel::ALL.map(Channel::as_str).to_vec(),
            places: &[
                ("SignupRequest", "channel"),
                ("LoginRequest", "channel"),
                ("ChangePhoneRequest", "channel"),
                ("ExportedMessage", "channel"),
            ],
        },
        Words {
            name: "Platform",
            description: "What an app runs on.",
            words: [Platform::Android, Platform::Ios, Platform::Web].map(Platform::as_str).to_vec(),
            places: &[
                ("SignupRequest", "platform"),
                ("LoginRequest", "platform"),
                ("ChangePhoneRequest", "platform"),
            ],
        },
        Words {
            name: "Role",
            description: "What a user may do.",
            words: [Role::User, Role::Staff, Role::Admin].map(Role::as_str).to_vec(),
            places: &[("ChangeUserRequest", "role"), ("ExportedAccount", "role"), ("User", "role")],
        },
        Words {
            name: "SessionOpenedBy",
            description: "How a session was opened.",
            words: [OpenedBy::Code, OpenedBy::Password].map(OpenedBy::as_str).to_vec(),
            places: &[("ExportedSession", "opened_by")],
        },
        Words {
            name: "CodePurpose",
            description: "What a code is for.",
            words: Purpose::ALL.map(Purpose::as_str).to_vec(),
            places: &[("ExportedCode", "purpose")],
        },
        Words {
            name: "LeadSource",
            description: "What was asked for first.",
            words: [lead::Source::Signup, lead::Source::Login].map(lead::Source::as_str).to_vec(),
            places: &[("ExportedLead", "source")],
        },
        Words {
            name: "LeadState",
            description: "How far the sales team got.",
            words: [lead::State::New, lead::State::Contacted, lead::State::Converted, lead::State::Lost]
                .map(lead::State::as_str)
                .to_vec(),
            places: &[("ExportedLead", "state")],
        },
        Words {
            name: "PrefixState",
            description: "Whether a prefix of numbers gets messages.",
            words: PrefixState::ALL.map(PrefixState::as_str).to_vec(),
            places: &[("Prefix", "state")],
        },
    ]
}

/// Adds the lists, and lets every member of such a type name its list.
pub fn name_lists(schemas: &mut Map<String, Value>) {
    for list in lists() {
        let schema = json!({ "type": "string", "description": list.description, "enum": list.words });
        schemas.entry(list.name).or_insert(schema);
        for (owner, member) in list.places {
            let property = schemas.get_mut(*owner).and_then(|schema| schema.pointer_mut("/properties"));
            if let Some(property) = property.and_then(|all| all.get_mut(*member)) {
                *property = reference(property, list.name);
            }
        }
    }
}

/// Names the list in the place of the text, and keeps what is said of the member.
fn reference(property: &Value, name: &str) -> Value {
    let mut named = Map::new();
    for said in ["description", "example"] {
        if let Some(value) = property.get(said) {
            named.insert(said.to_owned(), value.clone());
        }
    }
    let list = json!({ "$ref": format!("#/components/schemas/{name}") });
    if property.get("nullable").is_some() {
        named.insert("oneOf".to_owned(), or_null(&list, "string"));
    } else {
        named.insert("allOf".to_owned(), json!([list]));
    }
    named.into()
}

/// What a reference or null is one of. In OpenAPI 3.0 nothing beside a reference can say that, and of `allOf` with
/// `nullable` generators forget the null.
pub fn or_null(reference: &Value, null_of: &str) -> Value {
    json!([reference, { "type": null_of, "nullable": true, "enum": [null] }])
}
