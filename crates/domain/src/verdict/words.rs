//! Words for staff: channels, waits and the provider's reasons, in plain language.

use super::facts::{Blame, BlockedPart, MessageFacts};
use crate::delivery::{Channel, UnreachableReason};

/// How a message goes: `by SMS`.
#[must_use]
pub fn by_channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "by SMS",
        Channel::WhatsApp => "by WhatsApp",
        Channel::Call => "by phone call",
    }
}

/// A channel at the beginning of a sentence.
pub(super) fn the_channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "The SMS",
        Channel::WhatsApp => "The WhatsApp message",
        Channel::Call => "The phone call",
    }
}

/// A provider within a sentence.
pub(super) fn provider(name: Option<&'static str>) -> &'static str {
    name.unwrap_or("a provider")
}

/// What a block shuts out.
pub(super) fn blocked(part: BlockedPart) -> &'static str {
    match part {
        BlockedPart::Number => "this number",
        BlockedPart::Prefix => "all numbers that begin like this one",
        BlockedPart::Country => "all numbers of this country",
        BlockedPart::Address => "the address that the last request came from",
    }
}

/// A wait in words: `25 seconds`, `3 minutes`, `2 hours`. Rounded up, so that what is tried after it works.
#[must_use]
pub fn wait(seconds: i64) -> String {
    let (number, unit) = match seconds.max(1) {
        seconds @ ..=90 => (seconds, "second"),
        seconds @ ..=5_400 => ((seconds + 59) / 60, "minute"),
        seconds @ ..=129_600 => ((seconds + 3_599) / 3_600, "hour"),
        seconds => ((seconds + 86_399) / 86_400, "day"),
    };
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// Why a message failed, as the end of a sentence: `the number is not in use`.
#[must_use]
pub fn why(message: &MessageFacts) -> &'static str {
    message.cause.or_else(|| message.reason.map(unreachable)).unwrap_or_else(|| by_blame(message))
}

/// Why a message was not handed to a provider, as the end of a sentence.
pub const NOT_HANDED_OVER: &str = "the operator's check before sending did not allow it";

/// Why a number gets no messages, as the end of a sentence.
#[must_use]
pub fn unreachable(reason: UnreachableReason) -> &'static str {
    match reason {
        UnreachableReason::Invalid => "the number does not exist or cannot be reached",
        UnreachableReason::NotMobile => "the number takes no messages: it may be a landline",
        UnreachableReason::OptedOut => "the user does not want messages from us",
        UnreachableReason::RegionNotAllowed => "the provider does not serve this country or network",
        UnreachableReason::Blocked => "the provider or the carrier blocks messages to this number",
    }
}

fn by_blame(message: &MessageFacts) -> &'static str {
    match (message.blame, message.channel) {
        (Some(Blame::Us), _) => "the provider or the carrier refuses our sender or our text",
        (Some(Blame::Number), _) => "the number cannot be reached",
        (None, Channel::Call) => "the call was not answered",
        (Some(Blame::Passing), _) => "the carrier or the provider had a problem",
        (None, Channel::Sms | Channel::WhatsApp) => "the carrier gave no reason",
    }
}

/// How often: `three times`.
pub(super) fn times(number: i64) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        3 => "three times".to_owned(),
        number => format!("{number} times"),
    }
}
