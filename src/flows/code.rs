//! Sending a code, for every use case that sends one: charges, challenge and message row are committed first, then the
//! message is handed to the provider.

mod prepare;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use self::prepare::{Prepared, prepare};
use super::{
    Error, Services,
    asked_by::AskedBy,
    blocks,
    budget::{self, BudgetClaim},
    destination,
};
use crate::{
    domain::{
        audit::Action,
        budget::{Budget, BudgetExceeded},
        delivery::{Channel, DeliveryStatus, Platform},
        lead::Source,
        otp::{Challenge, ChallengeKey, Holder, Opening},
    },
    sms::{self, Message, SendError, Wording},
    store::{
        self,
        messages::{NewMessage, StatusUpdate, Which},
    },
};

/// Template and provider of a message row for a fixed code, which is never sent.
const REVIEW_TEMPLATE: &str = "review";
pub(super) const NO_PROVIDER: &str = "none";

/// How the user wants to get the code.
#[derive(Debug, Clone, Default)]
pub struct DeliveryPreferences {
    /// The channel, if the request names one. It is switched on.
    pub channel: Option<Channel>,
    /// The platform of the app.
    pub platform: Option<Platform>,
    /// The user's languages, the preferred one first.
    pub languages: Vec<String>,
}

/// A code was sent.
#[derive(Debug, Clone, Copy)]
pub struct CodeSent {
    /// Seconds until the code expires.
    pub expires_in: i64,
    /// Seconds until the next code may be requested.
    pub resend_in: i64,
    /// The id by which the client can read the delivery status.
    pub delivery_id: Uuid,
}

/// The outcome of sending a code.
#[derive(Debug)]
pub enum SendOutcome {
    /// The provider took the message.
    Sent(CodeSent),
    /// A code was sent to this phone too recently.
    TooSoon {
        /// Seconds until the next code may be requested, at least 1.
        retry_after: i64,
    },
    /// A budget is used up.
    Refused(BudgetExceeded),
    /// The message was not sent. The next code may be requested at once.
    Failed(SendError),
}

/// A code to send, as the use cases request it.
pub(super) struct SendRequest<'a> {
    /// The challenge that the code belongs to.
    pub(super) key: ChallengeKey<'a>,
    /// Where the lead comes from. `None` if the request makes no lead.
    pub(super) source: Option<Source>,
    pub(super) preferences: &'a DeliveryPreferences,
    pub(super) asked_by: AskedBy,
    /// The device, if the account was signed in on it before.
    pub(super) device: Option<Uuid>,
    /// Whether the phone has an account, and the caller may know.
    pub(super) is_known: bool,
    /// Whether the code is a fixed one, which is not sent.
    pub(super) is_review: bool,
    /// A proof of work that is spent with this send.
    pub(super) proof: Option<Uuid>,
}

impl SendOutcome {
    /// The same outcome, but the next code may be requested after this many seconds at the earliest.
    pub(super) fn not_before(mut self, seconds: i64) -> Self {
        if let Self::Sent(sent) = &mut self {
            sent.resend_in = sent.resend_in.max(seconds);
        }
        self
    }
}

/// A message that carries a code.
pub(super) struct Outgoing<'a> {
    pub(super) key: ChallengeKey<'a>,
    pub(super) delivery_id: Uuid,
    pub(super) attempt: i64,
    pub(super) channel: Channel,
    pub(super) platform: Option<Platform>,
    pub(super) languages: &'a [String],
}

/// Claims the charges, commits, sends the message, and records the outcome.
pub(super) async fn send(
    services: &Services,
    request: &SendRequest<'_>,
    now: DateTime<Utc>,
) -> Result<SendOutcome, Error> {
    if let Some(failure) = blocks::refused_code(services, request.key, request.asked_by, now).await? {
        return Ok(SendOutcome::Failed(failure));
    }
    if request.is_review {
        return Ok(SendOutcome::Sent(open_for_review(services, request, now).await?));
    }
    if let Some(failure) = destination::refused(services, request.key, request.asked_by, now) {
        return Ok(SendOutcome::Failed(failure));
    }
    let outgoing = Outgoing {
        key: request.key,
        delivery_id: services.random.bits(),
        attempt: 1,
        channel: request.preferences.channel.unwrap_or_else(|| services.channels.usual()),
        platform: request.preferences.platform,
        languages: &request.preferences.languages,
    };
    let (challenge, budget_claim, message_id) = match prepare(services, request, &outgoing, now).await? {
        Prepared::Code(challenge, budget_claim, message_id) => (challenge, budget_claim, message_id),
        Prepared::TooSoon(retry_after) => {
            note_too_soon(services, request, retry_after, now);
            return Ok(SendOutcome::TooSoon { retry_after });
        }
        Prepared::Refused(exceeded) => return Ok(refused(services, request, &exceeded, now)),
    };
    let message = match compose(services, &outgoing, &challenge, message_id, now) {
        Ok(message) => message,
        Err(error) => {
            refund_send(services, request.key, &challenge, &budget_claim, true, now).await;
            return Err(error);
        }
    };
    let outcome = hand_over(services, &message).await;
    note(services, request, &outgoing, outcome.as_ref().err(), now);
    if let Err(failure) = outcome {
        refund_send(services, request.key, &challenge, &budget_claim, failure.definitely_not_sent(), now)
            .await;
        return Ok(SendOutcome::Failed(failure));
    }
    // The provider may have taken seconds, which count towards the code's life and the wait.
    let after = services.clock.now();
    Ok(SendOutcome::Sent(CodeSent {
        expires_in: challenge.seconds_left(after),
        resend_in: challenge.wait_left(&services.otp, after).max(budget_claim.wait(after)),
        delivery_id: outgoing.delivery_id,
    }))
}

/// Opens the challenge of a review number. Nothing is sent, so there is no cooldown. A message row with the status
/// "delivered" is written, so that the client can read a delivery status as usual.
async fn open_for_review(
    services: &Services,
    request: &SendRequest<'_>,
    now: DateTime<Utc>,
) -> Result<CodeSent, Error> {
    let (db, key) = (&services.store, request.key);
    let opening = Opening {
        refuse_if_sent_after: None,
        phone_hashes: Vec::new(),
        ..services.otp.opening(services.random.bits(), &services.otp_keys, key, now)
    };
    let challenge = store::otp::open(db, key, &opening).await?.ok_or(Error::Collision)?;
    let row = NewMessage {
        id: services.random.id(now),
        delivery_id: services.random.bits(),
        attempt: 1,
        challenge_id: Some(challenge.id),
        account_id: key.holder.and_then(Holder::account),
        phone: key.phone,
        channel: request.preferences.channel.unwrap_or_else(|| services.channels.usual()),
        language: "",
        platform: request.preferences.platform,
        template: REVIEW_TEMPLATE,
        provider: NO_PROVIDER,
    };
    let (id, delivery_id) = (row.id, row.delivery_id);
    store::messages::insert(db, &row, now).await?;
    store::messages::update_status(
        db,
        Which::Id(id),
        StatusUpdate::from_status(DeliveryStatus::Delivered),
        now,
    )
    .await?;
    tracing::info!(message_id = %id, to = %key.phone, "review number: its code is fixed, and nothing is sent");
    Ok(CodeSent { expires_in: challenge.seconds_left(now), resend_in: 0, delivery_id })
}

/// The outcome of a request for a code when a budget is used up.
fn refused(
    services: &Services,
    request: &SendRequest<'_>,
    exceeded: &BudgetExceeded,
    now: DateTime<Utc>,
) -> SendOutcome {
    if let (Budget::Cooldown, Some(retry_after)) = (exceeded.budget, exceeded.retry_after) {
        note_too_soon(services, request, retry_after, now);
        return SendOutcome::TooSoon { retry_after };
    }
    // The caller records a proof that was spent before, and requires another one.
    if exceeded.budget != Budget::Proof {
        let event = request.asked_by.event(Action::CodeRefused);
        budget::note_refusal(services, event, exceeded, request.key, now);
    }
    SendOutcome::Refused(*exceeded)
}

/// Records that a code was requested again too soon: staff who look for it must not think that nothing was requested.
fn note_too_soon(services: &Services, request: &SendRequest<'_>, retry_after: i64, now: DateTime<Utc>) {
    let event = request.asked_by.event(Action::CodeRefused).phone(request.key.phone);
    let event = event.with("budget", Budget::Cooldown.as_str()).with("purpose", request.key.purpose.as_str());
    services.audit.note(event.with("retry_after", retry_after), now);
}

/// Records that a code was sent, or was not.
fn note(
    services: &Services,
    request: &SendRequest<'_>,
    outgoing: &Outgoing<'_>,
    failure: Option<&SendError>,
    now: DateTime<Utc>,
) {
    let action = if failure.is_none() { Action::CodeSent } else { Action::CodeNotSent };
    let mut event = request
        .asked_by
        .event(action)
        .phone(request.key.phone)
        .with("purpose", request.key.purpose.as_str())
        .with("channel", outgoing.channel.as_str())
        .with("delivery_id", outgoing.delivery_id)
        .with_known("device", request.device.map(|_| true));
    if let Some(failure) = failure {
        event = event.with("reason", failure.kind());
    }
    services.audit.note(event, now);
    let outcome = failure.map_or("sent", SendError::kind);
    services.metrics.message(outgoing.channel.as_str(), outcome);
}

/// The row of a message.
fn row<'a>(
    services: &'a Services,
    outgoing: &Outgoing<'a>,
    id: Uuid,
    challenge: Option<&Challenge>,
) -> NewMessage<'a> {
    NewMessage {
        id,
        delivery_id: outgoing.delivery_id,
        attempt: outgoing.attempt,
        challenge_id: challenge.map(|challenge| challenge.id),
        account_id: outgoing.key.holder.and_then(Holder::account),
        phone: outgoing.key.phone,
        channel: outgoing.channel,
        language: services.texts.language(outgoing.languages),
        platform: outgoing.platform,
        template: sms::TEMPLATE,
        provider: services.sms.provider(),
    }
}

/// The message itself. Its row must be written before it is sent.
fn compose(
    services: &Services,
    outgoing: &Outgoing<'_>,
    challenge: &Challenge,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Message, Error> {
    let Outgoing { key, channel, .. } = *outgoing;
    let code = services.otp_keys.code(challenge, key, services.otp.length).ok_or(Error::KeyGone)?;
    let text = services.texts.compose(&Wording {
        channel,
        languages: outgoing.languages,
        platform: outgoing.platform,
        code: code.expose(),
        minutes: (challenge.seconds_left(now) / 60).max(1),
    });
    let left = challenge.expires_at - now;
    Ok(Message {
        id,
        to: key.phone.clone(),
        channel,
        text,
        otp_code: Some(code.expose().clone()),
        valid_for: left.to_std().unwrap_or_default(),
        created_at: now,
    })
}

/// Writes the row of a message with a code that was sent before. `None` when another request sends this one.
pub(super) async fn record(
    services: &Services,
    outgoing: &Outgoing<'_>,
    challenge: &Challenge,
    now: DateTime<Utc>,
) -> Result<Option<Message>, Error> {
    let message = compose(services, outgoing, challenge, services.random.id(now), now)?;
    let row = row(services, outgoing, message.id, Some(challenge));
    let is_first = store::messages::insert(&services.store, &row, now).await?;
    Ok(is_first.then_some(message))
}

/// Hands the message to the provider and records the outcome.
pub(super) async fn hand_over(services: &Services, message: &Message) -> Result<(), SendError> {
    let sent = services.sms.send(message).await;
    if let Ok(receipt) = &sent {
        tracing::info!(
            message_id = %message.id,
            to = %message.to,
            channel = message.channel.as_str(),
            provider_id = receipt.provider_id,
            "message taken"
        );
    }
    // Read again: a slow provider takes seconds.
    let now = services.clock.now();
    // The message may be sent already, so an error of the database does not change the answer.
    let db = services.store.repeating();
    let updated = store::messages::update_status(&db, Which::Id(message.id), status_update(&sent), now).await;
    if let Err(error) = updated {
        tracing::error!(message_id = %message.id, %error, "the status of a message could not be recorded");
    }
    sent.map(|_| ())
}

/// Returns what a failed send was charged. The cooldown always ends, so that the user may try again at once. The charges
/// are returned only if nothing can have been sent. The code stays the same, so a message that arrives after all still
/// works.
async fn refund_send(
    services: &Services,
    key: ChallengeKey<'_>,
    challenge: &Challenge,
    budget_claim: &BudgetClaim,
    is_not_sent: bool,
    now: DateTime<Utc>,
) {
    let charges = if is_not_sent {
        budget::refund(services, budget_claim).await
    } else {
        budget::clear_cooldown(services, budget_claim).await
    };
    let cooldown = store::otp::set_unsent(&services.store.repeating(), key, challenge.id, now).await;
    if let Err(error) = charges.and(cooldown.map_err(Error::from)) {
        tracing::error!(%error, "the cooldown of a failed send could not be ended");
    }
}

fn status_update(sent: &Result<sms::Receipt, SendError>) -> StatusUpdate {
    match sent {
        Ok(receipt) => StatusUpdate {
            provider_id: receipt.provider_id.clone(),
            segments: receipt.segments,
            price: receipt.price.clone(),
            ..StatusUpdate::from_status(receipt.status)
        },
        Err(error) => StatusUpdate {
            error_code: error.provider_code().map(i64::from),
            reason: error.reason(),
            ..StatusUpdate::from_status(if error.definitely_not_sent() {
                DeliveryStatus::Failed
            } else {
                DeliveryStatus::Unknown
            })
        },
    }
}
