//! Who gets an account where `SIGNUPS` is not `open`: whether an invitation admits a phone, and what is kept of a person who is
//! refused. The rule itself is [`Signups::admit`](crate::domain::signups::Signups::admit).

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, device, events, transaction};
use crate::{
    domain::{
        events::Subject, invitation::InvitationCode, lead::Source, otp::ChallengeKey, phone::PhoneNumber,
        signups::UsedInvitation,
    },
    store::{self, Txn, leads::NewLead, otp::Consumed},
};

/// Whether a person without an account may have a code sent, to get one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Without an invitation.
    Free,
    /// With this invitation, of which no use is taken yet.
    Invited(Uuid),
    /// No account will be made.
    Refused,
}

impl Entry {
    /// The invitation that is kept with the code.
    pub(super) fn invitation(self) -> Option<Uuid> {
        match self {
            Self::Invited(id) => Some(id),
            Self::Free | Self::Refused => None,
        }
    }
}

/// Looks whether the owner of a phone, who has no account, may have a code sent. An invitation that is unknown, ended, used up,
/// run out or another phone's is refused like none.
pub(super) async fn find_entry(
    services: &Services,
    invitation: Option<&InvitationCode>,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Entry, Error> {
    if services.signups.admit(None).is_ok() {
        return Ok(Entry::Free);
    }
    let Some(code) = invitation.filter(|_| services.signups.takes_invitations()) else {
        return Ok(Entry::Refused);
    };
    let found = store::invitations::find_by_code(&services.store, code).await?;
    let admits = found.filter(|invitation| invitation.admits(Some(phone), now));
    Ok(admits.map_or(Entry::Refused, |invitation| Entry::Invited(invitation.id)))
}

/// Takes one use of the invitation that was kept with a code. `None` when there is none that still admits the phone, or none is
/// needed or taken any more.
pub(super) async fn claim_invitation(
    services: &Services,
    txn: &Txn,
    (key, consumed): (ChallengeKey<'_>, &Consumed),
    now: DateTime<Utc>,
) -> Result<Option<UsedInvitation>, Error> {
    if !services.signups.takes_invitations() {
        return Ok(None);
    }
    Ok(store::invitations::claim_of(txn, key, consumed, now).await?)
}

/// Keeps the phone of a person whose sign-up was refused before a code was sent, so that sales see who waits. A review number is no
/// lead. The request was counted for its address, so nobody fills the table faster than with requests for codes.
pub(super) async fn record_waiting(
    services: &Services,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if device::is_review_number(services, phone, now) {
        return Ok(());
    }
    let lead = NewLead { id: services.random.id(now), source: Source::Signup };
    let Some(created) = events::lead_created(services, lead, phone, now) else {
        store::leads::open_waiting(&services.store, phone, lead, now).await?;
        return Ok(());
    };
    transaction(|| async {
        let txn = services.store.begin().await?;
        let id = store::leads::open_waiting(&txn, phone, lead, now).await?;
        if id == lead.id {
            let subject = Subject { user_id: None, lead_id: Some(id) };
            let event = crate::domain::events::NewEvent { subject, ..created.clone() };
            store::outbox::insert_many(&txn, &[event], now).await?;
        }
        txn.commit().await?;
        Ok(())
    })
    .await
}
