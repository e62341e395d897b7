//! Recycled numbers: carriers give an unused number to another person after some months. The new owner, who proves the
//! number by a code, must not get into the account of the previous owner.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, events};
use crate::{
    domain::{
        account::Account,
        address::ClientAddress,
        audit::{Action, Actor, Event},
        events::{CreatedBy, EndReason, Fact},
        phone::PhoneNumber,
        signups::Admission,
    },
    store::{
        self, Txn,
        accounts::{NewIds, OpenOptions, PhoneProof},
        sessions::Ending,
    },
};

/// The account of a phone that is proved.
pub(super) struct Opened {
    pub(super) account: Account,
    /// Whether it was created now.
    pub(super) is_new: bool,
    /// The account that lost the phone because it was not used for too long.
    pub(super) unlinked: Option<Uuid>,
}

/// How the account of a phone is opened.
pub(super) struct Opening {
    /// The permission to create it.
    pub(super) admission: Admission,
    /// Whether the code is the fixed one of a review number.
    pub(super) is_review: bool,
    /// An account that was not used after this time loses the phone.
    pub(super) used_after: Option<DateTime<Utc>>,
}

impl Opened {
    /// An account that was there.
    pub(super) fn existing(account: Account) -> Self {
        Self { account, is_new: false, unlinked: None }
    }
}

/// Finds the account of a phone, or creates it. An account that was not used for too long loses the phone first.
pub(super) async fn open_account(
    services: &Services,
    txn: &Txn,
    proof: PhoneProof<'_>,
    options: Opening,
    now: DateTime<Utc>,
) -> Result<Opened, Error> {
    let Opening { admission, is_review, used_after } = options;
    let ids = NewIds { admission, account: services.random.id(now), profile: services.random.id(now) };
    let options = OpenOptions { ids, is_review, used_after };
    let mut unlinked = None;
    let mut found = store::accounts::open(txn, proof, options, now).await?;
    if found.is_none() {
        unlinked = unlink(services, txn, proof.phone(), now).await?;
        found = store::accounts::open(txn, proof, options, now).await?;
    }
    let account = found.ok_or(Error::AccountChangedTwice)?;
    if account.id == ids.account {
        let by = match proof {
            PhoneProof::Code(_) => CreatedBy::Code,
            PhoneProof::Issuer(_) => CreatedBy::Exchange,
            PhoneProof::Staff(..) => CreatedBy::Staff,
        };
        let created = Fact::UserCreated { by, role: account.role, phone: account.phone.as_ref() };
        events::write_of(services, txn, account.id, &[created], now).await?;
    }
    Ok(Opened { is_new: account.id == ids.account, account, unlinked })
}

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
    let sessions = Ending::all(old.id);
    events::close_sessions(services, txn, sessions, EndReason::PhoneLost, now).await?;
    events::write_phone_changed(services, txn, old.id, (Some(phone), None), now).await?;
    store::messages::set_owner(txn, phone, old.id, used_after).await?;
    Ok(Some(old.id))
}

/// Records it, after the commit.
pub(super) fn note(
    services: &Services,
    phone: &PhoneNumber,
    (old, new): (Uuid, Uuid),
    from: impl Into<Option<ClientAddress>>,
    now: DateTime<Utc>,
) {
    let days = services.stale_after.map(|after| after.num_days());
    tracing::warn!(user_id = %old, new_user_id = %new, %phone, "account unlinked: its number has another owner");
    let event = Event::new(Action::AccountUnlinked, Actor::System).about(old).phone(phone).from(from);
    services.audit.note(event.with("new_user_id", new).with_known("unused_days", days), now);
}
