//! What the words of rows mean, in the words of people.

pub mod audit;

use super::figures::grouped;
use crate::{
    domain::{
        budget::Budget,
        delivery::{Channel, DeliveryStatus, UnreachableReason},
        lead,
    },
    flows::delivery::provider_label,
};

/// Why a number gets no messages, in the words of the phone page.
pub use crate::domain::verdict::unreachable as reason;

/// The name of a channel.
pub fn channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "SMS",
        Channel::WhatsApp => "WhatsApp",
        Channel::Call => "Call",
    }
}

/// The name of a provider, as rows keep it. Where the hook refused a message, no provider was asked.
pub fn provider(provider: &str) -> &'static str {
    provider_label(provider).unwrap_or("–")
}

/// The name of a status.
pub fn status(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Pending => "Being sent",
        DeliveryStatus::Unknown => "Unknown",
        DeliveryStatus::Queued => "Accepted",
        DeliveryStatus::Sent => "On its way",
        DeliveryStatus::Delivered => "Delivered",
        DeliveryStatus::Undelivered => "Not delivered",
        DeliveryStatus::Failed => "Failed",
    }
}

/// What a status means.
pub fn status_meaning(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Pending => "It is being given to the provider.",
        DeliveryStatus::Unknown => "The provider did not answer, so it may have gone out or not.",
        DeliveryStatus::Queued => "The provider accepted it.",
        DeliveryStatus::Sent => "The provider sent it to the carrier.",
        DeliveryStatus::Delivered => "The phone received it.",
        DeliveryStatus::Undelivered => "The carrier did not deliver it.",
        DeliveryStatus::Failed => "The provider refused it or could not send it.",
    }
}

/// The class of a status's badge. The colour only repeats the name.
pub fn status_class(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Delivered => "badge good",
        DeliveryStatus::Undelivered | DeliveryStatus::Failed => "badge bad",
        DeliveryStatus::Unknown => "badge warn",
        DeliveryStatus::Pending | DeliveryStatus::Queued | DeliveryStatus::Sent => "badge",
    }
}

/// The reason of a failure as the counts of a day name it.
pub fn failure(name: &str) -> &'static str {
    name.parse().map_or("not because of the number, or for no known reason", reason)
}

/// Why a request for a code was refused, as the counts of a day name it.
pub fn refusal(name: &str) -> &'static str {
    if let Some(spent) = Budget::ALL.into_iter().find(|budget| budget.as_str() == name) {
        return budget(spent);
    }
    if matches!(name, "hook_denied" | "hook_failed") {
        return "The operator's check before sending did not allow it";
    }
    match name.parse() {
        Ok(UnreachableReason::RegionNotAllowed) => "The country gets no codes, by the settings",
        Ok(
            UnreachableReason::Invalid
            | UnreachableReason::NotMobile
            | UnreachableReason::OptedOut
            | UnreachableReason::Blocked,
        ) => "The number is blocked, or gets no messages",
        Err(_) => "Another reason",
    }
}

/// What it means that a budget is spent.
fn budget(budget: Budget) -> &'static str {
    match budget {
        Budget::PhoneGuessesFromAddress => "Locked: too many wrong codes for one phone from one address",
        Budget::PhoneGuesses => "Locked: too many wrong codes for one phone",
        Budget::PhoneFailures => "Locked: too many wrong codes in a row, until staff unlock it",
        Budget::AddressGuesses => "Too many wrong codes from one address",
        Budget::Cooldown => "A code was sent a moment ago",
        Budget::PhoneSends => "Too many codes to one phone",
        Budget::PhoneSendsFromAddress => "Too many codes to one phone from one address",
        Budget::AddressRequests => "Too many requests from one address",
        Budget::DeviceGuesses => "Locked: too many wrong codes on one known device",
        Budget::DeviceSends => "Too many codes to one known device",
        Budget::Prefix => "The prefix is closed: few of its codes are verified",
        Budget::Day => "The day's limit of messages is reached",
        Budget::Country => "The day's limit of messages to the country is reached",
        Budget::NamePasswordsFromAddress => "Too many wrong passwords for one name from one address",
        Budget::NamePasswords => "Too many wrong passwords for one name",
        Budget::AddressPasswords => "Too many wrong passwords from one address",
        Budget::Registrations => "Too many registrations from one address",
        Budget::Guests => "Too many new guests from one address",
        Budget::Proof => "The proof against robots was used before",
        Budget::AddressKeys => "Too many unknown API keys from one address",
        Budget::ServiceSends => "A service had as many codes sent as it may",
        Budget::ServiceGuesses => "Too many wrong codes at one service",
        Budget::ServicePhoneGuesses => "Locked: too many wrong codes for one phone at one service",
        Budget::ServiceAddress => "Too many requests of one service for one address",
    }
}

/// What a limit counts, as the page of a number lists it.
pub fn limit(budget: Budget) -> &'static str {
    match budget {
        Budget::PhoneGuessesFromAddress => "Wrong codes from one address",
        Budget::PhoneGuesses | Budget::AddressGuesses => "Wrong codes",
        Budget::PhoneFailures => "Wrong codes in a row",
        Budget::Cooldown => "Pause between two codes",
        Budget::PhoneSends => "Codes sent",
        Budget::PhoneSendsFromAddress => "Codes sent for one address",
        Budget::AddressRequests => "Requests",
        Budget::DeviceGuesses => "Wrong codes on a known device",
        Budget::DeviceSends => "Codes sent to a known device",
        Budget::Prefix => "Codes of the prefix that were not entered",
        Budget::Day => "Messages of the day",
        Budget::Country => "Messages of the day to the country",
        Budget::NamePasswordsFromAddress | Budget::NamePasswords | Budget::AddressPasswords => {
            "Wrong passwords"
        }
        Budget::Registrations => "Registrations",
        Budget::Guests => "New guests",
        Budget::Proof => "Proofs against robots",
        Budget::AddressKeys => "Unknown API keys",
        Budget::ServiceSends => "Codes sent for a service",
        Budget::ServiceGuesses => "Wrong codes at a service",
        Budget::ServicePhoneGuesses => "Wrong codes at one service",
        Budget::ServiceAddress => "Requests of a service for one address",
    }
}

/// A length of time in words, in the largest unit that divides it.
pub fn span(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds % unit == 0).unwrap_or((1, "second"));
    match seconds / unit {
        1 => name.to_owned(),
        count => format!("{} {name}s", grouped(count)),
    }
}

/// The name of a lead's state.
pub fn lead_state(state: lead::State) -> &'static str {
    match state {
        lead::State::New => "New",
        lead::State::Waiting => "Waiting",
        lead::State::Contacted => "Contacted",
        lead::State::Converted => "Verified",
        lead::State::Lost => "Lost",
    }
}
