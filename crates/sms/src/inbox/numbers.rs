//! The result of a message in test mode. It depends on the number alone, so that a developer can try every screen of
//! an app.
//!
//! The first five numbers are Twilio's own magic numbers, refused with Twilio's codes; the others are ours. All of
//! them are personal numbers of the North American plan (+1 500), which no real phone has.
//!
//! | number | |
//! |---|---|
//! | `+15005550001` | refused with 21211: invalid |
//! | `+15005550002` | refused with 21612: cannot be routed |
//! | `+15005550003` | refused with 21408: its region is not allowed |
//! | `+15005550004` | by SMS refused with 21610: opted out; other channels reach it |
//! | `+15005550009` | by SMS refused with 21614: not a mobile; other channels reach it |
//! | `+15005550010` | slow: queued for 20 s, delivered after 30 s |
//! | `+15005550011` | by SMS it fails after 3 s with 30005, an unknown handset; other channels reach it |
//! | `+15005550012` | Twilio cannot be reached |
//! | `+15005550013` | Twilio refuses us with 20003, wrong credentials |
//! | every other | queued, sent after 300 ms, delivered after 1 s |

use chrono::{DateTime, Duration, Utc};

use crate::{Message, Outcome, provider_error::ProviderError, twilio::ERRORS};
use domain::delivery::{
    Channel,
    DeliveryStatus::{self, Delivered, Queued, Sent, Undelivered},
};

/// Twilio's code for an unknown handset.
const UNKNOWN_HANDSET: u32 = 30_005;

/// One step in the life of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The delivery status.
    pub status: DeliveryStatus,
    /// When it happens.
    pub at: DateTime<Utc>,
    /// Twilio's error code, if it failed.
    pub error_code: Option<u32>,
}

/// Returns the refusal of a message, or its steps.
pub(super) fn simulate(message: &Message) -> Result<Vec<Step>, ProviderError> {
    let refused = |http_status: u16, code: u32| Err(ERRORS.of_answer(http_status, Some(code), None));
    let steps = match (message.to.full(), message.channel) {
        ("+15005550001", _) => return refused(400, 21_211),
        ("+15005550002", _) => return refused(400, 21_612),
        ("+15005550003", _) => return refused(400, 21_408),
        ("+15005550004", Channel::Sms) => return refused(400, 21_610),
        ("+15005550009", Channel::Sms) => return refused(400, 21_614),
        ("+15005550012", _) => return Err(ERRORS.of_no_answer(Outcome::NotSent)),
        ("+15005550013", _) => return refused(401, 20_003),
        ("+15005550010", _) => [(Queued, 0, None), (Sent, 20_000, None), (Delivered, 30_000, None)],
        ("+15005550011", Channel::Sms) => {
            [(Queued, 0, None), (Sent, 300, None), (Undelivered, 3_000, Some(UNKNOWN_HANDSET))]
        }
        (_, Channel::Sms | Channel::WhatsApp | Channel::Call) => {
            [(Queued, 0, None), (Sent, 300, None), (Delivered, 1_000, None)]
        }
    };
    let step = |(status, millis, error_code)| Step {
        status,
        at: message.created_at + Duration::milliseconds(millis),
        error_code,
    };
    Ok(steps.map(step).into())
}
