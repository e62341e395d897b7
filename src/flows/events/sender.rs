//! Sends events to the operator's receiver: each at least once, and those of a user or a lead in their order.
//!
//! One server sends at a time, the one that has the lease. Nothing waits for the receiver: few events are in memory at a time, and
//! one that fails holds back only later ones of its subject. While the receiver fails for all, one event a second is tried.

use std::{collections::HashSet, sync::Arc, time::Duration as StdDuration};

use chrono::{DateTime, Duration, Utc};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::super::{Error, Services, transaction};
use crate::{
    domain::events::StoredEvent,
    hooks::{EventReceiver, Failure},
    store::{self, outbox::Due},
};

/// The name of the lease.
const LEASE: &str = "events";

/// How long the lease lasts, and how much of it must be left before an event is sent: longer than one try takes.
const LEASE_LIFE: Duration = Duration::seconds(30);
const LEASE_LEFT: Duration = Duration::seconds(20);

/// How many events are sent at a time.
const AT_ONCE: usize = 16;

/// How many due events are read at a time: those in the air are among them.
const READ_AT_ONCE: u64 = 64;

/// After so many failures in a row the receiver counts as down.
const DOWN_AFTER: usize = AT_ONCE;

/// How often the sender looks for events that became due while others are in the air.
const LOOK_EVERY: StdDuration = StdDuration::from_secs(1);

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Events that the receiver took.
    pub taken: usize,
    /// Events that failed, and are sent again.
    pub failed: usize,
    /// Events that were given up.
    pub dead: usize,
}

/// An event that was tried.
type Tried = (StoredEvent, Result<(), Failure>);

/// What becomes of an event that was tried.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Taken,
    /// It is sent again at this time.
    Again(Failure, DateTime<Utc>),
    Dead(Failure),
}

/// The sender of a server.
#[derive(Debug)]
pub struct Sender {
    services: Arc<Services>,
    receiver: Arc<EventReceiver>,
    /// Until when this server has the lease.
    held_until: Option<DateTime<Utc>>,
    failures_in_a_row: usize,
}

impl Sender {
    /// `None` if events are not sent.
    #[must_use]
    pub fn new(services: &Arc<Services>) -> Option<Self> {
        let receiver = Arc::clone(services.events.as_ref()?);
        Some(Self { services: Arc::clone(services), receiver, held_until: None, failures_in_a_row: 0 })
    }

    /// Sends events until none is due, if no other server does. While the receiver is down, one event only.
    ///
    /// # Errors
    /// When the database does not answer: events that were sent may be sent again.
    pub async fn send_due(&mut self) -> Result<Sent, Error> {
        let (mut sent, mut in_the_air, mut tasks) = (Sent::default(), HashSet::new(), JoinSet::new());
        loop {
            let most = if self.is_down() { 1 } else { AT_ONCE };
            // While the receiver is down, a failure ends the round.
            let is_over = self.is_down() && sent.failed + sent.dead > 0;
            if !is_over && self.keep_lease().await? {
                let has_parked = self.launch(most, &mut in_the_air, &mut tasks).await?;
                if has_parked && in_the_air.len() < most {
                    continue;
                }
            }
            if tasks.is_empty() {
                return Ok(sent);
            }
            let tried = landed(&mut tasks).await;
            for (event, _) in &tried {
                in_the_air.remove(&event.position);
            }
            if !tried.is_empty() {
                self.record(&tried, &mut sent).await?;
            }
        }
    }

    /// Whether this server is the one that sends.
    #[must_use]
    pub fn has_lease(&self) -> bool {
        self.held_until.is_some()
    }

    fn is_down(&self) -> bool {
        self.failures_in_a_row >= DOWN_AFTER
    }

    /// Whether this server may send: it has the lease for long enough, or has taken it now.
    async fn keep_lease(&mut self) -> Result<bool, Error> {
        let (db, now) = (&self.services.store, self.services.clock.now());
        let until = now + LEASE_LIFE;
        if let Some(held) = self.held_until {
            if held - now >= LEASE_LEFT && held <= until {
                return Ok(true);
            }
            if held > now && store::leases::set_longer(db, LEASE, (held, until)).await? {
                self.held_until = Some(until);
                return Ok(true);
            }
        }
        self.held_until = store::leases::claim(db, LEASE, until, now).await?.then_some(until);
        Ok(self.held_until.is_some())
    }

    /// Sends events that are due, until `most` are in the air. Returns whether some were parked, so that there may be more.
    async fn launch(
        &self,
        most: usize,
        in_the_air: &mut HashSet<i64>,
        tasks: &mut JoinSet<Tried>,
    ) -> Result<bool, Error> {
        if in_the_air.len() >= most {
            return Ok(false);
        }
        let (db, now) = (&self.services.store, self.services.clock.now());
        let (mut behind, mut ready) = (Vec::new(), Vec::new());
        for Due { event, is_behind } in store::outbox::list_due(db, now, READ_AT_ONCE).await? {
            if is_behind {
                behind.push(event);
            } else if !in_the_air.contains(&event.position) {
                ready.push(event);
            }
        }
        store::outbox::park(db, &behind).await?;
        for event in ready.into_iter().take(most.saturating_sub(in_the_air.len())) {
            in_the_air.insert(event.position);
            let (receiver, clock) = (Arc::clone(&self.receiver), self.services.clock.clone());
            let span = tracing::info_span!(
                target: "otel",
                "event",
                otel.kind = "producer",
                loopin.event = event.kind.as_str(),
                loopin.attempt = event.attempts + 1,
            );
            let send = async move {
                let result = receiver.send(&event, clock.now()).await;
                (event, result)
            };
            tasks.spawn(send.instrument(span));
        }
        Ok(!behind.is_empty())
    }

    /// Records what became of events.
    async fn record(&mut self, tried: &[Tried], sent: &mut Sent) -> Result<(), Error> {
        let now = self.services.clock.now();
        let outcomes: Vec<(&StoredEvent, Outcome)> =
            tried.iter().map(|(event, result)| (event, self.outcome(event, *result, now))).collect();
        // Deleting an account removes events too: of two transactions that wait for each other, this one may be rolled back.
        transaction(|| write(&self.services, &outcomes, now)).await?;
        for (event, outcome) in outcomes {
            self.follow(event, outcome, sent);
        }
        Ok(())
    }

    fn outcome(&self, event: &StoredEvent, result: Result<(), Failure>, now: DateTime<Utc>) -> Outcome {
        let Err(failure) = result else { return Outcome::Taken };
        let [share] = self.services.random.bytes();
        match event.next_attempt(failure.retry_after, share, now) {
            Some(next) => Outcome::Again(failure, next),
            None => Outcome::Dead(failure),
        }
    }

    /// Logs and counts what became of an event.
    fn follow(&mut self, event: &StoredEvent, outcome: Outcome, sent: &mut Sent) {
        let (id, kind, attempt) = (event.id, event.kind.as_str(), event.attempts + 1);
        match outcome {
            Outcome::Taken => {
                if self.is_down() {
                    tracing::info!("the receiver of events answers again");
                }
                self.failures_in_a_row = 0;
                sent.taken += 1;
                self.services.metrics.event("sent");
            }
            Outcome::Again(Failure { why, status, .. }, _) => {
                tracing::info!(%id, kind, attempt, why, status, "an event was not taken: it is sent again");
                self.count_failure(why);
                sent.failed += 1;
                self.services.metrics.event("failed");
            }
            Outcome::Dead(Failure { why, status, .. }) => {
                tracing::error!(%id, kind, attempt, why, status, "an event is given up");
                self.count_failure(why);
                sent.dead += 1;
                self.services.metrics.event("dead");
            }
        }
    }

    fn count_failure(&mut self, why: &'static str) {
        self.failures_in_a_row += 1;
        if self.failures_in_a_row == DOWN_AFTER {
            tracing::warn!(why, "the receiver of events fails: one event a second is tried");
        }
    }
}

/// Writes what became of events.
async fn write(
    services: &Services,
    outcomes: &[(&StoredEvent, Outcome)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let is_taken = |(event, outcome): &(&StoredEvent, Outcome)| match outcome {
        Outcome::Taken => Some((*event).clone()),
        Outcome::Again(..) | Outcome::Dead(_) => None,
    };
    let taken: Vec<StoredEvent> = outcomes.iter().filter_map(is_taken).collect();
    let txn = services.store.begin().await?;
    store::outbox::purge_sent(&txn, &taken, now).await?;
    for (event, outcome) in outcomes {
        match outcome {
            Outcome::Taken => {}
            Outcome::Again(failure, next) => {
                store::outbox::set_failed(&txn, event, *next, &failure.to_string()).await?;
            }
            Outcome::Dead(failure) => {
                store::outbox::set_dead(&txn, event, &failure.to_string(), now).await?;
            }
        }
    }
    Ok(txn.commit().await?)
}

/// The events that came back, or none if none does for a while.
async fn landed(tasks: &mut JoinSet<Tried>) -> Vec<Tried> {
    let first = tokio::time::timeout(LOOK_EVERY, tasks.join_next()).await;
    let mut tried: Vec<Tried> = first.ok().flatten().and_then(Result::ok).into_iter().collect();
    while let Some(Ok(more)) = tasks.try_join_next() {
        tried.push(more);
    }
    tried
}
