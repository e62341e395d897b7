//! Sends messages through Vonage's Messages API, version 1: <https://developer.vonage.com/en/api/messages>.
//!
//! Not confirmed against a live account: the host of the API, Basic authentication, and the shape of the answer. They
//! are in this file only.

mod errors;
mod report;
mod request;

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tracing::warn;
use url::Url;

use crate::{
    Message, Provider, Receipt,
    client::{self, Client, Limits, SetupError, answer::Answer, failure::NoAnswer},
    provider_error::ProviderError,
};
use clock::Clock;
use domain::delivery::{Channel, DeliveryStatus};

pub(crate) use self::errors::ERRORS;
pub use self::report::VonageReports;

/// The longest id of a message that is kept.
const LONGEST_ID: usize = 64;

/// A client for one Vonage account.
pub type Vonage = Client<VonageApi>;

/// The settings of a Vonage account. Its `Debug` shows neither the account nor a secret nor a sender.
#[derive(Clone)]
pub struct VonageSettings {
    /// `VONAGE_API_KEY`
    pub api_key: String,
    /// `VONAGE_API_SECRET`
    pub api_secret: SecretString,
    /// `VONAGE_FROM`: a number without a plus, or an alphanumeric sender.
    pub from: Option<String>,
    /// The WhatsApp settings, if WhatsApp is enabled.
    pub whatsapp: Option<VonageWhatsApp>,
    /// The address for reports: `/api/vonage/status` under `PUBLIC_BASE_URL`. Only set if reports can be verified.
    pub status_callback: Option<Url>,
    /// `VONAGE_API_BASE_URL`
    pub api_base_url: Url,
    /// The limits of the client.
    pub limits: Limits,
}

/// The WhatsApp settings: codes are sent with an approved authentication template.
#[derive(Clone)]
pub struct VonageWhatsApp {
    /// `VONAGE_WHATSAPP_FROM`: the number of the business account, without a plus.
    pub from: String,
    /// `VONAGE_WHATSAPP_TEMPLATE`: the name of the template, which exists in the languages of the texts.
    pub template: String,
}

impl VonageSettings {
    /// Whether they have what this channel needs.
    #[must_use]
    pub fn is_set_up_for(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.from.is_some(),
            Channel::WhatsApp => self.whatsapp.is_some(),
            Channel::Call => false,
        }
    }
}

impl fmt::Debug for VonageSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VonageSettings").finish_non_exhaustive()
    }
}

impl fmt::Debug for VonageWhatsApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VonageWhatsApp").finish_non_exhaustive()
    }
}

/// Vonage's wire format.
pub struct VonageApi {
    client: reqwest::Client,
    messages: Url,
    settings: VonageSettings,
}

impl Vonage {
    /// Builds the client, without a request to Vonage.
    ///
    /// # Errors
    /// [`SetupError`] if the base URL cannot be used.
    pub fn new(settings: VonageSettings, clock: Clock) -> Result<Self, SetupError> {
        let limits = settings.limits;
        let api = VonageApi {
            client: client::http_client(limits.timeout)?,
            messages: client::resource(&settings.api_base_url, &["v1", "messages"], "VONAGE_API_BASE_URL")?,
            settings,
        };
        Ok(Self::around(api, limits, clock))
    }

    /// Whether the settings have what this channel needs.
    pub(crate) fn is_set_up_for(&self, channel: Channel) -> bool {
        self.api.settings.is_set_up_for(channel)
    }
}

impl client::Api for VonageApi {
    const PROVIDER: Provider = Provider::Vonage;

    type Request = RequestBuilder;

    fn request(&self, message: &Message, now: DateTime<Utc>) -> Result<RequestBuilder, ProviderError> {
        let body = request::body(&self.settings, message, now)?;
        let VonageSettings { api_key, api_secret, .. } = &self.settings;
        let request = self.client.post(self.messages.clone());
        Ok(request.basic_auth(api_key, Some(api_secret.expose_secret())).json(&body))
    }

    async fn post(
        &self,
        request: RequestBuilder,
        timeout: Duration,
        now: DateTime<Utc>,
    ) -> Result<Answer, NoAnswer> {
        client::post(request, timeout, now).await
    }

    /// 202 with a `message_uuid`. Errors are problem documents (RFC 9457), whose type ends with the code.
    fn receipt(&self, answer: &Answer, message: &Message) -> Result<Receipt, ProviderError> {
        let code = errors::code_in(answer.field("type"), answer.field("title"));
        let provider_id = answer.text("message_uuid").filter(|id| is_id(id)).map(str::to_owned);
        let is_accepted = provider_id.is_some() || (answer.status == StatusCode::ACCEPTED && code.is_none());
        if !answer.status.is_success() {
            return Err(answer.provider_error(&ERRORS, code));
        }
        if !is_accepted {
            // A success that was cut may have been Vonage's.
            let may_be_sent = answer.is_missing();
            let unknown = || ERRORS.failed_message(answer.status.as_u16(), None);
            return Err(if may_be_sent { unknown() } else { answer.provider_error(&ERRORS, code) });
        }
        if provider_id.is_none() {
            // Returning an error would invite a second message, and a second bill.
            let http_status = answer.status.as_u16();
            warn!(message_id = %message.id, http_status, "SMS accepted, but the response could not be read");
        }
        Ok(Receipt { provider_id, status: DeliveryStatus::Queued, segments: None, price: None })
    }

    fn error_text<'a>(&self, answer: &'a Answer) -> Option<&'a str> {
        answer.text("detail").or_else(|| answer.text("title"))
    }
}

/// Whether a text may be stored as Vonage's id of a message, a UUID.
fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A text or a number.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
