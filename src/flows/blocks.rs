//! Blocks: admins make and end them, and everything that sends a code or lets a user in looks at them.
//!
//! Every server keeps a copy of the live blocks, compared with the database within [`FRESH_FOR`], so that no request costs one more
//! round trip. The server that makes a block forgets its copy at once. If the copy cannot be compared for [`TRUSTED_FOR`], nothing is
//! sent and no user is let in: the request fails as it does without a database.
//!
//! The copy may be some seconds behind. That a blocked phone has no live session is therefore decided in the database: the
//! transaction that blocks a phone ends its pending codes and holds its account before it ends the sessions, and the statement
//! that opens a session looks for a block.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{
    Error, Services,
    asked_by::{AskedBy, GuessedBy},
    cached::Cached,
    events, run_to_completion, transaction,
};
use crate::{
    domain::{
        account::Role,
        address::ClientAddress,
        audit::{Action, Event, Fact},
        block::{Block, Blocks, Reason, Target},
        delivery::UnreachableReason,
        events::EndReason,
        otp::ChallengeKey,
        phone::PhoneNumber,
        roles::AdminPermission,
    },
    sms::SendError,
    store::{self, Txn, sessions::Ending, versions::Copied},
};

/// How old the copy of the blocks is at most when a request looks at it.
pub const FRESH_FOR: Duration = Duration::seconds(5);

/// How old it may be while the database does not answer.
pub const TRUSTED_FOR: Duration = Duration::seconds(10);

/// Why a request is refused, in the audit log.
const BLOCKED: &str = "blocked";

/// The copy of the live blocks.
#[derive(Debug)]
pub struct Cache(Cached<Blocks>);

impl Default for Cache {
    fn default() -> Self {
        Self(Cached::new(Copied::Blocks))
    }
}

/// The live blocks.
///
/// # Errors
/// When the database has not answered for [`TRUSTED_FOR`]: nothing may be sent, and no user let in.
async fn current(services: &Services) -> Result<Arc<Blocks>, Error> {
    let (cache, now) = (&services.blocks.0, services.clock.now());
    match cache.get(&services.store, FRESH_FOR, now, || read(services, now)).await {
        Ok(blocks) => Ok(blocks),
        Err(error) => match cache.within(TRUSTED_FOR, now) {
            Some(blocks) => {
                tracing::warn!(%error, "the blocks could not be read again: an older copy is used");
                Ok(blocks)
            }
            None => Err(error.into()),
        },
    }
}

/// Compares the copy with the database, however fresh it is. A running server does this every few seconds, so that requests
/// rarely have to.
///
/// # Errors
/// When the database does not answer: the copy stays as it is.
pub async fn refresh(services: &Services) -> Result<(), Error> {
    let now = services.clock.now();
    services.blocks.0.get(&services.store, Duration::zero(), now, || read(services, now)).await?;
    Ok(())
}

async fn read(services: &Services, now: DateTime<Utc>) -> Result<Blocks, store::StoreError> {
    Ok(Blocks::new(store::blocks::list_live(&services.store, now).await?))
}

/// The block because of which this phone gets no code, the most specific one.
///
/// # Errors
/// When the database has not answered for [`TRUSTED_FOR`].
pub async fn find(services: &Services, phone: &PhoneNumber) -> Result<Option<Block>, Error> {
    let blocks = current(services).await?;
    Ok(blocks.of_phone(phone, services.clock.now()).cloned())
}

/// The block of the smallest network that this address is in.
///
/// # Errors
/// When the database has not answered for [`TRUSTED_FOR`].
pub(super) async fn find_of_address(
    services: &Services,
    address: ClientAddress,
) -> Result<Option<Block>, Error> {
    let blocks = current(services).await?;
    Ok(blocks.of_address(address, services.clock.now()).cloned())
}

/// Whether the owner of this phone may not be let in.
pub(super) async fn is_shut_out(
    services: &Services,
    phone: Option<&PhoneNumber>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let Some(phone) = phone else { return Ok(false) };
    Ok(current(services).await?.of_owner(phone, now).is_some())
}

/// Why no code is sent, if the phone is blocked. Checked before anything is charged or looked up, so that the answer does not
/// depend on whether the phone has an account. It applies even when rate limits are off.
///
/// # Errors
/// [`Error::Blocked`] when the address is blocked.
pub(super) async fn refused_code(
    services: &Services,
    key: ChallengeKey<'_>,
    asked_by: AskedBy<'_>,
    now: DateTime<Utc>,
) -> Result<Option<SendError>, Error> {
    let blocks = current(services).await?;
    let note = |block: &Block| {
        let event = asked_by.event(Action::CodeRefused).phone(key.phone);
        services.audit.note(refusal(event.with("purpose", key.purpose.as_str()), block), now);
    };
    let address = asked_by.charged_address();
    if let Some(block) = address.and_then(|address| blocks.of_address(address, now)) {
        note(block);
        return Err(Error::Blocked);
    }
    Ok(blocks.of_phone(key.phone, now).map(|block| {
        note(block);
        SendError::Unreachable { reason: UnreachableReason::Blocked, provider_code: None }
    }))
}

/// Refuses a code that was sent back, before it is charged or judged.
///
/// # Errors
/// [`Error::Blocked`] when the phone or the address is blocked.
pub(super) async fn check_guess(
    services: &Services,
    key: ChallengeKey<'_>,
    by: GuessedBy<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let blocks = current(services).await?;
    let of_address = by.address().and_then(|address| blocks.of_address(address, now));
    let Some(block) = of_address.or_else(|| blocks.of_phone(key.phone, now)) else {
        return Ok(());
    };
    let event = by.event(Action::GuessRefused).phone(key.phone);
    services.audit.note(refusal(event.with("purpose", key.purpose.as_str()), block), now);
    Err(Error::Blocked)
}

/// Refuses what `event` is about, if its address is blocked.
///
/// # Errors
/// [`Error::Blocked`] when it is.
pub(super) async fn check_address(
    services: &Services,
    address: ClientAddress,
    event: impl FnOnce() -> Event,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    match current(services).await?.of_address(address, now) {
        None => Ok(()),
        Some(block) => {
            services.audit.note(refusal(event().from(address), block), now);
            Err(Error::Blocked)
        }
    }
}

/// The block of a phone that no message may go to, for messages that no request waits for.
pub(super) async fn refused_message(
    services: &Services,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, Error> {
    Ok(current(services).await?.of_phone(phone, now).map(|block| block.id))
}

fn refusal(event: Event, block: &Block) -> Event {
    event.with("reason", BLOCKED).with("block", block.id)
}

/// A block to make.
#[derive(Debug, Clone)]
pub struct NewBlock {
    /// What is blocked.
    pub target: Target,
    /// Why.
    pub reason: Reason,
    /// The number of an order or a ticket.
    pub reference: Option<String>,
    /// When it ends by itself.
    pub ends_at: Option<DateTime<Utc>>,
}

/// The outcome of making a block.
#[derive(Debug)]
pub enum Made {
    /// It applies.
    Done(Box<Block>),
    /// The same value is blocked already.
    Exists,
    /// It is the phone of staff: an admin could shut out every admin.
    Staff,
    /// The admin's own address is in the network.
    OwnAddress,
}

/// Makes a block. The sessions of a blocked phone end in the same transaction.
///
/// # Errors
/// When the database does not answer: nothing is blocked.
pub async fn make(
    services: &Arc<Services>,
    new: NewBlock,
    permission: AdminPermission,
) -> Result<Made, Error> {
    if permission.from().is_some_and(|address| new.target.has_address(address)) {
        return Ok(Made::OwnAddress);
    }
    run_to_completion(services, move |services| async move {
        let made = transaction(|| make_in_transaction(&services, &new, permission)).await;
        services.blocks.0.forget();
        made
    })
    .await
}

async fn make_in_transaction(
    services: &Services,
    new: &NewBlock,
    permission: AdminPermission,
) -> Result<Made, Error> {
    let now = services.clock.now();
    let block = Block {
        id: services.random.id(now),
        target: new.target.clone(),
        reason: new.reason.as_str().to_owned(),
        reference: new.reference.clone(),
        made_by: permission.actor().id(),
        made_at: now,
        ends_at: new.ends_at,
        ended_at: None,
        ended_by: None,
    };
    let txn = services.store.begin().await?;
    if !store::blocks::insert(&txn, &block, now).await? {
        txn.rollback().await?;
        return Ok(Made::Exists);
    }
    let mut event = block_event(Action::BlockMade, &block, permission);
    if let Some(phone) = block.target.phone() {
        let Some((owner, ended)) = shut_out(services, &txn, phone, now).await? else {
            txn.rollback().await?;
            return Ok(Made::Staff);
        };
        event = Event { user_id: owner, ..event }.with("ended", ended);
    }
    services.audit.write(&txn, event.with_known("until", block.ends_at), now).await?;
    txn.commit().await?;
    tracing::info!(id = %block.id, kind = block.target.kind().as_str(), "blocked");
    Ok(Made::Done(Box::new(block)))
}

/// Ends the pending codes and the sessions of a phone. Returns its account and how many sessions ended; `None` if the account
/// is one of staff.
///
/// A sign-in holds its challenge from the moment it is used up, and its account until the session is there. So every sign-in
/// is either before this, and its session is ended, or after it, and finds the block.
async fn shut_out(
    services: &Services,
    txn: &Txn,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Option<(Option<Uuid>, u64)>, Error> {
    store::otp::close_all(txn, phone, now).await?;
    let Some(owner) = store::owners::claim_owner(txn, phone).await? else {
        return Ok(Some((None, 0)));
    };
    if owner.role > Role::User {
        return Ok(None);
    }
    let sessions = Ending::all(owner.id);
    let ended = events::close_sessions(services, txn, sessions, EndReason::Blocked, now).await?;
    Ok(Some((Some(owner.id), ended)))
}

/// The outcome of ending a block.
#[derive(Debug)]
pub enum Ended {
    /// It ended now.
    Done(Box<Block>),
    /// It had ended before.
    Before(Box<Block>),
    /// There is no such block.
    NotFound,
}

/// Ends a block. Sessions that it ended stay ended: their users sign in again.
///
/// # Errors
/// When the database does not answer: the block stays.
pub async fn end(services: &Arc<Services>, id: Uuid, permission: AdminPermission) -> Result<Ended, Error> {
    run_to_completion(services, move |services| async move {
        let ended = transaction(|| end_in_transaction(&services, id, permission)).await;
        services.blocks.0.forget();
        ended
    })
    .await
}

async fn end_in_transaction(
    services: &Services,
    id: Uuid,
    permission: AdminPermission,
) -> Result<Ended, Error> {
    let now = services.clock.now();
    let txn = services.store.begin().await?;
    let Some(block) = store::blocks::close(&txn, id, permission.actor().id(), now).await? else {
        txn.rollback().await?;
        let found = store::blocks::find(&services.store, id).await?;
        return Ok(found.map_or(Ended::NotFound, |block| Ended::Before(Box::new(block))));
    };
    services.audit.write(&txn, block_event(Action::BlockEnded, &block, permission), now).await?;
    txn.commit().await?;
    tracing::info!(id = %block.id, kind = block.target.kind().as_str(), "a block was ended");
    Ok(Ended::Done(Box::new(block)))
}

/// The audit entry of a block. A phone is in it as in every entry, an HMAC and masked; the texts of the admin are not.
fn block_event(action: Action, block: &Block, permission: AdminPermission) -> Event {
    let event = Event::new(action, permission.actor()).from(permission.from());
    let event = event.with("block", block.id).with("kind", block.target.kind().as_str());
    match block.target.phone() {
        Some(phone) => event.phone(phone),
        None => event.with("value", Fact::shown(&block.target)),
    }
}
