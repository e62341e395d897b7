//! The delivery of messages: the status for apps.

use std::sync::Arc;

use poem::Result;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{
    Tag,
    envelope::{ErrorCode, ErrorResponse, UnreachableReason},
    error::RequestError,
    json::Json,
    timestamp::rfc3339,
};
use crate::{
    domain::delivery::{self, DeliveryStatus},
    flows::{Services, delivery::find},
};

const NO_DELIVERY: &str = "There is no such delivery, or it is too old";

/// The operations of this module.
pub struct DeliveryApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// The status of a message.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Status {
    /// The provider has accepted it.
    Queued,
    /// The provider has sent it, or the phone is ringing.
    Sent,
    /// The phone has received it, or the call was answered.
    Delivered,
    /// The carrier did not deliver it, or nobody answered the call.
    Undelivered,
    /// The provider could not send it.
    Failed,
}

impl From<DeliveryStatus> for Status {
    fn from(status: DeliveryStatus) -> Self {
        match status {
            // The request to the provider was sent, and may have arrived.
            DeliveryStatus::Pending | DeliveryStatus::Unknown | DeliveryStatus::Queued => Self::Queued,
            DeliveryStatus::Sent => Self::Sent,
            DeliveryStatus::Delivered => Self::Delivered,
            DeliveryStatus::Undelivered => Self::Undelivered,
            DeliveryStatus::Failed => Self::Failed,
        }
    }
}

/// The channel of a code.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Channel {
    /// A text message.
    Sms,
    /// A message by WhatsApp.
    WhatsApp,
    /// A voice call.
    Call,
}

impl From<delivery::Channel> for Channel {
    fn from(channel: delivery::Channel) -> Self {
        match channel {
            delivery::Channel::Sms => Self::Sms,
            delivery::Channel::WhatsApp => Self::WhatsApp,
            delivery::Channel::Call => Self::Call,
        }
    }
}

/// The delivery status of a message.
#[derive(Debug, Object)]
#[oai(example)]
pub struct DeliveryAnswer {
    /// The status.
    status: Status,
    /// Why it was not delivered, if known; only with `undelivered` and `failed`.
    #[oai(skip_serializing_if_is_none)]
    reason: Option<UnreachableReason>,
    /// The channel of the last message: after a failure another channel may have been tried.
    channel: Channel,
    /// When the status changed (RFC 3339, UTC).
    updated_at: String,
}

impl From<delivery::Delivery> for DeliveryAnswer {
    fn from(delivery: delivery::Delivery) -> Self {
        Self {
            status: delivery.status.into(),
            reason: delivery.reason.map(UnreachableReason::from),
            channel: delivery.channel.into(),
            updated_at: rfc3339(delivery.updated_at),
        }
    }
}

impl Example for DeliveryAnswer {
    fn example() -> Self {
        Self {
            status: Status::Undelivered,
            reason: Some(UnreachableReason::NotMobile),
            channel: Channel::Sms,
            updated_at: "2026-10-03T10:15:23.435393+00:00".to_owned(),
        }
    }
}

/// The responses of `deliveries`.
#[derive(ApiResponse)]
pub enum DeliveryResponse {
    /// The status of the last message of this delivery.
    #[oai(status = 200)]
    Known(Json<DeliveryAnswer>),
    /// `not_found`: there is no such delivery, or it was purged.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
}

#[OpenApi]
impl DeliveryApi {
    /// Get the delivery status of a message
    ///
    /// `delivery_id` is in the response of `signup` and `login`. Poll every two seconds while the user waits, until
    /// `delivered`, `undelivered` or `failed`.
    #[oai(
        path = "/api/auth/deliveries/:delivery_id",
        method = "get",
        operation_id = "getDelivery",
        tag = "Tag::Phone"
    )]
    async fn delivery(
        &self,
        /// The `delivery_id` of the response.
        delivery_id: Path<String>,
    ) -> Result<DeliveryResponse> {
        let unknown = || DeliveryResponse::Unknown(ErrorResponse::new(ErrorCode::NotFound, NO_DELIVERY));
        let Ok(id) = delivery_id.0.parse::<Uuid>() else {
            return Ok(unknown());
        };
        let found = find(&self.services, id).await.map_err(RequestError::from)?;
        Ok(found.map_or_else(unknown, |delivery| DeliveryResponse::Known(Json(delivery.into()))))
    }
}
