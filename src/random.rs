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

    /// A secret of 256 bits, for a server whose settings have none.
    #[must_use]
    pub fn secret(&self) -> SecretString {
        format!("{}{}", self.bits().simple(), self.bits().simple()).into()
    }
}
