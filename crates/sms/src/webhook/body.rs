//! Builds the body of a message.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{Dlt, Message};

/// What a code is to India's registry: a message that the user asked for, of an app.
const DLT_CATEGORY: &str = "service_implicit";

/// What a function for Supabase's hook reads is in `user` and `sms`; the rest is ours. Supabase writes numbers without a
/// plus there. A notice has no `sms`: such a function would send it as a code.
pub(super) fn of(message: &Message, now: DateTime<Utc>) -> Value {
    let digits = message.to.full().trim_start_matches('+');
    let sms = message
        .otp_code
        .as_ref()
        .map(|code| ("sms", json!({ "otp": code.expose_secret(), "sms_type": "sms_otp", "phone": digits })));
    let fields = [
        ("user", json!({ "id": message.attempt.delivery_id, "phone": digits })),
        ("phone", json!(message.to.full())),
        ("country", json!(message.to.region().map(|region| region.to_string()))),
        ("channel", json!(message.channel.as_str())),
        ("language", json!(message.text.language)),
        ("text", json!(message.text.body.expose_secret())),
        ("ttl", json!(message.seconds_left(now))),
    ];
    let dlt = message.dlt().map(|Dlt { entity_id, template_id }| {
        ("dlt", json!({ "entity_id": entity_id, "template_id": template_id, "category": DLT_CATEGORY }))
    });
    fields.into_iter().chain(sms).chain(dlt).map(|(name, value)| (name.to_owned(), value)).collect()
}
