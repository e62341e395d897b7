//! `change-phone` and `verify-change-phone`: another phone for an account, or its first one.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    DeliveryPreferences, Error, SendOutcome, Services,
    asked_by::AskedBy,
    before_send::BotProof,
    blocks,
    bot_check::{self, BotChallenge, Proof, Requirement},
    budget::{self, GuessOutcome},
    code::{self, SendRequest},
    destination,
    events::{self, LeadConvertedBy},
    guess::{CodeRefused, Guesser, redeem},
    notice, personal_data, recycled,
    request_code::bot_proof,
    run_to_completion, session,
};
use crate::{
    domain::{
        access::SignedIn,
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event},
        bot_check::ChallengeResponse,
        events::{EndReason, Fact},
        otp::{ChallengeKey, OtpCode},
        phone::PhoneNumber,
        roles::{has_recent_proof, may_control_own},
    },
    sms::Notice,
    store::{self, Txn, otp::Consumed, sessions::Ending},
};

/// The outcome of `change-phone`.
#[derive(Debug)]
pub enum ChangeRequested {
    /// A code was requested; what became of the message.
    Code(SendOutcome),
    /// The account cannot get this number.
    Refused(Refused),
    /// The guest must solve a challenge first.
    Challenge(BotChallenge),
    /// The provider of the bot check does not answer.
    BotCheckUnavailable,
}

/// The outcome of `verify-change-phone`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The account has the number, and its other sessions are ended.
    Done,
    /// The code is refused.
    Code(CodeRefused),
    /// The account cannot get this number.
    Refused(Refused),
    /// The session has ended in the meantime.
    Ended,
}

/// Why an account cannot get a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The account has more rights than this session.
    Forbidden,
    /// The user has not confirmed recently.
    RecentAuthRequired,
    /// The account has this number already.
    Own,
    /// Another account has it.
    Taken,
}

/// What a code to another number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeFor {
    /// The account gets the number.
    Change,
    /// The account of the number is joined with this one ([`super::merge`]).
    Merge,
}

/// Sends a code to the new number. It is bound to this account and this number, and to what it is for. A guest has proved nothing, so
/// the request counts as one of `signup`: for its address, and for the bot check, which `response` is the answer to.
///
/// # Errors
/// When the database does not answer: nothing was sent.
pub async fn request_code(
    services: &Arc<Services>,
    who: SignedIn,
    phone: PhoneNumber,
    code_for: CodeFor,
    preferences: DeliveryPreferences,
    response: Option<ChallengeResponse>,
    from: ClientAddress,
) -> Result<ChangeRequested, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        if let Some(refused) = refused(&who, &phone, now) {
            return Ok(ChangeRequested::Refused(refused));
        }
        // A guest has proved nothing that could join accounts, and may not use the code.
        if code_for == CodeFor::Merge && who.account().role == Role::Guest {
            return Ok(ChangeRequested::Refused(Refused::Forbidden));
        }
        let key = match code_for {
            CodeFor::Change => ChallengeKey::change_phone(&phone, who.account().id),
            CodeFor::Merge => ChallengeKey::merge(&phone, who.account().id),
        };
        let asked_by = AskedBy::Client(from);
        if let Some(failure) = blocks::refused_code(&services, key, asked_by, now).await? {
            return Ok(ChangeRequested::Code(SendOutcome::Failed(failure)));
        }
        if let Some(failure) = destination::refused(&services, key, asked_by, now) {
            return Ok(ChangeRequested::Code(SendOutcome::Failed(failure)));
        }
        let proof = match admit_guest(&services, &who, key, response.as_ref(), from, now).await? {
            Ok(proof) => proof,
            Err(refused) => return Ok(refused),
        };
        // Only after the recent confirmation, so that a stolen token does not reveal who has an account. Where accounts
        // are hidden, only the right code reveals it. A code for a merge is sent to every number, and its answers say nothing.
        if code_for == CodeFor::Change {
            let used_after = services.used_after(now);
            let found = store::accounts::find_by_phone(&services.store, &phone, used_after).await?;
            if found.is_some() && !services.hides_accounts {
                return Ok(ChangeRequested::Refused(Refused::Taken));
            }
        }
        let request = SendRequest {
            key,
            source: None,
            invitation: None,
            preferences: &preferences,
            asked_by: AskedBy::Client(from),
            device: None,
            is_known: false,
            is_proved: false,
            is_review: false,
            proof: proof.and_then(|proof| proof.spend),
            bot_proof: proof.map_or(BotProof::Impossible, |proof| bot_proof(&services, proof)),
        };
        if proof.is_none() {
            return Ok(ChangeRequested::Code(code::send(&services, &request, now).await?));
        }
        let Ok(sending) = code::send_or_challenge(&services, &request, now).await? else {
            let challenge = bot_check::new_challenge(&services, &phone, from, now);
            return Ok(challenge.map_or(ChangeRequested::BotCheckUnavailable, ChangeRequested::Challenge));
        };
        let challenge = bot_check::challenge_if_spent(&services, &sending, &phone, from, now);
        Ok(challenge.map_or(ChangeRequested::Code(sending), ChangeRequested::Challenge))
    })
    .await
}

/// Counts the request of a guest for its address, and makes the bot check. `None` for a user: nothing is counted.
async fn admit_guest(
    services: &Arc<Services>,
    who: &SignedIn,
    key: ChallengeKey<'_>,
    response: Option<&ChallengeResponse>,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Result<Option<Proof>, ChangeRequested>, Error> {
    if who.account().role != Role::Guest {
        return Ok(Ok(None));
    }
    let counted = budget::count_request(services, from).await?;
    if let Some(exceeded) = counted.exceeded {
        let event = AskedBy::Client(from).event(Action::CodeRefused);
        budget::note_refusal(services, event, &exceeded, key, now);
        return Ok(Err(ChangeRequested::Code(SendOutcome::Refused(exceeded))));
    }
    Ok(match bot_check::require(services, &counted, response, key.phone.into(), now).await? {
        Requirement::Passed(proof) => Ok(Some(proof)),
        Requirement::Challenge(challenge) => Err(ChangeRequested::Challenge(challenge)),
        Requirement::Unavailable => Err(ChangeRequested::BotCheckUnavailable),
    })
}

/// Takes the code: the account gets the number, its other sessions are ended, and the old number gets a notice.
///
/// # Errors
/// When the database does not answer: the account keeps the old number.
pub async fn verify(
    services: &Arc<Services>,
    who: SignedIn,
    phone: PhoneNumber,
    code: OtpCode,
    languages: Vec<String>,
    from: ClientAddress,
) -> Result<Changed, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        // Checked again: a stolen token must not finish what the owner began.
        if let Some(refused) = refused(&who, &phone, now) {
            return Ok(Changed::Refused(refused));
        }
        let key = ChallengeKey::change_phone(&phone, who.account().id);
        let redeemed = redeem(&services, key, &code, Guesser::address(from), now, |txn, consumed| {
            set_phone(&services, &who, txn, consumed, from, now)
        });
        let (changed, old) = match redeemed.await? {
            Ok(changed) => changed,
            Err(refused) => return Ok(Changed::Code(refused)),
        };
        if let Some(old) = old {
            // So that its owner learns of a change by another person.
            notice::send(&services, Notice::PhoneChanged, old, who.account().id, &languages, now).await;
        }
        Ok(changed)
    })
    .await
}

pub(super) fn refused(who: &SignedIn, phone: &PhoneNumber, now: DateTime<Utc>) -> Option<Refused> {
    if may_control_own(who.session(), who.account()).is_err() {
        Some(Refused::Forbidden)
    } else if !has_recent_proof(who.session(), who.account(), now) {
        Some(Refused::RecentAuthRequired)
    } else if who.account().phone.as_ref() == Some(phone) {
        Some(Refused::Own)
    } else {
        None
    }
}

/// Gives the account the number, in one transaction. Returns the outcome and the old number, if the account lost one.
async fn set_phone(
    services: &Services,
    who: &SignedIn,
    txn: Txn,
    consumed: Consumed,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<((Changed, Option<PhoneNumber>), GuessOutcome), Error> {
    let (phone, user_id) = (consumed.phone(), who.account().id);
    // Dropping the transaction rolls it back.
    let refused = |changed| Ok(((changed, None), GuessOutcome::Refund));
    if let Some(old) = &who.account().phone {
        remove_codes(services, &txn, old, now).await?;
    }
    // Before the user's own account, as in every transaction, so that no two wait for each other.
    let unlinked = recycled::unlink(services, &txn, phone, now).await?;
    store::owners::claim(&txn, user_id).await?;
    let Some((session, account)) = session::recheck(services, &txn, who).await? else {
        return refused(Changed::Ended);
    };
    // The account may have got more rights since the request was authenticated.
    if may_control_own(&session, &account).is_err() {
        return refused(Changed::Refused(Refused::Forbidden));
    }
    // The unique index decides which of two accounts gets the number.
    if !store::owners::set_phone(&txn, user_id, &consumed, now).await? {
        return refused(Changed::Refused(Refused::Taken));
    }
    if account.role == Role::Guest {
        store::guests::set_user(&txn, user_id).await?;
        events::write_of(services, &txn, user_id, &[Fact::UserUpdated { fields: &["role"] }], now).await?;
    }
    leave_old_number(services, &txn, &account, who.account().phone.as_ref(), phone, now).await?;
    events::write_phone_changed(services, &txn, user_id, (account.phone.as_ref(), Some(phone)), now).await?;
    let others = Ending::All { account_id: user_id, except: Some(session.id) };
    let ended = events::close_sessions(services, &txn, others, EndReason::PhoneChanged, now).await?;
    txn.commit().await?;
    let event = Event::by_owner(Action::PhoneChanged, user_id).phone(phone).from(from).with("ended", ended);
    let old_hash = account.phone.as_ref().map(|old| services.pseudonyms.phone(old));
    let event = event.with_known("was", Some("guest").filter(|_| account.role == Role::Guest));
    let event = event.with_known("old_phone", account.phone.as_ref());
    services.audit.note(event.with_known("old_phone_mark", old_hash.as_ref()), now);
    if let Some(old) = &account.phone {
        services.audit.note(Event::by_owner(Action::PhoneLeft, user_id).phone(old).from(from), now);
    }
    if let Some(old_id) = unlinked {
        recycled::note(services, phone, (old_id, user_id), from, now);
    }
    tracing::info!(%user_id, to = %phone, ended, "phone changed");
    Ok(((Changed::Done, account.phone), GuessOutcome::Used { was_known: false }))
}

/// Removes the codes of a number that its account leaves. The number keeps only a hash, and only while a cooldown or guesses are
/// owed: its next owner and a reader of the database learn nothing.
pub(super) async fn remove_codes(
    services: &Services,
    txn: &Txn,
    old: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    personal_data::insert_tombstone_if_owed(services, txn, old, now).await?;
    Ok(store::otp::purge_unbound(txn, old).await?)
}

/// Moves what belongs to the number that this account had until now. `removed` is the number whose codes were removed before the
/// account was locked.
pub(super) async fn leave_old_number(
    services: &Services,
    txn: &Txn,
    account: &Account,
    removed: Option<&PhoneNumber>,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if let Some(old) = &account.phone {
        // The phone was changed since it was read.
        if removed != Some(old) {
            remove_codes(services, txn, old, now).await?;
        }
        store::leads::set_moved(txn, old, phone).await?;
        store::messages::purge_to(txn, old).await?;
    }
    events::convert_lead(services, txn, (phone, account.id), LeadConvertedBy::Code, now).await?;
    Ok(())
}
