//! Sending a code, for every use case that sends one: charges, challenge and message row are committed first, then the
//! message is handed to the provider.

mod failover;
mod handover;
mod prepare;
mod stop;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(super) use self::{
    failover::note_next,
    handover::{NotTaken, hand_over},
};
use self::{
    failover::{Tried, send_in_order},
    prepare::{Prepared, prepare},
    stop::{Charged, stop_by_hook},
};
use super::{
    Error, Services, adaptive,
    asked_by::AskedBy,
    before_send::{BotProof, Refusal},
    blocks,
    budget::{self, BudgetClaim},
    destination, routing,
};
use crate::{
    domain::{
        audit::Action,
        budget::{Budget, BudgetExceeded},
        delivery::{Attempt, Channel, NO_PROVIDER, Platform},
        lead::Source,
        otp::{Challenge, ChallengeKey, Holder, Opening, Purpose},
        verification,
    },
    sms::{self, Message, Provider, SendError, Way, Ways, Wording},
    store::{self, messages::NewMessage},
};

/// The template of a message row for a fixed code, which is never sent.
const REVIEW_TEMPLATE: &str = "review";

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
    /// The channel.
    pub channel: Channel,
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
    /// The invitation with which the code is requested, if it admits the phone.
    pub(super) invitation: Option<Uuid>,
    pub(super) preferences: &'a DeliveryPreferences,
    pub(super) asked_by: AskedBy<'a>,
    /// The device, if the account was signed in on it before.
    pub(super) device: Option<Uuid>,
    /// Whether the phone has an account, and the caller may know.
    pub(super) is_known: bool,
    /// Whether the phone has proved itself before: it has an account, whether the caller may know or not, or the device has.
    pub(super) is_proved: bool,
    /// Whether the code is a fixed one, which is not sent.
    pub(super) is_review: bool,
    /// A proof of work that is spent with this send.
    pub(super) proof: Option<Uuid>,
    /// Whether the client has proved that it is no bot.
    pub(super) bot_proof: BotProof,
}

/// The hook before sending wants the client to prove first that it is no bot. Nothing was sent, and the charges are returned.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChallengeDemanded;

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
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) key: ChallengeKey<'a>,
    pub(super) delivery_id: Uuid,
    pub(super) attempt: i64,
    pub(super) channel: Channel,
    /// `None` if no provider of the country carries the channel: the message is refused.
    pub(super) provider: Option<Provider>,
    /// As [`SendRequest::is_proved`].
    pub(super) is_proved: bool,
    pub(super) platform: Option<Platform>,
    pub(super) languages: &'a [String],
}

/// Claims the charges, commits, sends the message, and records the outcome. For requests without a challenge: see [`BotProof`].
pub(super) async fn send(
    services: &Services,
    request: &SendRequest<'_>,
    now: DateTime<Utc>,
) -> Result<SendOutcome, Error> {
    let sending = send_or_challenge(services, request, now).await?;
    Ok(sending.unwrap_or(SendOutcome::Failed(Refusal::ERROR)))
}

/// As [`send`], and says if the hook before sending demands a bot check.
#[tracing::instrument(target = "otel", name = "send code", skip_all, fields(loopin.purpose = request.key.purpose.as_str()))]
pub(super) async fn send_or_challenge(
    services: &Services,
    request: &SendRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Result<SendOutcome, ChallengeDemanded>, Error> {
    if let Some(failure) = blocks::refused_code(services, request.key, request.asked_by, now).await? {
        return Ok(Ok(SendOutcome::Failed(failure)));
    }
    if request.is_review {
        return Ok(Ok(SendOutcome::Sent(open_for_review(services, request, now).await?)));
    }
    if let Some(failure) = destination::refused(services, request.key, request.asked_by, now) {
        return Ok(Ok(SendOutcome::Failed(failure)));
    }
    let mut ways = routing::ways_of_request(services, request.key.phone, request.preferences);
    if request.is_proved {
        adaptive::probe(services, &mut ways);
    }
    let mut outgoing = Outgoing {
        key: request.key,
        delivery_id: services.random.bits(),
        attempt: 1,
        channel: ways.first().map_or_else(|| wished_channel(services, request), |way| way.channel),
        provider: ways.first().map(|way| way.provider),
        is_proved: request.is_proved,
        platform: request.preferences.platform,
        languages: &request.preferences.languages,
    };
    let (challenge, budget_claim, message_id, is_resend) =
        match prepare(services, request, &outgoing, now).await? {
            Prepared::Code { challenge, budget_claim, message_id, is_resend } => {
                (challenge, budget_claim, message_id, is_resend)
            }
            Prepared::TooSoon(retry_after) => {
                note_too_soon(services, request, retry_after, now);
                return Ok(Ok(SendOutcome::TooSoon { retry_after }));
            }
            Prepared::Refused(exceeded) => return Ok(Ok(refused(services, request, &exceeded, now))),
        };
    if is_resend {
        begin_resend(services, &mut ways, request.key, challenge.id, message_id).await;
    }
    if let Some(Way { channel, provider }) = ways.take_next() {
        (outgoing.channel, outgoing.provider) = (channel, Some(provider));
    }
    let prepared = Charged { challenge: &challenge, budget_claim: &budget_claim, message_id };
    if let Some(stopped) = stop_by_hook(services, request, &outgoing, &prepared, now).await {
        return Ok(stopped);
    }
    let message = match compose(services, &outgoing, &challenge, message_id, now) {
        Ok(message) => message,
        Err(error) => {
            refund_send(services, request.key, &challenge, &budget_claim, true, now).await;
            return Err(error);
        }
    };
    let Tried { outcome, further, channel } =
        send_in_order(services, request, outgoing, message, &challenge, ways).await;
    if let Err(failure) = outcome {
        let is_not_sent = failure.definitely_not_sent();
        refund_send(services, request.key, &challenge, &budget_claim, is_not_sent, now).await;
        if is_not_sent {
            refund_further(services, &further).await;
        }
        return Ok(Ok(SendOutcome::Failed(failure)));
    }
    Ok(Ok(SendOutcome::Sent(prepared.sent(services, &Outgoing { channel, ..outgoing }))))
}

/// The channel of a request.
fn wished_channel(services: &Services, request: &SendRequest<'_>) -> Channel {
    let named = request.preferences.channel;
    named.unwrap_or_else(|| services.channels.usual_for(request.key.phone))
}

/// Lets a code that is sent again begin with another provider, if there are several. An error only goes to the log: the code then
/// goes by the usual one.
async fn begin_resend(
    services: &Services,
    ways: &mut Ways,
    key: ChallengeKey<'_>,
    challenge_id: Uuid,
    message_id: Uuid,
) {
    if !ways.has_choice() {
        return;
    }
    if let Err(error) = routing::begin_resend(services, ways, key.phone, challenge_id, message_id).await {
        tracing::error!(%message_id, %error, "the provider of a resend could not be chosen");
    }
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
        invitation: request.invitation,
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
        channel: wished_channel(services, request),
        language: "",
        platform: request.preferences.platform,
        template: REVIEW_TEMPLATE,
        provider: NO_PROVIDER,
        route: None,
    };
    let (id, delivery_id, channel) = (row.id, row.delivery_id, row.channel);
    store::messages::insert_delivered(db, &row, now).await?;
    if let Some(verification) = request.asked_by.verification() {
        store::verifications::insert(db, key.phone, verification, channel, &opening).await?;
    }
    tracing::info!(message_id = %id, to = %key.phone, "review number: its code is fixed, and nothing is sent");
    Ok(CodeSent { expires_in: challenge.seconds_left(now), resend_in: 0, delivery_id, channel })
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
) {
    // Read again: a slow provider takes seconds.
    let now = services.clock.now();
    let provider = outgoing.provider.map_or(NO_PROVIDER, Provider::as_str);
    let action = if failure.is_none() { Action::CodeSent } else { Action::CodeNotSent };
    let mut event = request
        .asked_by
        .event(action)
        .phone(request.key.phone)
        .with("purpose", request.key.purpose.as_str())
        .with("channel", outgoing.channel.as_str())
        .with("provider", provider)
        .with("delivery_id", outgoing.delivery_id)
        .with_known("device", request.device.map(|_| true));
    if let Some(failure) = failure {
        event = event.with("reason", failure.kind());
    }
    services.audit.note(event, now);
    let outcome = failure.map_or("sent", SendError::kind);
    services.metrics.message(provider, outgoing.channel.as_str(), outcome);
}

/// The row of a message.
fn row<'a>(
    services: &'a Services,
    outgoing: &Outgoing<'a>,
    id: Uuid,
    challenge: Option<&Challenge>,
) -> NewMessage<'a> {
    let sample = outgoing.is_proved && outgoing.provider.is_some();
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
        template: template(outgoing.key.purpose),
        provider: outgoing.provider.map_or(NO_PROVIDER, Provider::as_str),
        route: sample
            .then(|| adaptive::route_of_sample(services, outgoing.key.phone, outgoing.channel))
            .flatten(),
    }
}

/// The name of the template that a row names. The text is the same, but the counts of a day tell checks of other services apart.
fn template(purpose: Purpose) -> &'static str {
    if purpose == Purpose::Verification { verification::TEMPLATE } else { sms::TEMPLATE }
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
        attempt: Attempt { delivery_id: outgoing.delivery_id, number: outgoing.attempt },
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

/// Returns what further tries were charged, when none of them sent anything.
async fn refund_further(services: &Services, further: &[BudgetClaim]) {
    for budget_claim in further {
        if let Err(error) = budget::refund(services, budget_claim).await {
            tracing::error!(%error, "the charges of a failed send could not be returned");
        }
    }
}
