//! Sends one message to one phone, through a provider or into the test inbox, and reads what providers report.
//!
//! This crate knows the providers' wire formats and the meaning of their error codes. It knows no challenges, budgets or
//! database: the caller decides what to refund after a [`SendError`].
//!
//! To add:
//! 1. an error code: one row in the provider's table (`twilio/errors.rs`), with its meaning and a line in the tests;
//! 2. a kind of failure: a variant of [`SendError`]; the compiler then finds every match that must handle it;
//! 3. a field of a request: `twilio/request.rs` or its sibling, and the test that compares the whole request;
//! 4. a provider: a variant of [`Provider`] and of [`Sms`], and a module with its `client::Api`, its errors and its
//!    reports. Deadline, retries, limits and the circuit breaker are in `client.rs`.
//!
//! The texts are in `text.rs`, their length in segments is in `segments.rs`.

mod by_language;
mod client;
mod ending;
mod inbox;
mod msg91;
mod provider;
mod provider_error;
mod provider_text;
mod reports;
mod room;
mod routes;
mod segments;
#[cfg(test)]
mod tests;
mod text;
mod twilio;
mod vonage;
mod ways;
mod webhook;

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use thiserror::Error;
use uuid::Uuid;

pub use domain::delivery::UnreachableReason;
use domain::{
    delivery::{Attempt, Channel, DeliveryStatus, Price},
    phone::PhoneNumber,
};

pub use self::{
    by_language::{ByLanguage, ByLanguageError},
    client::{DEFAULT_MAX_IN_FLIGHT, DEFAULT_TIMEOUT, Limits, SetupError, Turn},
    ending::{DEFAULT_RETRY_AFTER, ending, ending_of_lost, error_of_all},
    inbox::{INBOX_CAPACITY, Inbox, InboxMessage, Step},
    msg91::{Msg91, Msg91Reports, Msg91Settings},
    provider::{Provider, UnknownProvider},
    provider_error::{Meaning, Mender, explain, explain_with_text, meaning},
    provider_text::ProviderText,
    reports::{Forged, Incoming, ReportReaders},
    room::Room,
    routes::{Routes, RoutesError},
    text::{
        Dlt, INDIA, Notice, Registration, TEMPLATE, Text, TextSettings, Texts, TextsError, Wording, is_dlt_id,
    },
    twilio::{
        AccountCheck, AccountKind, AccountStatus, ContentError, Credentials, NoSender, RiskCheck, Sender,
        Senders, SendersError, Twilio, TwilioSettings, WhatsApp, callback::Callbacks,
    },
    vonage::{Vonage, VonageReports, VonageSettings, VonageWhatsApp},
    ways::{Way, Ways},
    webhook::{Webhook, WebhookReports, WebhookSettings},
};

/// A message to send. Its `Debug` shows neither the text nor the code, and masks the phone.
#[derive(Debug, Clone)]
pub struct Message {
    /// The id in our own rows and logs; the provider never sees it.
    pub id: Uuid,
    /// Its delivery, which the address for the provider's reports names.
    pub attempt: Attempt,
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

impl Message {
    /// How its text is registered, if it goes to India.
    #[must_use]
    pub fn dlt(&self) -> Option<&Dlt> {
        let is_to_india = self.to.region().is_some_and(|region| region.to_string() == text::INDIA);
        self.text.dlt.as_ref().filter(|_| is_to_india)
    }

    /// The seconds that are left of its validity: less at a retry.
    pub(crate) fn seconds_left(&self, now: DateTime<Utc>) -> u64 {
        // If the clock was set back, the age counts as zero.
        let age = (now - self.created_at).to_std().unwrap_or(Duration::ZERO);
        self.valid_for.saturating_sub(age).as_secs()
    }
}

/// One provider that sends messages. [`Room`] chooses between several.
#[derive(Debug)]
pub enum Sms {
    /// To phones, through Twilio.
    Twilio(Box<Twilio>),
    /// To phones, through Vonage.
    Vonage(Box<Vonage>),
    /// To phones, through MSG91.
    Msg91(Box<Msg91>),
    /// To the operator's own endpoint.
    Webhook(Box<Webhook>),
    /// Into the log and the memory of this process, for development and tests.
    TestInbox(Inbox),
}

impl Sms {
    /// Sends one message.
    ///
    /// # Errors
    ///
    /// [`Unsent`] if the message was refused, or if it is unknown whether it was accepted. It has been logged.
    pub async fn send_within(&self, message: &Message, turn: Turn) -> Result<Receipt, Unsent> {
        match self {
            Self::Twilio(twilio) => twilio.send_within(message, turn).await,
            Self::Vonage(vonage) => vonage.send_within(message, turn).await,
            Self::Msg91(msg91) => msg91.send_within(message, turn).await,
            Self::Webhook(webhook) => webhook.send_within(message, turn).await,
            Self::TestInbox(inbox) => inbox.send(message).map_err(Unsent::from),
        }
    }

    /// The test inbox, if messages go there.
    #[must_use]
    pub fn inbox(&self) -> Option<&Inbox> {
        match self {
            Self::Twilio(_) | Self::Vonage(_) | Self::Msg91(_) | Self::Webhook(_) => None,
            Self::TestInbox(inbox) => Some(inbox),
        }
    }

    /// Whether the provider counts as down, so that messages fail at once. The test inbox never is.
    #[must_use]
    pub fn is_down(&self) -> bool {
        match self {
            Self::Twilio(twilio) => twilio.is_down(),
            Self::Vonage(vonage) => vonage.is_down(),
            Self::Msg91(msg91) => msg91.is_down(),
            Self::Webhook(webhook) => webhook.is_down(),
            Self::TestInbox(_) => false,
        }
    }

    /// Which provider it is.
    #[must_use]
    pub fn provider(&self) -> Provider {
        match self {
            Self::Twilio(_) => Provider::Twilio,
            Self::Vonage(_) => Provider::Vonage,
            Self::Msg91(_) => Provider::Msg91,
            Self::Webhook(_) => Provider::Webhook,
            Self::TestInbox(_) => Provider::TestInbox,
        }
    }

    /// Whether it can send such a message with its settings.
    #[must_use]
    pub fn carries(&self, kind: Kind) -> bool {
        let is_set_up = match self {
            Self::Twilio(twilio) => twilio.is_set_up_for(kind.channel),
            Self::Vonage(vonage) => vonage.is_set_up_for(kind.channel),
            Self::Msg91(_) | Self::Webhook(_) | Self::TestInbox(_) => true,
        };
        is_set_up && self.provider().carries(kind)
    }
}

/// What a provider must be able to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The channel.
    pub channel: Channel,
    /// Whether the message has a code. A notice has none.
    pub has_code: bool,
}

impl Kind {
    /// A message with a code.
    #[must_use]
    pub fn code_by(channel: Channel) -> Self {
        Self { channel, has_code: true }
    }

    /// A notice, which goes by SMS only.
    #[must_use]
    pub fn notice() -> Self {
        Self { channel: Channel::Sms, has_code: false }
    }
}

/// The provider's confirmation that it accepted a message. This does not mean that the message was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id of the message (Twilio: `SM`, `MM` or `CA` and 32 hex digits), at most 64 ASCII letters, digits
    /// and hyphens. `None` for the test inbox, and if the provider's response could not be read.
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
    /// Who reports. It says nothing about messages of other providers.
    pub provider: Provider,
    /// The message it is about.
    pub of: ReportOf,
    /// The delivery status.
    pub status: DeliveryStatus,
    /// The provider's own error code.
    pub error_code: Option<u32>,
    /// The provider's own words about the error.
    pub error_text: Option<ProviderText>,
    /// What the error code says about the number.
    pub reason: Option<UnreachableReason>,
    /// The price, if the report has it.
    pub price: Option<Price>,
}

/// The message that a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOf {
    /// The test inbox knows the message.
    Message {
        /// Our id.
        id: Uuid,
        /// The delivery that it belongs to.
        delivery_id: Uuid,
        /// The recipient.
        to: PhoneNumber,
        /// The channel.
        channel: Channel,
    },
    /// A provider uses its own ids, and names recipient and channel.
    Provider {
        /// The provider's id of the message.
        id: String,
        /// Which message it is. `None` if an earlier version sent it, whose address for reports did not say so.
        attempt: Option<Attempt>,
        /// The recipient, if the report names one.
        to: Option<PhoneNumber>,
        /// The channel.
        channel: Channel,
    },
    /// A provider that does not sign its reports: id and recipient must both match a message of ours.
    Recipient {
        /// The provider's id of the message.
        id: String,
        /// The recipient.
        to: PhoneNumber,
    },
}

/// What a provider did not do: mostly a message that was not sent, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Why.
    pub error: SendError,
    /// The provider's own words, for staff. Not for clients.
    pub text: Option<ProviderText>,
    /// Whether an earlier try may have sent it all the same, so that nothing else may follow.
    pub after_unknown: bool,
}

impl From<SendError> for Unsent {
    fn from(error: SendError) -> Self {
        Self { error, text: None, after_unknown: false }
    }
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
