//! The keys of trusted issuers: a secret, or a JWK set that the issuer publishes and that is kept for a while.
//!
//! | the keys | what happens |
//! |---|---|
//! | are younger than [`FRESH_FOR`] | they are used |
//! | are older | one request fetches them again; the others, and it too if that fails, use the old ones |
//! | are older than [`KEPT_FOR`], or missing | one request fetches them, and the others wait for it; if that fails, no token of the issuer is taken |
//! | do not have the key that a token names | they are fetched again, at most once in [`ASKED_AGAIN_AFTER`] |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Duration, Utc};
use tokio::sync::Mutex as AsyncMutex;

use super::super::Services;
use crate::{
    domain::{
        clocks::is_ahead,
        issuer::{IssuerKey, TrustedIssuer, UnverifiedToken},
    },
    hooks::KeySource,
};

/// How old keys are at most before they are fetched again.
pub const FRESH_FOR: Duration = Duration::hours(1);

/// How old they may be while the issuer does not answer. A key that an issuer has withdrawn is taken no longer than this.
pub const KEPT_FOR: Duration = Duration::hours(24);

/// How soon an issuer is asked again while there are keys. Anyone can send a token that names a key which does not exist.
pub const ASKED_AGAIN_AFTER: Duration = Duration::minutes(1);

/// How soon it is asked again while there are none.
pub const RETRIED_AFTER: Duration = Duration::seconds(5);

/// The keys cannot be fetched, so it is not known whether the token is valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct IssuerAway {
    /// Seconds until they are tried again.
    pub(super) retry_after: i64,
}

/// The keys of an issuer.
#[derive(Debug)]
pub enum KeyRing {
    /// A secret that it shares with this server.
    Secret(Arc<Vec<IssuerKey>>),
    /// Keys that it publishes.
    Published(KeyCache),
}

impl KeyRing {
    pub(super) async fn keys(
        &self,
        services: &Services,
        issuer: &TrustedIssuer,
        token: &UnverifiedToken<'_>,
        now: DateTime<Utc>,
    ) -> Result<Arc<Vec<IssuerKey>>, IssuerAway> {
        match self {
            Self::Secret(keys) => Ok(Arc::clone(keys)),
            Self::Published(cache) => cache.keys(services, issuer, token, now).await,
        }
    }
}

/// Keys that an issuer publishes, and when they were fetched.
#[derive(Debug)]
pub struct KeyCache {
    source: KeySource,
    state: Mutex<State>,
    /// One fetch at a time.
    fetching: AsyncMutex<()>,
}

#[derive(Debug, Clone, Default)]
struct State {
    keys: Option<(DateTime<Utc>, Arc<Vec<IssuerKey>>)>,
    tried_at: Option<DateTime<Utc>>,
    has_failed: bool,
    /// How often they were fetched, or tried to be.
    tries: u64,
}

/// What a request does for its keys.
enum Need {
    /// It has them.
    Nothing(Arc<Vec<IssuerKey>>),
    /// These will do if no other request fetches them now, or if that fails.
    Refresh(Arc<Vec<IssuerKey>>),
    /// It needs others, and waits for them.
    Fetch,
    /// They were tried to be fetched a moment ago.
    Away(IssuerAway),
}

impl State {
    fn was_tried_within(&self, time: Duration, now: DateTime<Utc>) -> bool {
        self.tried_at.is_some_and(|at| !is_ahead(at, now) && now - at < time)
    }

    fn need(&self, token: &UnverifiedToken<'_>, now: DateTime<Utc>) -> Need {
        let away = |wait: Duration| {
            let left = self.tried_at.map_or(wait, |at| (at + wait - now).min(wait));
            Need::Away(IssuerAway { retry_after: left.num_seconds().max(1) })
        };
        let kept = self.keys.as_ref().filter(|(at, _)| !is_ahead(*at, now) && now - *at < KEPT_FOR);
        match kept {
            None if self.has_failed && self.was_tried_within(RETRIED_AFTER, now) => away(RETRIED_AFTER),
            None => Need::Fetch,
            Some((at, keys)) if token.names_one_of(keys) => {
                if now - *at < FRESH_FOR || self.was_tried_within(ASKED_AGAIN_AFTER, now) {
                    Need::Nothing(Arc::clone(keys))
                } else {
                    Need::Refresh(Arc::clone(keys))
                }
            }
            Some(_) if !self.was_tried_within(ASKED_AGAIN_AFTER, now) => Need::Fetch,
            Some(_) if self.has_failed => away(ASKED_AGAIN_AFTER),
            Some((_, keys)) => Need::Nothing(Arc::clone(keys)),
        }
    }
}

impl KeyCache {
    /// Keys that were not fetched yet.
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        Self { source, state: Mutex::default(), fetching: AsyncMutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn keys(
        &self,
        services: &Services,
        issuer: &TrustedIssuer,
        token: &UnverifiedToken<'_>,
        now: DateTime<Utc>,
    ) -> Result<Arc<Vec<IssuerKey>>, IssuerAway> {
        let (need, tries) = {
            let state = self.state();
            (state.need(token, now), state.tries)
        };
        match need {
            Need::Nothing(keys) => return Ok(keys),
            Need::Away(away) => return Err(away),
            Need::Refresh(keys) => {
                if let Ok(_fetching) = self.fetching.try_lock()
                    && self.state().tries == tries
                {
                    self.fetch(services, issuer, now).await;
                    return Ok(self.state().keys.as_ref().map_or(keys, |(_, keys)| Arc::clone(keys)));
                }
                return Ok(keys);
            }
            Need::Fetch => {}
        }
        let _fetching = self.fetching.lock().await;
        // Another request fetched them while this one waited: what it got decides for both.
        if self.state().tries == tries {
            self.fetch(services, issuer, now).await;
        }
        match self.state().need(token, now) {
            Need::Nothing(keys) | Need::Refresh(keys) => Ok(keys),
            Need::Away(away) => Err(away),
            // Only if the clock was set back meanwhile.
            Need::Fetch => Err(IssuerAway { retry_after: RETRIED_AFTER.num_seconds() }),
        }
    }

    /// Fetches the keys once. If that fails, the old ones stay.
    async fn fetch(&self, services: &Services, issuer: &TrustedIssuer, now: DateTime<Utc>) {
        let (name, fetched) = (issuer.name.as_str(), self.source.fetch().await);
        let keys = match fetched {
            Ok(set) => {
                let keys = IssuerKey::from_set(&set, issuer.algorithm);
                if keys.is_empty() {
                    let algorithm = issuer.algorithm.as_str();
                    tracing::warn!(issuer = name, algorithm, "an issuer publishes no key that signs as set");
                }
                Some(keys).filter(|keys| !keys.is_empty())
            }
            Err(error) => {
                let (why, status) = (error.why, error.status);
                tracing::warn!(issuer = name, why, status, "the keys of an issuer could not be fetched");
                None
            }
        };
        services.metrics.issuer_keys(name, if keys.is_some() { "fetched" } else { "failed" });
        let mut state = self.state();
        state.tried_at = Some(now);
        state.tries += 1;
        state.has_failed = keys.is_none();
        if let Some(keys) = keys {
            tracing::debug!(issuer = name, keys = keys.len(), "the keys of an issuer were fetched");
            state.keys = Some((now, Arc::new(keys)));
        }
    }
}
