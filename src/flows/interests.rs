//! Event interests: the list that every client requests, and what staff change in it.
//!
//! The list rarely changes, so every server keeps a copy. An interest is never deleted: it is in profiles.

use std::sync::Arc;

use chrono::Duration;

use super::{Error, Services, cached::Cached, run_to_completion, transaction};
use crate::{
    domain::{
        audit::{Action, Event},
        interests::{EditedInterest, Interest, InterestDescription, InterestName},
        roles::StaffPermission,
    },
    store::{self, interests::Updated, versions::Copied},
};

/// How long the interests are used without a look at the database: a change shows within this time on every server, and at once
/// on the one that made it.
pub const CACHED_FOR: Duration = Duration::seconds(5);

/// The cached interests.
#[derive(Debug)]
pub struct Cache(Cached<Vec<Interest>>);

impl Default for Cache {
    fn default() -> Self {
        Self(Cached::new(Copied::Interests))
    }
}

/// Every interest by name, including those that can no longer be chosen.
///
/// # Errors
/// When the database does not answer and nothing is cached yet. An old list is better than none.
pub async fn list(services: &Services) -> Result<Arc<Vec<Interest>>, Error> {
    let (db, cache, now) = (&services.store, &services.interests.0, services.clock.now());
    match cache.get(db, CACHED_FOR, now, || store::interests::list(db)).await {
        Ok(list) => Ok(list),
        Err(error) => match cache.any() {
            Some(list) => {
                tracing::warn!(%error, "event interests could not be read again: an older list is used");
                Ok(list)
            }
            None => Err(error.into()),
        },
    }
}

/// Compares the copy with the database, however fresh it is. A running server does this every few seconds, so that requests
/// rarely have to.
///
/// # Errors
/// When the database does not answer: the copy stays as it is.
pub async fn refresh(services: &Services) -> Result<(), Error> {
    let (db, now) = (&services.store, services.clock.now());
    services.interests.0.get(db, Duration::zero(), now, || store::interests::list(db)).await?;
    Ok(())
}

/// What staff write into an interest.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name.
    pub name: InterestName,
    /// Its description.
    pub description: InterestDescription,
    /// Whether users can choose it.
    pub is_active: bool,
}

/// The outcome of adding an interest.
#[derive(Debug)]
pub enum Added {
    /// It can be chosen.
    Done(Interest),
    /// Another interest has the name, without regard to case.
    NameTaken,
}

/// The outcome of a change.
#[derive(Debug)]
pub enum Changed {
    /// It was changed.
    Done,
    /// There is no such interest.
    NotFound,
    /// Another interest has the name, without regard to case.
    NameTaken,
    /// Another change came first. The interest as it is now.
    Stale(Box<EditedInterest>),
}

/// Adds an interest, which users can choose from then on. `is_active` is not looked at.
///
/// # Errors
/// When the database does not answer: nothing is added.
pub async fn add(
    services: &Arc<Services>,
    wanted: Wanted,
    permission: StaffPermission,
) -> Result<Added, Error> {
    run_to_completion(services, move |services| async move {
        let added = transaction(|| add_in_transaction(&services, &wanted, permission)).await;
        services.interests.0.forget();
        added
    })
    .await
}

async fn add_in_transaction(
    services: &Services,
    wanted: &Wanted,
    permission: StaffPermission,
) -> Result<Added, Error> {
    let (now, by) = (services.clock.now(), permission.actor().id());
    let txn = services.store.begin().await?;
    let Wanted { name, description, .. } = wanted;
    // The unique index decides between two at once. It does not know a name that was written by hand.
    if store::interests::list(&txn).await?.iter().any(|interest| name.is_of(interest)) {
        txn.rollback().await?;
        return Ok(Added::NameTaken);
    }
    let Some(interest) = store::interests::insert(&txn, name, description, true, by, now).await? else {
        txn.rollback().await?;
        return Ok(Added::NameTaken);
    };
    let event = Event::new(Action::InterestAdded, permission.actor()).from(permission.from());
    services.audit.write(&txn, event.with("interest", interest.id), now).await?;
    txn.commit().await?;
    Ok(Added::Done(interest))
}

/// Changes an interest, if it still has the version that the caller has seen.
///
/// # Errors
/// When the database does not answer: nothing is changed.
pub async fn change(
    services: &Arc<Services>,
    (id, version): (i64, i64),
    wanted: Wanted,
    permission: StaffPermission,
) -> Result<Changed, Error> {
    run_to_completion(services, move |services| async move {
        let changed =
            transaction(|| change_in_transaction(&services, (id, version), &wanted, permission)).await;
        services.interests.0.forget();
        changed
    })
    .await
}

async fn change_in_transaction(
    services: &Services,
    (id, version): (i64, i64),
    wanted: &Wanted,
    permission: StaffPermission,
) -> Result<Changed, Error> {
    let (now, by) = (services.clock.now(), permission.actor().id());
    let txn = services.store.begin().await?;
    let all = store::interests::list(&txn).await?;
    let Some(before) = all.iter().find(|interest| interest.id == id) else {
        txn.rollback().await?;
        return Ok(Changed::NotFound);
    };
    let Wanted { name, description, is_active } = wanted;
    if all.iter().any(|interest| interest.id != id && name.is_of(interest)) {
        txn.rollback().await?;
        return Ok(Changed::NameTaken);
    }
    match store::interests::update(&txn, (id, version), (name, description, *is_active), by, now).await? {
        Updated::Done => {}
        Updated::NameTaken => {
            txn.rollback().await?;
            return Ok(Changed::NameTaken);
        }
        Updated::Stale => {
            txn.rollback().await?;
            let found = store::interests::find_edited(&services.store, id).await?;
            return Ok(found.map_or(Changed::NotFound, |found| Changed::Stale(Box::new(found))));
        }
    }
    services.audit.write(&txn, changed_event(before, wanted, permission), now).await?;
    txn.commit().await?;
    Ok(Changed::Done)
}

/// The audit entry of a change. It names the fields, never their texts.
fn changed_event(before: &Interest, wanted: &Wanted, permission: StaffPermission) -> Event {
    let fields: Vec<&'static str> = [
        ("name", before.name != wanted.name.as_str()),
        ("description", before.description != wanted.description.as_str()),
        ("is_active", before.is_active != wanted.is_active),
    ]
    .into_iter()
    .filter_map(|(field, is_changed)| is_changed.then_some(field))
    .collect();
    let event = Event::new(Action::InterestChanged, permission.actor()).from(permission.from());
    event.with("interest", before.id).with("fields", fields.as_slice()).with("is_active", wanted.is_active)
}
