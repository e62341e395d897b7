//! The settings of trusted proxies and of flood control.

use std::num::NonZeroU32;

use super::reader::Reader;
use crate::http::{GuardSettings, TrustedProxies};

/// `TRUSTED_PROXIES`
pub(super) fn proxies(reader: &mut Reader<'_>) -> TrustedProxies {
    reader.parsed("TRUSTED_PROXIES", "")
}

/// `GUARD_REQUESTS_PER_SECOND` and `GUARD_BURST`; `None` is no flood control. Both are always read, so that their problems
/// are found.
pub(super) fn guard(reader: &mut Reader<'_>, rate_limits_enabled: bool) -> Option<GuardSettings> {
    let per_second = count(reader.number("GUARD_REQUESTS_PER_SECOND", 100, 0, 100_000));
    let burst = count(reader.number("GUARD_BURST", 500, 1, 1_000_000));
    per_second
        .zip(burst)
        .map(|(per_second, burst)| GuardSettings { per_second, burst })
        .filter(|_| rate_limits_enabled)
}

fn count(number: i64) -> Option<NonZeroU32> {
    u32::try_from(number).ok().and_then(NonZeroU32::new)
}
