//! Sending: one message to one phone, through Twilio or into the test inbox.
//!
//! This room knows the provider's wire format and what its error codes mean. It knows no challenge, no budget and no
//! database: whoever sends decides what a [`SendError`] gives back.
//!
//! To add
//! 1. an error code: one row in the table of `refusal.rs`, with what it means and a line in the tests;
//! 2. a kind of failure: a variant of [`SendError`]; every match on it stops compiling until someone has decided;
//! 3. a field of the request: `twilio.rs`, and the test that compares the whole form;
//! 4. a provider: a variant of [`Sms`] and a file beside `twilio.rs`. There is no trait: two providers need none.
//!
//! What the messages say is in [`text`].

mod inbox;
mod refusal;
#[cfg(test)]
mod tests;
pub mod text;
mod twilio;

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use thiserror::Error;
use uuid::Uuid;

use crate::domain::phone::PhoneNumber;

pub use self::{
    inbox::{INBOX_CAPACITY, Inbox, InboxMessage},
    twilio::{DEFAULT_TIMEOUT, Sender, SetupError, Twilio, TwilioSettings},
};

/// A text on its way to a phone. Its `Debug` shows neither the text nor the code, and the phone masked.
#[derive(Debug, Clone)]
pub struct Message {
    /// Names the message in our own rows and logs; the provider never sees it.
    pub id: Uuid,
    /// Who gets it.
    pub to: PhoneNumber,
    /// The whole text, the code included. Twilio takes at most 1,600 characters; one segment is 160 of GSM-7.
    pub body: SecretString,
    /// The code alone, for the test inbox; a provider only gets `body`.
    pub otp_code: SecretString,
    /// The remaining life of the code. What is not delivered by then is not to be delivered at all.
    pub valid_for: Duration,
    /// When the flow made it, by the flow's clock.
    pub created_at: DateTime<Utc>,
}

/// Where messages go.
#[derive(Debug)]
pub enum Sms {
    /// To phones, through Twilio's Messages API.
    Twilio(Twilio),
    /// Into the log and the memory of this process, for development and tests.
    TestInbox(Inbox),
}

impl Sms {
    /// Sends one message, once. There is no second try here, so one call is never two messages.
    ///
    /// # Errors
    ///
    /// [`SendError`] when the message was refused, or when it is not known whether it was taken. It has been logged.
    pub async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        match self {
            Self::Twilio(twilio) => twilio.send(message).await,
            Self::TestInbox(inbox) => {
                inbox.put(message);
                Ok(Receipt { provider_id: None, status: ReceiptStatus::Sent })
            }
        }
    }

    /// The test inbox, when messages go there.
    #[must_use]
    pub fn inbox(&self) -> Option<&Inbox> {
        match self {
            Self::Twilio(_) => None,
            Self::TestInbox(inbox) => Some(inbox),
        }
    }

    /// The provider's name, for logs and rows: `twilio` or `test_inbox`.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        match self {
            Self::Twilio(_) => "twilio",
            Self::TestInbox(_) => "test_inbox",
        }
    }
}

/// What the provider said when it took the message. Taken is not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id of the message (Twilio: `SM` or `MM` and 32 hex digits), at most 64 ASCII letters and digits.
    /// Nothing for the test inbox, and when the answer that took the message could not be read.
    pub provider_id: Option<String>,
    /// How far the message had got.
    pub status: ReceiptStatus,
}

/// How far a taken message had got by the time of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptStatus {
    /// The provider will send it.
    Queued,
    /// It is out.
    Sent,
}

impl ReceiptStatus {
    /// `queued` or `sent`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
        }
    }
}

/// Why a message did not go out, sorted by who can do something about it.
///
/// Neither `Display` nor `Debug` holds anything of the provider's text, our account, its host or the phone: an answer
/// that showed them was a fault of the original.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The person must use another number: this one gets no messages. The contract's `phone_unreachable`.
    #[error("this number cannot get messages ({})", .reason.as_str())]
    Unreachable {
        /// What is wrong with the number.
        reason: UnreachableReason,
        /// The provider's own error code.
        provider_code: Option<u32>,
    },
    /// The operator must mend something: credentials, sender, registration, money. The contract's `sms_rejected`.
    #[error("the SMS provider refuses our messages")]
    Rejected {
        /// The provider's own error code.
        provider_code: Option<u32>,
        /// The HTTP status of its answer.
        http_status: Option<u16>,
    },
    /// It passes by itself. The contract's `sms_unavailable`.
    #[error("the SMS provider is not available")]
    Unavailable {
        /// Whether the message may have gone out all the same.
        outcome: Outcome,
        /// Seconds to wait, when the provider named them: 1 to 3,600.
        retry_after: Option<u64>,
        /// The provider's own error code.
        provider_code: Option<u32>,
    },
}

impl SendError {
    /// Whether it is certain that nobody got it. If not, the person may still get the message, and it may be billed.
    #[must_use]
    pub fn definitely_not_sent(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Rejected { .. } => true,
            Self::Unavailable { outcome, .. } => *outcome == Outcome::NotSent,
        }
    }

    /// The provider's own error code, when it gave one. For rows and logs, not for clients.
    #[must_use]
    pub fn provider_code(&self) -> Option<u32> {
        match self {
            Self::Unreachable { provider_code, .. }
            | Self::Rejected { provider_code, .. }
            | Self::Unavailable { provider_code, .. } => *provider_code,
        }
    }
}

/// What is known of a message that was not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A definite refusal, or a connection that failed before anything was said.
    NotSent,
    /// A time-out, a cut connection or the provider's own fault (5xx): it may be on its way, and billed.
    Unknown,
}

/// Why a number gets no messages; an app can tell the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreachableReason {
    /// No such number, or nobody answers there.
    Invalid,
    /// It exists, but is a landline or another kind that takes no messages.
    NotMobile,
    /// Its owner answered STOP to our sender.
    OptedOut,
    /// Its country or network is not served from our sender.
    RegionNotAllowed,
    /// The provider or the carrier holds back messages to it.
    Blocked,
}

impl UnreachableReason {
    /// The word in the contract's `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotMobile => "not_mobile",
            Self::OptedOut => "opted_out",
            Self::RegionNotAllowed => "region_not_allowed",
            Self::Blocked => "blocked",
        }
    }
}
