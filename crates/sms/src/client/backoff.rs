//! The wait before a retry.

use std::time::Duration;

use uuid::Uuid;

/// The longest wait before the second try; it doubles for each later one.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The wait after this many tries: `at_least`, plus half of the doubled wait, plus a jitter of up to the other half.
///
/// The jitter keeps messages that failed together from being retried together. This crate has no source of
/// randomness; the jitter comes from the random bits at the end of the message id, different ones for each try.
pub(super) fn wait(id: Uuid, tries: u32, at_least: Duration) -> Duration {
    let earlier = tries.saturating_sub(1).min(8);
    let half = FIRST_WAIT * 2_u32.pow(earlier) / 2;
    let bits = (id.as_u128() >> (16 * earlier)) & 0xFFFF;
    let jitter = half * u32::try_from(bits).unwrap_or(0) / 0xFFFF;
    at_least + half + jitter
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Uuid = Uuid::from_u128(u128::MAX);
    const LEAST: Uuid = Uuid::from_u128(0);

    #[test]
    fn waits_double_and_jitter_is_at_most_a_half() {
        for (tries, least, most) in [(1, 125, 250), (2, 250, 500), (3, 500, 1_000)] {
            assert_eq!(wait(LEAST, tries, Duration::ZERO), Duration::from_millis(least));
            assert_eq!(wait(MOST, tries, Duration::ZERO), Duration::from_millis(most));
        }
    }

    #[test]
    fn each_try_takes_other_bits() {
        let id = Uuid::from_u128(0xFFFF);
        assert_eq!(wait(id, 1, Duration::ZERO), Duration::from_millis(250));
        assert_eq!(wait(id, 2, Duration::ZERO), Duration::from_millis(250));
    }

    #[test]
    fn nobody_comes_back_before_the_answer_said() {
        let at_least = Duration::from_secs(3);
        assert!(wait(LEAST, 1, at_least) > at_least);
        assert!(wait(LEAST, 1, at_least) < wait(MOST, 1, at_least));
    }
}
