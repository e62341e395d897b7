//! Numbers that get no messages because of `SMS_ALLOWED_COUNTRIES`, `SMS_BLOCKED_PREFIXES` or `SMS_ALLOWED_PREFIXES`.

use chrono::{DateTime, Utc};

use super::{Services, asked_by::AskedBy};
use crate::{
    domain::{
        audit::{Action, Fact},
        otp::ChallengeKey,
    },
    sms::SendError,
};

/// Why no code is sent to this number, if the settings exclude it. Checked before anything is charged or looked up, so
/// that the answer does not depend on whether the phone has an account. It applies even when rate limits are off.
pub(super) fn refused(
    services: &Services,
    key: ChallengeKey<'_>,
    asked_by: AskedBy<'_>,
    now: DateTime<Utc>,
) -> Option<SendError> {
    let reason = services.destinations.refuses(key.phone)?;
    let country = key.phone.region().map(|region| Fact::shown(&region));
    let event = asked_by.event(Action::CodeRefused).phone(key.phone);
    let event = event.with("purpose", key.purpose.as_str()).with("reason", reason.as_str());
    services.audit.note(event.with_known("country", country), now);
    Some(SendError::Unreachable { reason, provider_code: None })
}
