//! What Twilio's responses and reports have in common: status names, ids and amounts.
//!
//! <https://www.twilio.com/docs/messaging/api/message-resource#message-status-values> and
//! <https://www.twilio.com/docs/voice/api/call-resource#call-status-values>. Other status names are unknown.

use domain::delivery::DeliveryStatus::{self, Delivered, Failed, Queued, Sent, Undelivered};

/// The longest id that [`Receipt`](crate::Receipt) allows.
const LONGEST_ID: usize = 64;

/// More than the longest price that Twilio writes (`-0.00750`).
const LONGEST_AMOUNT: usize = 20;

/// Whether a text may be stored as the provider's id, because an unknown server could send anything.
pub(super) fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a text is a decimal number such as `-0.00750`.
pub(super) fn is_amount(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    text.len() <= LONGEST_AMOUNT && is_digits(whole) && is_digits(fraction)
}

/// The status of a message.
pub(super) fn message_status(word: &str) -> Option<DeliveryStatus> {
    Some(match word {
        "accepted" | "scheduled" | "queued" | "sending" => Queued,
        // Some parts of a long text have arrived; the others may follow.
        "sent" | "partially_delivered" => Sent,
        "delivered" | "read" => Delivered,
        "undelivered" => Undelivered,
        "failed" | "canceled" => Failed,
        _ => return None,
    })
}

/// The status of a call. `completed` means that the call was answered and has ended.
pub(super) fn call_status(word: &str) -> Option<DeliveryStatus> {
    Some(match word {
        "queued" | "initiated" => Queued,
        // In a report, the event `answered` has the status `in-progress`.
        "ringing" | "in-progress" => Sent,
        "completed" => Delivered,
        "busy" | "no-answer" => Undelivered,
        "failed" | "canceled" => Failed,
        _ => return None,
    })
}
