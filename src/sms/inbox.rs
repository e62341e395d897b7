//! The test inbox: what would have gone out, kept in memory for a person or a test to read.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use tracing::info;
use uuid::Uuid;

use super::Message;
use crate::domain::phone::PhoneNumber;

/// How many messages an [`Inbox`] keeps; an older one falls out. The contract's number.
pub const INBOX_CAPACITY: usize = 1_000;

/// The last [`INBOX_CAPACITY`] messages, newest first. A clone is the same inbox; it is gone with the process.
#[derive(Clone, Default)]
pub struct Inbox {
    messages: Arc<Mutex<VecDeque<InboxMessage>>>,
}

impl Inbox {
    /// Takes a message in and writes its text to the log: in test mode, and nowhere else, a code may be read there.
    pub fn put(&self, message: &Message) {
        info!(
            message_id = %message.id,
            to = %message.to,
            body = message.body.expose_secret(),
            "test mode: SMS put into the inbox, not sent"
        );
        let mut messages = self.lock();
        // Of two that are sent at once, the one that was made later may come in first.
        let newer = messages.partition_point(|other| other.created_at > message.created_at);
        messages.insert(newer, InboxMessage::from(message));
        messages.truncate(INBOX_CAPACITY);
    }

    /// The messages, newest first; with a phone, only those to it.
    #[must_use]
    pub fn list(&self, phone: Option<&PhoneNumber>) -> Vec<InboxMessage> {
        self.lock().iter().filter(|message| phone.is_none_or(|phone| message.to == *phone)).cloned().collect()
    }

    /// A panic elsewhere leaves whole messages behind, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, VecDeque<InboxMessage>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// `sms`.
    pub channel: &'static str,
    /// The whole text.
    pub body: String,
    /// The code alone.
    pub otp_code: String,
    /// When the flow made it.
    pub created_at: DateTime<Utc>,
}

impl From<&Message> for InboxMessage {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id,
            to: message.to.clone(),
            channel: "sms",
            body: message.body.expose_secret().to_owned(),
            otp_code: message.otp_code.expose_secret().to_owned(),
            created_at: message.created_at,
        }
    }
}

impl fmt::Debug for InboxMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxMessage")
            .field("id", &self.id)
            .field("to", &self.to)
            .field("channel", &self.channel)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}
