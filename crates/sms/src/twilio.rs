//! Sends messages and calls through Twilio's REST API, version 2010-04-01.
//!
//! One request (`twilio/request.rs`) sends a message, and its response tells the result (`twilio/answer.rs`). A retry
//! follows only if the first request cannot have been accepted, or if Twilio reported an error on its side: a second
//! message costs money and trust, although it contains the same code. A deadline covers all tries, a semaphore limits
//! concurrent requests, and a circuit breaker (`twilio/breaker.rs`) stops requests while Twilio is down.

mod account;
mod answer;
mod backoff;
mod breaker;
mod failure;
mod request;
mod senders;
mod settings;
mod voice;

use std::{fmt, time::Duration};

use reqwest::{Client, Method, RequestBuilder, redirect};
use secrecy::ExposeSecret;
use thiserror::Error;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};
use tracing::debug;
use url::Url;

use super::{Message, Receipt, SendError};
use clock::Clock;
use domain::delivery::Channel;

use self::{
    answer::Answer,
    breaker::{Breaker, Pass},
    failure::{Failure, Health},
    request::Form,
};

pub use self::{
    account::{AccountCheck, AccountKind, AccountStatus},
    senders::{ContentError, NoSender, Sender, Senders, SendersError, WhatsApp},
    settings::{Credentials, DEFAULT_MAX_IN_FLIGHT, DEFAULT_TIMEOUT, RiskCheck, TwilioSettings},
};

/// How long connecting may take, TLS included. It is a part of the deadline, so that an unreachable host is detected
/// early enough for a retry.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// We close connections that are idle for longer: if Twilio closed one first, it could cut off a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The first request needs at least one half of the deadline (this is the divisor). Twilio may be slow, and a request
/// that is cut short only makes it unknown whether the message was sent.
const FIRST_TRY_DIVISOR: u32 = 2;

/// A retry needs at least one tenth of the deadline. Twilio has just answered, so it is probably as fast again.
const RETRY_DIVISOR: u32 = 10;

/// The most requests for one message.
const MAX_TRIES: u32 = 3;

/// Why [`Twilio::new`] failed. Found at the start.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The URL is not `http` or `https`, has no host, or contains a user or password.
    #[error("TWILIO_API_BASE_URL must be an http or https address without a user and password")]
    BaseUrl,
    /// The HTTP client could not be built, most likely because CA certificates are missing.
    #[error("the HTTP client for Twilio could not be made")]
    Client(#[source] reqwest::Error),
}

/// A client for one Twilio account. One per process, because it keeps its connections. Its `Debug` shows no setting.
pub struct Twilio {
    client: Client,
    account: Url,
    messages: Url,
    calls: Url,
    settings: TwilioSettings,
    clock: Clock,
    /// One permit per concurrent request. Tests hold them.
    pub(super) permits: Semaphore,
    breaker: Breaker,
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio").finish_non_exhaustive()
    }
}

impl Twilio {
    /// Builds the client, without a request to Twilio.
    pub fn new(settings: TwilioSettings, clock: Clock) -> Result<Self, SetupError> {
        let account_json = format!("{}.json", settings.account_sid);
        let account = resource(&settings, &[&account_json])?;
        let messages = resource(&settings, &[&settings.account_sid, "Messages.json"])?;
        let calls = resource(&settings, &[&settings.account_sid, "Calls.json"])?;
        let client = Client::builder()
            .user_agent("loopin-auth")
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // A redirect would send the text to another host, and a proxy from the environment is not one of our
            // settings.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(SetupError::Client)?;
        let permits = Semaphore::new(settings.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let breaker = Breaker::new(settings.breaker);
        Ok(Self { client, account, messages, calls, settings, clock, permits, breaker })
    }

    /// Sends the message, and logs why it was not accepted.
    pub(super) async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let deadline = Instant::now() + self.settings.timeout;
        let now = self.clock.now();
        let fail = |failure: Failure| {
            failure.report(message, 0);
            failure.provider_error.error
        };
        // Refuse what the settings do not allow before waiting for a permit.
        Form::new(&self.settings, message, now).map_err(Failure::not_attempted).map_err(fail)?;
        let pass = self.breaker.admit(now).map_err(Failure::circuit_open).map_err(fail)?;
        let (result, health) = self.send_with_retries(message, deadline, &pass).await;
        match health {
            Health::Up => pass.answered(),
            Health::Down => pass.failed(self.clock.now()),
            Health::Unknown => drop(pass),
        }
        result
    }

    /// Tries until the message is accepted or refused, or until no retry makes sense. Also returns the last known
    /// state of Twilio.
    async fn send_with_retries(
        &self,
        message: &Message,
        deadline: Instant,
        pass: &Pass<'_>,
    ) -> (Result<Receipt, SendError>, Health) {
        let (mut tries, mut health, mut may_be_sent) = (0, Health::Unknown, false);
        loop {
            let divisor = if tries == 0 { FIRST_TRY_DIVISOR } else { RETRY_DIVISOR };
            let min_left = self.settings.timeout / divisor;
            let failure = match self.attempt(message, deadline, min_left, pass).await {
                Ok(receipt) => return (Ok(receipt), Health::Up),
                Err(failure) => failure,
            };
            if failure.health != Health::Unknown {
                health = failure.health;
                tries += 1;
            }
            may_be_sent |= failure.may_be_sent();
            let wait = failure.retry_after.filter(|_| tries < MAX_TRIES);
            let wait = wait.map(|at_least| backoff::wait(message.id, tries, at_least));
            let last_start = deadline - self.settings.timeout / RETRY_DIVISOR;
            let Some(wait) = wait.filter(|wait| Instant::now() + *wait < last_start) else {
                let failure = if may_be_sent { failure.after_unknown_outcome() } else { failure };
                failure.report(message, tries);
                return (Err(failure.provider_error.error), health);
            };
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            debug!(message_id = %message.id, tries, millis, "SMS provider: trying again");
            sleep(wait).await;
        }
    }

    /// Sends one request as soon as it has a permit.
    async fn attempt(
        &self,
        message: &Message,
        deadline: Instant,
        min_left: Duration,
        pass: &Pass<'_>,
    ) -> Result<Receipt, Failure> {
        let Ok(Ok(_permit)) = timeout_at(deadline - min_left, self.permits.acquire()).await else {
            return Err(Failure::no_time_left());
        };
        // The breaker may have opened while this request waited.
        let now = self.clock.now();
        if let Some(seconds) = pass.blocked_for(now) {
            return Err(Failure::circuit_open(seconds));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let form = Form::new(&self.settings, message, now).map_err(Failure::not_attempted)?;
        let url = match message.channel {
            Channel::Sms | Channel::WhatsApp => &self.messages,
            Channel::Call => &self.calls,
        };
        let request = self.authorized_request(Method::POST, url.clone()).form(form.fields()).timeout(left);
        // A request that waited for its permit has less time than Twilio may take.
        let has_full_timeout = left > self.settings.timeout * 9 / 10;
        let response =
            request.send().await.map_err(|error| Failure::from_no_answer(&error, has_full_timeout))?;
        let answer = Answer::from_response(response, now).await;
        answer.receipt(message).map_err(|provider_error| Failure::from_answer(provider_error, &answer))
    }

    /// Creates a request with the credentials.
    fn authorized_request(&self, method: Method, url: Url) -> RequestBuilder {
        let Credentials { user, password } = &self.settings.credentials;
        self.client.request(method, url).basic_auth(user, Some(password.expose_secret()))
    }
}

/// The URL of a resource under the base URL.
fn resource(settings: &TwilioSettings, path: &[&str]) -> Result<Url, SetupError> {
    let mut url = settings.api_base_url.clone();
    let is_http = matches!(url.scheme(), "http" | "https");
    if !is_http || !url.username().is_empty() || url.password().is_some() {
        return Err(SetupError::BaseUrl);
    }
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut()
        .map_err(|()| SetupError::BaseUrl)?
        .pop_if_empty()
        .extend(["2010-04-01", "Accounts"])
        .extend(path);
    Ok(url)
}
