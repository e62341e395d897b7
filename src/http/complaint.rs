//! What can happen a thousand times a second and is said once in a while.

use std::time::Duration;

use tokio::time::Instant;

/// A flood must not become one of the log.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// One of them.
#[derive(Debug, Default)]
pub struct Complaint {
    said: Option<Instant>,
    times: u64,
}

impl Complaint {
    /// It happened. How often since it was said last, if it is to be said now.
    pub fn say(&mut self) -> Option<u64> {
        self.times += 1;
        if self.said.is_some_and(|said| said.elapsed() < SAY_AGAIN_AFTER) {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_complaint_is_made_once_in_a_while_and_counts() {
        let mut complaint = Complaint::default();
        assert_eq!(complaint.say(), Some(1));
        assert_eq!(complaint.say(), None);
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert_eq!(complaint.say(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(complaint.say(), Some(3));
        assert_eq!(complaint.say(), None);
    }
}
