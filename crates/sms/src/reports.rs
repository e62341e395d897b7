//! Reads the reports of all providers. Each provider proves in its own way that a report is from it.

use chrono::{DateTime, Utc};
use outbound::Signed;
use thiserror::Error;

use super::{Callbacks, Msg91Reports, Report, VonageReports, WebhookReports};

/// The report is not from the provider, or that cannot be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the report has no valid signature")]
pub struct Forged;

/// A request with a report, as it came.
#[derive(Debug, Clone, Copy)]
pub enum Incoming<'a> {
    /// From Twilio.
    Twilio {
        /// The path and query that were requested.
        target: &'a str,
        /// The header `X-Twilio-Signature`.
        signature: &'a str,
        /// The raw body.
        body: &'a [u8],
    },
    /// From Vonage.
    Vonage {
        /// The header `Authorization`.
        authorization: &'a str,
        /// The raw body.
        body: &'a [u8],
    },
    /// From MSG91.
    Msg91 {
        /// The last part of the path.
        secret: &'a str,
        /// The raw body.
        body: &'a [u8],
    },
    /// From the operator's endpoint.
    Webhook {
        /// The header `webhook-id`.
        id: &'a str,
        /// The header `webhook-timestamp`.
        timestamp: &'a str,
        /// The header `webhook-signature`.
        signature: &'a str,
        /// The raw body.
        body: &'a [u8],
    },
}

/// How the reports of each provider are verified. `None` for those whose reports cannot be.
#[derive(Debug, Clone, Default)]
pub struct ReportReaders {
    /// Twilio's.
    pub twilio: Option<Callbacks>,
    /// Vonage's.
    pub vonage: Option<VonageReports>,
    /// MSG91's.
    pub msg91: Option<Msg91Reports>,
    /// Those of the operator's endpoint.
    pub webhook: Option<WebhookReports>,
}

impl ReportReaders {
    /// Verifies and reads a request. Empty if it says nothing about a message.
    ///
    /// # Errors
    /// [`Forged`] if it is not from the provider.
    pub fn read(&self, incoming: Incoming<'_>, now: DateTime<Utc>) -> Result<Vec<Report>, Forged> {
        match incoming {
            Incoming::Twilio { target, signature, body } => {
                let reader = self.twilio.as_ref().ok_or(Forged)?;
                Ok(reader.read(target, signature, body)?.into_iter().collect())
            }
            Incoming::Vonage { authorization, body } => {
                let reader = self.vonage.as_ref().ok_or(Forged)?;
                Ok(reader.read(authorization, body, now)?.into_iter().collect())
            }
            Incoming::Msg91 { secret, body } => self.msg91.as_ref().ok_or(Forged)?.read(secret, body),
            Incoming::Webhook { id, timestamp, signature, body } => {
                let reader = self.webhook.as_ref().ok_or(Forged)?;
                let signed = Signed { id, timestamp, signature };
                Ok(reader.read(signed, body, now)?.into_iter().collect())
            }
        }
    }
}
