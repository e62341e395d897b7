//! A provider's answer, as far as all providers have it in common.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use serde_json::{Map, Value};

use crate::provider_error::{Errors, ProviderError};

/// The most bytes of a response that are read. A provider's responses have about 1 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The longest wait that a response's header can impose on clients: one hour.
const MAX_RETRY_AFTER_SECONDS: u64 = 3_600;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The seconds of `Retry-After`, up to an hour.
    pub(crate) retry_after: Option<u64>,
    body: Body,
}

/// What a body has.
enum Body {
    /// A JSON object.
    Json(Map<String, Value>),
    /// Something else, such as an HTML page.
    Other,
    /// Nothing that could be read: it is empty, cut off or too long.
    Missing,
}

impl Answer {
    pub(crate) async fn from_response(response: Response, now: DateTime<Utc>) -> Self {
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Self {
            status: response.status(),
            retry_after: retry_after.and_then(|text| seconds_of(text.trim(), now)),
            body: read_body(response).await,
        }
    }

    /// An answer of the operator's endpoint. `None` is a body that could not be read.
    pub(crate) fn from_parts(status: u16, retry_after: Option<Duration>, body: Option<&[u8]>) -> Self {
        Self {
            // A status that does not exist is no answer of the endpoint.
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_IMPLEMENTED),
            retry_after: retry_after.map(|wait| wait.as_secs().min(MAX_RETRY_AFTER_SECONDS)),
            body: body.map_or(Body::Missing, Body::from_bytes),
        }
    }

    /// The meaning of a response that is not a success, with the provider's error code in it.
    pub(crate) fn provider_error(&self, errors: &Errors, code: Option<u32>) -> ProviderError {
        errors.of_answer(self.status.as_u16(), code, self.retry_after.map(|seconds| seconds.max(1)))
    }

    /// Whether the provider is overloaded or has an error of its own (429 or 5xx).
    pub(crate) fn is_unavailable(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }

    pub(crate) fn field(&self, key: &str) -> Option<&Value> {
        match &self.body {
            Body::Json(object) => object.get(key),
            Body::Other | Body::Missing => None,
        }
    }

    /// Whether the body is empty, was cut off or is too long, so that it is not known what the provider said.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.body, Body::Missing)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.field(key)?.as_str()
    }

    /// A number, which providers write as a number, as a text or as null.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        match self.field(key)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(crate) fn code(&self, key: &str) -> Option<u32> {
        self.number(key).and_then(|code| code.try_into().ok())
    }
}

impl Body {
    fn from_bytes(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::Missing,
            bytes => serde_json::from_slice(bytes).map_or(Self::Other, Self::Json),
        }
    }
}

async fn read_body(mut response: Response) -> Body {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER_BYTES => body.extend_from_slice(&chunk),
            Ok(Some(_)) | Err(_) => return Body::Missing,
            Ok(None) => return Body::from_bytes(&body),
        }
    }
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
