//! Words for staff: channels, waits and the provider's reasons, in plain language.

use super::facts::{Blame, MessageFacts};
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
    let known = message.error_code.and_then(by_code);
    known.or_else(|| message.reason.map(by_reason)).unwrap_or_else(|| by_blame(message))
}

/// The provider's codes that mean more than their group. `sms/provider_error.rs` has all of them, with hints for the operator.
fn by_code(code: i64) -> Option<&'static str> {
    Some(match code {
        21_211 | 13_223 | 13_224 | 21_217 | 60_200 => "it is not a valid number",
        21_408 | 13_227 | 21_203 | 21_215 | 60_605 => {
            "our account at the provider sends no messages to this country"
        }
        21_612 => "the provider has no way to reach this number from our sender",
        21_614 => "it is not a mobile number",
        21_635 | 60_205 => "it is a landline",
        30_003 => "the phone is switched off or out of reach",
        30_004 => "the carrier blocks messages to this number",
        30_005 => "the number is not in use",
        30_006 => "it is a landline, or its carrier takes no messages",
        30_007 => "the carrier's filter took it for spam",
        30_008 => "the carrier gave no reason",
        30_017 => "the carrier's network was overloaded",
        30_024 | 30_032 | 30_034 | 30_040 => "our sender is not registered with the carriers of this country",
        30_036 => "it waited too long at the provider",
        30_450 | 30_453 | 60_410 => "the provider took it for fraud",
        63_003 => "the number is not on WhatsApp",
        63_024 => "the number is not on WhatsApp, or its WhatsApp is too old",
        63_049 => "WhatsApp took it for advertising",
        _ => return None,
    })
}

fn by_reason(reason: UnreachableReason) -> &'static str {
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
        (None, Channel::Call) if message.error_code.is_none() => "nobody answered",
        (Some(Blame::Passing), _) => "the carrier or the provider had a problem",
        (None, Channel::Sms | Channel::WhatsApp | Channel::Call) => "the carrier gave no reason",
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
