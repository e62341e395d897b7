//! Moving a user to another phone at a user's call, after a lost SIM card. An admin starts it, and the new phone proves itself by a
//! code: it is sent to the new phone, the user reads it out, and the admin types it. The code has a purpose of its own, so no code
//! of the app moves a phone here, and this code signs no user in.
//!
//! Only accounts of users are moved: a caller who talks an admin into it must not get the rights of staff.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    DeliveryPreferences, Error, SendOutcome, Services,
    asked_by::AskedBy,
    before_send::BotProof,
    budget::GuessOutcome,
    change_phone,
    code::{self, SendRequest},
    events,
    guess::{CodeRefused, Guesser, redeem},
    notice, recycled, run_to_completion,
};
use crate::{
    domain::{
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event, Fact},
        block::Block,
        events::EndReason,
        otp::{ChallengeKey, OtpCode},
        phone::PhoneNumber,
        phone_move::Grounds,
        roles::AccountPermission,
    },
    sms::Notice,
    store::{self, Txn, otp::Consumed, sessions::Ending},
};

/// The outcome of sending the code.
#[derive(Debug)]
pub enum MoveRequested {
    /// A code was requested; what became of the message.
    Code(SendOutcome),
    /// The account cannot get this number.
    Refused(MoveRefused),
}

/// The outcome of taking the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The account has the number. Its sessions are ended.
    Done {
        /// How many sessions were ended.
        ended: u64,
    },
    /// The code is refused.
    Code(CodeRefused),
    /// The account cannot get this number.
    Refused(MoveRefused),
}

/// Why an account cannot get a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveRefused {
    /// There is no such account.
    NotFound,
    /// The account belongs to staff.
    StaffAccount,
    /// The account is deactivated.
    Deactivated,
    /// The number that the account has is blocked, by the block with this id. Otherwise a user could leave the block behind.
    Blocked(Uuid),
    /// The account has this number already.
    Own,
    /// Another account has it.
    Taken,
}

/// Sends a code to the new phone. It is bound to this account and this number.
///
/// # Errors
/// When the database does not answer: nothing was sent.
pub async fn request_code(
    services: &Arc<Services>,
    permission: AccountPermission,
    phone: PhoneNumber,
) -> Result<MoveRequested, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        if let Err(refused) = find_movable(&services, permission, &phone, now).await? {
            return Ok(MoveRequested::Refused(refused));
        }
        let used_after = services.used_after(now);
        if store::accounts::find_by_phone(&services.store, &phone, used_after).await?.is_some() {
            return Ok(MoveRequested::Refused(MoveRefused::Taken));
        }
        let request = SendRequest {
            key: ChallengeKey::move_phone(&phone, permission.target()),
            source: None,
            invitation: None,
            preferences: &DeliveryPreferences::default(),
            asked_by: AskedBy::Staff(permission.admin().staff()),
            device: None,
            is_known: false,
            is_proved: false,
            is_review: false,
            proof: None,
            bot_proof: BotProof::Impossible,
        };
        Ok(MoveRequested::Code(code::send(&services, &request, now).await?))
    })
    .await
}

/// Takes the code that the user read out: the account gets the number, all its sessions and device tokens end, and the old number
/// gets a notice. The audit entry with the grounds is written in the same transaction.
///
/// # Errors
/// When the database does not answer: the account keeps the old number.
pub async fn verify(
    services: &Arc<Services>,
    permission: AccountPermission,
    phone: PhoneNumber,
    code: OtpCode,
    grounds: Grounds,
    from: ClientAddress,
) -> Result<Moved, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let account = match find_movable(&services, permission, &phone, now).await? {
            Ok(account) => account,
            Err(refused) => return Ok(Moved::Refused(refused)),
        };
        let key = ChallengeKey::move_phone(&phone, permission.target());
        let request = Move { permission, before: &account, grounds: &grounds, from };
        let redeemed = redeem(&services, key, &code, Guesser::address(from), now, |txn, consumed| {
            set_phone(&services, request, txn, consumed, now)
        });
        let (moved, old) = match redeemed.await? {
            Ok(moved) => moved,
            Err(refused) => return Ok(Moved::Code(refused)),
        };
        if let Some(old) = old {
            notice::send(&services, Notice::PhoneChanged, old, permission.target(), &[], now).await;
        }
        Ok(moved)
    })
    .await
}

/// The block of the number that this account has. While it applies the account is not moved.
///
/// # Errors
/// When the database does not answer.
pub async fn find_block(services: &Services, account: &Account) -> Result<Option<Block>, Error> {
    let now = services.clock.now();
    Ok(store::blocks::find_live_of_phone(&services.store, account.phone.as_ref(), now).await?)
}

/// The account, if it may get this number.
async fn find_movable(
    services: &Services,
    permission: AccountPermission,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Result<Account, MoveRefused>, Error> {
    let db = &services.store;
    let account = store::users::find(db, permission.read_permission()).await?.map(|user| user.account);
    let old = account.as_ref().and_then(|account| account.phone.as_ref());
    let block = store::blocks::find_live_of_phone(db, old, now).await?;
    Ok(may_move(account.as_ref(), block.as_ref(), phone).cloned())
}

/// Whether this account may get this number, apart from other accounts. `block` is the block of its present number.
fn may_move<'a>(
    account: Option<&'a Account>,
    block: Option<&Block>,
    phone: &PhoneNumber,
) -> Result<&'a Account, MoveRefused> {
    let account = account.ok_or(MoveRefused::NotFound)?;
    if account.role != Role::User {
        Err(MoveRefused::StaffAccount)
    } else if !account.is_active {
        Err(MoveRefused::Deactivated)
    } else if let Some(block) = block {
        Err(MoveRefused::Blocked(block.id))
    } else if account.phone.as_ref() == Some(phone) {
        Err(MoveRefused::Own)
    } else {
        Ok(account)
    }
}

/// A move whose code is right.
#[derive(Clone, Copy)]
struct Move<'a> {
    permission: AccountPermission,
    /// The account as it was read before the transaction.
    before: &'a Account,
    grounds: &'a Grounds,
    from: ClientAddress,
}

/// Gives the account the number, in one transaction. Returns the outcome and the old number, if the account lost one.
async fn set_phone(
    services: &Services,
    Move { permission, before, grounds, from }: Move<'_>,
    txn: Txn,
    consumed: Consumed,
    now: DateTime<Utc>,
) -> Result<((Moved, Option<PhoneNumber>), GuessOutcome), Error> {
    let (phone, user_id) = (consumed.phone(), permission.target());
    // Dropping the transaction rolls it back.
    let refused = |refused| Ok(((Moved::Refused(refused), None), GuessOutcome::Refund));
    // Codes before accounts, as in every transaction, so that no two wait for each other: a sign-in with the old number is over
    // before this, and its session ends below, or finds no code any more.
    if let Some(old) = &before.phone {
        change_phone::remove_codes(services, &txn, old, now).await?;
    }
    let unlinked = recycled::unlink(services, &txn, phone, now).await?;
    let claimed = store::owners::claim(&txn, user_id).await?;
    // Checked again: the account can have changed since it was read, and its number can have been blocked. A block holds the
    // account too, so it is either seen here, or finds the account moved.
    let old = claimed.as_ref().and_then(|account| account.phone.as_ref());
    let block = store::blocks::find_live_of_phone(&txn, old, now).await?;
    let account = match may_move(claimed.as_ref(), block.as_ref(), phone) {
        Ok(account) => account,
        Err(why) => return refused(why),
    };
    // The unique index decides which of two accounts gets the number.
    if !store::owners::set_phone(&txn, user_id, &consumed, now).await? {
        return refused(MoveRefused::Taken);
    }
    change_phone::leave_old_number(services, &txn, account, before.phone.as_ref(), phone, now).await?;
    events::write_phone_changed(services, &txn, user_id, (account.phone.as_ref(), Some(phone)), now).await?;
    let (sessions, reason) = (Ending::all(user_id), EndReason::PhoneChanged);
    let ended = events::close_sessions(services, &txn, sessions, reason, now).await?;
    let event = moved_event(services, permission, account, grounds, phone, ended);
    services.audit.write(&txn, event, now).await?;
    if let Some(old) = &account.phone {
        let left = Event::new(Action::PhoneLeft, permission.actor()).about(account.id).phone(old);
        services.audit.write(&txn, left.from(permission.from()), now).await?;
    }
    txn.commit().await?;
    if let Some(old_id) = unlinked {
        recycled::note(services, phone, (old_id, user_id), from, now);
    }
    let by = permission.actor().id().map(tracing::field::display);
    tracing::info!(by, %user_id, to = %phone, ended, "a user was moved to another phone");
    Ok(((Moved::Done { ended }, account.phone.clone()), GuessOutcome::Used { was_known: false }))
}

fn moved_event(
    services: &Services,
    permission: AccountPermission,
    account: &Account,
    grounds: &Grounds,
    phone: &PhoneNumber,
    ended: u64,
) -> Event {
    let old_hash = account.phone.as_ref().map(|old| services.pseudonyms.phone(old));
    Event::new(Action::PhoneMoved, permission.actor())
        .about(account.id)
        .phone(phone)
        .from(permission.from())
        .with("reason", grounds.reason.as_str())
        .with_known("reference", grounds.reference.as_ref().map(Fact::shown))
        .with("ended", ended)
        .with_known("old_phone", account.phone.as_ref())
        .with_known("old_phone_mark", old_hash.as_ref())
}
