//! Reads the reports of the operator's endpoint: `{"id": "<webhook-id of the message>", "status": "delivered"}`, signed
//! like the messages, with an id and a time of their own.

use std::fmt;

use chrono::{DateTime, Utc};
use outbound::{Secrets, Signed};
use serde_json::{Map, Value};

use super::attempt_of;
use crate::{Forged, Provider, ProviderText, Report, ReportOf};
use domain::{
    delivery::{
        Channel,
        DeliveryStatus::{self, Delivered, Failed, Queued, Sent, Undelivered},
        UnreachableReason,
    },
    phone::PhoneNumber,
};

/// Reads reports. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct WebhookReports {
    secrets: Secrets,
}

impl fmt::Debug for WebhookReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookReports").finish_non_exhaustive()
    }
}

impl WebhookReports {
    /// For reports that are signed with `SMS_WEBHOOK_SECRET`.
    #[must_use]
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets }
    }

    /// Reads a report. `None` means that the body contains no status of a message.
    ///
    /// # Errors
    /// [`Forged`] without a valid and recent signature.
    pub(crate) fn read(
        &self,
        signed: Signed<'_>,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<Report>, Forged> {
        self.secrets.verify(signed, body, now).map_err(|outbound::Forged| Forged)?;
        let body: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
        Ok(body.and_then(|body| report(&body)))
    }
}

fn report(body: &Map<String, Value>) -> Option<Report> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let id = text("id")?;
    let status = status_of(text("status")?)?;
    let reason = text("reason").filter(|_| status.is_lost());
    Some(Report {
        provider: Provider::Webhook,
        of: ReportOf::Provider {
            id: id.to_owned(),
            attempt: Some(attempt_of(id)?),
            to: text("phone").and_then(PhoneNumber::from_e164),
            channel: text("channel").and_then(|word| word.parse().ok()).unwrap_or(Channel::Sms),
        },
        status,
        error_code: None,
        error_text: text("error").filter(|_| status.is_lost()).and_then(ProviderText::read),
        reason: reason.and_then(|word| word.parse::<UnreachableReason>().ok()),
        price: None,
    })
}

fn status_of(word: &str) -> Option<DeliveryStatus> {
    Some(match word {
        "queued" => Queued,
        "sent" => Sent,
        "delivered" => Delivered,
        "undelivered" => Undelivered,
        "failed" => Failed,
        _ => return None,
    })
}
