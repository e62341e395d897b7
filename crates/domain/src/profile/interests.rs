//! The event interests that a user chose.

use std::collections::HashSet;

use validator::ValidateLength;

use super::{FieldErrors, ok_unless};

/// The fewest interests of a profile, from the contract.
const MIN: u64 = 1;

/// The most interests of a profile, from the contract.
pub const MOST_INTERESTS: usize = 5;
const MAX: u64 = MOST_INTERESTS as u64;

/// One to five distinct ids of active interests, in the order sent (the contract's limits).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterestIds(Vec<i64>);

impl InterestIds {
    /// Reads the ids; `active` tells whether an id belongs to an active interest.
    ///
    /// # Errors
    ///
    /// All errors: no id, too many, a repeated one, an inactive one. A repeated id and an inactive one have different
    /// sentences.
    pub fn parse(ids: &[i64], active: impl Fn(i64) -> bool) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        if !ids.validate_length(Some(MIN), None, None) {
            errors.push("At least one event interest must be chosen".into());
        }
        if !ids.validate_length(None, Some(MAX), None) {
            errors.push(format!("At most {MAX} event interests may be chosen"));
        }
        let distinct: HashSet<i64> = ids.iter().copied().collect();
        if distinct.len() < ids.len() {
            errors.push("Each event interest may be chosen only once".into());
        }
        // One sentence for all inactive ids, because a body has room for thousands.
        if !distinct.into_iter().all(active) {
            errors.push("Every event interest must be one of the active ones".into());
        }
        ok_unless(errors, Self(ids.to_vec()))
    }

    /// The ids in the order sent.
    #[must_use]
    pub fn as_slice(&self) -> &[i64] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = "At least one event interest must be chosen";
    const MANY: &str = "At most 5 event interests may be chosen";
    const TWICE: &str = "Each event interest may be chosen only once";
    const INACTIVE: &str = "Every event interest must be one of the active ones";

    /// Ten interests, as after the first start, with the tenth deactivated.
    fn active(id: i64) -> bool {
        (1..=9).contains(&id)
    }

    #[test]
    fn one_to_five_distinct_active_ids() {
        for (ids, why) in [
            (&[][..], vec![NONE]),
            (&[1], vec![]),
            (&[5, 4, 3, 2, 1], vec![]),
            (&[1, 2, 3, 4, 5, 6], vec![MANY]),
            (&[1, 1], vec![TWICE]),
            (&[10], vec![INACTIVE]),
            (&[0], vec![INACTIVE]),
            (&[-1], vec![INACTIVE]),
            (&[i64::MAX, i64::MIN], vec![INACTIVE]),
            (&[99, 99], vec![TWICE, INACTIVE]),
            (&[1, 1, 1, 1, 1, 1], vec![MANY, TWICE]),
            (&[1, 1, 2, 3, 4, 99], vec![MANY, TWICE, INACTIVE]),
        ] {
            let errors = InterestIds::parse(ids, active).err().unwrap_or_default();
            assert_eq!(errors, why, "{ids:?}");
        }
    }

    #[test]
    fn the_order_is_kept() {
        assert_eq!(InterestIds::parse(&[7, 2, 5], active).unwrap().as_slice(), [7, 2, 5]);
    }
}
