//! `change-phone` and `verify-change-phone`: another phone for an account, or its first one.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

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
    personal_data, recycled,
    request_code::bot_proof,
    routing, run_to_completion, session,
};
use crate::{
    domain::{
        access::SignedIn,
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event},
        bot_check::ChallengeResponse,
        delivery::{Attempt, Channel, NO_PROVIDER, Next},
        events::{EndReason, Fact},
        otp::{ChallengeKey, OtpCode},
        phone::PhoneNumber,
        roles::{has_recent_proof, may_control_own},
    },
    sms::{self, Kind, Message, Provider, Turn},
    store::{self, Txn, messages::NewMessage, otp::Consumed, sessions::Ending},
};

/// How long the provider may try to deliver the notice to the old number: as long as it keeps any message.
const NOTICE_VALID_FOR: Duration = Duration::from_hours(10);

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

/// Sends a code to the new number. It is bound to this account and this number. A guest has proved nothing, so the request counts as
/// one of `signup`: for its address, and for the bot check, which `response` is the answer to.
///
/// # Errors
/// When the database does not answer: nothing was sent.
pub async fn request_code(
    services: &Arc<Services>,
    who: SignedIn,
    phone: PhoneNumber,
    preferences: DeliveryPreferences,
    response: Option<ChallengeResponse>,
    from: ClientAddress,
) -> Result<ChangeRequested, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        if let Some(refused) = refused(&who, &phone, now) {
            return Ok(ChangeRequested::Refused(refused));
        }
        let key = ChallengeKey::change_phone(&phone, who.account().id);
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
        // are hidden, only the right code reveals it.
        let used_after = services.used_after(now);
        let found = store::accounts::find_by_phone(&services.store, &phone, used_after).await?;
        if found.is_some() && !services.hides_accounts {
            return Ok(ChangeRequested::Refused(Refused::Taken));
        }
        let request = SendRequest {
            key,
            source: None,
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
    Ok(match bot_check::require(services, &counted, response, key.phone, now).await? {
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
            notify_old_number(&services, old, who.account().id, &languages, now).await;
        }
        Ok(changed)
    })
    .await
}

fn refused(who: &SignedIn, phone: &PhoneNumber, now: DateTime<Utc>) -> Option<Refused> {
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

/// Sends a notice to the old number, so that its owner learns of a change by another person. The phone stays changed even
/// if this fails.
pub(super) async fn notify_old_number(
    services: &Services,
    old: PhoneNumber,
    user_id: Uuid,
    languages: &[String],
    now: DateTime<Utc>,
) {
    if !services.channels.is_on(Channel::Sms) {
        tracing::warn!(to = %old, "no notice to the old number: sms is not among OTP_CHANNELS");
        return;
    }
    if services.destinations.refuses(&old).is_some() {
        tracing::warn!(to = %old, "no notice to the old number: the settings exclude it");
        return;
    }
    if !matches!(blocks::refused_message(services, &old, now).await, Ok(None)) {
        tracing::warn!(to = %old, "no notice to the old number: it is blocked, or the blocks cannot be read");
        return;
    }
    if let Err(error) = budget::count_notice(services, &old, now).await {
        tracing::error!(to = %old, %error, "the notice to the old number could not be counted");
    }
    let delivery_id = services.random.bits();
    let text = services.texts.phone_changed(languages);
    let order = routing::order(services, &old, Kind::notice());
    // Without a provider the row of the message says so.
    let order = if order.is_empty() { vec![None] } else { order.into_iter().map(Some).collect() };
    let (deadline, last) = (Turn::alone().deadline, order.len());
    for (attempt, provider) in (1..).zip(order) {
        let message = Message {
            id: services.random.id(now),
            attempt: Attempt { delivery_id, number: attempt },
            to: old.clone(),
            channel: Channel::Sms,
            text: text.clone(),
            otp_code: None,
            valid_for: NOTICE_VALID_FOR,
            created_at: now,
        };
        record_notice(services, &message, provider, user_id, now).await;
        let turn = Turn { deadline, is_last: usize::try_from(attempt).is_ok_and(|attempt| attempt == last) };
        // A failure is in the log and in the row.
        match code::hand_over(services, provider, &message, turn).await {
            Err(failed) if failed.ending.next() == Next::Provider => {}
            Ok(()) | Err(_) => return,
        }
    }
}

async fn record_notice(
    services: &Services,
    message: &Message,
    provider: Option<Provider>,
    user_id: Uuid,
    now: DateTime<Utc>,
) {
    let row = NewMessage {
        id: message.id,
        delivery_id: message.attempt.delivery_id,
        attempt: message.attempt.number,
        challenge_id: None,
        account_id: Some(user_id),
        phone: &message.to,
        channel: message.channel,
        language: &message.text.language,
        platform: None,
        template: sms::PHONE_CHANGED,
        provider: provider.map_or(NO_PROVIDER, Provider::as_str),
        route: None,
    };
    if let Err(error) = store::messages::insert(&services.store, &row, now).await {
        tracing::error!(to = %message.to, %error, "the notice to the old number could not be recorded");
    }
}
