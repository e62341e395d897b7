//! Recycled numbers: carriers give a number to somebody else after some months. Whoever proves then that she has it must
//! not find herself in the account of whoever had it before.

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

/// Takes a phone from its account, if that was not used for too long: its sessions end, what its devices were given is
/// worth nothing, and staff can give it back ([`super::users::reunite`]). Says which account it was.
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

/// Writes it down, once it has happened.
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
