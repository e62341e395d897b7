//! What the operator does with events that were not delivered.

use uuid::Uuid;

use super::super::{Error, Services, transaction};
use crate::{
    domain::events::StoredEvent,
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
        let is_closed = store::outbox::close(&txn, id, SKIPPED, now).await?;
        txn.commit().await?;
        Ok(is_closed)
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
    Ok(store::outbox::set_waiting(&services.store, id, services.clock.now()).await?)
}

/// Lets all events be sent that were given up, of all users or of one. Returns how many.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn replay_all(services: &Services, user_id: Option<Uuid>) -> Result<u64, Error> {
    Ok(store::outbox::set_waiting_of(&services.store, user_id, services.clock.now()).await?)
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
