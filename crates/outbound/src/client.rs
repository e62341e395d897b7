//! The HTTP client for the operator's receivers.

use std::{error::Error as _, time::Duration};

use chrono::{DateTime, Utc};
use opentelemetry::trace::TraceContextExt as _;
use reqwest::{
    Response,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
    redirect,
};
use thiserror::Error;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::{
    endpoint::Endpoint,
    network::{Lookup, NoPublicAddress, Resolver, is_public},
    signature::{ID_HEADER, SIGNATURE_HEADER, Secrets, TIMESTAMP_HEADER},
};

/// How long connecting may take, TLS included. It is a part of the time-out of a request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections that are idle for longer are closed: if the receiver closed one first, it could cut off a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The header of W3C Trace Context.
const TRACEPARENT_HEADER: &str = "traceparent";

/// Longer answers are not read to the end.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The client could not be built, most likely because CA certificates are missing.
#[derive(Debug, Error)]
#[error("the HTTP client for hooks could not be made")]
pub struct SetupError(#[source] reqwest::Error);

/// A request to send, as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The receiver.
    pub endpoint: &'a Endpoint,
    /// The id of the message. All tries of one message have the same, so that a receiver recognises repetitions.
    pub id: &'a str,
    /// The time of this try.
    pub at: DateTime<Utc>,
    /// The secrets of this receiver.
    pub secrets: &'a Secrets,
    /// The JSON.
    pub body: &'a [u8],
    /// How long the whole request may take, connecting and reading the answer included.
    pub timeout: Duration,
}

/// The answer of a receiver, of any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status. A redirect is not followed.
    pub status: u16,
    /// `Retry-After` in seconds. A date there is ignored.
    pub retry_after: Option<Duration>,
    /// The body. `None` if it has more than [`MAX_ANSWER_BYTES`], or did not arrive in time.
    pub body: Option<Vec<u8>>,
}

impl Answer {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Failure {
    /// No connection: the receiver has not got the request.
    #[error("no connection")]
    NotConnected,
    /// The host has only private addresses, and was not connected to.
    #[error("the address is private")]
    PrivateAddress,
    /// The time is over. The receiver may have got the request.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended before the answer. The receiver may have got the request.
    #[error("the connection was cut off")]
    Unknown,
}

impl Failure {
    /// Whether the receiver certainly has not got the request.
    #[must_use]
    pub fn was_not_sent(self) -> bool {
        match self {
            Self::NotConnected | Self::PrivateAddress => true,
            Self::TimedOut | Self::Unknown => false,
        }
    }
}

/// Sends requests. One per process, because it keeps its connections.
#[derive(Debug, Clone)]
pub struct Client {
    client: reqwest::Client,
    is_allowed: fn(std::net::IpAddr) -> bool,
}

impl Client {
    /// Builds the client, without a request.
    ///
    /// # Errors
    /// [`SetupError`], most likely without CA certificates.
    pub fn new(allow_private_networks: bool) -> Result<Self, SetupError> {
        let is_allowed = if allow_private_networks { |_| true } else { is_public };
        Self::with_resolver(Resolver { lookup: Lookup::System, is_allowed })
    }

    pub(crate) fn with_resolver(resolver: Resolver) -> Result<Self, SetupError> {
        let is_allowed = resolver.is_allowed;
        let client = reqwest::Client::builder()
            .user_agent("loopin-auth")
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // A redirect would send the body to another host. A proxy would resolve the name itself, so the address
            // that is checked would not be the one that is connected to.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(resolver)
            .build()
            .map_err(SetupError)?;
        Ok(Self { client, is_allowed })
    }

    /// Reads a document, once and unsigned.
    ///
    /// # Errors
    /// [`Failure`] if there is no answer. An answer with an error status is an [`Answer`].
    pub async fn get(&self, endpoint: &Endpoint, timeout: Duration) -> Result<Answer, Failure> {
        self.check(endpoint)?;
        let request = self.client.get(endpoint.url().clone()).timeout(timeout);
        match request.header(ACCEPT, "application/json").send().await {
            Ok(response) => Ok(answer(response).await),
            Err(error) => Err(failure(&error)),
        }
    }

    /// An address in the URL never reaches the resolver.
    fn check(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        let is_refused = endpoint.literal().is_some_and(|address| !(self.is_allowed)(address));
        if is_refused { Err(Failure::PrivateAddress) } else { Ok(()) }
    }

    /// Signs a request and sends it once.
    ///
    /// # Errors
    /// [`Failure`] if there is no answer. An answer with an error status is an [`Answer`].
    pub async fn post(&self, request: Request<'_>) -> Result<Answer, Failure> {
        self.check(request.endpoint)?;
        let span = tracing::info_span!(
            target: "otel",
            "POST",
            otel.kind = "client",
            server.address = request.endpoint.url().host_str(),
            http.response.status_code = tracing::field::Empty,
        );
        let signature = request.secrets.sign(request.id, request.at, request.body);
        let mut sent = self
            .client
            .post(request.endpoint.url().clone())
            .timeout(request.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header(ID_HEADER, request.id)
            .header(TIMESTAMP_HEADER, request.at.timestamp())
            .header(SIGNATURE_HEADER, signature)
            .body(request.body.to_vec());
        if let Some(parent) = traceparent(&span) {
            sent = sent.header(TRACEPARENT_HEADER, parent);
        }
        let answered = async {
            match sent.send().await {
                Ok(response) => Ok(answer(response).await),
                Err(error) => Err(failure(&error)),
            }
        };
        let answered = answered.instrument(span.clone()).await;
        if let Ok(answer) = &answered {
            span.record("http.response.status_code", answer.status);
        }
        answered
    }
}

/// By what the receiver can make its work a part of our trace (<https://www.w3.org/TR/trace-context/>). `None` without a collector.
fn traceparent(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let current = context.span();
    let current = current.span_context();
    let (trace, span, flags) = (current.trace_id(), current.span_id(), current.trace_flags().to_u8());
    current.is_valid().then(|| format!("00-{trace}-{span}-{flags:02x}"))
}

async fn answer(mut response: Response) -> Answer {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Some(Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let has_room = |read: &Vec<u8>| read.len() + chunk.len() <= MAX_ANSWER_BYTES;
                let Some(read) = body.as_mut().filter(|read| has_room(read)) else {
                    body = None;
                    break;
                };
                read.extend_from_slice(&chunk);
            }
            Ok(None) => break,
            Err(_) => {
                body = None;
                break;
            }
        }
    }
    Answer { status, retry_after: retry_after.map(Duration::from_secs), body }
}

fn failure(error: &reqwest::Error) -> Failure {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<NoPublicAddress>() {
            return Failure::PrivateAddress;
        }
        source = cause.source();
    }
    if error.is_connect() {
        Failure::NotConnected
    } else if error.is_timeout() {
        Failure::TimedOut
    } else {
        Failure::Unknown
    }
}
