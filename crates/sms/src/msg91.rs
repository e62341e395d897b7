//! Sends codes through MSG91's flow API, version 5: <https://docs.msg91.com/sms/send-sms>.
//!
//! The text is a template in MSG91's panel, tied to its DLT template there; only the code is sent. The API knows no
//! validity period, so a late SMS may come. Not confirmed against a live account: the shape of the answer and of its
//! errors. They are in this file and in `msg91/errors.rs` only.

mod errors;
mod report;

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    ByLanguage, Message, Provider, Receipt,
    client::{self, Client, Limits, SetupError, answer::Answer, failure::NoAnswer},
    provider_error::{self, ProviderError},
};
use clock::Clock;
use domain::delivery::{Channel, DeliveryStatus};

pub(crate) use self::errors::ERRORS;
pub use self::report::Msg91Reports;

/// The longest id of a request that is kept.
const LONGEST_ID: usize = 64;

/// A client for one MSG91 account.
pub type Msg91 = Client<Msg91Api>;

/// The settings of an MSG91 account. Its `Debug` shows neither the key nor a template.
#[derive(Clone)]
pub struct Msg91Settings {
    /// `MSG91_AUTH_KEY`
    pub auth_key: SecretString,
    /// `MSG91_TEMPLATE_ID`: the template of each language.
    pub templates: ByLanguage,
    /// `MSG91_CODE_VARIABLE`: the name of the template's variable for the code.
    pub variable: String,
    /// `MSG91_API_BASE_URL`
    pub api_base_url: Url,
    /// The limits of the client.
    pub limits: Limits,
}

impl fmt::Debug for Msg91Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Msg91Settings").finish_non_exhaustive()
    }
}

/// MSG91's wire format.
pub struct Msg91Api {
    client: reqwest::Client,
    flow: Url,
    settings: Msg91Settings,
}

impl Msg91 {
    /// Builds the client, without a request to MSG91.
    ///
    /// # Errors
    /// [`SetupError`] if the base URL cannot be used.
    pub fn new(settings: Msg91Settings, clock: Clock) -> Result<Self, SetupError> {
        let limits = settings.limits;
        let api = Msg91Api {
            client: client::http_client(limits.timeout)?,
            // With a slash at its end.
            flow: client::resource(&settings.api_base_url, &["api", "v5", "flow", ""], "MSG91_API_BASE_URL")?,
            settings,
        };
        Ok(Self::around(api, limits, clock))
    }
}

impl client::Api for Msg91Api {
    const PROVIDER: Provider = Provider::Msg91;

    type Request = RequestBuilder;

    fn request(&self, message: &Message, _: DateTime<Utc>) -> Result<RequestBuilder, ProviderError> {
        match message.channel {
            Channel::Sms => {}
            Channel::WhatsApp | Channel::Call => {
                return Err(provider_error::from_settings("MSG91 sends SMS only for this server"));
            }
        }
        let code = message.otp_code.as_ref().ok_or_else(|| {
            provider_error::from_settings("MSG91 sends a template, which a message without a code has not")
        })?;
        let template = self.settings.templates.get(&message.text.language);
        let template = template.ok_or_else(|| provider_error::from_settings(ERRORS.hints.not_set_up))?;
        let mut recipient = Map::new();
        recipient.insert("mobiles".to_owned(), json!(message.to.full().trim_start_matches('+')));
        recipient.insert(self.settings.variable.clone(), json!(code.expose_secret()));
        let body = json!({ "template_id": template, "short_url": "0", "recipients": [recipient] });
        let request = self.client.post(self.flow.clone());
        Ok(request.header("authkey", self.settings.auth_key.expose_secret()).json(&body))
    }

    async fn post(
        &self,
        request: RequestBuilder,
        timeout: Duration,
        now: DateTime<Utc>,
    ) -> Result<Answer, NoAnswer> {
        client::post(request, timeout, now).await
    }

    /// `{"type": "success", "message": "<request id>"}`. An error has status 200 too.
    fn receipt(&self, answer: &Answer, _: &Message) -> Result<Receipt, ProviderError> {
        if !answer.status.is_success() {
            return Err(answer.provider_error(&ERRORS, errors::code_in(answer)));
        }
        match answer.text("type") {
            Some("success") => {
                let provider_id = answer.text("message").filter(|id| is_id(id)).map(str::to_owned);
                Ok(Receipt { provider_id, status: DeliveryStatus::Queued, segments: None, price: None })
            }
            Some(_) => Err(ERRORS.of_answer(
                StatusCode::BAD_REQUEST.as_u16(),
                errors::code_in(answer),
                answer.retry_after.map(|seconds| seconds.max(1)),
            )),
            // Status 200 alone says nothing: the rest of the answer may have been "error".
            None if answer.is_missing() => Err(ERRORS.failed_message(answer.status.as_u16(), None)),
            None => {
                Err(answer.provider_error(&ERRORS, errors::code_in(answer).or(Some(errors::NOT_THE_API))))
            }
        }
    }

    fn error_text<'a>(&self, answer: &'a Answer) -> Option<&'a str> {
        answer.text("message").or_else(|| answer.text("errors"))
    }
}

/// Whether a text may be stored as MSG91's id of a request.
fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A text or a number.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
