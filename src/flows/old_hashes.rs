//! The password hashes that came from another system. Until each is replaced at a sign-in, every wrong password takes as long as
//! the largest of them, whether or not the name exists: else the time would tell who was moved here and who has no account.

use std::sync::Arc;

use chrono::Duration;

use super::{Error, Services, cached::Cached};
use crate::{domain::credentials::OldCosts, store};

/// How long a server keeps the largest costs. They change with an import, and when the last hash is replaced.
const CACHED_FOR: Duration = Duration::seconds(5);

/// The cached costs.
#[derive(Debug)]
pub struct Cache(Cached<OldCosts>);

impl Default for Cache {
    fn default() -> Self {
        Self(Cached::without_version())
    }
}

/// The largest costs of the old hashes that are left. One short statement every five seconds in which a user signs in with a password.
pub(super) async fn left(services: &Services) -> Result<OldCosts, Error> {
    let (db, cache, now) = (&services.store, &services.old_hashes.0, services.clock.now());
    let costs: Arc<OldCosts> = cache.get(db, CACHED_FOR, now, || store::imports::find_old_costs(db)).await?;
    Ok(*costs)
}
