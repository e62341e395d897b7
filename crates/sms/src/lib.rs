//! Sends one message to one phone, through Twilio or into the test inbox.
//!
//! This crate knows the provider's wire format and the meaning of its error codes. It knows no challenges, budgets or
//! database: the caller decides what to refund after a [`SendError`].
//!
//! To add:
//! 1. an error code: one row in the table of `provider_error.rs`, with its meaning and a line in the tests;
//! 2. a kind of failure: a variant of [`SendError`]; the compiler then finds every match that must handle it;
//! 3. a field of the request: `twilio/request.rs`, and the test that compares the whole form;
//! 4. a provider: a variant of [`Sms`] and a file beside `twilio.rs`. There is no trait, because two providers do
//!    not need one.
//!
//! The texts are in `text.rs`, their length in segments is in `segments.rs`.

mod callback;
mod inbox;
mod provider_error;
mod segments;
#[cfg(test)]
mod tests;
mod text;
mod twilio;
mod wire;

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
    provider_error::{Meaning, Mender, explain, meaning},
    text::{PHONE_CHANGED, TEMPLATE, Text, TextSettings, Texts, TextsError, Wording},
    twilio::{
        AccountCheck, AccountKind, AccountStatus, ContentError, Credentials, DEFAULT_MAX_IN_FLIGHT,
        DEFAULT_TIMEOUT, NoSender, RiskCheck, Sender, Senders, SendersError, SetupError, Twilio,
        TwilioSettings, WhatsApp,
    },
};

/// A message to send. Its `Debug` shows neither the text nor the code, and masks the phone.
#[derive(Debug, Clone)]
pub struct Message {
    /// The id in our own rows and logs; the provider never sees it.
    pub id: Uuid,
    /// The recipient.
    pub to: PhoneNumber,
    /// The channel.
    pub channel: Channel,
    /// What the user reads or hears.
    pub text: Text,
    /// The code alone: for the test inbox, for templates stored at the provider, and for the voice that spells it. A
    /// notice has none, and can only be sent by SMS.
    pub otp_code: Option<SecretString>,
    /// The remaining validity of the code or the notice. A message must not be delivered later than that.
    pub valid_for: Duration,
    /// When the use case created it, by its clock.
    pub created_at: DateTime<Utc>,
}

/// The provider that sends messages.
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
    /// [`SendError`] if the message was refused, or if it is unknown whether it was accepted. It has been logged.
    pub async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        match self {
            Self::Twilio(twilio) => twilio.send(message).await,
            Self::TestInbox(inbox) => inbox.send(message),
        }
    }

    /// The test inbox, if messages go there.
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

/// The provider's confirmation that it accepted a message. This does not mean that the message was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id of the message (Twilio: `SM`, `MM` or `CA` and 32 hex digits), at most 64 ASCII letters and
    /// digits. `None` for the test inbox, and if the provider's response could not be read.
    pub provider_id: Option<String>,
    /// The delivery status: queued, sent or delivered.
    pub status: DeliveryStatus,
    /// The number of segments, as the provider counts them.
    pub segments: Option<i64>,
    /// The price, if it is known already.
    pub price: Option<Price>,
}

/// A delivery report about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The message it is about.
    pub of: ReportOf,
    /// The delivery status.
    pub status: DeliveryStatus,
    /// The provider's own error code.
    pub error_code: Option<u32>,
    /// What the error code says about the number.
    pub reason: Option<UnreachableReason>,
    /// The price, if the report has it.
    pub price: Option<Price>,
}

impl Report {
    /// Whether a failed message may be followed by one on another channel. It may not if the user opted out, or if
    /// Twilio suspects SMS pumping.
    #[must_use]
    pub fn may_be_followed(&self) -> bool {
        self.reason != Some(UnreachableReason::OptedOut)
            && !self.error_code.is_some_and(provider_error::is_pumping)
    }
}

/// The message that a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOf {
    /// The test inbox uses our own ids.
    Message(Uuid),
    /// A provider uses its own ids, and names recipient and channel.
    Provider {
        /// The provider's id of the message.
        id: String,
        /// The recipient, if the report names one.
        to: Option<PhoneNumber>,
        /// The channel.
        channel: Channel,
    },
}

/// Why a message was not sent, classified by who can fix it.
///
/// Neither `Display` nor `Debug` contains the provider's text, our account, its host or the phone, because the
/// original service leaked these in its answers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The user must use another number, because this one cannot get messages. The contract's `phone_unreachable`.
    #[error("this number cannot get messages ({})", .reason.as_str())]
    Unreachable {
        /// What is wrong with the number.
        reason: UnreachableReason,
        /// The provider's own error code.
        provider_code: Option<u32>,
    },
    /// The operator must fix something: credentials, sender, registration or money. The contract's `sms_rejected`.
    #[error("the SMS provider refuses our messages")]
    Rejected {
        /// The provider's own error code.
        provider_code: Option<u32>,
        /// The HTTP status of its response.
        http_status: Option<u16>,
    },
    /// A temporary failure. The contract's `sms_unavailable`.
    #[error("the SMS provider is not available")]
    Unavailable {
        /// Whether the message may have been sent all the same.
        outcome: Outcome,
        /// Seconds to wait, if the provider named them: 1 to 3,600.
        retry_after: Option<u64>,
        /// The provider's own error code.
        provider_code: Option<u32>,
    },
}

impl SendError {
    /// Whether the message certainly was not sent. If not, the user may still receive it, and it may be billed.
    #[must_use]
    pub fn definitely_not_sent(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Rejected { .. } => true,
            Self::Unavailable { outcome, .. } => *outcome == Outcome::NotSent,
        }
    }

    /// The label for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Rejected { .. } => "rejected",
            Self::Unavailable { outcome: Outcome::NotSent, .. } => "unavailable",
            Self::Unavailable { outcome: Outcome::Unknown, .. } => "unknown",
        }
    }

    /// Why the number is unreachable, if that is the error.
    #[must_use]
    pub fn reason(&self) -> Option<UnreachableReason> {
        match self {
            Self::Unreachable { reason, .. } => Some(*reason),
            Self::Rejected { .. } | Self::Unavailable { .. } => None,
        }
    }

    /// The provider's own error code, if it gave one. For rows and logs, not for clients.
    #[must_use]
    pub fn provider_code(&self) -> Option<u32> {
        match self {
            Self::Unreachable { provider_code, .. }
            | Self::Rejected { provider_code, .. }
            | Self::Unavailable { provider_code, .. } => *provider_code,
        }
    }
}

/// Whether an unconfirmed message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Certainly not sent: it was refused, or the connection failed before the request.
    NotSent,
    /// Unknown: after a time-out, a cut connection or the provider's own error (5xx) it may have been sent, and
    /// billed.
    Unknown,
}
