//! The accounts that were joined with the exported one.

use poem_openapi::Object;

use crate::{domain::account_merge::Merge, http::timestamp::rfc3339};

/// An account that was joined with this one.
#[derive(Debug, Object)]
pub struct ExportedMerge {
    /// Its id.
    user_id: String,
    /// When it was joined.
    merged_at: String,
    /// What it had, and what this account had before, as JSON. It is kept for 30 days, so that an admin can undo the merge.
    kept: Option<String>,
}

impl ExportedMerge {
    pub(super) fn from_merge(merge: &Merge) -> Self {
        Self {
            user_id: merge.id.to_string(),
            merged_at: rfc3339(merge.at),
            kept: merge.snapshot.as_ref().map(|snapshot| snapshot.shown().to_string()),
        }
    }
}
