//! The delivery of messages: the status for apps, and the reports of the provider.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{
    Tag,
    body::Form,
    edge::OriginalUri,
    envelope::{ErrorCode, ErrorResponse, UnreachableReason},
    error::RequestError,
    json::Json,
    timestamp::rfc3339,
};
use crate::{
    domain::delivery::{self, DeliveryStatus},
    flows::{
        Services,
        delivery::{Reported, take},
    },
    store,
};

/// The header with the signature of a Twilio report.
const SIGNATURE: &str = "x-twilio-signature";

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

/// A delivery report from Twilio: the fields that are used. All fields are part of the signature.
#[derive(Debug, Object)]
#[oai(example, rename_all = "PascalCase")]
pub struct TwilioReport {
    /// The message: `SM` or `MM` and 32 hex digits.
    #[oai(skip_serializing_if_is_none)]
    message_sid: Option<String>,
    /// The status of the message: `queued`, `sent`, `delivered`, `undelivered`, `failed` and others.
    #[oai(skip_serializing_if_is_none)]
    message_status: Option<String>,
    /// The call: `CA` and 32 hex digits.
    #[oai(skip_serializing_if_is_none)]
    call_sid: Option<String>,
    /// How far the call got: `ringing`, `completed`, `busy`, `no-answer`, `failed` and others.
    #[oai(skip_serializing_if_is_none)]
    call_status: Option<String>,
    /// The error code: <https://www.twilio.com/docs/api/errors>.
    #[oai(skip_serializing_if_is_none)]
    error_code: Option<String>,
    /// The recipient.
    #[oai(skip_serializing_if_is_none)]
    to: Option<String>,
}

impl Example for TwilioReport {
    fn example() -> Self {
        Self {
            message_sid: Some("SM0123456789abcdef0123456789abcdef".to_owned()),
            message_status: Some("undelivered".to_owned()),
            call_sid: None,
            call_status: None,
            error_code: Some("30006".to_owned()),
            to: Some("+916205829376".to_owned()),
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

/// The responses to a delivery report.
#[derive(ApiResponse)]
pub enum ReportResponse {
    /// Accepted. A report without anything new changes nothing.
    #[oai(status = 204)]
    Taken,
    /// `forbidden`: the `X-Twilio-Signature` is not valid, or the server has no `PUBLIC_BASE_URL` and
    /// `TWILIO_AUTH_TOKEN` to verify it.
    #[oai(status = 403)]
    Forged(ErrorResponse),
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
        let found =
            store::messages::find_by_delivery(&self.services.store, id).await.map_err(RequestError::from)?;
        Ok(found.map_or_else(unknown, |delivery| DeliveryResponse::Known(Json(delivery.into()))))
    }

    /// Receive a delivery report from Twilio
    ///
    /// The `StatusCallback` of every message. Reports may arrive in any order, and more than once.
    #[oai(
        path = "/api/twilio/status",
        method = "post",
        operation_id = "reportDelivery",
        tag = "Tag::Service"
    )]
    async fn report(&self, request: &Request, form: Form<TwilioReport>) -> Result<ReportResponse> {
        let signature = request.headers().get(SIGNATURE).and_then(|value| value.to_str().ok());
        let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |original| &original.0);
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let reported = take(&self.services, target, signature.unwrap_or_default(), &form.bytes);
        Ok(match reported.await.map_err(RequestError::from)? {
            Reported::Taken => ReportResponse::Taken,
            Reported::Forged => ReportResponse::Forged(ErrorResponse::from_code(ErrorCode::Forbidden)),
        })
    }
}
