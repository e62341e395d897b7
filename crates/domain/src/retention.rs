//! For how long what is over is kept. Accounts and leads are kept until somebody removes them.

use chrono::Duration;

/// How long each kind is kept; `None`: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Codes, from when they were asked for.
    pub challenges: Option<Duration>,
    /// Messages, from when they were made.
    pub messages: Option<Duration>,
    /// Sessions, from when they ended.
    pub sessions: Option<Duration>,
    /// Entries of the audit log, which go by whole months.
    pub audit: Option<Duration>,
}

impl Retention {
    /// Keeps codes, messages and sessions for so long, and the audit log for ever.
    #[must_use]
    pub fn new(kept: Duration) -> Self {
        Self { challenges: Some(kept), messages: Some(kept), sessions: Some(kept), audit: None }
    }
}
