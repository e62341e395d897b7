//! Events, as they go over the network to a server of the operator.

use std::time::Duration;

use chrono::{DateTime, Utc};
use outbound::{Client, Endpoint, Secrets};

use super::receiver::{Failure, Receiver};
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

/// The operator's receiver of events.
#[derive(Debug)]
pub struct EventReceiver {
    receiver: Receiver,
    include_phone: bool,
}

impl EventReceiver {
    /// Does not contact the receiver.
    #[must_use]
    pub fn new(client: Client, settings: EventsSettings) -> Self {
        let EventsSettings { endpoint, secrets, include_phone } = settings;
        Self { receiver: Receiver { client, endpoint, secrets }, include_phone }
    }

    /// Whether payloads hold phones.
    #[must_use]
    pub fn includes_phones(&self) -> bool {
        self.include_phone
    }

    /// Sends an event once.
    ///
    /// # Errors
    /// [`Failure`] without a 2xx answer.
    pub async fn send(&self, event: &StoredEvent, now: DateTime<Utc>) -> Result<(), Failure> {
        self.receiver.post(event.id, &event.payload(), DEADLINE, now).await.map(|_| ())
    }
}
