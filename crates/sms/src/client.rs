//! Sends one message to a provider: a deadline over all tries, retries, a limit of concurrent requests and a circuit
//! breaker. What differs between providers is their [`Api`].
//!
//! A retry follows only if the first request cannot have been accepted, or if the provider reported an error on its
//! side: a second message costs money and trust, although it contains the same code.

pub(crate) mod answer;
mod backoff;
mod breaker;
pub(crate) mod failure;

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, redirect};
use thiserror::Error;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};
use tracing::{Instrument as _, debug};
use url::Url;

use super::{Message, Provider, ProviderText, Receipt, Unsent, provider_error::ProviderError};
use clock::Clock;

use self::{
    answer::Answer,
    breaker::{Breaker, Pass},
    failure::{Failure, Health, NoAnswer},
};

/// The default deadline for all tries of one message, including reading bodies and waiting. The server's own deadline
/// is longer, which leaves time for the database and the response.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The default limit of concurrent requests to a provider. Others wait for a permit as long as their deadline allows: a
/// connection costs memory and a file descriptor, waiting costs almost nothing.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 1024;

/// How long connecting may take, TLS included. It is a part of the deadline, so that an unreachable host is detected
/// early enough for a retry.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// We close connections that are idle for longer: if the provider closed one first, it could cut off a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The first request needs at least one half of the deadline (this is the divisor). The provider may be slow, and a
/// request that is cut short only makes it unknown whether the message was sent.
const FIRST_TRY_DIVISOR: u32 = 2;

/// A retry needs at least one tenth of the deadline. The provider has just answered, so it is probably as fast again.
const RETRY_DIVISOR: u32 = 10;

/// The most requests for one message.
const MAX_TRIES: u32 = 3;

/// A provider that is tried after others needs a quarter of the deadline, for the same reason.
const LATER_TURN_DIVISOR: u32 = 4;

/// While other providers can take the message, it waits a fifth of the deadline for a permit.
const PATIENCE_DIVISOR: u32 = 5;

/// The wire format of a provider.
pub(crate) trait Api: Send + Sync {
    /// The provider, for logs and for the meaning of its errors.
    const PROVIDER: Provider;

    /// A request that is ready to be sent.
    type Request: Send;

    /// The request for this message at this time.
    ///
    /// # Errors
    /// A refusal of our own if the settings do not allow the message.
    fn request(&self, message: &Message, now: DateTime<Utc>) -> Result<Self::Request, ProviderError>;

    /// Sends the request once, and reads the answer.
    fn post(
        &self,
        request: Self::Request,
        timeout: Duration,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Answer, NoAnswer>> + Send;

    /// What the answer says about the message.
    fn receipt(&self, answer: &Answer, message: &Message) -> Result<Receipt, ProviderError>;

    /// What an answer that is an error says in words.
    fn error_text<'a>(&self, answer: &'a Answer) -> Option<&'a str>;
}

/// The turn of a provider in sending a message. All providers that are tried for a request share its time.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// When all tries must be over.
    pub deadline: Instant,
    /// Whether no other provider or channel follows. If one does, what certainly was not sent is not tried here again.
    pub is_last: bool,
}

impl Turn {
    /// All of the time, and no other provider.
    #[must_use]
    pub fn alone() -> Self {
        Self { deadline: Instant::now() + DEFAULT_TIMEOUT, is_last: true }
    }
}

/// The limits of a client.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The deadline for all tries of one message; see [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
    /// The limit of concurrent requests; see [`DEFAULT_MAX_IN_FLIGHT`].
    pub max_in_flight: usize,
    /// Whether the circuit breaker is on. `RATE_LIMITS_ENABLED=false` switches it off.
    pub breaker: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: DEFAULT_TIMEOUT, max_in_flight: DEFAULT_MAX_IN_FLIGHT, breaker: true }
    }
}

/// A client for one account at a provider. One per process, because it keeps its connections. Its `Debug` shows no
/// setting.
pub struct Client<A> {
    pub(crate) api: A,
    pub(crate) clock: Clock,
    timeout: Duration,
    /// One permit per concurrent request. Tests hold them.
    pub(crate) permits: Semaphore,
    breaker: Breaker,
}

impl<A> fmt::Debug for Client<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

#[expect(private_bounds, reason = "other crates send through `Sms`, and cannot add a provider")]
impl<A: Api> Client<A> {
    pub(crate) fn around(api: A, limits: Limits, clock: Clock) -> Self {
        let permits = Semaphore::new(limits.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let breaker = Breaker::new(limits.breaker, A::PROVIDER.as_str());
        Self { api, clock, timeout: limits.timeout, permits, breaker }
    }

    /// Sends the message, and logs why it was not accepted.
    pub(crate) async fn send_within(&self, message: &Message, turn: Turn) -> Result<Receipt, Unsent> {
        let begun = Instant::now();
        let turn = Turn { deadline: turn.deadline.min(begun + self.timeout), ..turn };
        let now = self.clock.now();
        let fail = |failure: Failure| {
            failure.report(A::PROVIDER, message, 0);
            failure.into_unsent()
        };
        // Refuse what the settings do not allow before waiting for a permit.
        self.api.request(message, now).map_err(Failure::not_attempted).map_err(fail)?;
        if turn.deadline < begun + self.timeout / LATER_TURN_DIVISOR {
            return Err(fail(Failure::no_time_left()));
        }
        let pass = self.breaker.admit(now).map_err(Failure::circuit_open).map_err(fail)?;
        let (result, health) = self.send_with_retries(message, turn, &pass).await;
        match health {
            Health::Up => pass.answered(),
            Health::Down => pass.failed(self.clock.now()),
            Health::Unknown => drop(pass),
        }
        result
    }

    /// Whether the provider counts as down, so that messages fail at once.
    pub(crate) fn is_down(&self) -> bool {
        self.breaker.is_open()
    }

    /// Tries until the message is accepted or refused, or until no retry makes sense. Also returns the last known
    /// state of the provider.
    async fn send_with_retries(
        &self,
        message: &Message,
        turn: Turn,
        pass: &Pass<'_>,
    ) -> (Result<Receipt, Unsent>, Health) {
        let (mut tries, mut health, mut may_be_sent) = (0, Health::Unknown, false);
        loop {
            let divisor = if tries == 0 { FIRST_TRY_DIVISOR } else { RETRY_DIVISOR };
            let min_left = self.timeout / divisor;
            let failure = match self.attempt(message, turn, min_left, pass).await {
                Ok(receipt) => return (Ok(receipt), Health::Up),
                Err(failure) => failure,
            };
            if failure.health != Health::Unknown {
                health = failure.health;
                tries += 1;
            }
            may_be_sent |= failure.may_be_sent();
            // What may have been sent stays here: another provider would send it a second time.
            let is_tried_here = turn.is_last || may_be_sent;
            let wait = failure.retry_after.filter(|_| tries < MAX_TRIES && is_tried_here);
            let wait = wait.map(|at_least| backoff::wait(message.id, tries, at_least));
            let last_start = turn.deadline - self.timeout / RETRY_DIVISOR;
            let Some(wait) = wait.filter(|wait| Instant::now() + *wait < last_start) else {
                let failure = if may_be_sent { failure.after_unknown_outcome() } else { failure };
                failure.report(A::PROVIDER, message, tries);
                return (Err(failure.into_unsent()), health);
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
        turn: Turn,
        min_left: Duration,
        pass: &Pass<'_>,
    ) -> Result<Receipt, Failure> {
        let deadline = turn.deadline;
        let latest = deadline - min_left;
        let patience = Instant::now() + self.timeout / PATIENCE_DIVISOR;
        let until = if turn.is_last { latest } else { latest.min(patience) };
        let Ok(Ok(_permit)) = timeout_at(until, self.permits.acquire()).await else {
            return Err(Failure::no_time_left());
        };
        // The breaker may have opened while this request waited.
        let now = self.clock.now();
        if let Some(seconds) = pass.blocked_for(now) {
            return Err(Failure::circuit_open(seconds));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let request = self.api.request(message, now).map_err(Failure::not_attempted)?;
        // A request that waited for its permit has less time than the provider may take.
        let has_full_timeout = left > self.timeout * 9 / 10;
        let span = tracing::info_span!(
            target: "otel",
            "provider request",
            otel.kind = "client",
            loopin.provider = A::PROVIDER.as_str(),
            http.response.status_code = tracing::field::Empty,
        );
        let answer = self.api.post(request, left, now).instrument(span.clone()).await;
        if let Ok(answer) = &answer {
            span.record("http.response.status_code", answer.status.as_u16());
        }
        let answer = answer.map_err(|no_answer| {
            Failure::from_no_answer(A::PROVIDER.errors(), no_answer, has_full_timeout)
        })?;
        self.api.receipt(&answer, message).map_err(|provider_error| {
            let text = self.api.error_text(&answer).and_then(ProviderText::read);
            Failure::from_answer(provider_error, &answer, text)
        })
    }
}

/// Why a client could not be built. Found at the start.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The URL is not `http` or `https`, has no host, or contains a user or password.
    #[error("{0} must be an http or https address without a user and password")]
    BaseUrl(&'static str),
    /// The HTTP client could not be built, most likely because CA certificates are missing.
    #[error("the HTTP client for the SMS provider could not be made")]
    Client(#[source] reqwest::Error),
    /// As above, for the webhook.
    #[error(transparent)]
    Outbound(outbound::SetupError),
}

/// The HTTP client for a provider's API.
pub(crate) fn http_client(timeout: Duration) -> Result<reqwest::Client, SetupError> {
    reqwest::Client::builder()
        .user_agent("loopin-auth")
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        // A redirect would send the text to another host, and a proxy from the environment is not one of our
        // settings.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(SetupError::Client)
}

/// The URL of a resource under the base URL, whose setting has this name. A path of the base URL is kept.
pub(crate) fn resource(base: &Url, path: &[&str], setting: &'static str) -> Result<Url, SetupError> {
    let mut url = base.clone();
    let is_http = matches!(url.scheme(), "http" | "https");
    if !is_http || !url.username().is_empty() || url.password().is_some() {
        return Err(SetupError::BaseUrl(setting));
    }
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut().map_err(|()| SetupError::BaseUrl(setting))?.pop_if_empty().extend(path);
    Ok(url)
}

/// Sends a request of an HTTP API.
pub(crate) async fn post(
    request: RequestBuilder,
    timeout: Duration,
    now: DateTime<Utc>,
) -> Result<Answer, NoAnswer> {
    let response = request.timeout(timeout).send().await.map_err(|error| NoAnswer::from_error(&error))?;
    Ok(Answer::from_response(response, now).await)
}
