//! Invitations: staff make and end them. What they are for is in `flows/signups.rs` and where accounts are made.

use std::sync::Arc;

use uuid::Uuid;

use super::{Error, Services, run_to_completion, transaction};
use crate::{
    domain::{
        audit::{Action, Event},
        invitation::{Invitation, InvitationCode, NewInvitation},
        roles::StaffPermission,
    },
    store,
};

/// An invitation that was made, and its text, which is shown once.
#[derive(Debug)]
pub struct Made {
    /// The invitation.
    pub invitation: Invitation,
    /// Its text.
    pub code: InvitationCode,
}

/// Makes an invitation. The audit entry is written in the same transaction.
///
/// # Errors
/// When the database does not answer: there is no invitation.
pub async fn make(
    services: &Arc<Services>,
    new: NewInvitation,
    permission: StaffPermission,
) -> Result<Made, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| make_in_transaction(&services, &new, permission)).await
    })
    .await
}

async fn make_in_transaction(
    services: &Services,
    new: &NewInvitation,
    permission: StaffPermission,
) -> Result<Made, Error> {
    let now = services.clock.now();
    let code = InvitationCode::new(services.random.bytes());
    let invitation = Invitation {
        id: services.random.id(now),
        phone: new.phone.clone(),
        uses: new.uses,
        uses_left: new.uses,
        made_by: permission.actor().id(),
        made_at: now,
        expires_at: new.expires_at,
        ended_at: None,
        ended_by: None,
        last_used_at: None,
    };
    let txn = services.store.begin().await?;
    store::invitations::insert(&txn, &invitation, &code).await?;
    let event = event(Action::InvitationMade, &invitation, permission).with("uses", invitation.uses);
    services.audit.write(&txn, event.with_known("until", invitation.expires_at), now).await?;
    txn.commit().await?;
    tracing::info!(id = %invitation.id, uses = invitation.uses, "an invitation was made");
    Ok(Made { invitation, code })
}

/// The outcome of ending an invitation.
#[derive(Debug)]
pub enum Ended {
    /// It ended now.
    Done(Box<Invitation>),
    /// It had been ended before.
    Before(Box<Invitation>),
    /// There is no such invitation.
    NotFound,
}

/// Ends an invitation. Accounts that it made stay; a person who got a code with it, and has not entered it, gets no account.
///
/// # Errors
/// When the database does not answer: the invitation stays.
pub async fn end(services: &Arc<Services>, id: Uuid, permission: StaffPermission) -> Result<Ended, Error> {
    run_to_completion(services, move |services| async move {
        transaction(|| end_in_transaction(&services, id, permission)).await
    })
    .await
}

async fn end_in_transaction(
    services: &Services,
    id: Uuid,
    permission: StaffPermission,
) -> Result<Ended, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    let Some(invitation) = store::invitations::close(&txn, id, permission.actor().id(), now).await? else {
        txn.rollback().await?;
        let found = store::invitations::find(&services.store, id).await?;
        return Ok(found.map_or(Ended::NotFound, |invitation| Ended::Before(Box::new(invitation))));
    };
    let event = event(Action::InvitationEnded, &invitation, permission).with("left", invitation.uses_left);
    services.audit.write(&txn, event, now).await?;
    txn.commit().await?;
    tracing::info!(%id, "an invitation was ended");
    Ok(Ended::Done(Box::new(invitation)))
}

/// The audit entry of an invitation. Its text is in none.
fn event(action: Action, invitation: &Invitation, permission: StaffPermission) -> Event {
    let event = Event::new(action, permission.actor()).from(permission.from());
    let event = event.with("invitation", invitation.id);
    match &invitation.phone {
        Some(phone) => event.phone(phone),
        None => event,
    }
}
