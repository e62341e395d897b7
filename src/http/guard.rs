//! The guard: flood control per client address, in the memory of this process. It needs no database and reads no body.
//! The budgets in the database limit codes and messages; the guard only keeps floods away from them.

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
use super::rate_limit::LimitStatus;
use crate::{domain::address::ClientAddress, flows::Services};

/// The minimum number of checks between two sweeps.
const MIN_CHECKS_BETWEEN_SWEEPS: usize = 4096;

/// The request rate that one address may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardSettings {
    /// `GUARD_REQUESTS_PER_SECOND`
    pub per_second: NonZeroU32,
    /// `GUARD_BURST`: how many requests at once after a pause.
    pub burst: NonZeroU32,
}

impl GuardSettings {
    /// The seconds until a whole burst is available again.
    fn window(self) -> u64 {
        u64::from(self.burst.get().div_ceil(self.per_second.get()))
    }
}

/// The monotonic clock of the services, for governor.
pub(super) struct MonotonicClock(pub Arc<Services>);

impl Clock for MonotonicClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.clock.steady()
    }
}

type Limiter<C> = RateLimiter<String, DashMapStateStore<String>, C, NoOpMiddleware<Duration>>;

/// Counts requests by address, IPv6 by the /64.
pub struct Guard<C: Clock<Instant = Duration>> {
    settings: GuardSettings,
    limiter: Limiter<C>,
    checks_until_sweep: AtomicUsize,
    floods: Arc<Floods>,
}

/// The refusal of a request that comes too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFast {
    /// Whole seconds until the next request is allowed.
    pub retry_after: u64,
    /// The limit for the `RateLimit` headers.
    pub status: LimitStatus,
}

impl<C: Clock<Instant = Duration>> Guard<C> {
    /// A guard without any counts.
    pub fn new(settings: GuardSettings, clock: C) -> Self {
        let quota = Quota::per_second(settings.per_second).allow_burst(settings.burst);
        let limiter = RateLimiter::dashmap_with_clock(quota, clock);
        let checks_until_sweep = AtomicUsize::new(MIN_CHECKS_BETWEEN_SWEEPS);
        Self { settings, limiter, checks_until_sweep, floods: Arc::default() }
    }

    /// Allows one more request of this address, or refuses it.
    pub fn check(&self, address: ClientAddress) -> Result<(), TooFast> {
        self.sweep_if_due();
        self.limiter.check_key(&address.network()).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.limiter.clock().now());
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let retry_after = seconds.max(1);
            let status = LimitStatus {
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

    /// Removes the addresses whose burst is fully available again: they do not differ from new ones. A sweep visits every
    /// address, so the next one comes after at least as many checks as addresses remain. So the cost per check is
    /// constant, and the map has at most twice the needed addresses and a few thousand.
    fn sweep_if_due(&self) {
        let count_down = self
            .checks_until_sweep
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        // Only the thread that counts from one to zero sweeps; the others see zero until it sets the next number.
        if count_down != Ok(1) {
            return;
        }
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let next = self.limiter.len().max(MIN_CHECKS_BETWEEN_SWEEPS);
        self.checks_until_sweep.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "guard/tests.rs"]
mod tests;
