//! Sends messages and calls through Twilio's REST API, version 2010-04-01.
//!
//! One request (`twilio/request.rs`) sends a message, and its response tells the result (`twilio/answer.rs`).

mod account;
mod answer;
pub(crate) mod callback;
mod errors;
mod request;
mod senders;
mod settings;
mod voice;
mod words;

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use url::Url;

use crate::{
    Message, Provider, Receipt,
    client::{self, Client, Limits, SetupError, answer::Answer, failure::NoAnswer},
    provider_error::ProviderError,
};
use clock::Clock;
use domain::delivery::Channel;

use self::request::Form;

pub(crate) use self::errors::ERRORS;
pub use self::{
    account::{AccountCheck, AccountKind, AccountStatus},
    senders::{ContentError, NoSender, Sender, Senders, SendersError, WhatsApp},
    settings::{Credentials, RiskCheck, TwilioSettings},
};

/// A client for one Twilio account.
pub type Twilio = Client<TwilioApi>;

/// Twilio's wire format.
pub struct TwilioApi {
    client: reqwest::Client,
    account: Url,
    messages: Url,
    calls: Url,
    settings: TwilioSettings,
}

impl Twilio {
    /// Builds the client, without a request to Twilio.
    ///
    /// # Errors
    /// [`SetupError`] if the base URL cannot be used.
    pub fn new(settings: TwilioSettings, clock: Clock) -> Result<Self, SetupError> {
        let account_json = format!("{}.json", settings.account_sid);
        let api = TwilioApi {
            client: client::http_client(settings.timeout)?,
            account: resource(&settings, &[&account_json])?,
            messages: resource(&settings, &[&settings.account_sid, "Messages.json"])?,
            calls: resource(&settings, &[&settings.account_sid, "Calls.json"])?,
            settings,
        };
        let TwilioSettings { timeout, max_in_flight, breaker, .. } = api.settings;
        Ok(Self::around(api, Limits { timeout, max_in_flight, breaker }, clock))
    }

    /// Whether the settings have what this channel needs.
    pub(crate) fn is_set_up_for(&self, channel: Channel) -> bool {
        self.api.settings.is_set_up_for(channel)
    }
}

impl TwilioApi {
    /// Creates a request with the credentials.
    fn authorized_request(&self, method: Method, url: Url) -> RequestBuilder {
        let Credentials { user, password } = &self.settings.credentials;
        self.client.request(method, url).basic_auth(user, Some(password.expose_secret()))
    }
}

impl client::Api for TwilioApi {
    const PROVIDER: Provider = Provider::Twilio;

    type Request = RequestBuilder;

    fn request(&self, message: &Message, now: DateTime<Utc>) -> Result<RequestBuilder, ProviderError> {
        let form = Form::new(&self.settings, message, now)?;
        let url = match message.channel {
            Channel::Sms | Channel::WhatsApp => &self.messages,
            Channel::Call => &self.calls,
        };
        Ok(self.authorized_request(Method::POST, url.clone()).form(form.fields()))
    }

    async fn post(
        &self,
        request: RequestBuilder,
        timeout: Duration,
        now: DateTime<Utc>,
    ) -> Result<Answer, NoAnswer> {
        client::post(request, timeout, now).await
    }

    fn receipt(&self, answer: &Answer, message: &Message) -> Result<Receipt, ProviderError> {
        answer::receipt(answer, message)
    }

    fn error_text<'a>(&self, answer: &'a Answer) -> Option<&'a str> {
        answer.text("message").or_else(|| answer.text("error_message"))
    }
}

/// The URL of a resource under the base URL.
fn resource(settings: &TwilioSettings, path: &[&str]) -> Result<Url, SetupError> {
    let whole: Vec<&str> = ["2010-04-01", "Accounts"].iter().chain(path).copied().collect();
    client::resource(&settings.api_base_url, &whole, "TWILIO_API_BASE_URL")
}
