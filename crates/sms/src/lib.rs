//! Sending: one message to one phone, through Twilio or into the test inbox.
//!
//! This room knows the provider's wire format and what its error codes mean. It knows no challenge, no budget and no
//! database: whoever sends decides what a [`SendError`] gives back.
//!
//! To add
//! 1. an error code: one row in the table of `refusal.rs`, with what it means and a line in the tests;
//! 2. a kind of failure: a variant of [`SendError`]; every match on it stops compiling until someone has decided;
//! 3. a field of the request: `twilio/request.rs`, and the test that compares the whole form;
//! 4. a provider: a variant of [`Sms`] and a file beside `twilio.rs`. There is no trait: two providers need none.
//!
//! What the messages say is in `text.rs`, how much of it fits into a message in `segments.rs`.

mod callback;
mod inbox;
mod provider_error;
mod segments;
#[cfg(test)]
mod tests;
mod text;
mod twilio;
mod words;

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use thiserror::Error;
use uuid::Uuid;

pub use domain::delivery::UnreachableReason;
use domain::{
    delivery::{Channel, DeliveryStatus, Price},
    phone::PhoneNumber,
};

pub use self::{
    callback::{Callbacks, Forged},
    inbox::{INBOX_CAPACITY, Inbox, InboxMessage, Step},
    provider_error::explain,
    text::{PHONE_CHANGED, TEMPLATE, Text, TextSettings, Texts, TextsError, Wording},
    twilio::{
        AccountCheck, AccountKind, AccountStatus, ContentError, Credentials, DEFAULT_MAX_IN_FLIGHT,
        DEFAULT_TIMEOUT, NoSender, RiskCheck, Sender, Senders, SendersError, SetupError, Twilio,
        TwilioSettings, WhatsApp,
    },
};

/// A message on its way to a person. Its `Debug` shows neither the words nor the code, and the phone masked.
#[derive(Debug, Clone)]
pub struct Message {
    /// Names the message in our own rows and logs; the provider never sees it.
    pub id: Uuid,
    /// Who gets it.
    pub to: PhoneNumber,
    /// By which way it goes.
    pub channel: Channel,
    /// What the person reads or hears.
    pub text: Text,
    /// The code alone: for the test inbox, for templates that a provider keeps, and for a voice that spells it. A notice
    /// has none, and goes as a text message only.
    pub otp_code: Option<SecretString>,
    /// The remaining life of the code, or of the news. What is not delivered by then is not to be delivered at all.
    pub valid_for: Duration,
    /// When the flow made it, by the flow's clock.
    pub created_at: DateTime<Utc>,
}

/// Where messages go.
#[derive(Debug)]
pub enum Sms {
    /// To phones, through Twilio.
    Twilio(Box<Twilio>),
    /// Into the log and the memory of this process, for development and tests.
    TestInbox(Inbox),
}

impl Sms {
    /// Sends one message.
    ///
    /// # Errors
    ///
    /// [`SendError`] when the message was refused, or when it is not known whether it was taken. It has been logged.
    pub async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        match self {
            Self::Twilio(twilio) => twilio.send(message).await,
            Self::TestInbox(inbox) => inbox.send(message),
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
    /// The provider's id of the message (Twilio: `SM`, `MM` or `CA` and 32 hex digits), at most 64 ASCII letters and
    /// digits. Nothing for the test inbox, and when the answer that took the message could not be read.
    pub provider_id: Option<String>,
    /// How far the message had got: queued, sent or delivered.
    pub status: DeliveryStatus,
    /// How many parts the provider counts.
    pub segments: Option<i64>,
    /// What it costs, when that is known already.
    pub price: Option<Price>,
}

/// What the provider tells of a message later on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which message.
    pub of: ReportOf,
    /// How far it got.
    pub status: DeliveryStatus,
    /// The provider's own error code.
    pub error_code: Option<u32>,
    /// What the error code says of the number.
    pub reason: Option<UnreachableReason>,
    /// What it cost, when the report says so.
    pub price: Option<Price>,
}

impl Report {
    /// Whether a message that came back may be followed by one by another channel. Not to somebody who asked to get none,
    /// nor where Twilio suspects that somebody earns by our messages.
    #[must_use]
    pub fn may_be_followed(&self) -> bool {
        self.reason != Some(UnreachableReason::OptedOut)
            && !self.error_code.is_some_and(provider_error::is_pumping)
    }
}

/// Which message a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOf {
    /// The test inbox knows our own ids.
    Message(Uuid),
    /// A provider knows its own, and whom it sent the message to by which way.
    Provider {
        /// The provider's id of the message.
        id: String,
        /// Whom it went to, as far as the report says.
        to: Option<PhoneNumber>,
        /// By which way.
        channel: Channel,
    },
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

    /// A word for it, for counting.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Rejected { .. } => "rejected",
            Self::Unavailable { outcome: Outcome::NotSent, .. } => "unavailable",
            Self::Unavailable { outcome: Outcome::Unknown, .. } => "unknown",
        }
    }

    /// What is wrong with the number, if that is what stopped it.
    #[must_use]
    pub fn reason(&self) -> Option<UnreachableReason> {
        match self {
            Self::Unreachable { reason, .. } => Some(*reason),
            Self::Rejected { .. } | Self::Unavailable { .. } => None,
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
