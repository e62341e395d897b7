//! Setting the password of another account: by an admin, or by the operator on the command line. Staff and admins who forgot theirs
//! get a new one only in this way, because a code to a phone must not lead to their rights.

use std::sync::Arc;

use uuid::Uuid;

use super::{Error, Services, events, in_background, notice, password, run_to_completion, transaction};
use crate::{
    domain::{
        audit::{Action, Event},
        credentials::{Password, PasswordHash},
        events::EndReason,
        phone::PhoneNumber,
        roles::AdminPermission,
    },
    sms::Notice,
    store::{self, sessions::Ending},
};

/// The outcome of setting a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSet {
    /// It is set.
    Done {
        /// How many sessions ended.
        ended: u64,
    },
    /// There is no such account.
    NotFound,
    /// It is the admin's own account: its password is changed with the old one.
    Own,
    /// The password is like a name of the account.
    LikeAName(Vec<String>),
}

/// Sets the password of an account, and ends all of its sessions and device tokens. The user gets a notice.
///
/// # Errors
/// When the database does not answer: the old password stays.
pub async fn set(
    services: &Arc<Services>,
    id: Uuid,
    new: Password,
    permission: AdminPermission,
) -> Result<PasswordSet, Error> {
    if permission.actor().id() == Some(id) {
        return Ok(PasswordSet::Own);
    }
    let hash = password::hash(services, &new).await?;
    run_to_completion(services, move |services| async move {
        let (set, phone) = transaction(|| in_transaction(&services, id, (&new, &hash), permission)).await?;
        if let Some(phone) = phone {
            let (sending, now) = (Arc::clone(&services), services.clock.now());
            in_background(&services, async move {
                notice::send(&sending, Notice::PasswordChanged, phone, id, &[], now).await;
            });
        }
        Ok(set)
    })
    .await
}

/// Returns the phone that gets a notice, too.
async fn in_transaction(
    services: &Services,
    id: Uuid,
    (new, hash): (&Password, &PasswordHash),
    permission: AdminPermission,
) -> Result<(PasswordSet, Option<PhoneNumber>), Error> {
    let now = services.clock.now();
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let Some(account) = store::owners::claim(&txn, id).await? else {
        return Ok((PasswordSet::NotFound, None));
    };
    if let Err(errors) = new.check_names(&account.names()) {
        return Ok((PasswordSet::LikeAName(errors), None));
    }
    store::accounts::set_new_password(&txn, id, hash, now).await?;
    let ended =
        events::close_sessions(services, &txn, Ending::all(id), EndReason::PasswordChanged, now).await?;
    let event = Event::new(Action::PasswordChanged, permission.actor()).about(id).from(permission.from());
    let event = event.with("ended", ended).with("first", !account.has_password);
    services.audit.write(&txn, event, now).await?;
    txn.commit().await?;
    let by = permission.actor().id().map(tracing::field::display);
    tracing::info!(by, user_id = %id, ended, "the password of an account was set");
    Ok((PasswordSet::Done { ended }, account.phone))
}
