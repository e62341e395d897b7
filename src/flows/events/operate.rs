//! What the operator does with events that were not delivered.

use uuid::Uuid;

use super::super::{Error, Services, transaction};
use crate::{
    domain::{
        audit::{Action, Actor, Event, Fact},
        events::StoredEvent,
    },
    store::{self, outbox::Wanted},
};

/// No more events than this are counted for the metrics.
const MOST_COUNTED: u64 = 100_000;

/// The words in place of an error, for an event that was skipped.
const SKIPPED: &str = "skipped";

/// The outcome of [`skip`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// It is given up.
    Done,
    /// It was given up before.
    Before,
    /// There is no such event: it was delivered or removed, or never existed.
    NotFound,
}

/// The first events that wait, or that were given up.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    services: &Services,
    wanted: Wanted,
    user_id: Option<Uuid>,
    most: u64,
) -> Result<Vec<StoredEvent>, Error> {
    Ok(store::outbox::list(&services.store, wanted, user_id, most).await?)
}

/// The events of a user that were not delivered. None if no events are sent.
pub(in super::super) async fn list_of_user(
    services: &Services,
    user_id: Uuid,
) -> Result<Vec<StoredEvent>, Error> {
    if services.events.is_none() {
        return Ok(Vec::new());
    }
    Ok(store::outbox::list_of_user(&services.store, user_id).await?)
}

/// Gives up an event that waits, so that later events of its user are sent.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn skip(services: &Services, id: Uuid) -> Result<Skipped, Error> {
    let now = services.clock.now();
    let is_closed = transaction(|| async {
        let txn = services.store.begin().await?;
        let closed = store::outbox::close(&txn, id, SKIPPED, now).await?;
        if let Some(event) = &closed {
            services.audit.write(&txn, entry_of(Action::EventSkipped, event), now).await?;
        }
        txn.commit().await?;
        Ok(closed.is_some())
    });
    if is_closed.await? {
        return Ok(Skipped::Done);
    }
    let found = store::outbox::find(&services.store, id).await?;
    Ok(found.map_or(Skipped::NotFound, |_| Skipped::Before))
}

/// Lets an event be sent that was given up. False when none was with this id.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn replay(services: &Services, id: Uuid) -> Result<bool, Error> {
    let now = services.clock.now();
    transaction(|| async {
        let txn = services.store.begin().await?;
        let waiting = store::outbox::set_waiting(&txn, id, now).await?;
        if let Some(event) = &waiting {
            let entry = entry_of(Action::EventsReplayed, event).with("events", 1_u64);
            services.audit.write(&txn, entry, now).await?;
        }
        txn.commit().await?;
        Ok(waiting.is_some())
    })
    .await
}

/// Lets all events be sent that were given up, of all users or of one. Returns how many.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn replay_all(services: &Services, user_id: Option<Uuid>) -> Result<u64, Error> {
    let now = services.clock.now();
    transaction(|| async {
        let txn = services.store.begin().await?;
        let events = store::outbox::set_waiting_of(&txn, user_id, now).await?;
        if events > 0 {
            let entry = Event::new(Action::EventsReplayed, Actor::Command).with("events", events);
            services.audit.write(&txn, Event { user_id, ..entry }, now).await?;
        }
        txn.commit().await?;
        Ok(events)
    })
    .await
}

/// The entry of the audit log about one event.
fn entry_of(action: Action, event: &StoredEvent) -> Event {
    let entry = Event::new(action, Actor::Command).with("event", event.id);
    let entry = entry.with("type", Fact::shown(&event.kind));
    Event { user_id: event.subject.user_id, ..entry }
}

/// Sets the metrics of what was not delivered.
///
/// # Errors
/// When the database does not answer.
pub async fn measure(services: &Services) -> Result<(), Error> {
    let backlog = store::outbox::count(&services.store, MOST_COUNTED).await?;
    let age = backlog.oldest.map_or(0, |oldest| (services.clock.now() - oldest).num_seconds().max(0));
    services.metrics.events_kept(backlog.waiting, backlog.dead, age);
    Ok(())
}
