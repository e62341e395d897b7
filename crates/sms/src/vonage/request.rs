//! Builds the body of a request: one shape for each channel.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{VonageSettings, VonageWhatsApp};
use crate::{
    Dlt, Message,
    provider_error::{self, ProviderError},
};
use domain::{
    delivery::{Attempt, Channel},
    phone::PhoneNumber,
};

/// The range of `ttl` for SMS in seconds. Not confirmed.
const MIN_TTL_SECONDS: u64 = 20;
const MAX_TTL_SECONDS: u64 = 259_200;

/// The body for this message at this time.
///
/// # Errors
/// A refusal of our own if the settings do not allow the message.
pub(super) fn body(
    settings: &VonageSettings,
    message: &Message,
    now: DateTime<Utc>,
) -> Result<Value, ProviderError> {
    let own = match message.channel {
        Channel::Sms => sms(settings, message, now)?,
        Channel::WhatsApp => whatsapp(settings, message)?,
        Channel::Call => return Err(provider_error::from_settings("Vonage makes no calls for this server")),
    };
    let to = json!(digits(&message.to));
    // It comes back in every report, which may arrive before Vonage's id is stored.
    let reference = json!(reference(message.attempt));
    let address = settings.status_callback.as_ref().map(|address| ("webhook_url", json!(address.as_str())));
    let shared = [("to", to), ("client_ref", reference)].into_iter().chain(address);
    Ok(own.into_iter().chain(shared).map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The fields of a channel.
type Fields = Vec<(&'static str, Value)>;

fn sms(settings: &VonageSettings, message: &Message, now: DateTime<Utc>) -> Result<Fields, ProviderError> {
    let from = settings.from.as_deref();
    let from = from.ok_or_else(|| provider_error::from_settings("no sender: set VONAGE_FROM"))?;
    let ttl = message.seconds_left(now).clamp(MIN_TTL_SECONDS, MAX_TTL_SECONDS);
    Ok(vec![
        ("channel", json!("sms")),
        ("message_type", json!("text")),
        ("from", json!(from)),
        ("text", json!(message.text.body.expose_secret())),
        ("ttl", json!(ttl)),
        ("sms", of_sms(message)),
    ])
}

/// What only text messages have.
fn of_sms(message: &Message) -> Value {
    // Without it, Hindi could be sent as question marks.
    let encoding = "auto";
    match message.dlt() {
        Some(Dlt { entity_id, template_id }) => {
            json!({ "encoding_type": encoding, "entity_id": entity_id, "content_id": template_id })
        }
        None => json!({ "encoding_type": encoding }),
    }
}

/// An authentication template of Meta: its only variable is the code, also in the button that copies it.
fn whatsapp(settings: &VonageSettings, message: &Message) -> Result<Fields, ProviderError> {
    let VonageWhatsApp { from, template } = settings.whatsapp.as_ref().ok_or_else(|| {
        provider_error::from_settings("no WhatsApp: set VONAGE_WHATSAPP_FROM and VONAGE_WHATSAPP_TEMPLATE")
    })?;
    let code = message
        .otp_code
        .as_ref()
        .ok_or_else(|| provider_error::from_settings("no WhatsApp template for a message without a code"))?;
    let parameters = json!([{ "type": "text", "text": code.expose_secret() }]);
    // Meta writes `pt_BR`.
    let language = message.text.language.replace('-', "_");
    let template = json!({
        "name": template,
        "language": { "code": language, "policy": "deterministic" },
        "components": [
            { "type": "body", "parameters": parameters },
            { "type": "button", "sub_type": "url", "index": "0", "parameters": parameters },
        ],
    });
    Ok(vec![
        ("channel", json!("whatsapp")),
        ("message_type", json!("custom")),
        ("from", json!(from)),
        ("custom", json!({ "type": "template", "template": template })),
    ])
}

/// Vonage writes numbers without a plus.
fn digits(phone: &PhoneNumber) -> &str {
    phone.full().trim_start_matches('+')
}

/// Our name of a message, which every report about it repeats.
pub(super) fn reference(attempt: Attempt) -> String {
    format!("{}:{}", attempt.delivery_id, attempt.number)
}

/// Reads [`reference`].
pub(super) fn attempt_of(reference: &str) -> Option<Attempt> {
    let (delivery_id, number) = reference.split_once(':')?;
    Some(Attempt { delivery_id: delivery_id.parse().ok()?, number: number.parse().ok()? })
}
