//! The settings of how long old rows are kept.

use chrono::Duration;

use super::reader::Reader;
use crate::domain::retention::Retention;

/// Ten years.
const LONGEST: i64 = 3_650;

/// Codes expire within an hour; support needs them for a week to explain why one did not work. Messages and the audit log
/// help to trace abuse and bills, and India's DPDP rules require a year of logs.
pub(super) fn retention(reader: &mut Reader<'_>) -> Retention {
    let mut days = |name, default| {
        let days = reader.number(name, default, 0, LONGEST);
        (days > 0).then(|| Duration::days(days))
    };
    Retention {
        challenges: days("RETENTION_CHALLENGES_DAYS", 7),
        messages: days("RETENTION_MESSAGES_DAYS", 365),
        sessions: days("RETENTION_SESSIONS_DAYS", 90),
        audit: days("RETENTION_AUDIT_DAYS", 365),
    }
}
