//! A message as its row records it: what staff see about it. Its text is never stored.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::delivery::{Channel, DeliveryStatus, Platform, UnreachableReason};

/// A message that was given to the provider, or was about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// Its id.
    pub id: Uuid,
    /// The delivery that it belongs to.
    pub delivery_id: Uuid,
    /// The challenge whose code it carries, if it carries one.
    pub challenge_id: Option<Uuid>,
    /// Its number within the delivery, from 1. A later one went by another provider or channel because the earlier ones failed.
    pub attempt: i64,
    /// The channel.
    pub channel: Channel,
    /// The name of its template.
    pub template: String,
    /// The provider.
    pub provider: String,
    /// The language of its text.
    pub language: String,
    /// The platform of the app.
    pub platform: Option<Platform>,
    /// The delivery status.
    pub status: DeliveryStatus,
    /// The provider's code of the failure.
    pub error_code: Option<i64>,
    /// The provider's words about it.
    pub error_text: Option<String>,
    /// What the failure says about the number.
    pub reason: Option<UnreachableReason>,
    /// When it was created, just before it was sent.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
    /// The statuses that were reported, with their times, oldest first.
    pub reached: Vec<(DeliveryStatus, DateTime<Utc>)>,
}

impl SentMessage {
    /// When it reached this status, if it did.
    #[must_use]
    pub fn reached_at(&self, status: DeliveryStatus) -> Option<DateTime<Utc>> {
        self.reached.iter().find(|(reached, _)| *reached == status).map(|(_, at)| *at)
    }

    /// When it got the status that it has.
    #[must_use]
    pub fn status_at(&self) -> DateTime<Utc> {
        self.reached_at(self.status).unwrap_or(self.updated_at)
    }
}
