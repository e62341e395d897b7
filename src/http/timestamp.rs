//! Times in responses: RFC 3339 in UTC with microseconds, `2025-10-03T10:15:23.435393+00:00`.

use chrono::{DateTime, SecondsFormat, Utc};

/// A time as clients see it.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}
