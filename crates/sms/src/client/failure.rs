//! A failed try: its meaning, whether a retry is allowed, and its log line.

use std::{error::Error as _, time::Duration};

use tracing::{error, info, warn};

use super::answer::Answer;
use crate::{
    Message, Outcome, Provider, ProviderText, SendError, UnreachableReason, Unsent,
    provider_error::{self, Errors, ProviderError},
};

/// What a try shows about the provider itself, whatever happened to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// The provider answered.
    Up,
    /// The provider did not answer, or answered that it is overloaded or has an error.
    Down,
    /// The try shows nothing: no request was sent, or it was cut short by us.
    Unknown,
}

/// Why a request got no answer.
pub(crate) struct NoAnswer {
    /// How far it got.
    pub(crate) stage: Stage,
    /// Whether the time was over.
    pub(crate) is_timeout: bool,
    /// The innermost cause, such as "Connection refused".
    pub(crate) cause: String,
}

/// How far a request without an answer got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It could not be written.
    Building,
    /// There was no connection: DNS, TCP or TLS failed.
    Connecting,
    /// It was sent, at least in part.
    Sent,
}

impl NoAnswer {
    pub(crate) fn from_error(error: &reqwest::Error) -> Self {
        let stage = if error.is_builder() {
            Stage::Building
        } else if error.is_connect() {
            // Covers DNS, TCP, TLS and their time-outs.
            Stage::Connecting
        } else {
            Stage::Sent
        };
        Self { stage, is_timeout: error.is_timeout(), cause: root_cause(error) }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self.stage {
            Stage::Building | Stage::Connecting => Outcome::NotSent,
            Stage::Sent => Outcome::Unknown,
        }
    }
}

pub(crate) struct Failure {
    pub(crate) provider_error: ProviderError,
    http_status: Option<u16>,
    cause: Option<String>,
    /// The provider's own words.
    text: Option<ProviderText>,
    pub(crate) health: Health,
    /// The minimum wait before a retry; `None` if there must be no retry.
    pub(crate) retry_after: Option<Duration>,
    /// As [`Unsent::after_unknown`].
    after_unknown: bool,
}

impl Failure {
    pub(crate) fn not_attempted(provider_error: ProviderError) -> Self {
        Self {
            provider_error,
            http_status: None,
            cause: None,
            text: None,
            health: Health::Unknown,
            retry_after: None,
            after_unknown: false,
        }
    }

    /// The breaker is open.
    pub(crate) fn circuit_open(retry_after: u64) -> Self {
        let hint = "the provider did not answer the last messages: it is probed now and then";
        Self::not_attempted(provider_error::not_attempted(hint, Some(retry_after)))
    }

    /// The deadline came before the message got its permit.
    pub(crate) fn no_time_left() -> Self {
        let hint = "too many messages at once: the time was over before this one could be sent";
        Self::not_attempted(provider_error::not_attempted(hint, None))
    }

    /// A response that is a refusal. 429 and 5xx may be retried: after a 429 the request was not processed, and if it
    /// was after a 5xx, the retry only sends the same code once more.
    pub(crate) fn from_answer(
        provider_error: ProviderError,
        answer: &Answer,
        text: Option<ProviderText>,
    ) -> Self {
        let is_temporary = matches!(provider_error.error, SendError::Unavailable { .. });
        let is_down = is_temporary && answer.is_unavailable();
        Self {
            provider_error,
            http_status: Some(answer.status.as_u16()),
            cause: None,
            text,
            health: if is_down { Health::Down } else { Health::Up },
            retry_after: is_down.then(|| Duration::from_secs(answer.retry_after.unwrap_or(0))),
            after_unknown: false,
        }
    }

    /// No response. Only a failed connection proves that the provider received nothing, so only that may be retried. A
    /// time-out of a request with less than the full time shows nothing about the provider.
    pub(crate) fn from_no_answer(errors: &Errors, no_answer: NoAnswer, had_full_timeout: bool) -> Self {
        let is_ours = no_answer.stage == Stage::Building || (no_answer.is_timeout && !had_full_timeout);
        Self {
            provider_error: errors.of_no_answer(no_answer.outcome()),
            http_status: None,
            text: None,
            health: if is_ours { Health::Unknown } else { Health::Down },
            retry_after: (no_answer.stage == Stage::Connecting).then_some(Duration::ZERO),
            cause: Some(no_answer.cause),
            after_unknown: false,
        }
    }

    /// Whether the message may have been sent all the same.
    pub(crate) fn may_be_sent(&self) -> bool {
        !self.provider_error.error.definitely_not_sent()
    }

    /// Adjusts the outcome if an earlier try may have sent the message. A refusal because of the number stays one for the user:
    /// another message would be refused, too. Any other is unknown now. In both cases no other provider sends the code.
    pub(crate) fn after_unknown_outcome(mut self) -> Self {
        self.after_unknown = true;
        let unknown = |provider_code| SendError::Unavailable {
            outcome: Outcome::Unknown,
            retry_after: None,
            provider_code,
        };
        match &mut self.provider_error.error {
            SendError::Unavailable { outcome, .. } => *outcome = Outcome::Unknown,
            error @ (SendError::Rejected { .. }
            | SendError::Unreachable { reason: UnreachableReason::RegionNotAllowed, .. }) => {
                *error = unknown(error.provider_code());
            }
            SendError::Unreachable { .. } => {}
        }
        self
    }

    pub(crate) fn into_unsent(self) -> Unsent {
        Unsent { error: self.provider_error.error, text: self.text, after_unknown: self.after_unknown }
    }

    /// Writes one log line for a message that was not accepted, at the level of who must act. The provider's own
    /// text is left out, because it may contain the phone.
    pub(crate) fn report(&self, provider: Provider, message: &Message, tries: u32) {
        let provider = provider.as_str();
        let (message_id, to, channel) = (message.id, &message.to, message.channel.as_str());
        let Self { provider_error: ProviderError { error, hint }, http_status, .. } = self;
        let (http_status, cause) = (*http_status, self.cause.as_deref());
        let provider_code = error.provider_code();
        match error {
            SendError::Unreachable { reason, .. } => {
                let reason = reason.as_str();
                info!(
                    provider, %message_id, %to, channel, reason, provider_code, http_status, hint,
                    "SMS refused: this number cannot get messages"
                );
            }
            SendError::Rejected { .. } => {
                error!(
                    provider, %message_id, %to, channel, provider_code, http_status, hint,
                    "SMS refused: the operator must fix account, sender or settings"
                );
            }
            SendError::Unavailable { outcome, retry_after, .. } => {
                let sent = match outcome {
                    Outcome::NotSent => "no",
                    Outcome::Unknown => "unknown",
                };
                warn!(
                    provider, %message_id, %to, channel, sent, tries, provider_code, http_status, retry_after, cause, hint,
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
