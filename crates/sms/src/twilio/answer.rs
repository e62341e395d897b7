//! Reads what Twilio's responses say about a message.

use reqwest::StatusCode;
use serde_json::Value;
use tracing::warn;

use super::{errors::ERRORS, words};
use crate::{Message, Receipt, client::answer::Answer, provider_error::ProviderError};
use domain::delivery::{Channel, DeliveryStatus, Price};

/// What the response says about the message that was sent.
pub(super) fn receipt(answer: &Answer, message: &Message) -> Result<Receipt, ProviderError> {
    let http_status = answer.status.as_u16();
    if !answer.status.is_success() {
        return Err(answer.provider_error(&ERRORS, answer.code("code")));
    }
    let word = answer.text("status").unwrap_or_default();
    let status = match message.channel {
        Channel::Sms | Channel::WhatsApp => words::message_status(word),
        Channel::Call => words::call_status(word),
    };
    // An unknown status, maybe of a later API version, still means with a 201 that the message was accepted.
    let status = status.unwrap_or(DeliveryStatus::Queued);
    if status.is_lost() {
        return Err(ERRORS.failed_message(http_status, answer.code("error_code")));
    }
    let provider_id = answer.text("sid").filter(|sid| words::is_id(sid)).map(str::to_owned);
    // Twilio answers 201. Another success without a message id comes from something else, such as a proxy's page.
    let has_message_id = provider_id.as_deref().is_some_and(is_message_id);
    if answer.status != StatusCode::CREATED && !has_message_id {
        return Err(ERRORS.of_answer(http_status, None, None));
    }
    if provider_id.is_none() {
        // Returning an error would invite a second message, and a second bill.
        warn!(message_id = %message.id, http_status, "SMS accepted, but the response could not be read");
    }
    Ok(Receipt { provider_id, status, segments: segments(answer), price: price(answer) })
}

/// A messaging service that has not built the message yet reports 0.
fn segments(answer: &Answer) -> Option<i64> {
    answer.number("num_segments").filter(|count| *count > 0).and_then(|count| count.try_into().ok())
}

fn price(answer: &Answer) -> Option<Price> {
    let amount = match answer.field("price")? {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let unit = answer.text("price_unit")?.to_owned();
    let is_unit = unit.len() == 3 && unit.bytes().all(|byte| byte.is_ascii_uppercase());
    (words::is_amount(&amount) && is_unit).then_some(Price { amount, unit })
}

/// Whether the id belongs to a message or a call.
fn is_message_id(id: &str) -> bool {
    ["SM", "MM", "CA"].iter().any(|kind| id.starts_with(kind))
}
