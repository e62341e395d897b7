//! Sending a code by the first provider that takes it. Each try is a message row of its own, with the next number of the delivery,
//! so that staff see what each provider made of it. The user's limits are charged once, and the caps for each try.

use super::{
    super::{
        Error, Services,
        budget::{self, BudgetClaim},
    },
    Outgoing, SendRequest,
    handover::{NotTaken, hand_over},
    note, record,
};
use crate::{
    domain::{
        audit::Action,
        delivery::{Channel, NO_PROVIDER, Next},
        otp::Challenge,
    },
    sms::{self, Message, Provider, SendError, Turn, Way, Ways},
};

/// What came of a code.
pub(super) struct Tried {
    /// Whether a provider took it.
    pub(super) outcome: Result<(), SendError>,
    /// What was charged for the tries after the first.
    pub(super) further: Vec<BudgetClaim>,
    /// The channel of the last try.
    pub(super) channel: Channel,
}

/// A further try that was charged and recorded.
struct Further<'a> {
    outgoing: Outgoing<'a>,
    message: Message,
    budget_claim: BudgetClaim,
}

/// Sends the message, and by the next way for as long as [`sms::ending`] allows it. All tries share the time of the request.
pub(super) async fn send_in_order<'a>(
    services: &Services,
    request: &SendRequest<'a>,
    first: Outgoing<'a>,
    message: Message,
    challenge: &Challenge,
    mut ways: Ways,
) -> Tried {
    let deadline = Turn::alone().deadline;
    let (mut outgoing, mut message) = (first, message);
    let (mut errors, mut further) = (Vec::new(), Vec::new());
    loop {
        let turn = Turn { deadline, is_last: ways.is_empty() };
        let sent = hand_over(services, outgoing.provider, &message, turn).await;
        note(services, request, &outgoing, sent.as_ref().err().map(|failed| &failed.error));
        let NotTaken { error, ending } = match sent {
            Ok(()) => return Tried { outcome: Ok(()), further, channel: outgoing.channel },
            Err(failed) => failed,
        };
        let why = error.kind();
        errors.push(error.clone());
        let next = ending.next();
        let way = ways.after(outgoing.channel, next);
        let Some(following) = try_next(services, request, &outgoing, challenge, (way, why)).await else {
            let outcome = Err(answer(error, next, &errors));
            return Tried { outcome, further, channel: outgoing.channel };
        };
        let budget_claim;
        Further { outgoing, message, budget_claim } = following;
        further.push(budget_claim);
    }
}

/// The error that the user gets after the last try.
fn answer(last: SendError, next: Next, errors: &[SendError]) -> SendError {
    match next {
        Next::Provider => sms::error_of_all(errors).unwrap_or(last),
        // It is about the number, or nothing else may be sent.
        Next::Channel | Next::Nothing => last,
    }
}

/// Prepares the next try. An error only goes to the log: the user gets the error of the last provider.
async fn try_next<'a>(
    services: &Services,
    request: &SendRequest<'a>,
    before: &Outgoing<'a>,
    challenge: &Challenge,
    (way, why): (Option<Way>, &'static str),
) -> Option<Further<'a>> {
    match prepare(services, request, before, challenge, (way?, why)).await {
        Ok(further) => further,
        Err(error) => {
            tracing::error!(to = %request.key.phone, %error, "the next provider could not be tried");
            None
        }
    }
}

async fn prepare<'a>(
    services: &Services,
    request: &SendRequest<'a>,
    before: &Outgoing<'a>,
    challenge: &Challenge,
    (way, why): (Way, &'static str),
) -> Result<Option<Further<'a>>, Error> {
    // Read again: the provider before may have taken seconds.
    let now = services.clock.now();
    let Way { channel, provider } = way;
    let outgoing = Outgoing { attempt: before.attempt + 1, channel, provider: Some(provider), ..*before };
    let key = request.key;
    let budget_claim = match budget::claim_message(services, key.phone, request.is_known, now).await? {
        Ok(budget_claim) => budget_claim,
        Err(exceeded) => {
            tracing::info!(to = %key.phone, budget = exceeded.budget.as_str(), "next provider refused");
            let event = request.asked_by.event(Action::CodeRefused);
            budget::note_refusal(services, event, &exceeded, key, now);
            return Ok(None);
        }
    };
    match record(services, &outgoing, challenge, now).await {
        Ok(Some(message)) => {
            note_next(services, before, &outgoing, &message, why);
            Ok(Some(Further { outgoing, message, budget_claim }))
        }
        // Nothing is sent without a row.
        nothing => {
            budget::refund(services, &budget_claim).await?;
            nothing.map(|_| None)
        }
    }
}

/// Records in log and metrics that a code goes by another provider or channel. `why` is the error of the provider before, or `report`.
pub(in super::super) fn note_next(
    services: &Services,
    before: &Outgoing<'_>,
    outgoing: &Outgoing<'_>,
    message: &Message,
    why: &'static str,
) {
    let name = |provider: Option<Provider>| provider.map_or(NO_PROVIDER, Provider::as_str);
    let (from, to) = (name(before.provider), name(outgoing.provider));
    let channel = outgoing.channel.as_str();
    if before.channel == outgoing.channel {
        services.metrics.next_provider(from, to, why);
        tracing::info!(message_id = %message.id, to = %message.to, channel, provider = to, after = from, "next provider");
    } else {
        tracing::info!(message_id = %message.id, to = %message.to, channel, provider = to, "next channel");
    }
}
