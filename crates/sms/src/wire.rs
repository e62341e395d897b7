//! Twilio's words for how far a message or a call got. Answers and reports use the same ones.
//!
//! <https://www.twilio.com/docs/messaging/api/message-resource#message-status-values> and
//! <https://www.twilio.com/docs/voice/api/call-resource#call-status-values>. A word that is not here says nothing.

use domain::delivery::DeliveryStatus::{self, Delivered, Failed, Queued, Sent, Undelivered};

/// The status of a message.
pub(super) fn message_status(word: &str) -> Option<DeliveryStatus> {
    Some(match word {
        "accepted" | "scheduled" | "queued" | "sending" => Queued,
        // Of a long text some parts have arrived; the others may follow.
        "sent" | "partially_delivered" => Sent,
        "delivered" | "read" => Delivered,
        "undelivered" => Undelivered,
        "failed" | "canceled" => Failed,
        _ => return None,
    })
}

/// The status of a call. `completed` is a call that was answered and has ended.
pub(super) fn call_status(word: &str) -> Option<DeliveryStatus> {
    Some(match word {
        "queued" | "initiated" => Queued,
        // A report names the event `answered` in the status `in-progress`.
        "ringing" | "in-progress" => Sent,
        "completed" => Delivered,
        "busy" | "no-answer" => Undelivered,
        "failed" | "canceled" => Failed,
        _ => return None,
    })
}
