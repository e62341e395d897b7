//! `complete-profile`, and changes of the profile.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Error, Services, events, run_to_completion, transaction};
use crate::{
    domain::{
        access::{AccessToken, SignedIn},
        account::{Account, Changes},
        events::Fact,
        phone::PhoneNumber,
    },
    store,
};

/// Checks the session of a token and writes the changes, at once. `phone`, where it is given, must be that of the account.
/// `None` when anything is not as it must be: nothing was written, and the gate finds out why.
pub async fn complete(
    services: &Arc<Services>,
    token: &AccessToken,
    phone: Option<PhoneNumber>,
    changes: Changes,
) -> Result<Option<Account>, Error> {
    let token = token.clone();
    run_to_completion(services, |services| async move {
        let now = services.clock.now();
        if services.events.is_some() {
            let by_token = Writer::Token(&token, phone.as_ref());
            return transaction(|| write_with_events(&services, by_token, &changes, now)).await;
        }
        Ok(store::profiles::update_by_token(&services.store, &token, phone.as_ref(), changes, now).await?)
    })
    .await
}

/// Writes the changes and returns the new account. `None` when the account was deleted in the meantime.
pub async fn change(
    services: &Arc<Services>,
    who: SignedIn,
    changes: Changes,
) -> Result<Option<Account>, Error> {
    run_to_completion(services, |services| async move {
        let now = services.clock.now();
        if services.events.is_some() {
            let owner = Writer::Owner(&who);
            return transaction(|| write_with_events(&services, owner, &changes, now)).await;
        }
        Ok(store::profiles::update(&services.store, &who, changes, now).await?)
    })
    .await
}

/// Who writes a profile.
#[derive(Clone, Copy)]
enum Writer<'a> {
    /// Its owner.
    Owner(&'a SignedIn),
    /// The user of a token whose session was not looked at, and the phone that the account must have.
    Token(&'a AccessToken, Option<&'a PhoneNumber>),
}

/// Writes changes together with their events. The account is locked first, so that it is known what the profile lacked before.
async fn write_with_events(
    services: &Services,
    writer: Writer<'_>,
    changes: &Changes,
    now: DateTime<Utc>,
) -> Result<Option<Account>, Error> {
    let id = match writer {
        Writer::Owner(who) => who.account().id,
        Writer::Token(token, _) => token.account(),
    };
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let Some(before) = store::owners::claim(&txn, id).await? else { return Ok(None) };
    let changed = changes.clone();
    let written = match writer {
        Writer::Owner(who) => store::profiles::update(&txn, who, changed, now).await?,
        Writer::Token(token, phone) => {
            store::profiles::update_by_token(&txn, token, phone, changed, now).await?
        }
    };
    let Some(account) = written else { return Ok(None) };
    let fields = changes.fields();
    let mut facts = vec![Fact::UserUpdated { fields: &fields }];
    if before.profile.lacks_fields() && !account.profile.lacks_fields() {
        facts.push(Fact::ProfileCompleted);
    }
    events::write_of(services, &txn, id, &facts, now).await?;
    txn.commit().await?;
    Ok(Some(account))
}
