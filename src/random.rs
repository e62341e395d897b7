//! Randomness. Everything that needs random bytes gets a [`Random`] passed in, so that tests can seed it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use rand::{Rng, SeedableRng, rngs::StdRng};
use secrecy::SecretString;
use uuid::{Builder, Uuid};

/// Where random bytes come from.
#[derive(Debug, Clone)]
pub enum Random {
    /// The operating system's generator, through `rand`'s cryptographically secure one.
    System,
    /// The same bytes in every run, for tests.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    /// The same bytes in every run.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// An array of random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "the only place that reads the system's random generator"
            )]
            Self::System => rand::rng().fill_bytes(&mut bytes),
            Self::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes),
        }
        bytes
    }

    /// An id that sorts by time (UUID version 7, RFC 9562).
    #[must_use]
    pub fn id(&self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// 128 random bits. Unlike a UUID version 4, none of them is fixed.
    #[must_use]
    pub fn bits(&self) -> Uuid {
        Uuid::from_bytes(self.bytes())
    }

    /// True in one of so many cases.
    #[must_use]
    pub fn is_one_in(&self, cases: u32) -> bool {
        u64::from_be_bytes(self.bytes()).is_multiple_of(u64::from(cases.max(1)))
    }

    /// An index below this length; 0 if there is none.
    #[must_use]
    pub fn index(&self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX).max(1);
        usize::try_from(u64::from_be_bytes(self.bytes()) % length).unwrap_or_default()
    }

    /// A secret of 256 bits, for a server whose settings have none.
    #[must_use]
    pub fn secret(&self) -> SecretString {
        format!("{}{}", self.bits().simple(), self.bits().simple()).into()
    }
}
