//! For how long what is over is kept.

use chrono::Duration;

use super::reader::Reader;
use crate::domain::retention::Retention;

/// Ten years.
const LONGEST: i64 = 3_650;

/// A code dies within an hour; a week is for whoever is asked why one did not work. The messages and the audit log are what
/// abuse and bills are traced by, and India's DPDP rules ask for a year of logs.
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
