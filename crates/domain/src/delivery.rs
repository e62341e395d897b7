//! What becomes of a message: by which way it goes, how far it got, and why it got no further.
//!
//! To add a status: give it a word and its place in [`DeliveryStatus::replaces`]; a column of its own in `messages`
//! if its time is to be kept. To add a channel: a word here, a text in `sms`, a request in `sms/twilio`.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::phone::PhoneNumber;

/// By which way a code reaches a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A text message.
    Sms,
    /// A message of an approved template.
    WhatsApp,
    /// A voice call that reads the code out.
    Call,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Sms, Self::WhatsApp, Self::Call];

    /// The contract's word, also in rows and settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::WhatsApp => "whatsapp",
            Self::Call => "call",
        }
    }
}

/// The text is no channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be sms, whatsapp or call")]
pub struct UnknownChannel;

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text).ok_or(UnknownChannel)
    }
}

/// What the app runs on, as far as the text of a message depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Its SMS Retriever wants the app's hash at the end.
    Android,
    /// Reads codes by itself.
    Ios,
    /// `WebOTP` wants the origin in the last line.
    Web,
}

impl Platform {
    /// The contract's word, also in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Ios => "ios",
            Self::Web => "web",
        }
    }
}

/// The text is no platform.
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

/// Which channels are on, and which are tried by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPolicy {
    /// The channels that a client may ask for; never empty.
    pub on: Vec<Channel>,
    /// The channels that are tried, in this order, when a message comes back undelivered. Each is on.
    pub fallback: Vec<Channel>,
}

impl ChannelPolicy {
    /// The channel of whoever names none: `sms` where it is on, else the first that is.
    #[must_use]
    pub fn usual(&self) -> Channel {
        if self.is_on(Channel::Sms) { Channel::Sms } else { self.on.first().copied().unwrap_or(Channel::Sms) }
    }

    /// Whether clients may ask for it.
    #[must_use]
    pub fn is_on(&self, channel: Channel) -> bool {
        self.on.contains(&channel)
    }

    /// The next channel to try after these: each is tried once.
    #[must_use]
    pub fn next_after(&self, tried: &[Channel]) -> Option<Channel> {
        self.fallback.iter().copied().find(|channel| !tried.contains(channel))
    }
}

impl Default for ChannelPolicy {
    fn default() -> Self {
        Self { on: vec![Channel::Sms], fallback: Vec::new() }
    }
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// It is about to be handed to the provider.
    Pending,
    /// The provider did not answer: it may be out.
    Unknown,
    /// The provider has taken it.
    Queued,
    /// It left the provider.
    Sent,
    /// The phone has it.
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

    /// The statuses that give way to this one. Reports come in any order, so one that says less than what is known
    /// changes nothing; a phone that has the message after all is right against a carrier that gave up.
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

    /// Whether the provider has said that it has the message, and no more is known to be wrong.
    #[must_use]
    pub fn is_taken(self) -> bool {
        match self {
            Self::Queued | Self::Sent => true,
            Self::Pending | Self::Unknown | Self::Delivered | Self::Undelivered | Self::Failed => false,
        }
    }

    /// Whether the message came to nothing.
    #[must_use]
    pub fn is_lost(self) -> bool {
        match self {
            Self::Undelivered | Self::Failed => true,
            Self::Pending | Self::Unknown | Self::Queued | Self::Sent | Self::Delivered => false,
        }
    }
}

/// The text is no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a status of a delivery")]
pub struct UnknownStatus;

impl FromStr for DeliveryStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

/// Why a number gets no messages; an app can tell the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// The text is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason why a number gets no messages")]
pub struct UnknownReason;

impl FromStr for UnreachableReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownReason)
    }
}

/// What a message cost, as the provider writes it: a decimal number, negative for money spent, and a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// `-0.00750`
    pub amount: String,
    /// ISO 4217, `USD`
    pub unit: String,
}

/// One message and what is known of it. Those that a person's one wish led to share a `delivery_id`: the first, and
/// those by other channels when it came back.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message_id: Uuid,
    /// The wish that it belongs to, which a client may ask after: 128 random bits.
    pub delivery_id: Uuid,
    /// The challenge whose code it carries.
    pub challenge_id: Uuid,
    /// 1 for the first message of a wish.
    pub attempt: i64,
    /// Whom it goes to.
    pub phone: PhoneNumber,
    /// By which way.
    pub channel: Channel,
    /// In which language.
    pub language: String,
    /// To what kind of app.
    pub platform: Option<Platform>,
    /// What the provider calls it, once that is known.
    pub provider_id: Option<String>,
    /// How far it got.
    pub status: DeliveryStatus,
    /// Why it got no further, where that is known.
    pub reason: Option<UnreachableReason>,
    /// When anything was last learnt of it.
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

    #[test]
    fn each_channel_is_tried_once() {
        let policy =
            ChannelPolicy { on: Channel::ALL.into(), fallback: vec![Channel::WhatsApp, Channel::Call] };
        assert_eq!(policy.usual(), Channel::Sms);
        assert_eq!(policy.next_after(&[Channel::Sms]), Some(Channel::WhatsApp));
        assert_eq!(policy.next_after(&[Channel::Sms, Channel::WhatsApp]), Some(Channel::Call));
        assert_eq!(policy.next_after(&Channel::ALL), None);
        assert_eq!(ChannelPolicy { on: vec![Channel::Call], fallback: vec![] }.usual(), Channel::Call);
    }
}
