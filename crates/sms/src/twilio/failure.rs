//! A failed try: its meaning, whether a retry is allowed, and its log line.

use std::{error::Error as _, time::Duration};

use tracing::{error, info, warn};

use super::answer::Answer;
use crate::{
    Message, Outcome, SendError,
    provider_error::{self, ProviderError},
};

/// What a try shows about Twilio itself, whatever happened to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Twilio answered.
    Up,
    /// Twilio did not answer, or answered that it is overloaded or has an error.
    Down,
    /// The try shows nothing: no request was sent, or it was cut short by us.
    Unknown,
}

pub(super) struct Failure {
    pub(super) provider_error: ProviderError,
    http_status: Option<u16>,
    cause: Option<String>,
    pub(super) health: Health,
    /// The minimum wait before a retry; `None` if there must be no retry.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn not_attempted(provider_error: ProviderError) -> Self {
        Self { provider_error, http_status: None, cause: None, health: Health::Unknown, retry_after: None }
    }

    /// The breaker is open.
    pub(super) fn circuit_open(retry_after: u64) -> Self {
        let hint = "Twilio did not answer the last messages: it is probed now and then";
        Self::not_attempted(provider_error::not_attempted(hint, Some(retry_after)))
    }

    /// The deadline came before the message got its permit.
    pub(super) fn no_time_left() -> Self {
        let hint = "too many messages at once: the time was over before this one could be sent";
        Self::not_attempted(provider_error::not_attempted(hint, None))
    }

    /// A response that is a refusal. 429 and 5xx may be retried: after a 429 the request was not processed, and if it
    /// was after a 5xx, the retry only sends the same code once more.
    pub(super) fn from_answer(provider_error: ProviderError, answer: &Answer) -> Self {
        let is_temporary = matches!(provider_error.error, SendError::Unavailable { .. });
        let is_down = is_temporary && answer.is_unavailable();
        Self {
            provider_error,
            http_status: Some(answer.status.as_u16()),
            cause: None,
            health: if is_down { Health::Down } else { Health::Up },
            retry_after: is_down.then(|| Duration::from_secs(answer.retry_after.unwrap_or(0))),
        }
    }

    /// No response. Only a failed connection proves that Twilio received nothing, so only that may be retried.
    /// `is_connect` covers DNS, TCP, TLS and their time-outs; `is_builder` is a request that could not be written. A
    /// time-out of a request with less than the full time shows nothing about Twilio.
    pub(super) fn from_no_answer(failure: &reqwest::Error, had_full_timeout: bool) -> Self {
        let is_not_sent = failure.is_connect() || failure.is_builder();
        let outcome = if is_not_sent { Outcome::NotSent } else { Outcome::Unknown };
        Self {
            provider_error: provider_error::from_no_answer(outcome),
            http_status: None,
            cause: Some(root_cause(failure)),
            health: if failure.is_builder() || (failure.is_timeout() && !had_full_timeout) {
                Health::Unknown
            } else {
                Health::Down
            },
            retry_after: failure.is_connect().then_some(Duration::ZERO),
        }
    }

    /// Whether the message may have been sent all the same.
    pub(super) fn may_be_sent(&self) -> bool {
        !self.provider_error.error.definitely_not_sent()
    }

    /// Adjusts the outcome if an earlier try may have sent the message. A definite refusal stays one, because number
    /// and settings did not change in between.
    pub(super) fn after_unknown_outcome(mut self) -> Self {
        if let SendError::Unavailable { outcome, .. } = &mut self.provider_error.error {
            *outcome = Outcome::Unknown;
        }
        self
    }

    /// Writes one log line for a message that was not accepted, at the level of who must act. Twilio's own text is
    /// left out, because it contains the phone.
    pub(super) fn report(&self, message: &Message, tries: u32) {
        let (message_id, to, channel) = (message.id, &message.to, message.channel.as_str());
        let Self { provider_error: ProviderError { error, hint }, http_status, .. } = self;
        let (http_status, cause) = (*http_status, self.cause.as_deref());
        let provider_code = error.provider_code();
        match error {
            SendError::Unreachable { reason, .. } => {
                let reason = reason.as_str();
                info!(
                    %message_id, %to, channel, reason, provider_code, http_status, hint,
                    "SMS refused: this number cannot get messages"
                );
            }
            SendError::Rejected { .. } => {
                error!(
                    %message_id, %to, channel, provider_code, http_status, hint,
                    "SMS refused: the operator must fix account, sender or settings"
                );
            }
            SendError::Unavailable { outcome, retry_after, .. } => {
                let sent = match outcome {
                    Outcome::NotSent => "no",
                    Outcome::Unknown => "unknown",
                };
                warn!(
                    %message_id, %to, channel, sent, tries, provider_code, http_status, retry_after, cause, hint,
                    "SMS provider unavailable"
                );
            }
        }
    }
}

/// The innermost cause, such as "Connection refused". The outer errors contain the URL, and with it the account.
fn root_cause(failure: &reqwest::Error) -> String {
    let mut cause = failure.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}
