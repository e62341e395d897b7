//! Events, as they go over the network to a server of the operator.

use std::{fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use outbound::{Client, Endpoint, Request, Secrets};

use super::word;
use crate::domain::events::StoredEvent;

/// How long one try may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The settings of events.
#[derive(Debug, Clone)]
pub struct EventsSettings {
    /// `EVENTS_URL`
    pub endpoint: Endpoint,
    /// `EVENTS_SECRET`
    pub secrets: Secrets,
    /// `EVENTS_INCLUDE_PHONE`
    pub include_phone: bool,
}

/// Why an event was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTaken {
    /// As a word for the log.
    pub why: &'static str,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long the receiver asked to wait.
    pub retry_after: Option<TimeDelta>,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{} {status}", self.why),
            None => f.write_str(self.why),
        }
    }
}

/// The operator's receiver of events. `Debug` shows no secret.
pub struct EventReceiver {
    client: Client,
    settings: EventsSettings,
}

impl fmt::Debug for EventReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventReceiver").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl EventReceiver {
    /// Does not contact the receiver.
    #[must_use]
    pub fn new(client: Client, settings: EventsSettings) -> Self {
        Self { client, settings }
    }

    /// Whether payloads hold phones.
    #[must_use]
    pub fn includes_phones(&self) -> bool {
        self.settings.include_phone
    }

    /// Sends an event once.
    ///
    /// # Errors
    /// [`NotTaken`] without a 2xx answer.
    pub async fn send(&self, event: &StoredEvent, now: DateTime<Utc>) -> Result<(), NotTaken> {
        let (id, body) = (event.id.to_string(), event.payload().to_string());
        let request = Request {
            endpoint: &self.settings.endpoint,
            id: &id,
            at: now,
            secrets: &self.settings.secrets,
            body: body.as_bytes(),
            timeout: DEADLINE,
        };
        match self.client.post(request).await {
            Ok(answer) if answer.is_success() => Ok(()),
            Ok(answer) => {
                let retry_after = answer.retry_after.and_then(|wait| TimeDelta::from_std(wait).ok());
                Err(NotTaken { why: "status", status: Some(answer.status), retry_after })
            }
            Err(failure) => Err(NotTaken { why: word(failure), status: None, retry_after: None }),
        }
    }
}
