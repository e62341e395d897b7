//! Password hashing. A hash takes tens of milliseconds and 19 MiB, so it runs in threads of its own, a few at a time. A
//! request that is cancelled or reaches its deadline leaves the queue.

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
    domain::credentials::{HashError, OldCosts, Password, PasswordHash, SALT_BYTES, Workspace},
    random::Random,
};

/// How many hashes run in parallel on a machine with one core.
const FEWEST_AT_ONCE: usize = 2;

/// Makes and compares password hashes, as many in parallel as there are cores.
pub struct Hasher {
    permits: Arc<Semaphore>,
    dummy: Arc<PasswordHash>,
    workspaces: Arc<Mutex<Vec<Workspace>>>,
    made: AtomicU64,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("permits", &self.permits.available_permits()).finish_non_exhaustive()
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
            permits: Arc::new(Semaphore::new(cores.max(FEWEST_AT_ONCE))),
            dummy: Arc::new(PasswordHash::dummy(&random.bytes(), &random.bytes())?),
            workspaces: Arc::default(),
            made: AtomicU64::new(0),
        })
    }

    /// The hash of a password.
    ///
    /// # Errors
    /// Never with the parameters of this server.
    pub async fn hash(&self, password: &Password, salt: [u8; SALT_BYTES]) -> Result<PasswordHash, Error> {
        let password = password.clone();
        Ok(self.run(move |workspace| PasswordHash::make(&password, &salt, workspace)).await?)
    }

    /// Whether the hash is that of this password. Without a hash the answer is no, and takes just as long. `left` are the costs of
    /// the old hashes whose time every wrong password takes.
    pub async fn verify(&self, hash: Option<&PasswordHash>, typed: &SecretString, left: OldCosts) -> bool {
        let has_hash = hash.is_some();
        let hash = hash.map_or_else(|| Arc::clone(&self.dummy), |hash| Arc::new(hash.clone()));
        let typed = typed.clone();
        self.run(move |workspace| hash.matches(&typed, left, workspace)).await && has_hash
    }

    /// How many hashes have been made, to be stored or compared.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Waits for a permit and runs the work in a blocking thread. The permit is released when the work is done, even if the
    /// request was cancelled.
    #[tracing::instrument(target = "otel", name = "hash password", skip_all)]
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Workspace) -> T + Send + 'static) -> T {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        self.made.fetch_add(1, Ordering::Relaxed);
        let span = tracing::Span::current();
        let workspaces = Arc::clone(&self.workspaces);
        let task = tokio::task::spawn_blocking(move || {
            // There are never more workspaces than permits.
            let mut workspace =
                workspaces.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            let result = span.in_scope(|| work(&mut workspace));
            workspaces.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
            drop(permit);
            result
        });
        match task.await {
            Ok(result) => result,
            // As in `run_to_completion`.
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}
