//! Hands messages to the operator's own HTTPS endpoint, signed as Standard Webhooks says.
//!
//! All tries of one message have the same `webhook-id`, by which a receiver recognises a repetition. The body also has
//! the fields of Supabase's send-SMS hook, so functions that were written for that hook work unchanged.

mod body;
mod errors;
mod report;

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use outbound::{Endpoint, Secrets};
use serde_json::Value;

use crate::{
    Message, Provider, Receipt,
    client::{
        self, Client, Limits, SetupError,
        answer::Answer,
        failure::{NoAnswer, Stage},
    },
    provider_error::ProviderError,
};
use clock::Clock;
use domain::delivery::{Attempt, DeliveryStatus};

pub(crate) use self::errors::ERRORS;
pub use self::report::WebhookReports;

/// A client for the operator's endpoint.
pub type Webhook = Client<WebhookApi>;

/// The settings of the webhook. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct WebhookSettings {
    /// `SMS_WEBHOOK_URL`
    pub endpoint: Endpoint,
    /// `SMS_WEBHOOK_SECRET`: signs messages, and verifies reports.
    pub secrets: Secrets,
    /// `HOOKS_ALLOW_PRIVATE_NETWORKS`
    pub allow_private_networks: bool,
    /// The limits of the client.
    pub limits: Limits,
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The wire format of the webhook.
pub struct WebhookApi {
    client: outbound::Client,
    settings: WebhookSettings,
}

/// A message that is ready to be sent. It contains the code and has no `Debug`.
pub struct WebhookRequest {
    id: String,
    body: Vec<u8>,
}

impl Webhook {
    /// Builds the client, without a request.
    ///
    /// # Errors
    /// [`SetupError`] if the HTTP client cannot be built.
    pub fn new(settings: WebhookSettings, clock: Clock) -> Result<Self, SetupError> {
        let client = outbound::Client::new(settings.allow_private_networks).map_err(SetupError::Outbound)?;
        let limits = settings.limits;
        Ok(Self::around(WebhookApi { client, settings }, limits, clock))
    }
}

impl client::Api for WebhookApi {
    const PROVIDER: Provider = Provider::Webhook;

    type Request = WebhookRequest;

    fn request(&self, message: &Message, now: DateTime<Utc>) -> Result<WebhookRequest, ProviderError> {
        Ok(WebhookRequest { id: id_of(message.attempt), body: body::of(message, now).to_string().into() })
    }

    async fn post(
        &self,
        WebhookRequest { id, body }: WebhookRequest,
        timeout: Duration,
        now: DateTime<Utc>,
    ) -> Result<Answer, NoAnswer> {
        let WebhookSettings { endpoint, secrets, .. } = &self.settings;
        let request = outbound::Request { endpoint, id: &id, at: now, secrets, body: &body, timeout };
        match self.client.post(request).await {
            Ok(outbound::Answer { status, retry_after, body }) => {
                Ok(Answer::from_parts(status, retry_after, body.as_deref()))
            }
            Err(failure) => Err(no_answer(failure)),
        }
    }

    /// Any 2xx, unless its body has an `error`, as functions for Supabase's hook write it.
    fn receipt(&self, answer: &Answer, message: &Message) -> Result<Receipt, ProviderError> {
        let error = answer.field("error").filter(|error| says_something(error));
        if answer.status.is_success() && error.is_none() {
            let provider_id = Some(id_of(message.attempt));
            return Ok(Receipt { provider_id, status: DeliveryStatus::Queued, segments: None, price: None });
        }
        Err(errors::of(answer, error))
    }

    fn error_text<'a>(&self, answer: &'a Answer) -> Option<&'a str> {
        let error = answer.field("error")?;
        error.as_str().or_else(|| error.get("message")?.as_str())
    }
}

/// Whether the value of `error` is an error. Some functions write the field always, and `false` or nothing in it.
fn says_something(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        // `{}` too: it is what JavaScript makes of an `Error`.
        Value::Bool(true) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

fn no_answer(failure: outbound::Failure) -> NoAnswer {
    let (stage, is_timeout) = match failure {
        // Trying again would find the same address.
        outbound::Failure::PrivateAddress => (Stage::Building, false),
        outbound::Failure::NotConnected => (Stage::Connecting, false),
        outbound::Failure::TimedOut => (Stage::Sent, true),
        outbound::Failure::Unknown => (Stage::Sent, false),
    };
    NoAnswer { stage, is_timeout, cause: failure.to_string() }
}

/// The `webhook-id` of a message, which is also our id of it in reports. It has no full stop, which separates the signed
/// parts.
fn id_of(attempt: Attempt) -> String {
    format!("{}-{}", attempt.delivery_id.simple(), attempt.number)
}

/// Reads [`id_of`].
fn attempt_of(id: &str) -> Option<Attempt> {
    let (delivery_id, number) = id.split_once('-')?;
    let attempt = Attempt { delivery_id: delivery_id.parse().ok()?, number: number.parse().ok()? };
    // One spelling only, because it is compared with the stored one.
    (id_of(attempt) == id).then_some(attempt)
}
