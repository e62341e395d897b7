//! The test inbox: what would have gone out, kept in memory for a person or a test to read. It answers and reports as
//! Twilio does; what becomes of a message is in `inbox/numbers.rs`.

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

use super::{Message, Receipt, Report, ReportOf, SendError, provider_error, segments::measure};
use domain::{
    delivery::{Channel, DeliveryStatus},
    phone::PhoneNumber,
};

pub use self::numbers::Step;

/// How many messages an [`Inbox`] keeps; an older one falls out. The contract's number.
pub const INBOX_CAPACITY: usize = 1_000;

/// The last [`INBOX_CAPACITY`] messages, newest first. A clone is the same inbox; it is gone with the process.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    messages: VecDeque<InboxMessage>,
    /// The steps that nobody has asked for yet, in the order of their times: looking whether one is due looks at the
    /// first only.
    awaited: BTreeMap<(DateTime<Utc>, Uuid), Step>,
}

impl Kept {
    fn take_in(&mut self, message: InboxMessage) {
        // What is queued was said when the message was taken.
        for step in message.timeline.iter().skip(1) {
            self.awaited.insert((step.at, message.id), *step);
        }
        // Of two that are sent at once, the one that was made later may come in first.
        let newer = self.messages.partition_point(|other| other.created_at > message.created_at);
        self.messages.insert(newer, message);
        while self.messages.len() > INBOX_CAPACITY
            && let Some(oldest) = self.messages.pop_back()
        {
            for step in &oldest.timeline {
                self.awaited.remove(&(step.at, oldest.id));
            }
        }
    }
}

impl Inbox {
    /// Takes a message as Twilio would, or refuses it as Twilio would. Of one that it takes, the text goes to the log:
    /// in test mode, and nowhere else, a code may be read there.
    ///
    /// # Errors
    /// The refusals of the magic numbers.
    pub fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let (message_id, to, channel) = (message.id, &message.to, message.channel.as_str());
        let timeline = numbers::play(message).map_err(|provider_error| {
            let (provider_code, hint) = (provider_error.error.provider_code(), provider_error.hint);
            info!(%message_id, %to, channel, provider_code, hint, "test mode: message refused, as Twilio would");
            provider_error.error
        })?;
        let body = message.text.body.expose_secret();
        // Not as a quoted text, which would take the signs of Hindi apart.
        let line = body.replace('\n', " / ");
        info!(%message_id, %to, channel, body = %line, "test mode: message put into the inbox, not sent");
        self.lock().take_in(InboxMessage::new(message, timeline));
        let segments = match message.channel {
            Channel::Sms => i64::try_from(measure(body).segments).ok(),
            Channel::WhatsApp | Channel::Call => None,
        };
        Ok(Receipt { provider_id: None, status: DeliveryStatus::Queued, segments, price: None })
    }

    /// The reports that have come due by this time, each once, in the order of their times. A message that has fallen
    /// out of the inbox reports no more.
    #[must_use]
    pub fn due(&self, now: DateTime<Utc>) -> Vec<Report> {
        let mut kept = self.lock();
        let mut reports = Vec::new();
        while let Some(first) = kept.awaited.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, id), step) = first.remove_entry();
            reports.push(Report {
                of: ReportOf::Message(id),
                status: step.status,
                error_code: step.error_code,
                reason: step.error_code.and_then(provider_error::reason_of),
                price: None,
            });
        }
        reports
    }

    /// The messages, newest first; with a phone, only those to it.
    #[must_use]
    pub fn list(&self, phone: Option<&PhoneNumber>) -> Vec<InboxMessage> {
        let is_meant = |message: &&InboxMessage| phone.is_none_or(|phone| message.to == *phone);
        self.lock().messages.iter().filter(is_meant).cloned().collect()
    }

    /// A panic elsewhere leaves whole messages behind, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// A message as the dev inbox shows it, the code in clear; its `Debug` hides the text and the code.
#[derive(Clone)]
pub struct InboxMessage {
    /// The id of the [`Message`].
    pub id: Uuid,
    /// Who would have got it.
    pub to: PhoneNumber,
    /// By which way.
    pub channel: Channel,
    /// The language of the text.
    pub language: String,
    /// The whole text.
    pub body: String,
    /// The code alone; a notice has none.
    pub otp_code: Option<String>,
    /// When the flow made it.
    pub created_at: DateTime<Utc>,
    /// All that will become of it, in the order of its times; the first step is that it was taken.
    timeline: Vec<Step>,
}

impl InboxMessage {
    /// What has become of it by this time.
    pub fn happened(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Step> {
        self.timeline.iter().take_while(move |step| step.at <= now)
    }

    /// How far it has got by this time.
    #[must_use]
    pub fn status(&self, now: DateTime<Utc>) -> DeliveryStatus {
        // It is taken as soon as it is here, whatever the clock says.
        self.happened(now).last().map_or(DeliveryStatus::Queued, |step| step.status)
    }

    fn new(message: &Message, timeline: Vec<Step>) -> Self {
        Self {
            id: message.id,
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
