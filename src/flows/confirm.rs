//! `confirm-code` and `confirm`: a signed-in user proves again that the session is their own. Changing the phone, setting
//! a first password and deleting the account need such a proof.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    DeliveryPreferences, Error, SendOutcome, Services,
    asked_by::AskedBy,
    before_send::BotProof,
    budget::GuessOutcome,
    code::{self, SendRequest},
    device,
    guess::{CodeRefused, Guesser, redeem},
    password, run_to_completion, session, transaction,
};
use crate::{
    domain::{
        access::{RECENT_AUTH_LIFE, SignedIn},
        address::ClientAddress,
        audit::{Action, Event},
        budget::BudgetExceeded,
        credentials::OldCosts,
        otp::{ChallengeKey, OtpCode},
        phone::PhoneNumber,
    },
    store::{self, Txn},
};

/// The outcome of `confirm-code`.
#[derive(Debug)]
pub enum CodeAsked {
    /// A code was requested.
    Code {
        /// The account's verified phone, which gets the code.
        phone: PhoneNumber,
        /// What became of the message.
        sending: SendOutcome,
    },
    /// The account has no verified phone: the user confirms with the password.
    NoPhone,
}

/// The outcome of `confirm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// Confirmed until this time.
    Until(DateTime<Utc>),
    /// The code is refused.
    Code(CodeRefused),
    /// The password is wrong, or the account has none.
    WrongPassword,
    /// Too many wrong passwords were tried. This one was not compared.
    Refused(BudgetExceeded),
    /// The session has ended in the meantime.
    Ended,
}

/// Sends a code to the account's verified phone.
///
/// # Errors
/// When the database does not answer: nothing was sent.
pub async fn send_code(
    services: &Arc<Services>,
    who: SignedIn,
    preferences: DeliveryPreferences,
    from: ClientAddress,
) -> Result<CodeAsked, Error> {
    run_to_completion(services, move |services| async move {
        let Some(phone) = who.account().phone.clone() else {
            return Ok(CodeAsked::NoPhone);
        };
        let key = ChallengeKey::confirm(&phone, who.account().id);
        let now = services.clock.now();
        let request = SendRequest {
            key,
            source: None,
            invitation: None,
            preferences: &preferences,
            asked_by: AskedBy::Client(from),
            device: None,
            is_known: true,
            is_proved: true,
            is_review: device::fixed_code(&services, who.account(), now).is_some(),
            proof: None,
            bot_proof: BotProof::Impossible,
        };
        let sending = code::send(&services, &request, now).await?;
        Ok(CodeAsked::Code { phone, sending })
    })
    .await
}

/// Confirms by the code that was sent to the account's phone.
///
/// # Errors
/// When the database does not answer: nothing is confirmed.
pub async fn by_code(
    services: &Arc<Services>,
    who: SignedIn,
    code: OtpCode,
    from: ClientAddress,
) -> Result<Confirmed, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let Some(phone) = &who.account().phone else {
            return Ok(Confirmed::Code(CodeRefused::NoneRequested));
        };
        let key = ChallengeKey::confirm(phone, who.account().id);
        let fixed = device::fixed_code(&services, who.account(), now);
        let guesser = Guesser { fixed, ..Guesser::address(from) };
        let redeemed = redeem(&services, key, &code, guesser, now, |txn, _consumed| {
            set_recent_auth(txn, who.session().id, now)
        });
        Ok(match redeemed.await? {
            Ok(is_live) => confirmed(&services, &who, "code", is_live, from, now),
            Err(refused) => Confirmed::Code(refused),
        })
    })
    .await
}

/// Records the confirmation, unless the session has ended.
async fn set_recent_auth(txn: Txn, session: Uuid, now: DateTime<Utc>) -> Result<(bool, GuessOutcome), Error> {
    let is_live = store::sessions::set_recent_auth(&txn, session, now).await?;
    txn.commit().await?;
    Ok((is_live, GuessOutcome::Used { was_known: true }))
}

/// Confirms by the password. An account without a password gets the answer of a wrong one. The guess is charged before the
/// password is compared.
///
/// # Errors
/// When the database does not answer: nothing is confirmed.
pub async fn by_password(
    services: &Arc<Services>,
    who: SignedIn,
    typed: SecretString,
    from: ClientAddress,
) -> Result<Confirmed, Error> {
    let wrong = move |who: &SignedIn| {
        let event = Event::by_owner(Action::WrongPassword, who.account().id).from(from);
        event.with("for", "confirm")
    };
    // A stolen session must not allow unlimited guesses.
    let (now, id) = (services.clock.now(), who.account().id);
    let budget_claim =
        match password::claim_password_guess(services, &services.pseudonyms.account(id), from, now).await? {
            Ok(budget_claim) => budget_claim,
            Err(exceeded) => {
                services.audit.note(password::tried_too_often(id, &exceeded, from), now);
                return Ok(Confirmed::Refused(exceeded));
            }
        };
    let found = store::accounts::find_with_hash(&services.store, id).await?;
    let hash = found.and_then(|(_, hash)| hash);
    // The time tells the owner nothing that they do not know.
    if !services.hasher.verify(hash.as_ref(), &typed, OldCosts::default()).await {
        services.audit.note(wrong(&who), services.clock.now());
        return Ok(Confirmed::WrongPassword);
    }
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let is_live = transaction(|| async {
            let txn = services.store.begin().await?;
            // The password may have been changed since it was compared.
            if store::accounts::claim_with_hash(&txn, who.account().id, hash.as_ref()).await?.is_none() {
                txn.rollback().await?;
                return Ok(None);
            }
            let is_live = session::recheck(&services, &txn, &who).await?.is_some()
                && store::sessions::set_recent_auth(&txn, who.session().id, now).await?;
            txn.commit().await?;
            Ok(Some(is_live))
        });
        let Some(is_live) = is_live.await? else {
            services.audit.note(wrong(&who), now);
            return Ok(Confirmed::WrongPassword);
        };
        password::refund_password_guess(&services, &budget_claim).await;
        Ok(confirmed(&services, &who, "password", is_live, from, now))
    })
    .await
}

fn confirmed(
    services: &Services,
    who: &SignedIn,
    by: &'static str,
    is_live: bool,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Confirmed {
    if !is_live {
        return Confirmed::Ended;
    }
    let event = Event::by_owner(Action::Confirmed, who.account().id).from(from);
    services.audit.note(event.with("by", by).with("sid", who.session().id), now);
    Confirmed::Until(now + RECENT_AUTH_LIFE)
}
