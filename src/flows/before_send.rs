//! The hook before sending: asked for every code, after the budgets are charged and before the message leaves, outside of any
//! transaction. Without the hook this module does nothing.
//!
//! A code that is refused was not handed to a provider: its message row says so (`store::messages::set_not_handed_over`), its
//! charges are returned, and the audit log says why. Where accounts are hidden, a client cannot tell a refused code from one
//! that was sent: the answer is the same and takes as long, and the charges stay.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::Services;
use crate::{
    domain::{
        audit::{Action, Event},
        delivery::{Delivery, DeliveryStatus, NO_PROVIDER, UnreachableReason},
    },
    hooks::{BeforeSend, Decision, Failure, OnFailure},
    sms::SendError,
    store,
};

pub(super) use crate::hooks::{BotProof, Question};

/// How many times of sends are remembered.
const REMEMBERED_SENDS: usize = 32;

/// How long a refused code takes until the time of a send is known: about as long as a provider.
const FIRST_SEND: Duration = Duration::from_millis(400);

/// The hook, and how long the last sends took.
#[derive(Debug)]
pub struct Hook {
    client: BeforeSend,
    times: Mutex<VecDeque<Duration>>,
}

impl Hook {
    /// A hook that was not asked yet.
    #[must_use]
    pub fn new(client: BeforeSend) -> Self {
        Self { client, times: Mutex::new(VecDeque::with_capacity(REMEMBERED_SENDS)) }
    }

    fn remember(&self, took: Duration) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() == REMEMBERED_SENDS {
            times.pop_front();
        }
        times.push_back(took);
    }

    /// The time of one of the last sends, chosen at random: a fixed one would stand out.
    fn time_of_a_send(&self, chance: Uuid) -> Duration {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let count = u128::try_from(times.len()).unwrap_or(u128::MAX);
        let chosen = chance.as_u128().checked_rem(count).and_then(|index| usize::try_from(index).ok());
        chosen.and_then(|index| times.get(index).copied()).unwrap_or(FIRST_SEND)
    }
}

/// Why a code is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The hook denied it, or asked for a proof that is not possible.
    Denied,
    /// The hook gave no decision, and the settings deny then.
    NoDecision,
    /// The client must prove first that it is no bot.
    Challenge,
}

impl Refusal {
    /// The error of a code that is not sent: the contract's `phone_unreachable` with the reason `blocked`.
    pub(super) const ERROR: SendError =
        SendError::Unreachable { reason: UnreachableReason::Blocked, provider_code: None };

    /// The audit entry, as an action and its reason.
    fn words(self) -> (Action, &'static str) {
        match self {
            Self::Denied => (Action::CodeRefused, "hook_denied"),
            Self::NoDecision => (Action::CodeRefused, "hook_failed"),
            Self::Challenge => (Action::ChallengeFailed, "hook"),
        }
    }
}

/// The message that waits for the decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) message_id: Uuid,
    pub(super) delivery_id: Uuid,
}

/// Asks the hook, if there is one. If it refuses, that is recorded in the row of the message and in the audit log, as an event
/// that `event` makes.
pub(super) async fn ask(
    services: &Services,
    question: &Question<'_>,
    waiting: Waiting,
    event: impl FnOnce(Action) -> Event,
    now: DateTime<Utc>,
) -> Option<Refusal> {
    let hook = services.before_send.as_ref()?;
    let refusal = refusal(services, &hook.client, question, now).await?;
    let (action, reason) = refusal.words();
    let event = event(action).phone(question.phone).with("purpose", question.purpose.as_str());
    let event = event.with("channel", question.channel.as_str()).with("delivery_id", waiting.delivery_id);
    services.audit.note(event.with("reason", reason), now);
    services.metrics.message(NO_PROVIDER, question.channel.as_str(), "denied");
    let db = services.store.repeating();
    // The code is refused either way.
    let id = waiting.message_id;
    if let Err(error) = store::messages::set_not_handed_over(&db, id, now).await {
        tracing::error!(message_id = %id, %error, "the status of a message could not be recorded");
    }
    Some(refusal)
}

#[tracing::instrument(target = "otel", name = "hook before sending", skip_all, fields(loopin.outcome))]
async fn refusal(
    services: &Services,
    hook: &BeforeSend,
    question: &Question<'_>,
    now: DateTime<Utc>,
) -> Option<Refusal> {
    let answer = hook.ask(services.random.bits(), question, now).await;
    let outcome = answer.map_or("failed", Decision::as_str);
    tracing::Span::current().record("loopin.outcome", outcome);
    services.metrics.hook("before_send", outcome);
    let decision = match answer {
        Ok(decision) => decision,
        Err(Failure { why, status, .. }) => {
            let (to, on_failure) = (question.phone, hook.on_failure());
            tracing::warn!(%to, why, status, ?on_failure, "the hook before sending gave no decision");
            return match on_failure {
                OnFailure::Allow => None,
                OnFailure::Deny => Some(Refusal::NoDecision),
            };
        }
    };
    match (decision, question.bot_proof) {
        (Decision::Allow, _) | (Decision::Challenge, BotProof::Given) => None,
        (Decision::Challenge, BotProof::NotGiven) => Some(Refusal::Challenge),
        (Decision::Deny, _) | (Decision::Challenge, BotProof::Impossible) => Some(Refusal::Denied),
    }
}

/// Measures a send, for [`wait_as_for_a_send`].
pub(super) async fn measured<T, E>(
    services: &Services,
    send: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Some(hook) = &services.before_send else { return send.await };
    let began = Instant::now();
    let sent = send.await;
    if sent.is_ok() {
        hook.remember(began.elapsed());
    }
    sent
}

/// Waits as long as a send takes that began at this moment.
pub(super) async fn wait_as_for_a_send(services: &Services, began: Instant) {
    if let Some(hook) = &services.before_send {
        sleep_until(began + hook.time_of_a_send(services.random.bits())).await;
    }
}

/// What a client may know of a delivery: where accounts are hidden, a refused code looks like one that the provider took and has
/// not reported about.
pub(super) fn shown(services: &Services, delivery: Delivery) -> Delivery {
    let is_refused = delivery.status == DeliveryStatus::Failed
        && delivery.reason == Some(UnreachableReason::Blocked)
        && delivery.provider == NO_PROVIDER;
    if services.before_send.is_some() && services.hides_accounts && is_refused {
        return Delivery { status: DeliveryStatus::Queued, reason: None, ..delivery };
    }
    delivery
}
