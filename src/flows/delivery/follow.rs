//! What follows a message that was reported as lost: the same code by the next provider, then by the next channel.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::super::{
    Error, Services,
    before_send::{self, BotProof, Question, Waiting},
    blocks,
    budget::{self, BudgetClaim},
    code::{self, NotTaken, Outgoing},
    routing,
};
use crate::{
    domain::{
        audit::{Action, Actor, Event},
        delivery::{Channel, Delivery, DeliveryStatus, Ending, NO_PROVIDER, Next},
        otp::{Challenge, ChallengeKey, Holder},
    },
    sms::{Message, Provider, SendError, Turn, Way, Ways},
    store,
};

/// Sends the code again after a message was lost. An error only goes to the log, because the report itself was taken.
pub(in super::super) async fn follow(services: &Services, lost: &Delivery, now: DateTime<Utc>) {
    if let Err(error) = send_again(services, lost, now).await {
        tracing::error!(message_id = %lost.message_id, %error, "the code of a lost message could not be sent again");
    }
}

/// Finds out whether the code goes out again, and by which ways. Two parallel reports send one message: the database accepts each
/// attempt of a delivery once. Nothing is sent if the user has requested a code again since, or if a message has arrived after all.
async fn send_again(services: &Services, lost: &Delivery, now: DateTime<Utc>) -> Result<(), Error> {
    let next = routing::ending(lost).map_or(Next::Nothing, Ending::next);
    let mut ways = ways_after(services, lost, next);
    if ways.is_empty() {
        return Ok(());
    }
    let db = &services.store;
    services.receipts.settle_if(|queued| queued.delivery_id == lost.delivery_id).await;
    let before = store::messages::list_by_challenge(db, &lost.phone, lost.challenge_id).await?;
    let is_last = before.last().is_some_and(|last| last.message_id == lost.message_id);
    let has_arrived = before.iter().any(|delivery| delivery.status == DeliveryStatus::Delivered);
    ways.retain(|way| !before.iter().any(|tried| is_tried(tried, *way, lost.channel)));
    if !is_last || has_arrived || ways.is_empty() {
        return Ok(());
    }
    let found = store::otp::find_by_id(db, &lost.phone, lost.challenge_id).await?;
    let Some((purpose, holder, challenge)) = found else {
        return Ok(());
    };
    let key = ChallengeKey { phone: &lost.phone, purpose, holder };
    if let Some(block) = blocks::refused_message(services, &lost.phone, now).await? {
        let event = Event::new(Action::CodeRefused, Actor::System).phone(&lost.phone);
        let event = event.with("purpose", purpose.as_str()).with("reason", "blocked");
        services.audit.note(event.with("block", block), now);
        return Ok(());
    }
    let account = store::accounts::find_by_phone(db, &lost.phone, services.used_after(now)).await?;
    let is_bound = holder.is_some_and(Holder::is_proved);
    let is_known = is_bound || (account.is_some() && !services.hides_accounts);
    let last = Outgoing {
        key,
        delivery_id: lost.delivery_id,
        attempt: lost.attempt,
        channel: lost.channel,
        provider: lost.provider.parse().ok(),
        is_proved: is_bound || account.is_some(),
        platform: lost.platform,
        languages: std::slice::from_ref(&lost.language),
    };
    let mut sending = Sending { services, challenge: &challenge, is_known, claims: Vec::new() };
    match sending.send(last, ways, next, now).await? {
        Sent::Maybe => Ok(()),
        Sent::Nothing => sending.refund().await,
    }
}

/// The ways that may follow the lost message, before it is known which of them were tried.
fn ways_after(services: &Services, lost: &Delivery, next: Next) -> Ways {
    let same = match next {
        Next::Nothing => return Ways::default(),
        Next::Provider => Some(lost.channel),
        Next::Channel => None,
    };
    let channels = services.channels.following(&lost.phone, lost.channel);
    let mut ways = routing::ways(services, &lost.phone, same.into_iter().chain(channels));
    ways.retain(|way| way.channel != lost.channel || way.provider.as_str() != lost.provider);
    ways
}

/// Whether a message of the same code has used up this way: each provider is tried once by the channel of the lost message, and
/// another channel only if the code did not go by it.
fn is_tried(tried: &Delivery, way: Way, lost: Channel) -> bool {
    tried.channel == way.channel && (way.channel != lost || tried.provider == way.provider.as_str())
}

/// Whether a message left.
enum Sent {
    /// It did, or may have.
    Maybe,
    /// None did.
    Nothing,
}

/// A code that is sent again.
struct Sending<'a> {
    services: &'a Services,
    challenge: &'a Challenge,
    is_known: bool,
    /// What was charged for all tries.
    claims: Vec<BudgetClaim>,
}

impl<'a> Sending<'a> {
    /// Tries the ways until a provider takes the message. Each provider has all of the time: no user waits.
    async fn send(
        &mut self,
        mut before: Outgoing<'a>,
        mut ways: Ways,
        mut next: Next,
        mut now: DateTime<Utc>,
    ) -> Result<Sent, Error> {
        let services = self.services;
        while self.challenge.is_worth_sending(&services.otp, now)
            && let Some(Way { channel, provider }) = ways.after(before.channel, next)
        {
            let outgoing =
                Outgoing { attempt: before.attempt + 1, channel, provider: Some(provider), ..before };
            let Some(message) = self.record(&outgoing, now).await? else { return Ok(Sent::Nothing) };
            if is_refused_by_hook(services, &outgoing, message.id, now).await {
                return Ok(Sent::Nothing);
            }
            code::note_next(services, &before, &outgoing, &message, "report");
            let turn = Turn { is_last: ways.is_empty(), ..Turn::alone() };
            let sent = code::hand_over(services, outgoing.provider, &message, turn).await;
            // Read again: the provider may have taken seconds.
            now = services.clock.now();
            note(services, &outgoing, sent.as_ref().err().map(|failed| &failed.error), now);
            match sent {
                Err(NotTaken { error, ending }) if error.definitely_not_sent() => next = ending.next(),
                Ok(()) | Err(_) => return Ok(Sent::Maybe),
            }
            before = outgoing;
        }
        Ok(Sent::Nothing)
    }

    /// Charges a message and writes its row. `None` if a cap refuses it, or if another report was first.
    async fn record(
        &mut self,
        outgoing: &Outgoing<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<Message>, Error> {
        let (services, key) = (self.services, outgoing.key);
        // It costs as much as the first one: an attacker whose numbers accept no message must not get two for one.
        match budget::claim_message(services, key.phone, self.is_known, now).await? {
            Ok(budget_claim) => self.claims.push(budget_claim),
            Err(exceeded) => {
                tracing::info!(to = %key.phone, budget = exceeded.budget.as_str(), "next channel refused");
                let event = Event::new(Action::CodeRefused, Actor::System).phone(key.phone);
                let event = event.with("purpose", key.purpose.as_str());
                services.audit.note(event.with("budget", exceeded.budget.as_str()), now);
                return Ok(None);
            }
        }
        code::record(services, outgoing, self.challenge, now).await
    }

    /// Returns everything that was charged.
    async fn refund(&self) -> Result<(), Error> {
        for budget_claim in &self.claims {
            budget::refund(self.services, budget_claim).await?;
        }
        Ok(())
    }
}

/// Asks the hook before sending. No client waits, so it cannot be challenged.
async fn is_refused_by_hook(
    services: &Services,
    outgoing: &Outgoing<'_>,
    message_id: Uuid,
    now: DateTime<Utc>,
) -> bool {
    let question = Question {
        phone: outgoing.key.phone,
        purpose: outgoing.key.purpose,
        channel: outgoing.channel,
        address: None,
        is_known_device: matches!(outgoing.key.holder, Some(Holder::Device(_))),
        bot_proof: BotProof::Impossible,
    };
    let waiting = Waiting { message_id, delivery_id: outgoing.delivery_id };
    let event = |action| Event::new(action, Actor::System);
    before_send::ask(services, &question, waiting, event, now).await.is_some()
}

/// Records that the code was sent again, or was not.
fn note(services: &Services, outgoing: &Outgoing<'_>, failure: Option<&SendError>, now: DateTime<Utc>) {
    let provider = outgoing.provider.map_or(NO_PROVIDER, Provider::as_str);
    let action = if failure.is_none() { Action::CodeSent } else { Action::CodeNotSent };
    let event = Event::new(action, Actor::System)
        .phone(outgoing.key.phone)
        .with("purpose", outgoing.key.purpose.as_str())
        .with("channel", outgoing.channel.as_str())
        .with("provider", provider)
        .with("delivery_id", outgoing.delivery_id);
    services.audit.note(event.with_known("reason", failure.map(SendError::kind)), now);
    let outcome = failure.map_or("sent", SendError::kind);
    services.metrics.message(provider, outgoing.channel.as_str(), outcome);
}
