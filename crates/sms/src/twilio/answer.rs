//! What Twilio answers, and what it says of a message.

use chrono::{DateTime, Utc};
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use serde_json::{Map, Value};
use tracing::warn;

use crate::{
    Message, Receipt,
    provider_error::{self, ProviderError},
    words,
};
use domain::delivery::{Channel, DeliveryStatus, Price};

/// Twilio's answers have about 1 KiB. What is longer is not read to its end.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// No client is told to wait for longer than an hour because of one answer's header.
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

    /// What it says of the message that it is the answer to.
    pub(super) fn read(&self, message: &Message) -> Result<Receipt, ProviderError> {
        let http_status = self.status.as_u16();
        if !self.status.is_success() {
            return Err(self.provider_error());
        }
        let word = self.text("status").unwrap_or_default();
        let status = match message.channel {
            Channel::Sms | Channel::WhatsApp => words::message_status(word),
            Channel::Call => words::call_status(word),
        };
        // A word of next year says no less than the 201: it was taken.
        let status = status.unwrap_or(DeliveryStatus::Queued);
        if status.is_lost() {
            return Err(provider_error::failed_message(http_status, self.code("error_code")));
        }
        let provider_id = self.text("sid").filter(|sid| is_id(sid)).map(str::to_owned);
        // Twilio answers 201. Another success without a message in it is somebody else's: a proxy's page, say.
        let names_a_message = provider_id.as_deref().is_some_and(is_of_message);
        if self.status != StatusCode::CREATED && !names_a_message {
            return Err(provider_error::from_answer(http_status, None, None));
        }
        if provider_id.is_none() {
            // To call this a failure would invite a second message, and a second bill.
            warn!(message_id = %message.id, http_status, "SMS taken, but the answer could not be read");
        }
        Ok(Receipt { provider_id, status, segments: self.segments(), price: self.price() })
    }

    /// What an answer that is no success means.
    pub(super) fn provider_error(&self) -> ProviderError {
        provider_error::from_answer(
            self.status.as_u16(),
            self.code("code"),
            self.retry_after.map(|seconds| seconds.max(1)),
        )
    }

    /// Whether Twilio has too much to do or a fault of its own, as opposed to something to say.
    pub(super) fn is_away(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.body.as_ref()?.get(key)?.as_str()
    }

    /// A number, which Twilio writes as a number, as a text, or as null.
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

    /// A messaging service that has not built the message yet says 0.
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
        (is_amount(&amount) && is_unit).then_some(Price { amount, unit })
    }
}

/// The answer's JSON object. Too long, cut short, slow or something else: nothing.
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

/// What may go into a row as an id: whoever answers under the base URL could send anything.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether an id is one of a message or a call.
fn is_of_message(id: &str) -> bool {
    ["SM", "MM", "CA"].iter().any(|kind| id.starts_with(kind))
}

/// `Retry-After` in either of its forms, seconds or a date (RFC 9110, section 10.2.3); at most an hour.
fn seconds_of(retry_after: &str, now: DateTime<Utc>) -> Option<u64> {
    let is_number = !retry_after.is_empty() && retry_after.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if is_number {
        // More than fits is more than an hour.
        retry_after.parse().unwrap_or(MAX_RETRY_AFTER_SECONDS)
    } else {
        let date = DateTime::parse_from_rfc2822(retry_after).ok()?;
        u64::try_from((date.to_utc() - now).num_seconds()).unwrap_or(0)
    };
    Some(seconds.min(MAX_RETRY_AFTER_SECONDS))
}

/// A decimal number such as `-0.00750`.
fn is_amount(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 20 && are_digits(whole) && are_digits(part)
}
