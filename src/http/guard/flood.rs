//! Logs floods. A line for each refused request would flood the log, so there is one line per address in ten seconds,
//! with a count.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::domain::address::ClientAddress;

/// How long refusals are counted before they are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How many addresses are counted separately in that time. The others share one line.
const MAX_ADDRESSES: usize = 1000;
const OTHERS: &str = "others";

/// The refusals that are not logged yet, by address, IPv6 by the /64.
#[derive(Debug, Default)]
pub struct Floods(Mutex<HashMap<String, u64>>);

impl Floods {
    /// A request was refused.
    pub fn note(self: &Arc<Self>, address: ClientAddress) {
        let mut address = address.network();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = counts.is_empty();
        if counts.len() >= MAX_ADDRESSES && !counts.contains_key(&address) {
            OTHERS.clone_into(&mut address);
        }
        *counts.entry(address).or_default() += 1;
        drop(counts);
        if is_first {
            let log = LogOnDrop(Arc::clone(self));
            tokio::spawn(async move {
                tokio::time::sleep(LOG_INTERVAL).await;
                drop(log);
            });
        }
    }

    fn take(&self) -> HashMap<String, u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Logs the counts at the end of the interval, or earlier when the server stops.
struct LogOnDrop(Arc<Floods>);

impl Drop for LogOnDrop {
    fn drop(&mut self) {
        for (address, times) in self.0.take() {
            tracing::warn!(address, times, "a flood: requests of this address are refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn numbered_address(number: u32) -> ClientAddress {
        ClientAddress::new(IpAddr::V4(Ipv4Addr::from_bits(0x0100_0000 + number)))
    }

    fn counted(floods: &Floods) -> Vec<(String, u64)> {
        let mut counts: Vec<_> = floods.0.lock().unwrap().clone().into_iter().collect();
        counts.sort();
        counts
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_counted_for_ten_seconds_and_then_told() {
        let floods = Arc::new(Floods::default());
        let (one, other) = (numbered_address(1), numbered_address(2));
        for _ in 0..1000 {
            floods.note(one);
        }
        tokio::time::sleep(Duration::from_millis(9_999)).await;
        floods.note(other);
        assert_eq!(counted(&floods), [("1.0.0.1".to_owned(), 1000), ("1.0.0.2".to_owned(), 1)]);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(counted(&floods), []);
        // The remaining refusals are logged even if no more follow.
        floods.note(one);
        tokio::time::sleep(Duration::from_millis(10_001)).await;
        assert_eq!(counted(&floods), []);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_addresses_there_are_a_thousand_are_held() {
        let floods = Arc::new(Floods::default());
        for number in 0..5_000 {
            floods.note(numbered_address(number));
        }
        floods.note(numbered_address(0));
        let counts = floods.take();
        assert_eq!(counts.len(), MAX_ADDRESSES + 1);
        assert_eq!(counts.get(OTHERS), Some(&4_000));
        assert_eq!(counts.get("1.0.0.0"), Some(&2));
    }
}
