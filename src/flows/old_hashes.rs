//! The password hashes that came from another system. Until each is replaced at a sign-in, every wrong password takes as long as
//! the largest of them, whether or not the name exists: else the time would tell who was moved here and who has no account.

use std::sync::Arc;

use chrono::Duration;

use super::{Error, Services, cached::Cached};
use crate::{domain::credentials::OldCosts, store};

/// How long a server keeps the largest costs. They change with an import, and when the last hash is replaced.
const CACHED_FOR: Duration = Duration::seconds(5);

/// The cached costs.
#[derive(Debug, Default)]
pub struct Cache(Cached<OldCosts>);

/// The largest costs of the old hashes that are left. One short statement every five seconds in which somebody signs in by password.
pub(super) async fn left(services: &Services) -> Result<OldCosts, Error> {
    let find = || store::imports::find_old_costs(&services.store);
    let costs: Arc<OldCosts> = services.old_hashes.0.get(CACHED_FOR, services.clock.now(), find).await?;
    Ok(*costs)
}
