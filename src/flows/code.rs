//! Sending a code: what signing up and logging in share, and what happens when a message comes back.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, budget, destination};
use crate::{
    domain::{
        address::ClientAddress,
        audit::{Action, Event},
        budget::{Budget, BudgetExceeded},
        delivery::{Channel, DeliveryStatus, Platform},
        lead::Source,
        otp::{Challenge, ChallengeKey, Holder, Opening, seconds_up},
    },
    sms::{self, Message, SendError, Wording},
    store::{
        self,
        messages::{NewMessage, StatusUpdate, Which},
    },
};

/// What stands in a row where nobody was sent anything, because the code is a fixed one.
const REVIEW: &str = "review";
const NOBODY: &str = "none";

/// How a person wants her code.
#[derive(Debug, Clone, Default)]
pub struct DeliveryPreferences {
    /// By which way, where she says so. It is on.
    pub channel: Option<Channel>,
    /// What her app runs on.
    pub platform: Option<Platform>,
    /// The languages that she reads, the best first.
    pub languages: Vec<String>,
}

/// A code is on its way.
#[derive(Debug, Clone, Copy)]
pub struct CodeSent {
    /// Seconds until the code dies.
    pub expires_in: i64,
    /// Seconds until the next one may be asked for.
    pub resend_in: i64,
    /// By which a client may ask what becomes of the message.
    pub delivery_id: Uuid,
}

/// What became of a wish for a code.
#[derive(Debug)]
pub enum SendOutcome {
    /// It is on its way.
    Sent(CodeSent),
    /// The phone was sent one too recently.
    TooSoon {
        /// Seconds until the next one may be asked for, at least 1.
        retry_after: i64,
    },
    /// A budget is spent.
    Refused(BudgetExceeded),
    /// The provider would not or could not. The next one may be asked for at once.
    Failed(SendError),
}

/// A wish as the verbs have looked at it.
pub(super) struct SendRequest<'a> {
    /// Which challenge it is.
    pub(super) key: ChallengeKey<'a>,
    /// By which way a lead comes. Whoever asks without one is no lead: she has an account.
    pub(super) source: Option<Source>,
    /// How she wants it.
    pub(super) preferences: &'a DeliveryPreferences,
    /// From where she asks.
    pub(super) address: ClientAddress,
    /// The device, if she was signed in on it before.
    pub(super) device: Option<Uuid>,
    /// Whether the phone has an account, and it may be told from one that has none.
    pub(super) is_known: bool,
    /// Whether the code is a fixed one, which nobody is sent.
    pub(super) is_review: bool,
    /// A proof of work that is spent with it.
    pub(super) proof: Option<Uuid>,
}

impl SendOutcome {
    /// The same, where the next code may be asked for after this many seconds at the earliest.
    pub(super) fn not_before(mut self, seconds: i64) -> Self {
        if let Self::Sent(sent) = &mut self {
            sent.resend_in = sent.resend_in.max(seconds);
        }
        self
    }
}

/// A message that is to carry the code of a challenge.
pub(super) struct Outgoing<'a> {
    pub(super) key: ChallengeKey<'a>,
    pub(super) challenge: &'a Challenge,
    pub(super) delivery_id: Uuid,
    pub(super) attempt: i64,
    pub(super) channel: Channel,
    pub(super) platform: Option<Platform>,
    pub(super) languages: &'a [String],
}

/// Claims the send, commits, sends, and writes down what became of it.
pub(super) async fn send(
    services: &Services,
    request: &SendRequest<'_>,
    now: DateTime<Utc>,
) -> Result<SendOutcome, Error> {
    if request.is_review {
        return Ok(SendOutcome::Sent(open_for_review(services, request, now).await?));
    }
    if let Some(refused) = destination::refused(services, request.key, request.address, now) {
        return Ok(refused);
    }
    let phone_hash = services.pseudonyms.phone(request.key.phone);
    let send = budget::send(services, request, &phone_hash, now);
    let budget_claim = match budget::claim(services, services.budgets.send(&send, now), now).await? {
        Ok(budget_claim) => budget_claim,
        Err(exceeded) => return Ok(refused(services, request, &exceeded, now)),
    };
    let challenge = match open(services, request.key, now).await? {
        Ok(challenge) => challenge,
        Err(retry_after) => {
            budget::refund(services, &budget_claim).await?;
            return Ok(SendOutcome::TooSoon { retry_after });
        }
    };
    let outgoing = Outgoing {
        key: request.key,
        challenge: &challenge,
        delivery_id: services.random.bits(),
        attempt: 1,
        channel: request.preferences.channel.unwrap_or_else(|| services.channels.usual()),
        platform: request.preferences.platform,
        languages: &request.preferences.languages,
    };
    let message = match write_down_first(services, &outgoing, request.source, now).await {
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
    // The provider may have taken seconds, which are gone from the code's life and from the wait.
    let after = services.clock.now();
    Ok(SendOutcome::Sent(CodeSent {
        expires_in: challenge.seconds_left(after),
        resend_in: challenge.wait_left(&services.otp, after).max(budget_claim.wait(after)),
        delivery_id: outgoing.delivery_id,
    }))
}

/// The challenge of a review number. There is nothing to send, so there is nothing to wait for, either; a row says that it
/// has arrived, for whoever asks what became of it.
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
        template: REVIEW,
        provider: NOBODY,
    };
    let (id, delivery_id) = (row.id, row.delivery_id);
    store::messages::insert(db, row, now).await?;
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

/// The challenge of a send, or the seconds to wait for one.
async fn open(
    services: &Services,
    key: ChallengeKey<'_>,
    now: DateTime<Utc>,
) -> Result<Result<Challenge, i64>, Error> {
    let db = &services.store;
    let opening = services.otp.opening(services.random.bits(), &services.otp_keys, key, now);
    if let Some(challenge) = store::otp::open(db, key, &opening).await? {
        return Ok(Ok(challenge));
    }
    if let Some(waiting) = store::otp::find(db, key).await? {
        if let Some(ahead) = waiting.sent_ahead(now) {
            // The budgets hold the wait already, where they are on; else it begins now.
            let is_held = services.budgets.is_on;
            let sent_at = (!is_held).then_some(now);
            store::otp::mark_sent(db, key, waiting.id, (ahead, sent_at)).await?;
            if is_held && let Some(challenge) = store::otp::open(db, key, &opening).await? {
                return Ok(Ok(challenge));
            }
        }
        return Ok(Err(waiting.resend_in(&services.otp, now)));
    }
    let mut until = store::otp::find_tombstone(db, &opening.phone_hashes, key.purpose, now).await?;
    let longest = services.otp.longest_mark(now);
    if until.is_some_and(|until| until > longest) {
        store::otp::mark_shorter(db, &opening.phone_hashes, key.purpose, longest).await?;
        until = Some(longest);
    }
    Ok(Err(until.map_or(1, |until| seconds_up(until - now).max(1))))
}

/// What a spent budget says to whoever asks for a code.
fn refused(
    services: &Services,
    request: &SendRequest<'_>,
    exceeded: &BudgetExceeded,
    now: DateTime<Utc>,
) -> SendOutcome {
    match (exceeded.budget, exceeded.retry_after) {
        (Budget::Cooldown, Some(retry_after)) => SendOutcome::TooSoon { retry_after },
        // Whoever asked for the proof writes it down, and asks for another.
        (Budget::Proof, _) => SendOutcome::Refused(*exceeded),
        _ => {
            budget::note_refusal(services, Action::CodeRefused, exceeded, request.key, request.address, now);
            SendOutcome::Refused(*exceeded)
        }
    }
}

/// Writes down that a code went out, or did not.
fn note(
    services: &Services,
    request: &SendRequest<'_>,
    outgoing: &Outgoing<'_>,
    failure: Option<&SendError>,
    now: DateTime<Utc>,
) {
    let action = if failure.is_none() { Action::CodeSent } else { Action::CodeNotSent };
    let mut event = Event::by_stranger(action)
        .phone(request.key.phone)
        .from(request.address)
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

/// Writes down the lead and the first message of a wish.
async fn write_down_first(
    services: &Services,
    outgoing: &Outgoing<'_>,
    source: Option<Source>,
    now: DateTime<Utc>,
) -> Result<Message, Error> {
    let db = &services.store;
    if let Some(source) = source {
        store::leads::open(db, outgoing.key.phone, source, services.random.id(now), now).await?;
    }
    // A wish is new, so nobody else can have sent its first message.
    write_down(services, outgoing, now).await?.ok_or(Error::Collision)
}

/// Writes down the message that is about to go out. `None` when another request sends this one.
pub(super) async fn write_down(
    services: &Services,
    outgoing: &Outgoing<'_>,
    now: DateTime<Utc>,
) -> Result<Option<Message>, Error> {
    let Outgoing { key, challenge, channel, .. } = *outgoing;
    let code = services.otp_keys.code(challenge, key, services.otp.length).ok_or(Error::KeyGone)?;
    let text = services.texts.compose(&Wording {
        channel,
        languages: outgoing.languages,
        platform: outgoing.platform,
        code: code.expose(),
        minutes: (challenge.seconds_left(now) / 60).max(1),
    });
    let row = NewMessage {
        id: services.random.id(now),
        delivery_id: outgoing.delivery_id,
        attempt: outgoing.attempt,
        challenge_id: Some(challenge.id),
        account_id: key.holder.and_then(Holder::account),
        phone: key.phone,
        channel,
        language: &text.language,
        platform: outgoing.platform,
        template: sms::TEMPLATE,
        provider: services.sms.provider(),
    };
    let id = row.id;
    if !store::messages::insert(&services.store, row, now).await? {
        return Ok(None);
    }
    let left = challenge.expires_at - now;
    Ok(Some(Message {
        id,
        to: key.phone.clone(),
        channel,
        text,
        otp_code: Some(code.expose().clone()),
        valid_for: left.to_std().unwrap_or_default(),
        created_at: now,
    }))
}

/// Hands the message to the provider and writes down what became of it.
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
    // When it was learnt, which is seconds after it was asked where the provider is slow.
    let now = services.clock.now();
    // The message may be out, so a database that goes away no longer changes the answer.
    let db = services.store.repeating();
    let marked = store::messages::update_status(&db, Which::Id(message.id), update(&sent), now).await;
    if let Err(error) = marked {
        tracing::error!(message_id = %message.id, %error, "what became of a message could not be written down");
    }
    sent.map(|_| ())
}

/// What is given back of a send that came to nothing, or of which nothing is known: the cooldown always, so that the
/// person may try again at once, and the charges if nothing can have been sent. The code stays the same, so a message that
/// arrives after all still works.
async fn refund_send(
    services: &Services,
    key: ChallengeKey<'_>,
    challenge: &Challenge,
    budget_claim: &budget::BudgetClaim,
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
        tracing::error!(%error, "the cooldown of a failed send could not be lifted");
    }
}

fn update(sent: &Result<sms::Receipt, SendError>) -> StatusUpdate {
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
