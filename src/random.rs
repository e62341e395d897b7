//! Chance. Everything that needs it is handed a [`Random`].

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

    /// So many random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for chance")]
            Self::System => rand::rng().fill_bytes(&mut bytes),
            Self::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes),
        }
        bytes
    }

    /// An id that sorts by the time it was made (UUID version 7, RFC 9562).
    #[must_use]
    pub fn id(&self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// 128 random bits, all of them.
    #[must_use]
    pub fn bits(&self) -> Uuid {
        Uuid::from_bytes(self.bytes())
    }

    /// A secret of 256 bits for a run that was given none.
    #[must_use]
    pub fn secret(&self) -> SecretString {
        format!("{}{}", self.bits().simple(), self.bits().simple()).into()
    }
}
