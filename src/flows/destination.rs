//! Numbers that get no messages because the operator says so: `SMS_ALLOWED_COUNTRIES`, `SMS_BLOCKED_PREFIXES` and
//! `SMS_ALLOWED_PREFIXES`.

use chrono::{DateTime, Utc};

use super::{SendOutcome, Services};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Event, Fact},
        otp::ChallengeKey,
    },
    sms::SendError,
};

/// The answer to a wish for a code to such a number. It is given before anything is charged or looked up, so that it says
/// nothing of who has an account; limits that are switched off do not switch it off.
pub(super) fn refused(
    services: &Services,
    key: ChallengeKey<'_>,
    address: ClientAddress,
    now: DateTime<Utc>,
) -> Option<SendOutcome> {
    let reason = services.destinations.refuses(key.phone)?;
    let country = key.phone.region().map(|region| Fact::shown(&region));
    let event = Event::by_stranger(Action::CodeRefused).phone(key.phone).from(address);
    let event = event.with("purpose", key.purpose.as_str()).with("reason", reason.as_str());
    services.audit.note(event.with_known("country", country), now);
    Some(SendOutcome::Failed(SendError::Unreachable { reason, provider_code: None }))
}
