//! What the log is told of floods. A line for each request that was refused would be a second flood, so there is one
//! for each address in ten seconds, with a count.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::domain::address::ClientAddress;

/// How long refusals are counted before they are told.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// How many addresses are told apart in that time. The others share one line.
const MOST_ADDRESSES: usize = 1000;
const OTHERS: &str = "others";

/// Refusals that were not told yet, by address: by the /64 where it is IPv6.
#[derive(Debug, Default)]
pub struct Floods(Mutex<HashMap<String, u64>>);

impl Floods {
    /// A request was refused.
    pub fn note(self: &Arc<Self>, address: ClientAddress) {
        let mut address = address.network();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = counts.is_empty();
        if counts.len() >= MOST_ADDRESSES && !counts.contains_key(&address) {
            OTHERS.clone_into(&mut address);
        }
        *counts.entry(address).or_default() += 1;
        drop(counts);
        if is_first {
            let told = ToldAtTheEnd(Arc::clone(self));
            tokio::spawn(async move {
                tokio::time::sleep(TELL_AFTER).await;
                drop(told);
            });
        }
    }

    fn take(&self) -> HashMap<String, u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tells the counts when the time is over, or when the server ends before.
struct ToldAtTheEnd(Arc<Floods>);

impl Drop for ToldAtTheEnd {
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

    fn stranger(number: u32) -> ClientAddress {
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
        let (one, other) = (stranger(1), stranger(2));
        for _ in 0..1000 {
            floods.note(one);
        }
        tokio::time::sleep(Duration::from_millis(9_999)).await;
        floods.note(other);
        assert_eq!(counted(&floods), [("1.0.0.1".to_owned(), 1000), ("1.0.0.2".to_owned(), 1)]);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(counted(&floods), []);
        // And again: what remains is told although nothing more comes.
        floods.note(one);
        tokio::time::sleep(Duration::from_millis(10_001)).await;
        assert_eq!(counted(&floods), []);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_addresses_there_are_a_thousand_are_held() {
        let floods = Arc::new(Floods::default());
        for number in 0..5_000 {
            floods.note(stranger(number));
        }
        floods.note(stranger(0));
        let counts = floods.take();
        assert_eq!(counts.len(), MOST_ADDRESSES + 1);
        assert_eq!(counts.get(OTHERS), Some(&4_000));
        assert_eq!(counts.get("1.0.0.0"), Some(&2));
    }
}
