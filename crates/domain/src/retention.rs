//! How long finished records are kept. Accounts and leads are kept until they are deleted explicitly, but for those of
//! guests.

use chrono::Duration;

/// How long the account of a guest is kept after it was last used. Afterwards it is deleted with all that belongs to it: its session
/// is all that leads to it, and by default ends after seven days.
pub const GUESTS_KEPT_FOR: Duration = Duration::days(30);

/// How long each kind of record is kept; `None` means forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Challenges, counted from their creation.
    pub challenges: Option<Duration>,
    /// Messages, counted from their creation.
    pub messages: Option<Duration>,
    /// Sessions, counted from their end.
    pub sessions: Option<Duration>,
    /// Entries of the audit log, which are dropped by whole months, and blocks and invitations, counted from their end.
    pub audit: Option<Duration>,
}

impl Retention {
    /// Keeps challenges, messages and sessions for this long, and the audit log forever.
    #[must_use]
    pub fn new(kept: Duration) -> Self {
        Self { challenges: Some(kept), messages: Some(kept), sessions: Some(kept), audit: None }
    }
}
