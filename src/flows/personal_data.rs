//! `delete-account` and `export`: what a person may ask for of all that is held about her.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, run_to_completion, session, transaction};
use crate::{
    domain::{
        access::{Session, SignedIn},
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event},
        lead::Lead,
        otp::{ChallengeKey, Purpose},
        phone::PhoneNumber,
    },
    store::{self, Txn, messages::Received, otp::IssuedCode},
};

/// What became of the wish to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The account is gone.
    Gone,
    /// Who holds the session was not proved lately.
    RecentAuthRequired,
    /// She is the only admin: somebody has to be.
    LastAdmin,
    /// The session has ended meanwhile.
    Ended,
}

/// Removes her account, and with it the profile, the sessions, the lead, the messages and the codes that wait. What stays
/// is the mark of her phone, an HMAC, while a code to it would not be sent anyway: so nobody gets sends or guesses by
/// leaving and coming back. The audit log stays too: it says nothing of her by name.
///
/// # Errors
/// When the database does not answer: then the account is there.
pub async fn delete_account(
    services: &Arc<Services>,
    who: SignedIn,
    from: ClientAddress,
) -> Result<DeleteOutcome, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        if !who.session().has_recent_auth(now) {
            return Ok(DeleteOutcome::RecentAuthRequired);
        }
        transaction(|| remove(&services, &who, from, now)).await
    })
    .await
}

async fn remove(
    services: &Services,
    who: &SignedIn,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<DeleteOutcome, Error> {
    let (id, txn) = (who.account().id, services.store.begin().await?);
    let phone = who.account().phone.as_ref();
    store::messages::purge_of(&txn, phone, id).await?;
    forget_codes(services, &txn, phone, id, now).await?;
    // Before her own account: two admins who leave at once must not wait for each other.
    let admins = match who.account().role {
        Role::Admin => store::owners::claim_admins(&txn).await?,
        Role::User | Role::Staff => Vec::new(),
    };
    store::owners::claim(&txn, id).await?;
    // Dropping the transaction undoes it.
    let Some((_, account)) = session::recheck(&txn, who).await? else {
        return Ok(DeleteOutcome::Ended);
    };
    if account.role == Role::Admin && admins.iter().all(|admin| *admin == id) {
        return Ok(DeleteOutcome::LastAdmin);
    }
    // She changed it a moment ago.
    if account.phone.as_ref() != phone {
        store::messages::purge_of(&txn, account.phone.as_ref(), id).await?;
        forget_codes(services, &txn, account.phone.as_ref(), id, now).await?;
    }
    if let Some(phone) = &account.phone {
        store::leads::purge_of(&txn, phone).await?;
    }
    store::owners::purge(&txn, id).await?;
    txn.commit().await?;
    let event = Event { phone: account.phone, ..Event::by_owner(Action::AccountDeleted, id).from(from) };
    services.audit.note(event, now);
    tracing::info!(user_id = %id, "account deleted by its owner");
    Ok(DeleteOutcome::Gone)
}

/// Removes her codes, and leaves the mark of her phone where it owes a wait.
async fn forget_codes(
    services: &Services,
    txn: &Txn,
    phone: Option<&PhoneNumber>,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if let Some(phone) = phone {
        insert_tombstone_if_owed(services, txn, phone, now).await?;
    }
    Ok(store::otp::purge_of(txn, phone, id).await?)
}

/// Leaves the mark of a phone where it owes a wait.
pub(super) async fn insert_tombstone_if_owed(
    services: &Services,
    txn: &Txn,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let waiting = store::otp::find(txn, ChallengeKey::sign_in(phone)).await?;
    let until = waiting.and_then(|challenge| challenge.owed_until(&services.otp, now));
    if let (Some(until), Some(phone_hash)) = (until, services.otp_keys.phone_hashes(phone).first()) {
        store::otp::insert_tombstone(txn, phone_hash, Purpose::SignIn, until, now).await?;
    }
    Ok(())
}

/// Everything that is held about a person.
#[derive(Debug)]
pub struct PersonalData {
    /// When it was put together.
    pub at: DateTime<Utc>,
    /// Her account and her profile.
    pub account: Account,
    /// Her sessions, those too that have ended and were not forgotten yet.
    pub sessions: Vec<Session>,
    /// The messages to her, also those to a number that she had before.
    pub messages: Vec<Received>,
    /// What the sales team knows of her.
    pub lead: Option<Lead>,
    /// The codes that she asked for and that were not forgotten yet.
    pub challenges: Vec<IssuedCode>,
}

/// Puts together everything that is held about her. Only reads, so it needs no run to its end.
///
/// # Errors
/// When the database does not answer.
pub async fn export(services: &Services, who: &SignedIn) -> Result<PersonalData, Error> {
    let (db, at, account) = (&services.store, services.clock.now(), who.account());
    let lead = match &account.phone {
        Some(phone) => store::leads::find(db, phone).await?,
        None => None,
    };
    Ok(PersonalData {
        at,
        account: account.clone(),
        sessions: store::sessions::list_all(db, account.id).await?,
        messages: store::messages::list_of(db, account.phone.as_ref(), account.id).await?,
        lead,
        challenges: store::otp::list_of(db, account.phone.as_ref(), account.id).await?,
    })
}
