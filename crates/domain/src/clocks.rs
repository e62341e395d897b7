//! Handling of wrong clocks. A machine's clock may be set back, so a stored time can be in the future. Such a time
//! counts as now: no wait and no lifetime gets longer than its setting.

use chrono::{DateTime, Duration, Utc};

/// The accepted clock difference between two servers.
pub const SKEW: Duration = Duration::seconds(5);

/// Whether this stored time is so far in the future that a wrong clock must have written it.
#[must_use]
pub fn is_ahead(time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    time - now > SKEW
}
