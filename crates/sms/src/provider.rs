//! The providers by name, and what each can carry.

use std::str::FromStr;

use thiserror::Error;

use super::{Kind, msg91, provider_error::Errors, twilio, vonage, webhook};
use domain::delivery::Channel;

/// A provider of messages. Its name is in settings, rows and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Twilio.
    Twilio,
    /// Vonage.
    Vonage,
    /// MSG91.
    Msg91,
    /// The operator's own endpoint.
    Webhook,
    /// The test inbox, which answers and reports like Twilio.
    TestInbox,
}

/// The text is not the name of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no such provider")]
pub struct UnknownProvider;

impl Provider {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Twilio, Self::Vonage, Self::Msg91, Self::Webhook, Self::TestInbox];

    /// The name in settings, rows and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Vonage => "vonage",
            Self::Msg91 => "msg91",
            Self::Webhook => "webhook",
            Self::TestInbox => "test_inbox",
        }
    }

    /// The name in a sentence.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Twilio => "Twilio",
            Self::Vonage => "Vonage",
            Self::Msg91 => "MSG91",
            Self::Webhook => "the webhook",
            Self::TestInbox => "the test inbox",
        }
    }

    /// The name where it stands alone, as in a table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Twilio | Self::Vonage | Self::Msg91 => self.title(),
            Self::Webhook => "Webhook",
            Self::TestInbox => "Test inbox",
        }
    }

    /// Whether its API takes the ids of India's registry of texts (DLT). Others have them in their panels, or not at all.
    #[must_use]
    pub fn takes_dlt_ids(self) -> bool {
        match self {
            Self::Vonage | Self::Webhook => true,
            Self::Twilio | Self::Msg91 | Self::TestInbox => false,
        }
    }

    /// Whether it has a way to send such a message, whatever its settings are.
    #[must_use]
    pub fn carries(self, kind: Kind) -> bool {
        match (self, kind.channel) {
            (
                Self::Twilio | Self::Webhook | Self::TestInbox,
                Channel::Sms | Channel::WhatsApp | Channel::Call,
            )
            | (Self::Vonage, Channel::Sms | Channel::WhatsApp) => true,
            // Its template has a variable for the code, and a notice has none.
            (Self::Msg91, Channel::Sms) => kind.has_code,
            (Self::Vonage, Channel::Call) | (Self::Msg91, Channel::WhatsApp | Channel::Call) => false,
        }
    }

    /// What its refusals mean.
    pub(crate) fn errors(self) -> &'static Errors {
        match self {
            Self::Twilio | Self::TestInbox => &twilio::ERRORS,
            Self::Vonage => &vonage::ERRORS,
            Self::Msg91 => &msg91::ERRORS,
            Self::Webhook => &webhook::ERRORS,
        }
    }
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == text).ok_or(UnknownProvider)
    }
}
