//! Delivery of messages after the provider took them: reports are recorded, and when a message is lost the next channel is
//! tried.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::{
    Error, Services, blocks, budget,
    code::{self, Outgoing},
    run_to_completion,
};
use crate::{
    domain::{
        audit::{Action, Actor, Event},
        delivery::{Channel, Delivery, DeliveryStatus},
        otp::ChallengeKey,
        phone::PhoneNumber,
    },
    sms::{self, Meaning, Report, ReportOf, SendError},
    store::{
        self, Store,
        messages::{StatusUpdate, Which},
    },
};

/// How long a message without the provider's id may still be matched with a report. Longer than a code lives, and than the
/// provider is told to keep a message in its queue.
const UNMATCHED_FOR: Duration = Duration::hours(2);

/// The outcome of a report that came over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// It is from the provider. The answer does not depend on whether it says anything new.
    Taken,
    /// It is not from the provider, or that cannot be verified.
    Forged,
}

/// What a code of the provider means, as rows keep it. `None` for a code that is not known.
#[must_use]
pub fn meaning(code: i64) -> Option<Meaning> {
    sms::meaning(u32::try_from(code).ok()?)
}

/// How long the answer to a report waits for the next channel. After that, sending continues in the background.
const FALLBACK_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Takes a report of the provider. `target` is the path and query of its request, `form` the raw body.
///
/// # Errors
/// When the database does not answer: the report was not recorded.
pub async fn take(
    services: &Arc<Services>,
    target: &str,
    signature: &str,
    form: &[u8],
) -> Result<Reported, Error> {
    let read = services.callbacks.as_ref().map(|callbacks| callbacks.read(target, signature, form));
    let report = match read {
        None | Some(Err(_)) => return Ok(Reported::Forged),
        Some(Ok(None)) => return Ok(Reported::Taken),
        Some(Ok(Some(report))) => report,
    };
    let now = services.clock.now();
    let lost =
        run_to_completion(services, |services| async move { record(&services, report, now).await }).await?;
    if let Some(lost) = lost {
        let fallback = run_to_completion(services, |services| async move {
            try_next_channel(&services, &lost, now).await;
        });
        // The report was taken, even if this fails.
        let _ = tokio::time::timeout(FALLBACK_WITHIN, fallback).await;
    }
    Ok(Reported::Taken)
}

/// Plays the reports that a provider would have sent by now about the messages in the test inbox.
///
/// # Errors
/// When the database does not answer. The reports that were due are lost, like a report to a server that is down.
pub async fn play(services: &Arc<Services>) -> Result<(), Error> {
    let now = services.clock.now();
    for report in services.sms.inbox().map(|inbox| inbox.due(now)).unwrap_or_default() {
        run_to_completion(services, |services| async move {
            if let Some(lost) = record(&services, report, now).await? {
                try_next_channel(&services, &lost, now).await;
            }
            Ok::<(), Error>(())
        })
        .await?;
    }
    Ok(())
}

/// Records a report. Returns the message if it is lost and may be followed by another one. A report that says nothing new
/// changes nothing.
async fn record(services: &Services, report: Report, now: DateTime<Utc>) -> Result<Option<Delivery>, Error> {
    let (status, error_code) = (report.status, report.error_code);
    let mut may_be_followed = report.may_be_followed();
    let update = StatusUpdate {
        error_code: error_code.map(i64::from),
        reason: report.reason,
        price: report.price,
        ..StatusUpdate::from_status(status)
    };
    let db = &services.store;
    let updated = match &report.of {
        ReportOf::Message(id) => update_status(db, Which::Id(*id), update, now).await?,
        ReportOf::Provider { id, to, channel } => {
            match update_status(db, Which::ProviderId(id), update.clone(), now).await? {
                Some(delivery) => Some(delivery),
                None => match find_unmatched(services, id, to.as_ref(), *channel, now).await? {
                    None => None,
                    Some(message) => {
                        // If the request still waits for the provider's own answer, it learns the failure from that.
                        may_be_followed &= message.status.is_taken();
                        let update = StatusUpdate { provider_id: Some(id.clone()), ..update };
                        update_status(db, Which::Id(message.message_id), update, now).await?
                    }
                },
            }
        }
    };
    let Some(delivery) = updated else {
        return Ok(None);
    };
    tracing::info!(
        message_id = %delivery.message_id,
        to = %delivery.phone,
        channel = delivery.channel.as_str(),
        status = status.as_str(),
        error_code,
        "delivery report"
    );
    let is_lost = delivery.status == status && status.is_lost();
    Ok((is_lost && may_be_followed).then_some(delivery))
}

/// Updates the status of a message. A report comes only once, and the fallback after it must not get lost: if the answer
/// of the database was lost, the update is repeated, or found as it was written before.
async fn update_status(
    db: &Store,
    which: Which<'_>,
    update: StatusUpdate,
    now: DateTime<Utc>,
) -> Result<Option<Delivery>, Error> {
    let status = update.status;
    match store::messages::update_status(db, which, update.clone(), now).await {
        Err(error) if error.may_have_happened() => {
            match store::messages::update_status(db, which, update, now).await? {
                None => Ok(store::messages::find_updated(db, which, status, now).await?),
                written => Ok(written),
            }
        }
        result => Ok(result?),
    }
}

/// The message that a report with an unknown id is about. The report may be ahead of the provider's own answer, or that
/// answer was lost. Then it means the only recent message to this phone by this channel. If there are two, it could mean
/// either.
async fn find_unmatched(
    services: &Services,
    id: &str,
    to: Option<&PhoneNumber>,
    channel: Channel,
    now: DateTime<Utc>,
) -> Result<Option<Delivery>, Error> {
    let db = &services.store;
    let Some(phone) = to else {
        return Ok(None);
    };
    if store::messages::find_by_provider_id(db, id).await?.is_some() {
        return Ok(None);
    }
    let mut recent = store::messages::list_recent(db, phone, channel, now - UNMATCHED_FOR).await?;
    let is_only = recent.len() == 1;
    let unmatched = recent.pop().filter(|message| is_only && message.provider_id.is_none());
    if unmatched.is_none() {
        tracing::warn!(to = %phone, "delivery report for an unknown message");
    }
    Ok(unmatched)
}

/// Tries the next channel. An error only goes to the log, because the report itself was taken.
async fn try_next_channel(services: &Services, lost: &Delivery, now: DateTime<Utc>) {
    if let Err(error) = fall_back(services, lost, now).await {
        tracing::error!(message_id = %lost.message_id, %error, "the next channel could not be tried");
    }
}

/// Sends the code by the next channel that was not tried yet, if there is still time to enter it. Two parallel reports
/// send one message: the database accepts each attempt of a delivery once. Nothing is sent if the user has requested a
/// code again since, or if a message has arrived after all.
async fn fall_back(services: &Services, lost: &Delivery, now: DateTime<Utc>) -> Result<(), Error> {
    if services.channels.fallback.is_empty() {
        return Ok(());
    }
    let db = &services.store;
    let before = store::messages::list_by_challenge(db, &lost.phone, lost.challenge_id).await?;
    let mut tried: Vec<Channel> = before.iter().map(|delivery| delivery.channel).collect();
    let is_last = before.last().is_some_and(|last| last.message_id == lost.message_id);
    let has_arrived = before.iter().any(|delivery| delivery.status == DeliveryStatus::Delivered);
    if !is_last || has_arrived {
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
    let is_known = holder.is_some() || (account.is_some() && !services.hides_accounts);
    let mut attempt = lost.attempt;
    while let Some(channel) = services.channels.next_after(&tried)
        && challenge.is_worth_sending(&services.otp, now)
    {
        tried.push(channel);
        attempt += 1;
        let outgoing = Outgoing {
            key,
            delivery_id: lost.delivery_id,
            attempt,
            channel,
            platform: lost.platform,
            languages: std::slice::from_ref(&lost.language),
        };
        // It costs as much as the first one: an attacker whose numbers accept no message must not get two for one.
        let budget_claim = match budget::claim_message(services, key.phone, is_known, now).await? {
            Ok(budget_claim) => budget_claim,
            Err(exceeded) => {
                tracing::info!(to = %key.phone, budget = exceeded.budget.as_str(), "next channel refused");
                let event = Event::new(Action::CodeRefused, Actor::System).phone(key.phone);
                let event = event.with("purpose", key.purpose.as_str());
                services.audit.note(event.with("budget", exceeded.budget.as_str()), now);
                return Ok(());
            }
        };
        let Some(message) = code::record(services, &outgoing, &challenge, now).await? else {
            // Another report was first, and its message is charged.
            budget::refund(services, &budget_claim).await?;
            return Ok(());
        };
        tracing::info!(message_id = %message.id, to = %message.to, channel = channel.as_str(), "next channel");
        let sent = code::hand_over(services, &message).await;
        note(services, &outgoing, sent.as_ref().err(), now);
        match sent {
            Err(failure) if failure.definitely_not_sent() => budget::refund(services, &budget_claim).await?,
            Ok(()) | Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Records that a code was sent by the next channel, or was not.
fn note(services: &Services, outgoing: &Outgoing<'_>, failure: Option<&SendError>, now: DateTime<Utc>) {
    let action = if failure.is_none() { Action::CodeSent } else { Action::CodeNotSent };
    let event = Event::new(action, Actor::System)
        .phone(outgoing.key.phone)
        .with("purpose", outgoing.key.purpose.as_str())
        .with("channel", outgoing.channel.as_str())
        .with("delivery_id", outgoing.delivery_id);
    services.audit.note(event.with_known("reason", failure.map(SendError::kind)), now);
    let outcome = failure.map_or("sent", SendError::kind);
    services.metrics.message(outgoing.channel.as_str(), outcome);
}
