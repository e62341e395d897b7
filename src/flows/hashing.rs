//! Password hashing: tens of milliseconds of work and 19 MiB each, so it is done aside, a few at a time. Whoever waits
//! for a turn and gives up, or whose request has come to its deadline, leaves the queue.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::Error;
use crate::{
    domain::credentials::{HashError, Password, PasswordHash, SALT_BYTES, Workspace},
    random::Random,
};

/// So many hashes are made at once on a machine with one core.
const FEWEST_AT_ONCE: usize = 2;

/// Makes and compares password hashes, as many at once as there are cores.
pub struct Hasher {
    turns: Arc<Semaphore>,
    dummy: Arc<PasswordHash>,
    spaces: Arc<Mutex<Vec<Workspace>>>,
    made: AtomicU64,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("turns", &self.turns.available_permits()).finish_non_exhaustive()
    }
}

impl Hasher {
    /// One for the whole server.
    ///
    /// # Errors
    /// Never with the parameters of this server.
    pub fn new(random: &Random) -> Result<Self, HashError> {
        let cores = thread::available_parallelism().map_or(FEWEST_AT_ONCE, NonZeroUsize::get);
        Ok(Self {
            turns: Arc::new(Semaphore::new(cores.max(FEWEST_AT_ONCE))),
            dummy: Arc::new(PasswordHash::dummy(&random.bytes(), &random.bytes())?),
            spaces: Arc::default(),
            made: AtomicU64::new(0),
        })
    }

    /// The hash of a password.
    ///
    /// # Errors
    /// Never with the parameters of this server.
    pub async fn hash(&self, password: &Password, salt: [u8; SALT_BYTES]) -> Result<PasswordHash, Error> {
        let password = password.clone();
        Ok(self.aside(move |space| PasswordHash::make(&password, &salt, space)).await?)
    }

    /// Whether this is the password of the hash. Where there is no hash the answer is no, and takes as long.
    pub async fn verify(&self, hash: Option<&PasswordHash>, typed: &SecretString) -> bool {
        let is_there = hash.is_some();
        let hash = hash.map_or_else(|| Arc::clone(&self.dummy), |hash| Arc::new(hash.clone()));
        let typed = typed.clone();
        self.aside(move |space| hash.matches(&typed, space)).await && is_there
    }

    /// How many hashes have been made, to be kept or to be compared.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Waits for a turn, and works where nobody else waits for the thread. The turn is over when the work is, be it that
    /// nobody waits for it any more.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce(&mut Workspace) -> T + Send + 'static) -> T {
        // The semaphore is never closed.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok();
        self.made.fetch_add(1, Ordering::Relaxed);
        let span = tracing::Span::current();
        let spaces = Arc::clone(&self.spaces);
        let task = tokio::task::spawn_blocking(move || {
            // There are never more of them than turns.
            let mut space = spaces.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            let result = span.in_scope(|| work(&mut space));
            spaces.lock().unwrap_or_else(PoisonError::into_inner).push(space);
            drop(turn);
            result
        });
        match task.await {
            Ok(result) => result,
            // As in `run_to_completion`.
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}
