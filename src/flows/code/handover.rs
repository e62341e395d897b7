//! Handing a message to a provider, and recording what came of it.

use crate::{
    domain::delivery::{DeliveryStatus, Ending},
    sms::{self, Message, Provider, SendError, Turn, Unsent},
    store::{
        self,
        messages::{Receipt, StatusUpdate, Which},
    },
    telemetry::Stopwatch,
};

use super::super::{Error, Services, before_send, events, receipts::Queued};

/// A message that a provider did not take, or may not have taken.
#[derive(Debug)]
pub(in super::super) struct NotTaken {
    pub(in super::super) error: SendError,
    /// What decides about what follows.
    pub(in super::super) ending: Ending,
}

/// Hands the message to the provider and records the outcome: that it was accepted a moment later, anything else now. Without a
/// provider the message is refused.
#[tracing::instrument(
    target = "otel",
    name = "hand message over",
    skip_all,
    fields(
        loopin.provider = provider.map(Provider::as_str),
        loopin.channel = message.channel.as_str(),
        loopin.attempt = message.attempt.number,
        loopin.outcome,
    )
)]
pub(in super::super) async fn hand_over(
    services: &Services,
    provider: Option<Provider>,
    message: &Message,
    turn: Turn,
) -> Result<(), NotTaken> {
    let stopwatch = Stopwatch::start();
    let sent = before_send::measured(services, services.sms.send_by(provider, message, turn)).await;
    if let Some(provider) = provider {
        services.metrics.message_took(provider.as_str(), stopwatch.elapsed());
    }
    let outcome = sent.as_ref().map_or_else(|unsent| unsent.error.kind(), |_| "sent");
    tracing::Span::current().record("loopin.outcome", outcome);
    if let Ok(receipt) = &sent {
        tracing::info!(
            message_id = %message.id,
            to = %message.to,
            channel = message.channel.as_str(),
            provider = provider.map(Provider::as_str),
            provider_id = receipt.provider_id,
            "message taken"
        );
    }
    // The message may be sent already, so an error of the database does not change the answer.
    if let Err(error) = record_outcome(services, message, &sent).await {
        tracing::error!(message_id = %message.id, %error, "the status of a message could not be recorded");
    }
    sent.map(|_| ()).map_err(|Unsent { error, after_unknown, .. }| {
        let ending = match provider {
            None => Ending::NotServed,
            Some(_) if after_unknown => Ending::Unknown,
            Some(provider) => sms::ending(provider, Err(&error)),
        };
        NotTaken { error, ending }
    })
}

async fn record_outcome(
    services: &Services,
    message: &Message,
    sent: &Result<sms::Receipt, Unsent>,
) -> Result<(), Error> {
    // Read again: a slow provider takes seconds.
    let now = services.clock.now();
    // Without the provider's id, a report of an earlier version's message could be taken for one of this message. Test mode has
    // no such ids.
    if let Ok(receipt) = sent
        && (receipt.provider_id.is_some() || services.sms.inbox().is_some())
    {
        let sms::Receipt { provider_id, status, segments, price } = receipt.clone();
        let receipt = Receipt { message_id: message.id, status, provider_id, segments, price, at: now };
        let delivery_id = message.attempt.delivery_id;
        return Ok(services.receipts.record(Queued { delivery_id, receipt }).await?);
    }
    let update = status_update(sent);
    if services.events.is_some() {
        events::update_message(services, Which::Id(message.id), update, now).await?;
        return Ok(());
    }
    store::messages::update_status(&services.store.repeating(), Which::Id(message.id), update, now).await?;
    Ok(())
}

fn status_update(sent: &Result<sms::Receipt, Unsent>) -> StatusUpdate {
    match sent {
        Ok(receipt) => StatusUpdate {
            provider_id: receipt.provider_id.clone(),
            segments: receipt.segments,
            price: receipt.price.clone(),
            ..StatusUpdate::from_status(receipt.status)
        },
        Err(Unsent { error, text, .. }) => StatusUpdate {
            error_code: error.provider_code().map(i64::from),
            error_text: text.as_ref().map(|text| text.as_str().to_owned()),
            reason: error.reason(),
            ..StatusUpdate::from_status(if error.definitely_not_sent() {
                DeliveryStatus::Failed
            } else {
                DeliveryStatus::Unknown
            })
        },
    }
}
