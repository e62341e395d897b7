//! Delivery of messages after a provider took them: what it reports is recorded. What follows a lost message is in
//! `delivery/follow.rs`.

mod follow;

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use tokio::task::JoinSet;
use tracing::Instrument;
use uuid::Uuid;

pub(super) use self::follow::follow;
use super::{Error, Services, before_send, events, receipts::Queued, run_to_completion};
use crate::{
    domain::{
        delivery::{Attempt, Channel, Delivery, DeliveryStatus},
        phone::PhoneNumber,
    },
    sms::{self, Meaning, Provider, Report, ReportOf},
    store::{
        self,
        messages::{Receipt, StatusUpdate, Which},
    },
};

pub use crate::sms::Incoming;

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

/// What a code of a provider means, as rows keep both. `None` for what is not known.
#[must_use]
pub fn meaning(provider: &str, code: Option<i64>) -> Option<Meaning> {
    sms::meaning(provider.parse().ok()?, u32::try_from(code?).ok()?)
}

/// The name of a provider for staff, as rows keep it. `None` where no provider was asked.
#[must_use]
pub fn provider_label(provider: &str) -> Option<&'static str> {
    provider.parse().ok().map(Provider::label)
}

/// All providers: each as rows keep it, and its name for staff.
#[must_use]
pub fn providers() -> [(&'static str, &'static str); Provider::ALL.len()] {
    Provider::ALL.map(|provider| (provider.as_str(), provider.label()))
}

/// A request waits for the provider for seconds only. A message that is pending for longer was accepted by the provider, which
/// reports about it, but the process that sent it ended before it had written that.
const ANSWERED_WITHIN: Duration = Duration::minutes(1);

/// How long the answer to a report waits for the messages that follow. After that, sending continues in the background.
const FOLLOW_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// How many lost messages of one request are followed at a time: MSG91 reports many at once.
const FOLLOWED_AT_ONCE: usize = 16;

/// The message that decides the status of a delivery: a delivered one, otherwise the last.
///
/// # Errors
/// When the database does not answer.
pub async fn find(services: &Services, delivery_id: Uuid) -> Result<Option<Delivery>, Error> {
    services.receipts.settle_if(|queued| queued.delivery_id == delivery_id).await;
    let found = store::messages::find_by_delivery(&services.store, delivery_id).await?;
    Ok(found.map(|delivery| before_send::shown(services, delivery)))
}

/// Takes what a provider reports.
///
/// # Errors
/// When the database does not answer: the report was not recorded.
pub async fn take(services: &Arc<Services>, incoming: Incoming<'_>) -> Result<Reported, Error> {
    let now = services.clock.now();
    let Ok(reports) = services.reports.read(incoming, now) else {
        return Ok(Reported::Forged);
    };
    run_to_completion(services, move |services| async move { take_all(&services, reports, now).await })
        .await?;
    Ok(Reported::Taken)
}

/// Records all reports of a request before anything follows the lost messages: a provider that is slow then must not cost the
/// reports that come after. What was recorded before an error is followed too, because the repeated report says nothing new.
async fn take_all(services: &Arc<Services>, reports: Vec<Report>, now: DateTime<Utc>) -> Result<(), Error> {
    let (mut lost, mut recorded) = (Vec::new(), Ok(()));
    for report in reports {
        match record(services, report, now).await {
            Ok(message) => lost.extend(message),
            Err(error) => {
                recorded = Err(error);
                break;
            }
        }
    }
    if !lost.is_empty() {
        let following = run_to_completion(services, move |services| async move {
            follow_all(&services, lost, now).await;
        });
        // The reports were taken, even if this fails.
        let _ = tokio::time::timeout(FOLLOW_WITHIN, following).await;
    }
    recorded
}

async fn follow_all(services: &Arc<Services>, lost: Vec<Delivery>, now: DateTime<Utc>) {
    let mut following = JoinSet::new();
    for message in lost {
        if following.len() == FOLLOWED_AT_ONCE {
            following.join_next().await;
        }
        let services = Arc::clone(services);
        following.spawn(async move { follow(&services, &message, now).await }.in_current_span());
    }
    while following.join_next().await.is_some() {}
}

/// Plays the reports that a provider would have sent by now about the messages in the test inbox.
///
/// # Errors
/// When the database does not answer. The reports that were due are lost, like a report to a server that is down.
pub async fn play(services: &Arc<Services>) -> Result<(), Error> {
    let now = services.clock.now();
    for report in services.sms.inbox().map(|inbox| inbox.due(now)).unwrap_or_default() {
        if let (ReportOf::Message { id, to, channel, .. }, Some(queued)) = (&report.of, receipt(&report, now))
        {
            log(*id, to, *channel, report.status, None);
            services.receipts.record(queued).await?;
            continue;
        }
        run_to_completion(services, |services| async move {
            if let Some(lost) = record(&services, report, now).await? {
                follow(&services, &lost, now).await;
            }
            Ok::<(), Error>(())
        })
        .await?;
    }
    Ok(())
}

/// The receipt that a report of the test inbox is. `None` for a lost message, which another one may follow.
fn receipt(report: &Report, at: DateTime<Utc>) -> Option<Queued> {
    let ReportOf::Message { id, delivery_id, .. } = report.of else { return None };
    let receipt =
        Receipt { message_id: id, status: report.status, provider_id: None, segments: None, price: None, at };
    (!report.status.is_lost()).then_some(Queued { delivery_id, receipt })
}

/// Records a report. Returns the message if it is lost. A report that says nothing new
/// changes nothing.
async fn record(services: &Services, report: Report, now: DateTime<Utc>) -> Result<Option<Delivery>, Error> {
    services.receipts.settle_if(|queued| is_about(&report.of, queued)).await;
    let (status, error_code) = (report.status, report.error_code);
    // A message whose outcome is not known to us is not followed by another one.
    let mut may_be_followed = true;
    let update = StatusUpdate {
        error_code: error_code.map(i64::from),
        error_text: report.error_text.as_ref().map(|text| text.as_str().to_owned()),
        reason: report.reason,
        price: report.price.clone(),
        ..StatusUpdate::from_status(status)
    };
    let db = &services.store;
    let provider = report.provider.as_str();
    let updated = match &report.of {
        ReportOf::Message { id, .. } => update_status(services, Which::Id(*id), update, now).await?,
        ReportOf::Provider { id, attempt: Some(attempt), .. } => {
            let Attempt { delivery_id, number } = *attempt;
            let which = Which::Attempt { delivery_id, attempt: number, provider, provider_id: id };
            if status.is_lost() {
                let before = store::messages::find(db, which).await?;
                may_be_followed &= before.is_some_and(|before| is_answered(&before, now));
            }
            let update = StatusUpdate { provider_id: Some(id.clone()), ..update };
            update_status(services, which, update, now).await?
        }
        ReportOf::Recipient { id, to } => {
            update_status(services, Which::Recipient { provider, id, phone: to }, update, now).await?
        }
        ReportOf::Provider { id, attempt: None, .. } => {
            match update_status(services, Which::ProviderId { provider, id }, update.clone(), now).await? {
                Some(delivery) => Some(delivery),
                None => match find_unmatched(services, &report, now).await? {
                    None => None,
                    Some(message) => {
                        may_be_followed &= is_answered(&message, now);
                        let update = StatusUpdate { provider_id: Some(id.clone()), ..update };
                        update_status(services, Which::Id(message.message_id), update, now).await?
                    }
                },
            }
        }
    };
    let Some(delivery) = updated else {
        return Ok(None);
    };
    log(delivery.message_id, &delivery.phone, delivery.channel, status, error_code);
    let is_lost = delivery.status == status && status.is_lost();
    Ok((is_lost && may_be_followed).then_some(delivery))
}

fn log(
    message_id: Uuid,
    to: &PhoneNumber,
    channel: Channel,
    status: DeliveryStatus,
    error_code: Option<u32>,
) {
    let (channel, status) = (channel.as_str(), status.as_str());
    tracing::info!(%message_id, %to, channel, status, error_code, "delivery report");
}

/// Whether a receipt is about the message of a report.
fn is_about(of: &ReportOf, queued: &Queued) -> bool {
    match of {
        ReportOf::Message { id, .. } => queued.receipt.message_id == *id,
        ReportOf::Provider { attempt: Some(attempt), .. } => queued.delivery_id == attempt.delivery_id,
        ReportOf::Provider { id, attempt: None, .. } | ReportOf::Recipient { id, .. } => {
            queued.receipt.provider_id.as_ref() == Some(id)
        }
    }
}

/// Whether the provider's answer about a message is known. If the request still waits for it, it learns from it that the
/// message failed. If it is "accepted" all the same, [`super::receipt_writer`] lets another message follow.
fn is_answered(message: &Delivery, now: DateTime<Utc>) -> bool {
    let is_old = now - message.updated_at > ANSWERED_WITHIN;
    message.status.is_taken() || (message.status == DeliveryStatus::Pending && is_old)
}

/// Updates the status of a message. A report comes only once, and the fallback after it must not get lost: if the answer
/// of the database was lost, the update is repeated, or found as it was written before.
async fn update_status(
    services: &Services,
    which: Which<'_>,
    update: StatusUpdate,
    now: DateTime<Utc>,
) -> Result<Option<Delivery>, Error> {
    let status = update.status;
    match events::update_message(services, which, update.clone(), now).await {
        Err(Error::Store(error)) if error.may_have_happened() => {
            match events::update_message(services, which, update, now).await? {
                None => Ok(store::messages::find_updated(&services.store, which, status, now).await?),
                written => Ok(written),
            }
        }
        result => result,
    }
}

/// The message that a report with an unknown id is about. The report may be ahead of the provider's own answer, or that
/// answer was lost. Then it means the only recent message to this phone by this channel. If there are two, it could mean
/// either. Only Twilio's reports can be about a message of a version that did not name it.
async fn find_unmatched(
    services: &Services,
    report: &Report,
    now: DateTime<Utc>,
) -> Result<Option<Delivery>, Error> {
    let db = &services.store;
    let provider = report.provider;
    let ReportOf::Provider { id, to: Some(phone), channel, .. } = &report.of else {
        return Ok(None);
    };
    if provider != Provider::Twilio {
        return Ok(None);
    }
    // A message whose id is known is not taken for another one.
    services.receipts.settle().await;
    if store::messages::find(db, Which::ProviderId { provider: provider.as_str(), id }).await?.is_some() {
        return Ok(None);
    }
    let mut recent = store::messages::list_recent(db, phone, *channel, now - UNMATCHED_FOR).await?;
    let is_only = recent.len() == 1;
    let is_its_own =
        |message: &Delivery| message.provider == provider.as_str() && message.provider_id.is_none();
    let unmatched = recent.pop().filter(|message| is_only && is_its_own(message));
    if unmatched.is_none() {
        tracing::warn!(to = %phone, "delivery report for an unknown message");
    }
    Ok(unmatched)
}
