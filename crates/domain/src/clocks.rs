//! Clocks that were wrong. A machine's clock may be set back, so a stored time can lie in the future. Such a time counts as
//! now: nobody waits longer for it than a setting says, and nothing lasts longer by it.

use chrono::{DateTime, Duration, Utc};

/// By so much the clocks of two servers may differ without either being wrong.
pub const SKEW: Duration = Duration::seconds(5);

/// Whether a clock that was wrong wrote this time.
#[must_use]
pub fn is_ahead(time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    time - now > SKEW
}
