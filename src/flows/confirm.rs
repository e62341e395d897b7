//! `confirm-code` and `confirm`: proving again who holds a session.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::{
    DeliveryPreferences, Error, SendOutcome, Services,
    budget::{self, GuessOutcome},
    code::{self, SendRequest},
    device, password, run_to_completion, session, transaction,
    verify::{AcceptedGuess, CodeRefused, Guesser, judge_guess},
};
use crate::{
    domain::{
        access::{RECENT_AUTH_LIFE, SignedIn},
        address::ClientAddress,
        audit::{Action, Event},
        budget::BudgetExceeded,
        otp::{ChallengeKey, OtpCode},
        phone::PhoneNumber,
    },
    store,
};

/// What became of a wish for a code.
#[derive(Debug)]
pub enum CodeAsked {
    /// It was asked for.
    Code {
        /// Her verified phone, which it goes to.
        phone: PhoneNumber,
        /// What became of that.
        sending: SendOutcome,
    },
    /// She has no verified phone: she confirms with her password.
    NoPhone,
}

/// What became of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// It is she, and that holds until then.
    Until(DateTime<Utc>),
    /// The code is no good.
    Code(CodeRefused),
    /// The password is another, or there is none.
    WrongPassword,
    /// Too many wrong passwords were tried. This one was not looked at.
    Refused(BudgetExceeded),
    /// The session has ended meanwhile.
    Ended,
}

/// Sends a code to her verified phone.
///
/// # Errors
/// When the database does not answer: then nothing was sent.
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
            preferences: &preferences,
            address: from,
            device: None,
            is_known: true,
            is_review: device::fixed_code(&services, who.account(), now).is_some(),
            proof: None,
        };
        let sending = code::send(&services, &request, now).await?;
        Ok(CodeAsked::Code { phone, sending })
    })
    .await
}

/// Takes the code that was sent to her phone.
///
/// # Errors
/// When the database does not answer: then nothing is proved.
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
        let by = Guesser { fixed, ..Guesser::address(from) };
        let AcceptedGuess { proof, budget_claim } = match judge_guess(&services, key, &code, by, now).await? {
            Ok(accepted) => accepted,
            Err(refused) => return Ok(Confirmed::Code(refused)),
        };
        let has_recent_auth = transaction(|| async {
            let txn = services.store.begin().await?;
            if !store::otp::consume(&txn, key, &proof, now).await? {
                txn.rollback().await?;
                return Ok(None);
            }
            let has_recent_auth = store::sessions::set_recent_auth(&txn, who.session().id, now).await?;
            txn.commit().await?;
            Ok(Some(has_recent_auth))
        });
        let Some(has_recent_auth) = has_recent_auth.await? else {
            budget::settle_guess(&services, budget_claim, phone, GuessOutcome::Right).await;
            return Ok(Confirmed::Code(CodeRefused::NoneRequested));
        };
        budget::settle_guess(&services, budget_claim, phone, GuessOutcome::UsedByKnown).await;
        Ok(confirmed(&services, &who, "code", has_recent_auth, from, now))
    })
    .await
}

/// Takes her password. Who has none is told that it is wrong. It is charged before it is compared.
///
/// # Errors
/// When the database does not answer: then nothing is proved.
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
    // Whoever stole a session must not try passwords without end.
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
    if !services.hasher.verify(hash.as_ref(), &typed).await {
        services.audit.note(wrong(&who), services.clock.now());
        return Ok(Confirmed::WrongPassword);
    }
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let has_recent_auth = transaction(|| async {
            let txn = services.store.begin().await?;
            // What was right a moment ago may have been changed since, by somebody who shuts others out.
            if store::accounts::claim_with_hash(&txn, who.account().id, hash.as_ref()).await?.is_none() {
                txn.rollback().await?;
                return Ok(None);
            }
            let is_there = session::stands(&txn, &who).await?.is_some();
            let has_recent_auth =
                is_there && store::sessions::set_recent_auth(&txn, who.session().id, now).await?;
            txn.commit().await?;
            Ok(Some(has_recent_auth))
        });
        let Some(has_recent_auth) = has_recent_auth.await? else {
            services.audit.note(wrong(&who), now);
            return Ok(Confirmed::WrongPassword);
        };
        password::refund_password_guess(&services, &budget_claim).await;
        Ok(confirmed(&services, &who, "password", has_recent_auth, from, now))
    })
    .await
}

fn confirmed(
    services: &Services,
    who: &SignedIn,
    by: &'static str,
    has_recent_auth: bool,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Confirmed {
    if !has_recent_auth {
        return Confirmed::Ended;
    }
    let event = Event::by_owner(Action::Confirmed, who.account().id).from(from);
    services.audit.note(event.with("by", by).with("sid", who.session().id), now);
    Confirmed::Until(now + RECENT_AUTH_LIFE)
}
