//! Messages on their way: channels, platforms, delivery statuses, and the reasons why a number cannot be reached.
//!
//! To add a status: give it a word and its place in [`DeliveryStatus::replaces`], and a column in `messages` if its
//! time is to be stored. To add a channel: a word here, a text in `sms`, a request in `sms/twilio`.

mod channels;
mod ending;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::phone::PhoneNumber;

pub use self::{
    channels::{ChannelOrder, ChannelOrderError, ChannelPolicy},
    ending::{Ending, Next},
};

/// The provider of a message that no provider gets: of a review number, or one that was refused before it was sent.
pub const NO_PROVIDER: &str = "none";

/// How a code reaches the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A text message.
    Sms,
    /// A WhatsApp message from an approved template.
    WhatsApp,
    /// A voice call that reads the code out.
    Call,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Sms, Self::WhatsApp, Self::Call];

    /// The contract's word, also used in rows and settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::WhatsApp => "whatsapp",
            Self::Call => "call",
        }
    }
}

/// The text is not a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be sms, whatsapp or call")]
pub struct UnknownChannel;

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text).ok_or(UnknownChannel)
    }
}

/// The platform of the app, which decides the last line of a text message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Android's SMS Retriever needs the app's hash at the end.
    Android,
    /// iOS recognises codes by itself.
    Ios,
    /// `WebOTP` needs the origin in the last line.
    Web,
}

impl Platform {
    /// The contract's word, also used in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Ios => "ios",
            Self::Web => "web",
        }
    }
}

/// The text is not a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be android, ios or web")]
pub struct UnknownPlatform;

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, UnknownPlatform> {
        let all = [Self::Android, Self::Ios, Self::Web];
        all.into_iter().find(|platform| platform.as_str() == text).ok_or(UnknownPlatform)
    }
}

/// The delivery status of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// It is about to be sent to the provider.
    Pending,
    /// The provider did not answer, so the message may have been sent.
    Unknown,
    /// The provider has accepted it.
    Queued,
    /// The provider has sent it on.
    Sent,
    /// The phone has received it.
    Delivered,
    /// The carrier did not deliver it.
    Undelivered,
    /// The provider refused it or could not send it.
    Failed,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Unknown,
        Self::Queued,
        Self::Sent,
        Self::Delivered,
        Self::Undelivered,
        Self::Failed,
    ];

    /// The word in rows and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
        }
    }

    /// The statuses that this one replaces. Reports arrive in any order, so a report with less information changes
    /// nothing. A delivered message wins over a carrier's failure report.
    #[must_use]
    pub fn replaces(self) -> &'static [Self] {
        use DeliveryStatus::{Failed, Pending, Queued, Sent, Undelivered, Unknown};
        match self {
            Self::Pending => &[],
            Self::Unknown => &[Pending],
            Self::Queued => &[Pending, Unknown],
            Self::Sent => &[Pending, Unknown, Queued],
            Self::Undelivered | Self::Failed => &[Pending, Unknown, Queued, Sent],
            Self::Delivered => &[Pending, Unknown, Queued, Sent, Undelivered, Failed],
        }
    }

    /// Whether the provider has accepted the message and no result is known yet.
    #[must_use]
    pub fn is_taken(self) -> bool {
        match self {
            Self::Queued | Self::Sent => true,
            Self::Pending | Self::Unknown | Self::Delivered | Self::Undelivered | Self::Failed => false,
        }
    }

    /// Whether the message failed.
    #[must_use]
    pub fn is_lost(self) -> bool {
        match self {
            Self::Undelivered | Self::Failed => true,
            Self::Pending | Self::Unknown | Self::Queued | Self::Sent | Self::Delivered => false,
        }
    }
}

/// The text is not a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a status of a delivery")]
pub struct UnknownStatus;

impl FromStr for DeliveryStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

/// Why a number cannot get messages. An app can tell the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnreachableReason {
    /// The number does not exist or is not reachable.
    Invalid,
    /// It is a landline or another kind of number that gets no messages.
    NotMobile,
    /// The user answered STOP to our sender.
    OptedOut,
    /// Our sender does not serve its country or network.
    RegionNotAllowed,
    /// The provider or the carrier blocks messages to it.
    Blocked,
}

impl UnreachableReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Invalid, Self::NotMobile, Self::OptedOut, Self::RegionNotAllowed, Self::Blocked];

    /// The word in the contract's `reason`, also in rows.
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

/// The text is not a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason why a number gets no messages")]
pub struct UnknownReason;

impl FromStr for UnreachableReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownReason)
    }
}

/// The price of a message as the provider writes it: a decimal number, negative for a charge, and a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The amount, such as `-0.00750`.
    pub amount: String,
    /// The currency in ISO 4217, such as `USD`.
    pub unit: String,
}

/// The place of a message in its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The delivery.
    pub delivery_id: Uuid,
    /// 1 for the first message, then counting up.
    pub number: i64,
}

/// One message and its state. The first message of a request and those that followed it, by another provider or channel,
/// share a `delivery_id`.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The id of the message.
    pub message_id: Uuid,
    /// The request that it belongs to, whose status a client may query: 128 random bits.
    pub delivery_id: Uuid,
    /// The challenge whose code it carries.
    pub challenge_id: Uuid,
    /// 1 for the first message of a request, then counting up.
    pub attempt: i64,
    /// The recipient.
    pub phone: PhoneNumber,
    /// The account that it belongs to, if it does not belong to the phone alone.
    pub account_id: Option<Uuid>,
    /// The channel.
    pub channel: Channel,
    /// The language of the text.
    pub language: String,
    /// The platform of the app.
    pub platform: Option<Platform>,
    /// The provider that sends it.
    pub provider: String,
    /// The provider's id of the message, once known.
    pub provider_id: Option<String>,
    /// The delivery status.
    pub status: DeliveryStatus,
    /// Why it failed, if known.
    pub reason: Option<UnreachableReason>,
    /// The provider's code of the failure.
    pub error_code: Option<i64>,
    /// When the status last changed.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_says_less_than_what_is_known_changes_nothing() {
        for status in DeliveryStatus::ALL {
            assert!(!status.replaces().contains(&status), "{status:?} would be told twice");
            for less in status.replaces() {
                assert!(
                    !less.replaces().contains(&status),
                    "{less:?} and {status:?} would replace each other"
                );
            }
        }
        assert!(!DeliveryStatus::Sent.replaces().contains(&DeliveryStatus::Delivered));
        assert!(DeliveryStatus::Delivered.replaces().contains(&DeliveryStatus::Undelivered));
    }

    #[test]
    fn words_are_read_back() {
        assert!(Channel::ALL.iter().all(|it| it.as_str().parse() == Ok(*it)));
        assert!(DeliveryStatus::ALL.iter().all(|it| it.as_str().parse() == Ok(*it)));
        assert!(UnreachableReason::ALL.iter().all(|it| it.as_str().parse() == Ok(*it)));
        assert_eq!("SMS".parse::<Channel>(), Err(UnknownChannel));
    }
}
