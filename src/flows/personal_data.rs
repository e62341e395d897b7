//! `delete-account` and `export`: the rights of users over their personal data. A new table with personal data must be
//! added to both.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, events, run_to_completion, session, transaction};
use crate::{
    domain::{
        access::{Session, SignedIn},
        account::{Account, Role},
        account_merge::Merge,
        address::ClientAddress,
        audit::{Action, Actor, Event},
        block::Block,
        events::StoredEvent,
        lead::LeadAndNotes,
        otp::{ChallengeKey, Purpose},
        phone::PhoneNumber,
        roles::{AccountPermission, has_recent_proof, may_control_own},
        second_factor::Factor,
    },
    store::{self, Txn, messages::Received, otp::IssuedCode},
};

/// The outcome of `delete-account`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The account is deleted.
    Gone,
    /// The account has more rights than this session.
    Forbidden,
    /// The user has not confirmed recently.
    RecentAuthRequired,
    /// It is the only admin, and there must be one.
    LastAdmin,
    /// The session has ended in the meantime.
    Ended,
}

/// Deletes the user's account with its profile, sessions, lead, messages and pending codes. A hash of the phone (an HMAC)
/// stays while a cooldown or guesses are owed, so that deleting an account and signing up again gives no extra messages or
/// guesses. The audit log stays, too: it does not name the user. So does a live block of the phone: it could be escaped otherwise.
///
/// # Errors
/// When the database does not answer: the account stays.
pub async fn delete_account(
    services: &Arc<Services>,
    who: SignedIn,
    from: ClientAddress,
) -> Result<DeleteOutcome, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        if may_control_own(who.session(), who.account()).is_err() {
            return Ok(DeleteOutcome::Forbidden);
        }
        if !has_recent_proof(who.session(), who.account(), now) {
            return Ok(DeleteOutcome::RecentAuthRequired);
        }
        let by = By::Owner { who: &who, from };
        transaction(|| remove(&services, who.account(), by, now)).await
    })
    .await
}

/// The outcome of deleting the account of another person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalOutcome {
    /// The account is deleted.
    Gone,
    /// There is no such account.
    NotFound,
    /// It is the only admin, and there must be one.
    LastAdmin,
}

/// Deletes the account of another person, as [`delete_account`] does. The audit entry is written in the same transaction.
///
/// # Errors
/// When the database does not answer: the account stays.
pub async fn delete_account_of_another(
    services: &Arc<Services>,
    permission: AccountPermission,
) -> Result<RemovalOutcome, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let Some(user) = store::users::find(&services.store, permission.read_permission()).await? else {
            return Ok(RemovalOutcome::NotFound);
        };
        let by = By::Admin(permission);
        Ok(match transaction(|| remove(&services, &user.account, by, now)).await? {
            DeleteOutcome::Gone => RemovalOutcome::Gone,
            DeleteOutcome::LastAdmin => RemovalOutcome::LastAdmin,
            // Only an owner meets the first two.
            DeleteOutcome::Forbidden | DeleteOutcome::RecentAuthRequired | DeleteOutcome::Ended => {
                RemovalOutcome::NotFound
            }
        })
    })
    .await
}

/// Deletes the account of a guest who was not there since this time, as [`delete_account`] does. False when the guest has come back,
/// or is a user now.
///
/// # Errors
/// When the database does not answer: the account stays.
pub(super) async fn delete_unused_guest(
    services: &Services,
    guest: &Account,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let removed = transaction(|| remove(services, guest, By::Unused { since }, now)).await?;
    Ok(removed == DeleteOutcome::Gone)
}

/// Who deletes an account.
#[derive(Clone, Copy)]
enum By<'a> {
    /// Its owner.
    Owner { who: &'a SignedIn, from: ClientAddress },
    /// An admin.
    Admin(AccountPermission),
    /// Nobody: it is the account of a guest who was not there since this time.
    Unused { since: DateTime<Utc> },
}

/// Removes an account, which was read before the transaction.
async fn remove(
    services: &Services,
    before: &Account,
    by: By<'_>,
    now: DateTime<Utc>,
) -> Result<DeleteOutcome, Error> {
    let (id, txn) = (before.id, services.store.begin().await?);
    let phone = before.phone.as_ref();
    delete_codes(services, &txn, phone, id, now).await?;
    // Before the account: two admins who delete accounts of admins at once must not wait for each other.
    let admins = match (by, before.role) {
        (By::Owner { .. }, Role::Guest | Role::User | Role::Staff) | (By::Unused { .. }, _) => Vec::new(),
        // The role can have changed since it was read.
        (By::Owner { .. }, Role::Admin) | (By::Admin(_), _) => store::owners::claim_admins(&txn).await?,
    };
    let claimed = store::owners::claim(&txn, id).await?;
    // Dropping the transaction rolls it back.
    let account = match by {
        By::Owner { who, .. } => match session::recheck(services, &txn, who).await? {
            // The account may have got more rights since the request was authenticated.
            Some((session, account)) if may_control_own(&session, &account).is_err() => {
                return Ok(DeleteOutcome::Forbidden);
            }
            found => found.map(|(_, account)| account),
        },
        By::Admin(_) => claimed,
        // The guest may have come back, or verified a phone, since the account was found.
        By::Unused { since } => store::guests::find_unused(&txn, id, since).await?,
    };
    let Some(account) = account else {
        return Ok(DeleteOutcome::Ended);
    };
    if account.role == Role::Admin && admins.iter().all(|admin| *admin == id) {
        return Ok(DeleteOutcome::LastAdmin);
    }
    // The phone was changed since the request was authenticated.
    if account.phone.as_ref() != phone {
        delete_codes(services, &txn, account.phone.as_ref(), id, now).await?;
    }
    // After the challenges and the account: a sign-in locks them first, and marks its messages at its commit.
    store::messages::purge_of(&txn, account.phone.as_ref(), id).await?;
    // After the messages: a report that is about to write an event holds its message.
    events::forget_user(services, &txn, &account, now).await?;
    if let Some(phone) = &account.phone {
        store::leads::purge_of(&txn, phone).await?;
        store::blocks::purge_of(&txn, phone, now).await?;
        // Elsewhere there are none, and nothing is asked for them.
        if services.signups.takes_invitations() || account.invitation_id.is_some() {
            store::invitations::purge_of(&txn, phone).await?;
        }
    }
    // Its sessions, its second factor and what is kept of merges into it go by their foreign keys.
    store::owners::purge(&txn, id).await?;
    match by {
        By::Owner { from, .. } => {
            txn.commit().await?;
            let event = Event::by_owner(Action::AccountDeleted, id).from(from);
            services.audit.note(Event { phone: account.phone, ..event }, now);
            tracing::info!(user_id = %id, "account deleted by its owner");
        }
        By::Admin(permission) => {
            let event =
                Event::new(Action::AccountDeleted, permission.actor()).about(id).from(permission.from());
            services.audit.write(&txn, Event { phone: account.phone, ..event }, now).await?;
            txn.commit().await?;
            let by = permission.actor().id().map(tracing::field::display);
            tracing::info!(by, user_id = %id, "account deleted by an admin");
        }
        By::Unused { .. } => {
            txn.commit().await?;
            let event = Event::new(Action::AccountDeleted, Actor::System).about(id);
            services.audit.note(event.with("reason", "unused_guest"), now);
        }
    }
    Ok(DeleteOutcome::Gone)
}

/// Deletes the user's codes, and leaves a tombstone of the phone if one is owed.
async fn delete_codes(
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

/// Leaves a tombstone of a phone, which holds only its hash, if a cooldown or guesses are still owed.
pub(super) async fn insert_tombstone_if_owed(
    services: &Services,
    txn: &Txn,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let challenge = store::otp::find(txn, ChallengeKey::sign_in(phone)).await?;
    let until = challenge.and_then(|challenge| challenge.owed_until(&services.otp, now));
    if let (Some(until), Some(phone_hash)) = (until, services.otp_keys.phone_hashes(phone).first()) {
        store::otp::insert_tombstone(txn, phone_hash, Purpose::SignIn, until, now).await?;
    }
    Ok(())
}

/// Everything that is stored about a user.
#[derive(Debug)]
pub struct PersonalData {
    /// When it was collected.
    pub at: DateTime<Utc>,
    /// The account and its profile.
    pub account: Account,
    /// The sessions, including those that have ended but are not purged yet.
    pub sessions: Vec<Session>,
    /// The messages, including those to a number that the account had before.
    pub messages: Vec<Received>,
    /// The lead with its notes, which the sales team works with.
    pub lead: Option<LeadAndNotes>,
    /// The blocks of the phone.
    pub blocks: Vec<Block>,
    /// The codes that are not purged yet.
    pub challenges: Vec<IssuedCode>,
    /// The second factor, and how many recovery codes are left.
    pub second_factor: Option<(Factor, u64)>,
    /// The events that were not delivered to the operator's receiver.
    pub events: Vec<StoredEvent>,
    /// The accounts that were joined with this one, and what is kept of them for an undo.
    pub merges: Vec<Merge>,
}

/// Collects everything that is stored about the user. It only reads, so it need not run to completion.
pub async fn export(services: &Services, who: &SignedIn) -> Result<PersonalData, Error> {
    let (db, at, account) = (&services.store, services.clock.now(), who.account());
    let lead = match &account.phone {
        Some(phone) => store::leads::find_with_notes(db, phone).await?,
        None => None,
    };
    services.receipts.settle().await;
    let blocks = match &account.phone {
        Some(phone) => store::blocks::list_of(db, phone).await?,
        None => Vec::new(),
    };
    let second_factor = match store::second_factors::find(db, account.id).await? {
        Some(factor) => Some((factor, store::second_factors::count_recovery_codes(db, account.id).await?)),
        None => None,
    };
    Ok(PersonalData {
        at,
        blocks,
        account: account.clone(),
        sessions: store::sessions::list_all(db, account.id).await?,
        messages: store::messages::list_of(db, account.phone.as_ref(), account.id).await?,
        lead,
        challenges: store::otp::list_of(db, account.phone.as_ref(), account.id).await?,
        second_factor,
        events: events::list_of_user(services, account.id).await?,
        merges: store::merges::list_into(db, account.id).await?,
    })
}
