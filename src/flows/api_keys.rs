//! API keys: the operator makes and ends them, and a request of another service is let in by one.
//!
//! A good key costs one statement. A text that is no key costs none; a key that nobody has costs its address a charge, so that a program
//! with a wrong key ends. Its address is charged nothing for a good key: all users of a service come from there.

use std::sync::Arc;

use super::{Error, Services, budget, run_to_completion, transaction};
use crate::{
    domain::{
        address::ClientAddress,
        api_key::{ApiKey, ApiSecret, KeyLimits, KeyName, Scope},
        audit::{Action, Actor, Event, Fact},
        budget::BudgetExceeded,
    },
    store,
};

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The name of the service.
    pub name: KeyName,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// What it may use up.
    pub limits: KeyLimits,
}

/// The outcome of making a key.
#[derive(Debug)]
pub enum Made {
    /// The key, which cannot be shown again.
    Done(Box<ApiKey>, ApiSecret),
    /// A live key has this name.
    NameTaken,
}

/// Makes a key.
///
/// # Errors
/// When the database does not answer: there is no key.
pub async fn make(services: &Arc<Services>, new: NewKey) -> Result<Made, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let secret = ApiSecret::new(services.random.bytes());
        let NewKey { name, scopes, limits } = new;
        let id = services.random.id(now);
        let key = ApiKey { id, name, scopes, limits, created_at: now, last_used_at: None, ended_at: None };
        let is_made = transaction(|| async {
            let txn = services.store.begin().await?;
            if !store::api_keys::insert(&txn, &key, &secret).await? {
                txn.rollback().await?;
                return Ok(false);
            }
            let scopes: Vec<&'static str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
            let event = event(Action::ApiKeyMade, &key).with("scopes", scopes.as_slice());
            services.audit.write(&txn, event, now).await?;
            txn.commit().await?;
            Ok(true)
        });
        Ok(if is_made.await? { Made::Done(Box::new(key), secret) } else { Made::NameTaken })
    })
    .await
}

/// Ends the live key with this name. False when there is none.
///
/// # Errors
/// When the database does not answer: the key stays.
pub async fn end(services: &Arc<Services>, name: KeyName) -> Result<bool, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        transaction(|| async {
            let txn = services.store.begin().await?;
            let Some(key) = store::api_keys::close(&txn, &name, now).await? else {
                txn.rollback().await?;
                return Ok(false);
            };
            services.audit.write(&txn, event(Action::ApiKeyEnded, &key), now).await?;
            txn.commit().await?;
            Ok(true)
        })
        .await
    })
    .await
}

/// All keys, live and ended, in the order in which they were made.
pub async fn list(services: &Services) -> Result<Vec<ApiKey>, Error> {
    Ok(store::api_keys::list(&services.store).await?)
}

fn event(action: Action, key: &ApiKey) -> Event {
    Event::new(action, Actor::Command).with("service", Fact::shown(&key.name))
}

/// Why a key is refused.
#[derive(Debug, Clone, Copy)]
pub enum KeyRefused {
    /// It is no live key of this server.
    Invalid,
    /// It is none either, and this address sent too many of those.
    TooMany(BudgetExceeded),
}

/// Lets a service in. That it was used is written once a minute.
///
/// # Errors
/// When the database does not answer: the request is refused, but not because of its key.
pub async fn enter(
    services: &Services,
    text: &str,
    from: ClientAddress,
) -> Result<Result<ApiKey, KeyRefused>, Error> {
    let Some(secret) = ApiSecret::parse(text) else {
        return Ok(Err(KeyRefused::Invalid));
    };
    let (db, now) = (&services.store, services.clock.now());
    let Some(key) = store::api_keys::find(db, &secret).await? else {
        let charges = services.budgets.unknown_key(from, now);
        return Ok(Err(match budget::claim(services, charges, now).await? {
            Ok(_stays_charged) => KeyRefused::Invalid,
            Err(exceeded) => KeyRefused::TooMany(exceeded),
        }));
    };
    if key.is_use_due(now)
        && let Err(error) = store::api_keys::set_used(db, key.id, now).await
    {
        tracing::warn!(%error, "the last use of an API key could not be written");
    }
    Ok(Ok(key))
}
