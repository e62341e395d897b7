//! The meaning of a provider's refusals: maps its error codes and HTTP statuses to [`SendError`]. Each provider has a
//! table of its own, an [`Errors`]. Providers add codes without notice, so an unknown code is classified by the HTTP
//! status.

use super::{Outcome, Provider, SendError, UnreachableReason, Unsent};
use Category::{Operator, Recipient, Temporary};
use UnreachableReason::{Blocked, RegionNotAllowed};

/// A classified refusal, with a hint for the operator.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProviderError {
    pub(crate) error: SendError,
    /// The meaning, or what to do about it. In our own words, because a provider's text may contain the phone and the
    /// account.
    pub(crate) hint: &'static str,
}

/// Who can fix the problem behind a code.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Category {
    /// The recipient: the number cannot be reached.
    Recipient(UnreachableReason),
    /// The operator.
    Operator,
    /// The problem is temporary.
    Temporary(Outcome),
}

/// What a provider's refusals mean.
pub(crate) struct Errors {
    /// The provider's name in a sentence.
    pub(crate) provider: &'static str,
    /// Its codes in order, each with its cause in words that staff understand, and after a colon what the operator can
    /// do. Nothing else in the program says what a code means.
    pub(crate) known: &'static [(u32, Category, &'static str)],
    /// Codes of messages that a filter stopped because of their text, template or sender.
    pub(crate) filtered: &'static [u32],
    /// Codes of messages that were blocked as suspected SMS pumping.
    pub(crate) pumping: &'static [u32],
    /// The hints for what has no known code.
    pub(crate) hints: Hints,
}

/// The hints for what has no known code.
pub(crate) struct Hints {
    /// For 401 and 403.
    pub(crate) credentials: &'static str,
    /// For 404.
    pub(crate) not_found: &'static str,
    /// For 408.
    pub(crate) timed_out: &'static str,
    /// For 429.
    pub(crate) too_many: &'static str,
    /// For other 4xx.
    pub(crate) refused: &'static str,
    /// For what is no answer of the API, such as a redirect or an HTML page.
    pub(crate) not_the_api: &'static str,
    /// For 5xx.
    pub(crate) own_error: &'static str,
    /// For a message that was accepted and failed in the same answer.
    pub(crate) failed_at_once: &'static str,
    /// For a connection that was not made.
    pub(crate) not_connected: &'static str,
    /// For a country without a sender.
    pub(crate) unserved: &'static str,
    /// For a channel that lacks settings.
    pub(crate) not_set_up: &'static str,
    /// For an unknown outcome.
    pub(crate) unknown: &'static str,
}

impl Errors {
    /// Classifies a response that is not a success. `retry_after` is in seconds.
    pub(crate) fn of_answer(
        &self,
        http_status: u16,
        code: Option<u32>,
        retry_after: Option<u64>,
    ) -> ProviderError {
        // A message may have been sent in spite of a 5xx (Twilio documents it for its error 20500), so no code makes
        // it definite.
        let (category, hint) = if http_status >= 500 {
            (Temporary(Outcome::Unknown), self.hints.own_error)
        } else {
            code.and_then(|code| self.find(code)).unwrap_or_else(|| self.by_status(http_status))
        };
        provider_error(category, hint, Some(http_status), code, retry_after)
    }

    /// Classifies a message that was accepted but is already `failed` or `undelivered` in the same response.
    pub(crate) fn failed_message(&self, http_status: u16, code: Option<u32>) -> ProviderError {
        // The provider had accepted the message, so without a known code it may have been sent.
        let unknown = (Temporary(Outcome::Unknown), self.hints.failed_at_once);
        let (category, hint) = code.and_then(|code| self.find(code)).unwrap_or(unknown);
        provider_error(category, hint, Some(http_status), code, None)
    }

    /// Classifies a request that got no response.
    pub(crate) fn of_no_answer(&self, outcome: Outcome) -> ProviderError {
        let hint = match outcome {
            Outcome::NotSent => self.hints.not_connected,
            Outcome::Unknown => "the connection was slow or was cut: the message may have gone out",
        };
        provider_error(Temporary(outcome), hint, None, None, None)
    }

    /// What the code in a delivery report says about the number. `None` for what the operator must fix and for what
    /// is temporary.
    ///
    /// A message that a filter stopped counts as blocked: the user can only try another number or channel, even if the
    /// operator has something to fix.
    pub(crate) fn reason_of(&self, code: u32) -> Option<UnreachableReason> {
        if self.filtered.contains(&code) {
            return Some(Blocked);
        }
        match self.find(code)?.0 {
            Recipient(reason) => Some(reason),
            Operator | Temporary(_) => None,
        }
    }

    fn find(&self, code: u32) -> Option<(Category, &'static str)> {
        let found = self.known.binary_search_by_key(&code, |(known, _, _)| *known).ok()?;
        self.known.get(found).map(|(_, category, hint)| (*category, *hint))
    }

    /// Classifies by the HTTP status, for codes that the table does not contain.
    fn by_status(&self, http_status: u16) -> (Category, &'static str) {
        let hints = &self.hints;
        match http_status {
            401 | 403 => (Operator, hints.credentials),
            404 => (Operator, hints.not_found),
            // It is unknown whether the provider read the whole request.
            408 => (Temporary(Outcome::Unknown), hints.timed_out),
            429 => (Temporary(Outcome::NotSent), hints.too_many),
            400..=499 => (Operator, hints.refused),
            _ => (Operator, hints.not_the_api),
        }
    }
}

/// Who can mend a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mender {
    /// The user, with another number or another channel.
    User,
    /// The operator.
    Operator,
    /// It passes by itself.
    Time,
}

/// What a code of the provider means, in our own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// Who can mend it.
    pub mender: Mender,
    /// The cause, as the end of a sentence that staff read: `the number is not in use`.
    pub cause: &'static str,
    /// What the operator can do about it.
    pub cure: Option<&'static str>,
}

/// What a code of a provider means. `None` for a code that its table does not contain.
#[must_use]
pub fn meaning(provider: Provider, code: u32) -> Option<Meaning> {
    let (category, hint) = provider.errors().find(code)?;
    let mender = match category {
        Recipient(_) => Mender::User,
        Operator => Mender::Operator,
        Temporary(_) => Mender::Time,
    };
    let (cause, cure) = hint.split_once(": ").map_or((hint, None), |(cause, cure)| (cause, Some(cure)));
    Some(Meaning { mender, cause, cure })
}

/// No sender or provider is set for the phone's country. No provider was called.
pub(crate) fn unserved_country(hint: &'static str) -> ProviderError {
    provider_error(Recipient(RegionNotAllowed), hint, None, None, None)
}

/// The settings do not allow the message. No provider was called.
pub(crate) fn from_settings(hint: &'static str) -> ProviderError {
    provider_error(Operator, hint, None, None, None)
}

/// The message was not sent to the provider, because there was no time left or the breaker is open.
pub(crate) fn not_attempted(hint: &'static str, retry_after: Option<u64>) -> ProviderError {
    provider_error(Temporary(Outcome::NotSent), hint, None, None, retry_after)
}

/// Explains an error of a provider to the operator, in our own words, for a command's output. Clients get the contract's
/// sentences instead.
#[must_use]
pub fn explain(provider: Provider, error: &SendError) -> String {
    let errors = provider.errors();
    let hints = &errors.hints;
    let code = error.provider_code();
    let in_table = code.and_then(|code| errors.find(code));
    let waits = format!("{} asks to wait", errors.provider);
    let hint = match (error, in_table) {
        (SendError::Unreachable { .. }, Some((Recipient(_), hint)))
        | (SendError::Rejected { .. }, Some((Operator, hint)))
        | (SendError::Unavailable { .. }, Some((Temporary(_), hint))) => hint,
        (SendError::Unreachable { .. }, _) => hints.unserved,
        (SendError::Rejected { http_status: Some(status), .. }, _) => errors.by_status(*status).1,
        (SendError::Rejected { http_status: None, .. }, _) => hints.not_set_up,
        (SendError::Unavailable { retry_after: Some(_), .. }, _) => &waits,
        (SendError::Unavailable { outcome: Outcome::NotSent, .. }, _) => hints.not_connected,
        (SendError::Unavailable { outcome: Outcome::Unknown, .. }, _) => hints.unknown,
    };
    match code {
        Some(code) => format!("{error}: {hint} ({}'s error {code})", errors.provider),
        None => format!("{error}: {hint}"),
    }
}

/// As [`explain`], with the provider's own words.
#[must_use]
pub fn explain_with_text(provider: Provider, unsent: &Unsent) -> String {
    let explanation = explain(provider, &unsent.error);
    match &unsent.text {
        Some(text) => format!("{explanation}. In its own words: {}", text.as_str()),
        None => explanation,
    }
}

fn provider_error(
    category: Category,
    hint: &'static str,
    http_status: Option<u16>,
    provider_code: Option<u32>,
    retry_after: Option<u64>,
) -> ProviderError {
    let error = match category {
        Recipient(reason) => SendError::Unreachable { reason, provider_code },
        Operator => SendError::Rejected { provider_code, http_status },
        Temporary(outcome) => SendError::Unavailable { outcome, retry_after, provider_code },
    };
    ProviderError { error, hint }
}

#[cfg(test)]
#[path = "provider_error/tests.rs"]
mod tests;
