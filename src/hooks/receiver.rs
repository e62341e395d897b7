//! A server of the operator, and why a request to it came to nothing.

use std::{fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use outbound::{Answer, Client, Endpoint, Request, Secrets};
use serde_json::Value;
use uuid::Uuid;

/// Why a request to the operator's server came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// As a word for the log.
    pub why: &'static str,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long the server asked to wait.
    pub retry_after: Option<TimeDelta>,
}

impl Failure {
    /// An answer that is not what was asked for.
    pub(super) fn from_answer(why: &'static str, answer: &Answer) -> Self {
        let retry_after = answer.retry_after.and_then(|wait| TimeDelta::from_std(wait).ok());
        Self { why, status: Some(answer.status), retry_after }
    }
}

impl From<outbound::Failure> for Failure {
    fn from(failure: outbound::Failure) -> Self {
        let why = match failure {
            outbound::Failure::NotConnected => "no-connection",
            outbound::Failure::PrivateAddress => "private-address",
            outbound::Failure::TimedOut => "time-out",
            outbound::Failure::Unknown => "no-answer",
        };
        Self { why, status: None, retry_after: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{} {status}", self.why),
            None => f.write_str(self.why),
        }
    }
}

/// A server of the operator. `Debug` shows neither its path nor a secret.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) client: Client,
    pub(super) endpoint: Endpoint,
    pub(super) secrets: Secrets,
}

impl Receiver {
    /// Sends JSON once, signed. Only a 2xx answer is a success.
    pub(super) async fn post(
        &self,
        id: Uuid,
        body: &Value,
        timeout: Duration,
        now: DateTime<Utc>,
    ) -> Result<Answer, Failure> {
        let (id, body) = (id.to_string(), body.to_string());
        let Self { client, endpoint, secrets } = self;
        let request = Request { endpoint, id: &id, at: now, secrets, body: body.as_bytes(), timeout };
        let answer = client.post(request).await?;
        if answer.is_success() { Ok(answer) } else { Err(Failure::from_answer("status", &answer)) }
    }
}
