//! `complete-profile`, and changes of the profile.

use std::sync::Arc;

use super::{Error, Services, run_to_completion};
use crate::{
    domain::{
        access::SignedIn,
        account::{Account, Changes},
    },
    store,
};

/// Writes the changes and returns the new account. `None` when the account was deleted in the meantime.
pub async fn change(
    services: &Arc<Services>,
    who: SignedIn,
    changes: Changes,
) -> Result<Option<Account>, Error> {
    run_to_completion(services, |services| async move {
        Ok(store::profiles::update(&services.store, &who, changes, services.clock.now()).await?)
    })
    .await
}
