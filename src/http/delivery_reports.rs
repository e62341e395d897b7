//! The delivery reports of the providers. Each proves in its own way that a report is from it; a report changes only a
//! message that was sent by that provider.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, types::Example};

use super::{
    Tag,
    body::{AsForm, AsFormOrJson, AsJson, Raw},
    edge::OriginalUri,
    envelope::{ErrorCode, ErrorResponse},
    error::RequestError,
};
use crate::flows::{
    Services,
    delivery::{Incoming, Reported, take},
};

/// The header with the signature of a Twilio report.
const TWILIO_SIGNATURE: &str = "x-twilio-signature";

/// The operations of this module.
pub struct ReportsApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
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

/// A delivery report from Vonage: the fields that are used. The whole body is part of the signature.
#[derive(Debug, Object)]
#[oai(example)]
pub struct VonageReportRequest {
    /// The message.
    message_uuid: String,
    /// The status: `submitted`, `delivered`, `read`, `rejected` or `undeliverable`.
    status: String,
    /// The name that the server gave the message.
    #[oai(skip_serializing_if_is_none)]
    client_ref: Option<String>,
    /// The error: <https://developer.vonage.com/api-errors/messages>.
    #[oai(skip_serializing_if_is_none)]
    error: Option<VonageErrorRequest>,
}

/// An error of Vonage.
#[derive(Debug, Object)]
pub struct VonageErrorRequest {
    /// An address that ends with the code.
    #[oai(rename = "type", skip_serializing_if_is_none)]
    kind: Option<String>,
    /// The code, or its name.
    #[oai(skip_serializing_if_is_none)]
    title: Option<String>,
}

impl Example for VonageReportRequest {
    fn example() -> Self {
        Self {
            message_uuid: "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab".to_owned(),
            status: "rejected".to_owned(),
            client_ref: Some("5f0c9a52-6d1e-4c0b-b7a9-94b1c36b7f0d:1".to_owned()),
            error: Some(VonageErrorRequest {
                kind: Some("https://developer.vonage.com/api-errors/messages#1190".to_owned()),
                title: Some("1190".to_owned()),
            }),
        }
    }
}

/// A delivery report from MSG91, version 3: the fields that are used. A form of version 2 is read too.
#[derive(Debug, Object)]
#[oai(example, rename_all = "camelCase")]
pub struct Msg91ReportRequest {
    /// The request by which the message was sent.
    request_id: String,
    /// The recipient, without a plus.
    number: String,
    /// The status: `1` delivered, `2` failed, `9`, `16` and `25` rejected, `17` blocked.
    status: String,
    /// Why it failed.
    #[oai(skip_serializing_if_is_none)]
    failed_reason: Option<String>,
}

impl Example for Msg91ReportRequest {
    fn example() -> Self {
        Self {
            request_id: "346d6b6b6d35373132343130".to_owned(),
            number: "916205829376".to_owned(),
            status: "1".to_owned(),
            failed_reason: None,
        }
    }
}

/// A delivery report from the operator's endpoint. The whole body is part of the signature.
#[derive(Debug, Object)]
#[oai(example)]
pub struct WebhookReportRequest {
    /// The `webhook-id` of the message.
    id: String,
    /// The status: `queued`, `sent`, `delivered`, `undelivered` or `failed`.
    status: String,
    /// Why it was not delivered: `invalid`, `not_mobile`, `opted_out`, `region_not_allowed` or `blocked`.
    #[oai(skip_serializing_if_is_none)]
    reason: Option<String>,
}

impl Example for WebhookReportRequest {
    fn example() -> Self {
        Self {
            id: "5f0c9a526d1e4c0bb7a994b1c36b7f0d-1".to_owned(),
            status: "undelivered".to_owned(),
            reason: Some("not_mobile".to_owned()),
        }
    }
}

/// The responses to a delivery report.
#[derive(ApiResponse)]
pub enum ReportResponse {
    /// Accepted. A report without anything new, or about no message of this provider, changes nothing.
    #[oai(status = 204)]
    Taken,
    /// `forbidden`: the report does not prove that it is from the provider, or the settings to verify it are missing.
    #[oai(status = 403)]
    Forged(ErrorResponse),
}

#[OpenApi]
impl ReportsApi {
    /// Receive a delivery report from Twilio
    ///
    /// Called by Twilio, not by apps: the `StatusCallback` of every message, signed with `X-Twilio-Signature`. Reports may
    /// arrive in any order, and more than once.
    #[oai(
        path = "/api/twilio/status",
        method = "post",
        operation_id = "reportDelivery",
        tag = "Tag::Reports"
    )]
    async fn twilio(&self, request: &Request, form: Raw<TwilioReport, AsForm>) -> Result<ReportResponse> {
        let signature = header(request, TWILIO_SIGNATURE);
        let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |original| &original.0);
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        self.take(Incoming::Twilio { target, signature, body: &form.bytes }).await
    }

    /// Receive a delivery report from Vonage
    ///
    /// Called by Vonage, not by apps: the `webhook_url` of every message. `Authorization` is `Bearer` and a JWT of Vonage,
    /// signed with the account's signature secret; its `payload_hash` is of this body.
    #[oai(
        path = "/api/vonage/status",
        method = "post",
        operation_id = "reportVonageDelivery",
        tag = "Tag::Reports"
    )]
    async fn vonage(
        &self,
        request: &Request,
        body: Raw<VonageReportRequest, AsJson>,
    ) -> Result<ReportResponse> {
        let authorization = header(request, "authorization");
        self.take(Incoming::Vonage { authorization, body: &body.bytes }).await
    }

    /// Receive a delivery report from MSG91
    ///
    /// Called by MSG91, not by apps, if its panel has this address. MSG91 signs nothing: the path ends with
    /// `MSG91_STATUS_SECRET`, and the request id and the number must both match a message that was sent by MSG91.
    #[oai(
        path = "/api/msg91/status/:secret",
        method = "post",
        operation_id = "reportMsg91Delivery",
        tag = "Tag::Reports"
    )]
    async fn msg91(
        &self,
        /// `MSG91_STATUS_SECRET`
        secret: Path<String>,
        body: Raw<Msg91ReportRequest, AsFormOrJson>,
    ) -> Result<ReportResponse> {
        self.take(Incoming::Msg91 { secret: &secret.0, body: &body.bytes }).await
    }

    /// Receive a delivery report from the operator's endpoint
    ///
    /// Called by the endpoint of `SMS_WEBHOOK_URL`, not by apps. Signed like the messages to it, with
    /// `SMS_WEBHOOK_SECRET`: `webhook-id`, `webhook-timestamp` and `webhook-signature` (Standard Webhooks).
    #[oai(
        path = "/api/webhook/status",
        method = "post",
        operation_id = "reportWebhookDelivery",
        tag = "Tag::Reports"
    )]
    async fn webhook(
        &self,
        request: &Request,
        body: Raw<WebhookReportRequest, AsJson>,
    ) -> Result<ReportResponse> {
        let [id, timestamp, signature] =
            ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| header(request, name));
        self.take(Incoming::Webhook { id, timestamp, signature, body: &body.bytes }).await
    }
}

impl ReportsApi {
    async fn take(&self, incoming: Incoming<'_>) -> Result<ReportResponse> {
        Ok(match take(&self.services, incoming).await.map_err(RequestError::from)? {
            Reported::Taken => ReportResponse::Taken,
            Reported::Forged => ReportResponse::Forged(ErrorResponse::from_code(ErrorCode::Forbidden)),
        })
    }
}

/// The value of a header; empty if it is missing.
fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
