//! The names of those who changed something, for pages that say who did.

use std::collections::HashMap;

use uuid::Uuid;

use super::PageError;
use crate::{
    domain::{access::SignedIn, roles},
    flows::Services,
    store,
};

/// The names of accounts by their ids. An account without a username is shown by its id, and so is one that was deleted.
pub async fn of_accounts(
    services: &Services,
    who: &SignedIn,
    ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, String>, PageError> {
    let mut names = HashMap::new();
    for id in ids {
        if names.contains_key(&id) {
            continue;
        }
        let permission = roles::may_read(who, id).map_err(|_| PageError::Forbidden)?;
        let user = store::users::find(&services.store, permission).await?;
        let name = user.and_then(|user| user.account.username);
        names.insert(id, name.unwrap_or_else(|| id.to_string()));
    }
    Ok(names)
}

/// The name of one account; `None` stands for the command line.
pub async fn of_account(services: &Services, who: &SignedIn, id: Option<Uuid>) -> Result<String, PageError> {
    let Some(id) = id else { return Ok("The command line".to_owned()) };
    Ok(of_accounts(services, who, vec![id]).await?.remove(&id).unwrap_or_default())
}
