//! Words for staff: channels, waits and the provider's reasons, in plain language.

use crate::delivery::Channel;

/// How a message goes: `by SMS`.
#[must_use]
pub fn by_channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "by SMS",
        Channel::WhatsApp => "by WhatsApp",
        Channel::Call => "by phone call",
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
