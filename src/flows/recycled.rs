//! Recycled numbers: carriers give an unused number to another person after some months. The new owner, who proves the
//! number by a code, must not get into the account of the previous owner.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Actor, Event},
        phone::PhoneNumber,
    },
    store::{self, Txn},
};

/// Takes the phone from its account, if the account was not used for too long. The account's sessions end and its device
/// tokens become invalid. Staff can give the phone back ([`super::users::reunite`]). Returns the account.
pub(super) async fn unlink(
    services: &Services,
    txn: &Txn,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, Error> {
    let Some(used_after) = services.used_after(now) else {
        return Ok(None);
    };
    let Some(old) = store::owners::unlink_unused(txn, phone, used_after, now).await? else {
        return Ok(None);
    };
    store::sessions::close_all(txn, old.id, None, now).await?;
    store::messages::set_owner(txn, phone, old.id, used_after).await?;
    Ok(Some(old.id))
}

/// Records it, after the commit.
pub(super) fn note(
    services: &Services,
    phone: &PhoneNumber,
    (old, new): (Uuid, Uuid),
    from: ClientAddress,
    now: DateTime<Utc>,
) {
    let days = services.stale_after.map(|after| after.num_days());
    tracing::warn!(user_id = %old, new_user_id = %new, %phone, "account unlinked: its number has another owner");
    let event = Event::new(Action::AccountUnlinked, Actor::System).about(old).phone(phone).from(from);
    services.audit.note(event.with("new_user_id", new).with_known("unused_days", days), now);
}
