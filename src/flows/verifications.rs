//! Checks of phones for other services: a code goes to a phone, and the service that asked learns whether it came back. There is no
//! account, no session and no lead in it. Sending and taking the code are those of every other use case (`code`, `guess`).
//!
//! A service that asks again about a phone, by the same reference, while its code is valid gets the same verification, and the phone the
//! same code, as Twilio Verify does it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    CodeSent, DeliveryPreferences, Error, SendError, SendOutcome, Services, UnreachableReason,
    asked_by::{AskedBy, GuessedBy, Service},
    before_send::BotProof,
    budget::GuessOutcome,
    code::{self, SendRequest},
    device,
    guess::{CodeRefused, Guesser, redeem},
    run_to_completion, transaction,
};
use crate::{
    domain::{
        address::ClientAddress,
        api_key::ApiKey,
        audit::{Action, Fact},
        budget::BudgetExceeded,
        otp::{ChallengeKey, OtpCode, RESEND_NEEDS},
        phone::PhoneNumber,
        verification::{Status, Verification},
    },
    store::{self, Txn, verifications::NewVerification},
};

/// A request for a verification.
#[derive(Debug)]
pub struct Asked {
    /// The phone.
    pub phone: PhoneNumber,
    /// How the code is to be sent.
    pub preferences: DeliveryPreferences,
    /// What the service calls it.
    pub reference: Option<String>,
    /// The address of the service's user.
    pub end_user: Option<ClientAddress>,
}

/// The outcome of a request for a verification.
#[derive(Debug)]
pub enum Started {
    /// The code was sent.
    Sent(Box<Verification>, CodeSent),
    /// A code was sent to this phone too recently.
    TooSoon {
        /// Seconds until the next code may be requested, at least 1.
        retry_after: i64,
    },
    /// A budget is used up.
    Refused(BudgetExceeded),
    /// The message was not sent.
    Failed(SendError),
}

/// Sends the code of a new verification, or again that of the pending one.
///
/// # Errors
/// When the database does not answer: nothing was sent. When the address of the service's user is blocked.
pub async fn start(services: &Arc<Services>, key: ApiKey, asked: Asked) -> Result<Started, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let service = Service { key: &key, end_user: asked.end_user };
        if let Some(failure) = refused_country(&services, service, &asked.phone, now) {
            return Ok(Started::Failed(failure));
        }
        if let Some(retry_after) = cooldown_without_limits(&services, &key, &asked.phone, now).await? {
            return Ok(Started::TooSoon { retry_after });
        }
        send(&services, service, &asked, now).await
    })
    .await
}

/// The countries of the key.
fn refused_country(
    services: &Services,
    service: Service<'_>,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Option<SendError> {
    if service.key.limits.serve(phone) {
        return None;
    }
    let reason = UnreachableReason::RegionNotAllowed;
    let country = phone.region().map(|region| Fact::shown(&region));
    let event = service.event(Action::CodeRefused).phone(phone).with("purpose", "verification");
    let event = event.with("reason", reason.as_str()).with_known("country", country);
    services.audit.note(event, now);
    Some(SendError::Unreachable { reason, provider_code: None })
}

/// Seconds until the next code, where the limits are off. The budgets keep the cooldown otherwise; a challenge keeps its own, and the next
/// verification would have another.
async fn cooldown_without_limits(
    services: &Services,
    key: &ApiKey,
    phone: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Option<i64>, Error> {
    if services.budgets.is_on {
        return Ok(None);
    }
    let Some(newest) = store::verifications::find_newest(&services.store, key.id, phone).await? else {
        return Ok(None);
    };
    let challenge = store::otp::find(&services.store, ChallengeKey::verification(phone, newest.id)).await?;
    let wait = challenge.map_or(0, |challenge| challenge.wait_left(&services.otp, now));
    Ok((wait > 0).then_some(wait))
}

async fn send(
    services: &Services,
    service: Service<'_>,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Started, Error> {
    let (db, api_key_id, Asked { phone, preferences, .. }) = (&services.store, service.key.id, asked);
    let reference = asked.reference.as_deref();
    let alive_at = now + RESEND_NEEDS;
    let pending = store::verifications::find_pending(db, api_key_id, phone, reference, alive_at).await?;
    let caller = device::find_caller(services, phone, None, now).await?;
    // A phone whose checks were approved counts like one with an account: else one phone whose codes always come back would pay for
    // messages to many whose codes never do.
    let was_approved = store::verifications::has_approved(db, phone).await?;
    let is_known = was_approved || (caller.account.is_some() && !services.hides_accounts);
    let id = pending.as_ref().map_or_else(|| services.random.id(now), |pending| pending.id);
    let verification = NewVerification { id, api_key_id, reference, was_known: is_known };
    let request = SendRequest {
        key: ChallengeKey::verification(phone, id),
        invitation: None,
        source: None,
        preferences,
        asked_by: AskedBy::Service(service, verification),
        device: None,
        is_known,
        is_proved: was_approved || caller.account.is_some(),
        is_review: caller.fixed.is_some(),
        proof: None,
        bot_proof: BotProof::Impossible,
    };
    let sent = match code::send(services, &request, now).await? {
        SendOutcome::Sent(sent) => sent,
        SendOutcome::TooSoon { retry_after } => return Ok(Started::TooSoon { retry_after }),
        SendOutcome::Refused(exceeded) => return Ok(Started::Refused(exceeded)),
        SendOutcome::Failed(failure) => return Ok(Started::Failed(failure)),
    };
    set_channel(services, id, preferences, phone, sent).await;
    let verification = pending.unwrap_or_else(|| Verification {
        id,
        api_key_id,
        phone: phone.clone(),
        reference: asked.reference.clone(),
        channel: sent.channel,
        stored: Status::Pending,
        was_known: is_known,
        created_at: now,
        expires_at: now + services.otp.life,
    });
    Ok(Started::Sent(Box::new(Verification { channel: sent.channel, ..verification }), sent))
}

/// Stores the channel of a code that did not go by the one that was wished for. If this fails, only the answers later name the other.
async fn set_channel(
    services: &Services,
    id: Uuid,
    preferences: &DeliveryPreferences,
    phone: &PhoneNumber,
    sent: CodeSent,
) {
    let wished = preferences.channel.unwrap_or_else(|| services.channels.usual_for(phone));
    if sent.channel != wished
        && let Err(error) = store::verifications::set_channel(&services.store, id, sent.channel).await
    {
        tracing::warn!(%id, %error, "the channel of a verification could not be written");
    }
}

/// The verification of this key with this id.
pub async fn find(services: &Services, key: &ApiKey, id: Uuid) -> Result<Option<Verification>, Error> {
    Ok(store::verifications::find(&services.store, key.id, id).await?)
}

/// The outcome of a check.
#[derive(Debug)]
pub enum Checked {
    /// The code is right.
    Approved(Box<Verification>),
    /// It is refused.
    Refused(CodeRefused),
    /// The key has no such verification.
    NotFound,
}

/// Takes the code of a verification.
///
/// # Errors
/// When the database does not answer: nothing is approved. When the phone, or the address of the service's user, is blocked.
pub async fn check(
    services: &Arc<Services>,
    key: ApiKey,
    id: Uuid,
    code: OtpCode,
    end_user: Option<ClientAddress>,
) -> Result<Checked, Error> {
    run_to_completion(services, move |services| async move {
        let (now, service) = (services.clock.now(), Service { key: &key, end_user });
        let Some(verification) = find(&services, &key, id).await? else {
            return Ok(Checked::NotFound);
        };
        let phone = &verification.phone;
        let caller = device::caller_with_code(&services, phone, None, now).await?;
        let guesser = Guesser { by: GuessedBy::Service(service), device: None, fixed: caller.fixed };
        let challenge = ChallengeKey::verification(phone, id);
        let was_known = verification.was_known;
        let redeemed = redeem(&services, challenge, &code, guesser, now, |txn, _consumed| {
            approve(txn, id, was_known, now)
        });
        Ok(match redeemed.await? {
            Ok(true) => {
                let event = service.event(Action::VerificationApproved).phone(phone);
                services.audit.note(event.with("verification", id), now);
                Checked::Approved(Box::new(Verification { stored: Status::Approved, ..verification }))
            }
            // It was canceled in the same moment.
            Ok(false) => Checked::Refused(CodeRefused::NoneRequested),
            Err(refused) => Checked::Refused(follow_refusal(&services, &key, id, refused, now).await?),
        })
    })
    .await
}

/// Marks a verification as approved, unless it was canceled.
async fn approve(
    txn: Txn,
    id: Uuid,
    was_known: bool,
    now: DateTime<Utc>,
) -> Result<(bool, GuessOutcome), Error> {
    if store::verifications::close(&txn, id, Status::Approved, now).await? {
        txn.commit().await?;
        return Ok((true, GuessOutcome::Checked { was_known }));
    }
    txn.rollback().await?;
    Ok((false, GuessOutcome::Refund))
}

/// What a refused code means for its verification. If its status cannot be written, the verification expires.
async fn follow_refusal(
    services: &Services,
    key: &ApiKey,
    id: Uuid,
    refused: CodeRefused,
    now: DateTime<Utc>,
) -> Result<CodeRefused, Error> {
    match refused {
        CodeRefused::Wrong { left: 0 } | CodeRefused::Exhausted { .. } => {
            let status = Status::MaxAttemptsReached;
            if let Err(error) = store::verifications::close(&services.store, id, status, now).await {
                tracing::error!(%id, %error, "the status of a verification could not be written");
            }
            Ok(refused)
        }
        // The code of a canceled one was ended, and there is none to wait for.
        CodeRefused::Expired => {
            let found = find(services, key, id).await?;
            let is_canceled = found.is_some_and(|found| found.stored == Status::Canceled);
            Ok(if is_canceled { CodeRefused::NoneRequested } else { refused })
        }
        CodeRefused::NoneRequested | CodeRefused::Wrong { .. } | CodeRefused::Budget(_) => Ok(refused),
    }
}

/// Cancels a verification, if it is pending, and returns it as it is then. `None` when the key has no such verification.
///
/// # Errors
/// When the database does not answer: it goes on.
pub async fn cancel(services: &Arc<Services>, key: ApiKey, id: Uuid) -> Result<Option<Verification>, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let Some(verification) = find(&services, &key, id).await? else { return Ok(None) };
        if verification.status(now) != Status::Pending {
            return Ok(Some(verification));
        }
        let challenge = ChallengeKey::verification(&verification.phone, id);
        let is_canceled = transaction(|| async {
            let txn = services.store.begin().await?;
            // The challenge comes first, as in a check: of the two at once, one waits for the other.
            store::otp::close(&txn, challenge, now).await?;
            let is_canceled = store::verifications::close(&txn, id, Status::Canceled, now).await?;
            txn.commit().await?;
            Ok(is_canceled)
        });
        if !is_canceled.await? {
            return find(&services, &key, id).await;
        }
        let event = Service { key: &key, end_user: None }.event(Action::VerificationCanceled);
        services.audit.note(event.phone(&verification.phone).with("verification", id), now);
        Ok(Some(Verification { stored: Status::Canceled, ..verification }))
    })
    .await
}
