//! The guard in front: sheds what comes from one address faster than the server should have to look at. It is kept in
//! this process, costs no round trip and reads no body. What decides over codes and messages are the budgets in the
//! database; this only keeps a flood from reaching them.

mod flood;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, state::keyed::DashMapStateStore,
};

use self::flood::Floods;
use super::rate_limit::BudgetStatus;
use crate::{domain::address::ClientAddress, flows::Services};

/// Below so many checks it is not worth looking for addresses that can be forgotten.
const LEAST_BETWEEN_SWEEPS: usize = 4096;

/// How fast one address may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardSettings {
    /// `GUARD_REQUESTS_PER_SECOND`
    pub per_second: NonZeroU32,
    /// `GUARD_BURST`: how many at once, after a pause.
    pub burst: NonZeroU32,
}

impl GuardSettings {
    /// How long it takes until a whole burst is there again, in seconds.
    fn window(self) -> u64 {
        u64::from(self.burst.get().div_ceil(self.per_second.get()))
    }
}

/// The clock of the house as governor asks for it.
pub(super) struct Steady(pub Arc<Services>);

impl Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.clock.steady()
    }
}

type Limiter<C> = RateLimiter<String, DashMapStateStore<String>, C, NoOpMiddleware<Duration>>;

/// Counts by address: by the /64 where it is IPv6.
pub struct Guard<C: Clock<Instant = Duration>> {
    settings: GuardSettings,
    limiter: Limiter<C>,
    checks_until_sweep: AtomicUsize,
    floods: Arc<Floods>,
}

/// The request comes too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFast {
    /// Whole seconds until one more is let through.
    pub retry_after: u64,
    /// What the client is told of the limit.
    pub status: BudgetStatus,
}

impl<C: Clock<Instant = Duration>> Guard<C> {
    /// One that has seen nobody yet.
    pub fn new(settings: GuardSettings, clock: C) -> Self {
        let quota = Quota::per_second(settings.per_second).allow_burst(settings.burst);
        let limiter = RateLimiter::dashmap_with_clock(quota, clock);
        let checks_until_sweep = AtomicUsize::new(LEAST_BETWEEN_SWEEPS);
        Self { settings, limiter, checks_until_sweep, floods: Arc::default() }
    }

    /// Lets one more request of this address through, or not.
    pub fn check(&self, address: ClientAddress) -> Result<(), TooFast> {
        self.sweep_now_and_then();
        self.limiter.check_key(&address.network()).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.limiter.clock().now());
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let retry_after = seconds.max(1);
            let status = BudgetStatus {
                policy: "guard",
                quota: self.settings.burst.get().into(),
                window_seconds: self.settings.window(),
                remaining: 0,
                reset_seconds: retry_after,
            };
            TooFast { retry_after, status }
        })
    }

    /// Counts a refusal for the log.
    pub fn note_refused(&self, address: ClientAddress) {
        self.floods.note(address);
    }

    /// Forgets the addresses that have been quiet for long enough to be as good as new ones. A sweep looks at every
    /// address, so the next one comes after at least as many checks as addresses were left: looking at one address is
    /// paid for by one check, and never more than twice the addresses that matter are held, and a few thousand.
    fn sweep_now_and_then(&self) {
        let count_down = self
            .checks_until_sweep
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        // Whoever takes it from one to zero sweeps; nobody else does until it has set the number anew.
        if count_down != Ok(1) {
            return;
        }
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let next = self.limiter.len().max(LEAST_BETWEEN_SWEEPS);
        self.checks_until_sweep.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "guard/tests.rs"]
mod tests;
