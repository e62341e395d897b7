//! How long to wait before Twilio is asked again.

use std::time::Duration;

use uuid::Uuid;

/// The wait before the second try, at most; it doubles for each one after it.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The wait after so many tries: between a half and the whole of what it doubles to, and not before what the answer
/// asked for.
///
/// The jitter keeps messages that failed together from coming back together. There is no rng in this room; the id of a
/// message ends in random bits, and each try takes others of them.
pub(super) fn wait(id: Uuid, tries: u32, asked_for: Duration) -> Duration {
    let earlier = tries.saturating_sub(1).min(8);
    let half = FIRST_WAIT * 2_u32.pow(earlier) / 2;
    let bits = (id.as_u128() >> (16 * earlier)) & 0xFFFF;
    let jitter = half * u32::try_from(bits).unwrap_or(0) / 0xFFFF;
    asked_for + half + jitter
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
        let asked_for = Duration::from_secs(3);
        assert!(wait(LEAST, 1, asked_for) > asked_for);
        assert!(wait(LEAST, 1, asked_for) < wait(MOST, 1, asked_for));
    }
}
