//! A try that failed: what it means, and whether there may be another one.

use std::{error::Error as _, time::Duration};

use tracing::{error, info, warn};

use super::answer::Answer;
use crate::{
    Message, Outcome, SendError,
    provider_error::{self, ProviderError},
};

/// What a try says of Twilio, whatever it says of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It answered.
    Answered,
    /// It gave no answer, or said that it could not.
    Away,
    /// It was not asked.
    NotAsked,
}

pub(super) struct Failure {
    pub(super) provider_error: ProviderError,
    http_status: Option<u16>,
    cause: Option<String>,
    pub(super) health: Health,
    /// How long to wait at least before the next try; `None` when there is to be none.
    pub(super) again: Option<Duration>,
}

impl Failure {
    pub(super) fn not_asked(provider_error: ProviderError) -> Self {
        Self { provider_error, http_status: None, cause: None, health: Health::NotAsked, again: None }
    }

    /// The breaker is open.
    pub(super) fn shut(retry_after: u64) -> Self {
        let hint = "Twilio did not answer the messages before: it is asked again now and then";
        Self::not_asked(provider_error::of_not_asked(hint, Some(retry_after)))
    }

    /// The deadline came before the message's turn.
    pub(super) fn too_late() -> Self {
        let hint = "too many messages at once: the time was over before Twilio could be asked";
        Self::not_asked(provider_error::of_not_asked(hint, None))
    }

    /// An answer that is a refusal. 429 and 5xx may be tried again; the first was not processed, and if the second was,
    /// the next try sends the same code once more.
    pub(super) fn from_answer(provider_error: ProviderError, answer: &Answer) -> Self {
        let is_passing = matches!(provider_error.error, SendError::Unavailable { .. });
        let is_away = is_passing && answer.is_away();
        Self {
            provider_error,
            http_status: Some(answer.status.as_u16()),
            cause: None,
            health: if is_away { Health::Away } else { Health::Answered },
            again: is_away.then(|| Duration::from_secs(answer.retry_after.unwrap_or(0))),
        }
    }

    /// No answer. Only a connection that never stood proves that Twilio got nothing, so only that may be tried again;
    /// `is_connect` covers DNS, TCP, TLS and their time-out. `is_builder` is a request that could not be written.
    /// A time-out of a request that did not have the whole time says nothing of Twilio.
    pub(super) fn from_no_answer(failure: &reqwest::Error, had_the_whole_time: bool) -> Self {
        let is_unsent = failure.is_connect() || failure.is_builder();
        let outcome = if is_unsent { Outcome::NotSent } else { Outcome::Unknown };
        Self {
            provider_error: provider_error::from_no_answer(outcome),
            http_status: None,
            cause: Some(root_cause(failure)),
            health: if failure.is_builder() || (failure.is_timeout() && !had_the_whole_time) {
                Health::NotAsked
            } else {
                Health::Away
            },
            again: failure.is_connect().then_some(Duration::ZERO),
        }
    }

    /// Whether the message may have gone out all the same.
    pub(super) fn may_be_sent(&self) -> bool {
        !self.provider_error.error.definitely_not_sent()
    }

    /// An earlier try may have sent it, whatever became of this one. A definite refusal stays one: the number or the
    /// settings did not change in between.
    pub(super) fn after_one_that_may_be_sent(mut self) -> Self {
        if let SendError::Unavailable { outcome, .. } = &mut self.provider_error.error {
            *outcome = Outcome::Unknown;
        }
        self
    }

    /// One line for a message that was not taken, at the level of whoever must act. Twilio's own text is left out: it
    /// names the phone.
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
                    "SMS refused: this number gets none"
                );
            }
            SendError::Rejected { .. } => {
                error!(
                    %message_id, %to, channel, provider_code, http_status, hint,
                    "SMS refused: something of ours is to mend"
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

/// The innermost cause, such as "Connection refused". The outer layers name the URL, and the account with it.
fn root_cause(failure: &reqwest::Error) -> String {
    let mut cause = failure.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}
