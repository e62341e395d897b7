//! The names of accounts, for pages that say who did something.

use std::collections::HashMap;

use uuid::Uuid;

use super::PageError;
use crate::{
    domain::{access::SignedIn, phone::PhoneNumber, roles},
    flows::Services,
    store::{self, users::Called},
};

/// Stands for an account that is no longer there.
pub const DELETED: &str = "a deleted account";

/// The names of accounts by their ids, read at once. An account that was deleted has none.
pub async fn of_accounts(
    services: &Services,
    who: &SignedIn,
    mut ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, String>, PageError> {
    let permission = roles::may_list(who).map_err(|_| PageError::Forbidden)?;
    ids.sort_unstable();
    ids.dedup();
    let called = store::users::list_called(&services.store, &permission, ids).await?;
    Ok(called.iter().map(|called| (called.id, name(called))).collect())
}

/// The username, else the name of the profile, else the masked number.
fn name(called: &Called) -> String {
    let phone = || called.phone.as_ref().map(PhoneNumber::masked);
    called.name.clone().or_else(phone).unwrap_or_else(|| called.id.to_string())
}

/// The name of one account; `None` stands for the command line.
pub async fn of_account(services: &Services, who: &SignedIn, id: Option<Uuid>) -> Result<String, PageError> {
    let Some(id) = id else { return Ok("the command line".to_owned()) };
    let mut names = of_accounts(services, who, vec![id]).await?;
    Ok(names.remove(&id).unwrap_or_else(|| DELETED.to_owned()))
}
