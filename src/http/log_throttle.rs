//! Limits how often an event is logged that can happen a thousand times a second.

use std::time::Duration;

use tokio::time::Instant;

/// The minimum time between two log lines of one event.
const INTERVAL: Duration = Duration::from_secs(10);

/// The throttle of one event.
#[derive(Debug, Default)]
pub struct LogThrottle {
    logged: Option<Instant>,
    count: u64,
}

impl LogThrottle {
    /// Counts an event. Returns the number of events since the last log line, if it is time for the next one.
    pub fn count(&mut self) -> Option<u64> {
        self.count += 1;
        if self.logged.is_some_and(|logged| logged.elapsed() < INTERVAL) {
            return None;
        }
        self.logged = Some(Instant::now());
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_complaint_is_made_once_in_a_while_and_counts() {
        let mut throttle = LogThrottle::default();
        assert_eq!(throttle.count(), Some(1));
        assert_eq!(throttle.count(), None);
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert_eq!(throttle.count(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(throttle.count(), Some(3));
        assert_eq!(throttle.count(), None);
    }
}
