//! Reads Twilio's responses and what they say about a message.

use chrono::{DateTime, Utc};
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use serde_json::{Map, Value};
use tracing::warn;

use crate::{
    Message, Receipt,
    provider_error::{self, ProviderError},
    wire,
};
use domain::delivery::{Channel, DeliveryStatus, Price};

/// The most bytes of a response that are read. Twilio's responses have about 1 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The longest wait that a response's header can impose on clients: one hour.
const MAX_RETRY_AFTER_SECONDS: u64 = 3_600;

pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The seconds of `Retry-After`, up to an hour.
    pub(super) retry_after: Option<u64>,
    body: Option<Map<String, Value>>,
}

impl Answer {
    pub(super) async fn from_response(response: Response, now: DateTime<Utc>) -> Self {
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Self {
            status: response.status(),
            retry_after: retry_after.and_then(|text| seconds_of(text.trim(), now)),
            body: read_json(response).await,
        }
    }

    /// What the response says about the message that was sent.
    pub(super) fn receipt(&self, message: &Message) -> Result<Receipt, ProviderError> {
        let http_status = self.status.as_u16();
        if !self.status.is_success() {
            return Err(self.provider_error());
        }
        let word = self.text("status").unwrap_or_default();
        let status = match message.channel {
            Channel::Sms | Channel::WhatsApp => wire::message_status(word),
            Channel::Call => wire::call_status(word),
        };
        // An unknown status, maybe of a later API version, still means with a 201 that the message was accepted.
        let status = status.unwrap_or(DeliveryStatus::Queued);
        if status.is_lost() {
            return Err(provider_error::failed_message(http_status, self.code("error_code")));
        }
        let provider_id = self.text("sid").filter(|sid| wire::is_id(sid)).map(str::to_owned);
        // Twilio answers 201. Another success without a message id comes from something else, such as a proxy's page.
        let has_message_id = provider_id.as_deref().is_some_and(is_message_id);
        if self.status != StatusCode::CREATED && !has_message_id {
            return Err(provider_error::from_answer(http_status, None, None));
        }
        if provider_id.is_none() {
            // Returning an error would invite a second message, and a second bill.
            warn!(message_id = %message.id, http_status, "SMS accepted, but the response could not be read");
        }
        Ok(Receipt { provider_id, status, segments: self.segments(), price: self.price() })
    }

    /// The meaning of a response that is not a success.
    pub(super) fn provider_error(&self) -> ProviderError {
        provider_error::from_answer(
            self.status.as_u16(),
            self.code("code"),
            self.retry_after.map(|seconds| seconds.max(1)),
        )
    }

    /// Whether Twilio is overloaded or has an error of its own (429 or 5xx).
    pub(super) fn is_unavailable(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.body.as_ref()?.get(key)?.as_str()
    }

    /// A number, which Twilio writes as a number, as a text or as null.
    fn number(&self, key: &str) -> Option<u64> {
        match self.body.as_ref()?.get(key)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn code(&self, key: &str) -> Option<u32> {
        self.number(key).and_then(|code| code.try_into().ok())
    }

    /// A messaging service that has not built the message yet reports 0.
    fn segments(&self) -> Option<i64> {
        self.number("num_segments").filter(|count| *count > 0).and_then(|count| count.try_into().ok())
    }

    fn price(&self) -> Option<Price> {
        let amount = match self.body.as_ref()?.get("price")? {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        let unit = self.text("price_unit")?.to_owned();
        let is_unit = unit.len() == 3 && unit.bytes().all(|byte| byte.is_ascii_uppercase());
        (wire::is_amount(&amount) && is_unit).then_some(Price { amount, unit })
    }
}

/// The JSON object of the response. `None` if the body is too long, cut off or something else.
async fn read_json(mut response: Response) -> Option<Map<String, Value>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).ok()
}

/// Whether the id belongs to a message or a call.
fn is_message_id(id: &str) -> bool {
    ["SM", "MM", "CA"].iter().any(|kind| id.starts_with(kind))
}

/// Reads `Retry-After` in either form, seconds or a date (RFC 9110, section 10.2.3); at most an hour.
fn seconds_of(retry_after: &str, now: DateTime<Utc>) -> Option<u64> {
    let is_number = !retry_after.is_empty() && retry_after.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if is_number {
        // A number that does not fit into `u64` is more than an hour.
        retry_after.parse().unwrap_or(MAX_RETRY_AFTER_SECONDS)
    } else {
        let date = DateTime::parse_from_rfc2822(retry_after).ok()?;
        u64::try_from((date.to_utc() - now).num_seconds()).unwrap_or(0)
    };
    Some(seconds.min(MAX_RETRY_AFTER_SECONDS))
}
