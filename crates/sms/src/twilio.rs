//! Twilio's REST API, version 2010-04-01: messages and calls.
//!
//! A message is asked for with one request (`twilio/request.rs`), whose answer says what became of it
//! (`twilio/answer.rs`). Another request follows only when the first cannot have been taken, or when Twilio said that it
//! has a fault: a second message costs money and trust, though it carries the same code. Around it stand a deadline
//! over all tries, a limit of requests under way, and a breaker (`twilio/breaker.rs`).

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

/// Of the deadline, how long a connection may take to stand, TLS included, so that a host that is gone is found out
/// early, and asked again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections that lie unused for longer are closed by us: one that Twilio closes first would cut a message in two.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The part of the deadline that must be left for a message's first request, as a divisor: a half. Twilio may be slow, and
/// a request that is cut short only makes it unknown whether a message went out.
const LEAST_TIME_AT_FIRST: u32 = 2;

/// The same for a further one: a tenth. Whoever was asked a moment ago answers as fast as it did then.
const LEAST_TIME_AGAIN: u32 = 10;

/// How often Twilio is asked for one message, at most.
const MAX_TRIES: u32 = 3;

/// Why there is no [`Twilio`]. Found at start.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Not `http` or `https`, without a host, or with a user or password in it.
    #[error("TWILIO_API_BASE_URL must be an http or https address without a user and password")]
    BaseUrl,
    /// The HTTP client could not be made, most likely for want of CA certificates.
    #[error("the HTTP client for Twilio could not be made")]
    Client(#[source] reqwest::Error),
}

/// A Twilio account to send with. One per process: it keeps its connections. Its `Debug` shows no setting.
pub struct Twilio {
    client: Client,
    account: Url,
    messages: Url,
    calls: Url,
    settings: TwilioSettings,
    clock: Clock,
    /// A turn for each request that may be under way. Tests hold them.
    pub(super) turns: Semaphore,
    breaker: Breaker,
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio").finish_non_exhaustive()
    }
}

impl Twilio {
    /// Makes the one client, without a word to Twilio.
    ///
    /// # Errors
    ///
    /// [`SetupError`] when the base URL is of no use or the client cannot be made.
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
            // A redirect would carry the text to wherever it points; a proxy in the environment is no setting of ours.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(SetupError::Client)?;
        let turns = Semaphore::new(settings.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let breaker = Breaker::new(settings.breaker);
        Ok(Self { client, account, messages, calls, settings, clock, turns, breaker })
    }

    /// Sends the message, and logs why it was not taken.
    pub(super) async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let deadline = Instant::now() + self.settings.timeout;
        let now = self.clock.now();
        let not_asked = |failure: Failure| {
            failure.report(message, 0);
            failure.provider_error.error
        };
        // What the settings do not allow is refused before anybody waits for it.
        Form::new(&self.settings, message, now).map_err(Failure::not_asked).map_err(not_asked)?;
        let pass = self.breaker.admit(now).map_err(Failure::shut).map_err(not_asked)?;
        let (result, health) = self.try_to_send(message, deadline, &pass).await;
        match health {
            Health::Answered => pass.answered(),
            Health::Away => pass.failed(self.clock.now()),
            Health::NotAsked => drop(pass),
        }
        result
    }

    /// Asks until the message is taken or refused, or no further try makes sense. With what was learnt of Twilio last.
    async fn try_to_send(
        &self,
        message: &Message,
        deadline: Instant,
        pass: &Pass<'_>,
    ) -> (Result<Receipt, SendError>, Health) {
        let (mut tries, mut health, mut may_be_sent) = (0, Health::NotAsked, false);
        loop {
            let part = if tries == 0 { LEAST_TIME_AT_FIRST } else { LEAST_TIME_AGAIN };
            let least = self.settings.timeout / part;
            let failure = match self.try_once(message, deadline, least, pass).await {
                Ok(receipt) => return (Ok(receipt), Health::Answered),
                Err(failure) => failure,
            };
            if failure.health != Health::NotAsked {
                health = failure.health;
                tries += 1;
            }
            may_be_sent |= failure.may_be_sent();
            let wait = failure.again.filter(|_| tries < MAX_TRIES);
            let wait = wait.map(|asked_for| backoff::wait(message.id, tries, asked_for));
            let last_start = deadline - self.settings.timeout / LEAST_TIME_AGAIN;
            let Some(wait) = wait.filter(|wait| Instant::now() + *wait < last_start) else {
                let failure = if may_be_sent { failure.after_one_that_may_be_sent() } else { failure };
                failure.report(message, tries);
                return (Err(failure.provider_error.error), health);
            };
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            debug!(message_id = %message.id, tries, millis, "SMS provider is asked again");
            sleep(wait).await;
        }
    }

    /// One request, in its turn.
    async fn try_once(
        &self,
        message: &Message,
        deadline: Instant,
        least: Duration,
        pass: &Pass<'_>,
    ) -> Result<Receipt, Failure> {
        let Ok(Ok(_turn)) = timeout_at(deadline - least, self.turns.acquire()).await else {
            return Err(Failure::too_late());
        };
        // While it waited, others may have found out that Twilio is away.
        let now = self.clock.now();
        if let Some(seconds) = pass.shut(now) {
            return Err(Failure::shut(seconds));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let form = Form::new(&self.settings, message, now).map_err(Failure::not_asked)?;
        let url = match message.channel {
            Channel::Sms | Channel::WhatsApp => &self.messages,
            Channel::Call => &self.calls,
        };
        let request = self.asking(Method::POST, url.clone()).form(form.fields()).timeout(left);
        // A request that had to wait for its turn has less time than Twilio is given.
        let is_whole = left > self.settings.timeout * 9 / 10;
        let response = request.send().await.map_err(|error| Failure::from_no_answer(&error, is_whole))?;
        let answer = Answer::from_response(response, now).await;
        answer.read(message).map_err(|provider_error| Failure::from_answer(provider_error, &answer))
    }

    /// A request with the credentials.
    fn asking(&self, method: Method, url: Url) -> RequestBuilder {
        let Credentials { user, password } = &self.settings.credentials;
        self.client.request(method, url).basic_auth(user, Some(password.expose_secret()))
    }
}

/// The address of something under the base URL's accounts.
fn resource(settings: &TwilioSettings, path: &[&str]) -> Result<Url, SetupError> {
    let mut url = settings.api_base_url.clone();
    let spoken = matches!(url.scheme(), "http" | "https");
    if !spoken || !url.username().is_empty() || url.password().is_some() {
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
