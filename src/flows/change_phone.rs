//! `change-phone` and `verify-change-phone`: a new number for an account that exists, or its first.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    DeliveryPreferences, Error, SendOutcome, Services,
    budget::{self, GuessOutcome},
    code::{self, SendRequest},
    destination, personal_data, recycled, run_to_completion, session, transaction,
    verify::{AcceptedGuess, CodeRefused, Guesser, judge_guess},
};
use crate::{
    domain::{
        access::SignedIn,
        address::ClientAddress,
        audit::{Action, Event},
        delivery::Channel,
        otp::{Accepted, ChallengeKey, OtpCode},
        phone::PhoneNumber,
    },
    sms::{self, Message},
    store::{self, messages::NewMessage},
};

/// How long the notice to the old number is worth delivering: as long as the provider keeps a message.
const NOTICE_HOLDS: Duration = Duration::from_hours(10);

/// What became of a wish for a new number.
#[derive(Debug)]
pub enum ChangeRequested {
    /// A code was asked for.
    Code(SendOutcome),
    /// It cannot be hers.
    Refused(Refused),
}

/// What became of the code that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The number is hers, and the other sessions are ended.
    Done,
    /// The code is no good.
    Code(CodeRefused),
    /// The number cannot be hers.
    Refused(Refused),
    /// The session has ended meanwhile.
    Ended,
}

/// Why she cannot have a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Who holds the session was not proved lately.
    RecentAuthRequired,
    /// It is hers already.
    Own,
    /// It is another account's.
    Taken,
}

/// Sends a code to the new number. It is bound to this account and this number.
///
/// # Errors
/// When the database does not answer: then nothing was sent.
pub async fn request_code(
    services: &Arc<Services>,
    who: SignedIn,
    phone: PhoneNumber,
    preferences: DeliveryPreferences,
    from: ClientAddress,
) -> Result<ChangeRequested, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        if let Some(refused) = refused(&who, &phone, now) {
            return Ok(ChangeRequested::Refused(refused));
        }
        let key = ChallengeKey::change_phone(&phone, who.account().id);
        if let Some(sending) = destination::refused(&services, key, from, now) {
            return Ok(ChangeRequested::Code(sending));
        }
        // Only after the proof: whoever stole a token learns nothing of who has an account.
        // Where nobody is to learn that at all, not before the right code.
        let used_after = services.used_after(now);
        let found = store::accounts::find_by_phone(&services.store, &phone, used_after).await?;
        if found.is_some() && !services.hides_accounts {
            return Ok(ChangeRequested::Refused(Refused::Taken));
        }
        let request = SendRequest {
            key,
            source: None,
            preferences: &preferences,
            address: from,
            device: None,
            is_known: false,
            is_review: false,
            proof: None,
        };
        Ok(ChangeRequested::Code(code::send(&services, &request, now).await?))
    })
    .await
}

/// Takes the code: the number becomes hers, the other sessions are ended, and the old number is told.
///
/// # Errors
/// When the database does not answer: then the old number stays.
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
        // Again: whoever stole a token must not finish what its owner began.
        if let Some(refused) = refused(&who, &phone, now) {
            return Ok(Changed::Refused(refused));
        }
        let key = ChallengeKey::change_phone(&phone, who.account().id);
        let AcceptedGuess { proof, budget_claim } =
            match judge_guess(&services, key, &code, Guesser::address(from), now).await? {
                Ok(accepted) => accepted,
                Err(refused) => return Ok(Changed::Code(refused)),
            };
        let moving = || move_to(&services, &who, key, &proof, from, now);
        let (changed, old) = transaction(moving).await?;
        let judge_guess = if changed == Changed::Done { GuessOutcome::Used } else { GuessOutcome::Right };
        budget::settle_guess(&services, budget_claim, &phone, judge_guess).await;
        if let Some(old) = old {
            tell_old(&services, old, who.account().id, &languages, now).await;
        }
        Ok(changed)
    })
    .await
}

fn refused(who: &SignedIn, phone: &PhoneNumber, now: DateTime<Utc>) -> Option<Refused> {
    if !who.session().has_recent_auth(now) {
        Some(Refused::RecentAuthRequired)
    } else if who.account().phone.as_ref() == Some(phone) {
        Some(Refused::Own)
    } else {
        None
    }
}

/// One transaction: all of it has happened, or none. Says what became of it and which number is hers no longer.
async fn move_to(
    services: &Services,
    who: &SignedIn,
    key: ChallengeKey<'_>,
    proof: &Accepted,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<(Changed, Option<PhoneNumber>), Error> {
    let (phone, user_id) = (key.phone, who.account().id);
    let txn = services.store.begin().await?;
    // Dropping the transaction undoes it.
    if !store::otp::consume(&txn, key, proof, now).await? {
        return Ok((Changed::Code(CodeRefused::NoneRequested), None));
    }
    // Whoever gets that number next is told nothing of hers, and neither is who reads the database.
    if let Some(old) = &who.account().phone {
        personal_data::insert_tombstone_if_owed(services, &txn, old, now).await?;
        store::otp::purge_unbound(&txn, old).await?;
    }
    // Before her own account, here as everywhere.
    let unlinked = recycled::unlink(services, &txn, phone, now).await?;
    store::owners::claim(&txn, user_id).await?;
    let Some((session, account)) = session::stands(&txn, who).await? else {
        return Ok((Changed::Ended, None));
    };
    // The unique index decides who of two gets it.
    if !store::owners::set_phone(&txn, user_id, phone, now).await? {
        return Ok((Changed::Refused(Refused::Taken), None));
    }
    if let Some(old) = &account.phone {
        // It was another one a moment ago.
        if who.account().phone.as_ref() != Some(old) {
            personal_data::insert_tombstone_if_owed(services, &txn, old, now).await?;
            store::otp::purge_unbound(&txn, old).await?;
        }
        store::leads::set_moved(&txn, old, phone).await?;
        store::messages::purge_to(&txn, old).await?;
    }
    store::leads::set_converted(&txn, phone, now).await?;
    let ended = store::sessions::close_all(&txn, user_id, Some(session.id), now).await?;
    txn.commit().await?;
    let event = Event::by_owner(Action::PhoneChanged, user_id).phone(phone).from(from).with("ended", ended);
    let old_mark = account.phone.as_ref().map(|old| services.pseudonyms.phone(old));
    let event = event.with_known("old_phone", account.phone.as_ref());
    services.audit.note(event.with_known("old_phone_mark", old_mark.as_ref()), now);
    if let Some(old_id) = unlinked {
        recycled::note(services, phone, (old_id, user_id), from, now);
    }
    tracing::info!(%user_id, to = %phone, ended, "phone changed");
    Ok((Changed::Done, account.phone))
}

/// Tells the old number, so that its owner learns of it if it was not she. The number is changed, whatever becomes of
/// this.
async fn tell_old(
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
        tracing::warn!(to = %old, "no notice to the old number: the settings leave it out");
        return;
    }
    if let Err(error) = budget::count_notice(services, &old, now).await {
        tracing::error!(to = %old, %error, "the notice to the old number could not be counted");
    }
    let text = services.texts.phone_changed(languages);
    let row = NewMessage {
        id: services.random.id(now),
        delivery_id: services.random.bits(),
        attempt: 1,
        challenge_id: None,
        account_id: Some(user_id),
        phone: &old,
        channel: Channel::Sms,
        language: &text.language,
        platform: None,
        template: sms::PHONE_CHANGED,
        provider: services.sms.provider(),
    };
    let id = row.id;
    if let Err(error) = store::messages::insert(&services.store, row, now).await {
        tracing::error!(to = %old, %error, "the notice to the old number could not be written down");
    }
    let message = Message {
        id,
        to: old,
        channel: Channel::Sms,
        text,
        otp_code: None,
        valid_for: NOTICE_HOLDS,
        created_at: now,
    };
    // A failure has been logged, and the row says it.
    let _ = code::hand_over(services, &message).await;
}
