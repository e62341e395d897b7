//! The test inbox: it keeps messages in memory instead of sending them, for a developer or a test to read. It answers
//! and reports like Twilio; `inbox/numbers.rs` decides the result by the number.

mod numbers;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use tracing::info;
use uuid::Uuid;

use super::{Message, Provider, Receipt, Report, ReportOf, SendError, segments::measure, twilio::ERRORS};
use domain::{
    delivery::{Channel, DeliveryStatus},
    phone::PhoneNumber,
};

pub use self::numbers::Step;

/// How many messages an [`Inbox`] keeps; older ones are dropped. The contract's number.
pub const INBOX_CAPACITY: usize = 1_000;

/// The last [`INBOX_CAPACITY`] messages, newest first. Clones share one inbox; it ends with the process.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    messages: VecDeque<InboxMessage>,
    /// The steps that were not reported yet, ordered by time, so that a check only looks at the first.
    pending: BTreeMap<(DateTime<Utc>, Uuid), (Step, ReportOf)>,
}

impl State {
    fn insert(&mut self, message: InboxMessage) {
        // The receipt already reported the first step, queued.
        for step in message.timeline.iter().skip(1) {
            self.pending.insert((step.at, message.id), (*step, message.report_of()));
        }
        // Of two concurrent messages, the one created later may be inserted first.
        let newer = self.messages.partition_point(|other| other.created_at > message.created_at);
        self.messages.insert(newer, message);
        while self.messages.len() > INBOX_CAPACITY
            && let Some(oldest) = self.messages.pop_back()
        {
            for step in &oldest.timeline {
                self.pending.remove(&(step.at, oldest.id));
            }
        }
    }
}

impl Inbox {
    /// Accepts or refuses a message as Twilio would. The text of an accepted message is logged: only in test mode may
    /// a log contain a code.
    ///
    /// # Errors
    /// The refusals of the magic numbers.
    pub fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let (message_id, to, channel) = (message.id, &message.to, message.channel.as_str());
        let timeline = numbers::simulate(message).map_err(|provider_error| {
            let (provider_code, hint) = (provider_error.error.provider_code(), provider_error.hint);
            info!(%message_id, %to, channel, provider_code, hint, "test mode: message refused as Twilio would refuse it");
            provider_error.error
        })?;
        let body = message.text.body.expose_secret();
        // Not as a quoted string, which would escape the Hindi characters.
        let line = body.replace('\n', " / ");
        info!(%message_id, %to, channel, body = %line, "test mode: message put into the inbox, not sent");
        self.lock().insert(InboxMessage::new(message, timeline));
        let segments = match message.channel {
            Channel::Sms => i64::try_from(measure(body).segments).ok(),
            Channel::WhatsApp | Channel::Call => None,
        };
        Ok(Receipt { provider_id: None, status: DeliveryStatus::Queued, segments, price: None })
    }

    /// The reports that are due at this time, each once, ordered by time. A dropped message reports no more.
    #[must_use]
    pub fn due(&self, now: DateTime<Utc>) -> Vec<Report> {
        let mut state = self.lock();
        let mut reports = Vec::new();
        while let Some(first) = state.pending.first_entry().filter(|first| first.key().0 <= now) {
            let (step, of) = first.remove();
            reports.push(Report {
                provider: Provider::TestInbox,
                of,
                status: step.status,
                error_code: step.error_code,
                error_text: None,
                reason: step.error_code.and_then(|code| ERRORS.reason_of(code)),
                price: None,
            });
        }
        reports
    }

    /// The messages, newest first; with a phone, only those to it.
    #[must_use]
    pub fn list(&self, phone: Option<&PhoneNumber>) -> Vec<InboxMessage> {
        let matches_phone = |message: &&InboxMessage| phone.is_none_or(|phone| message.to == *phone);
        self.lock().messages.iter().filter(matches_phone).cloned().collect()
    }

    /// A panic while the lock was held leaves only whole messages behind, so a poisoned lock can be used.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// A message in the inbox, with the code in clear; its `Debug` hides the text and the code.
#[derive(Clone)]
pub struct InboxMessage {
    /// The id of the [`Message`].
    pub id: Uuid,
    /// Its delivery.
    pub delivery_id: Uuid,
    /// The recipient.
    pub to: PhoneNumber,
    /// The channel.
    pub channel: Channel,
    /// The language of the text.
    pub language: String,
    /// The whole text.
    pub body: String,
    /// The code alone; a notice has none.
    pub otp_code: Option<String>,
    /// When the use case created it.
    pub created_at: DateTime<Utc>,
    /// All its steps, ordered by time; the first one is queued.
    timeline: Vec<Step>,
}

impl InboxMessage {
    /// The steps up to this time.
    pub fn happened(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Step> {
        self.timeline.iter().take_while(move |step| step.at <= now)
    }

    /// The delivery status at this time.
    #[must_use]
    pub fn status(&self, now: DateTime<Utc>) -> DeliveryStatus {
        // It counts as queued from the start, whatever the clock says.
        self.happened(now).last().map_or(DeliveryStatus::Queued, |step| step.status)
    }

    fn report_of(&self) -> ReportOf {
        ReportOf::Message {
            id: self.id,
            delivery_id: self.delivery_id,
            to: self.to.clone(),
            channel: self.channel,
        }
    }

    fn new(message: &Message, timeline: Vec<Step>) -> Self {
        Self {
            id: message.id,
            delivery_id: message.attempt.delivery_id,
            to: message.to.clone(),
            channel: message.channel,
            language: message.text.language.clone(),
            body: message.text.body.expose_secret().to_owned(),
            otp_code: message.otp_code.as_ref().map(|code| code.expose_secret().to_owned()),
            created_at: message.created_at,
            timeline,
        }
    }
}

impl fmt::Debug for InboxMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxMessage")
            .field("id", &self.id)
            .field("to", &self.to)
            .field("channel", &self.channel)
            .field("language", &self.language)
            .field("created_at", &self.created_at)
            .field("timeline", &self.timeline)
            .finish_non_exhaustive()
    }
}
