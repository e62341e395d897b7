//! The settings of the operator's own endpoint.

use outbound::{Endpoint, Rules, Secrets};
use url::Url;

use super::{super::reader::Reader, NO_ADDRESS, Reports, address};
use crate::sms::{Limits, WebhookReports, WebhookSettings};

/// What was read, before it is known whether the endpoint is needed.
pub(super) struct Given {
    endpoint: Option<Endpoint>,
    has_endpoint: bool,
    secrets: Option<Secrets>,
    has_secrets: bool,
    allow_private_networks: bool,
}

pub(super) fn given(reader: &mut Reader<'_>, rules: Rules) -> Given {
    let url = reader.text("SMS_WEBHOOK_URL");
    let secrets = reader.text("SMS_WEBHOOK_SECRET");
    Given {
        has_endpoint: url.is_some(),
        has_secrets: secrets.is_some(),
        endpoint: url.and_then(|text| match Endpoint::parse(&text, rules) {
            Ok(endpoint) => Some(endpoint),
            Err(error) => {
                reader.problem(format!("SMS_WEBHOOK_URL {error}"));
                None
            }
        }),
        secrets: secrets.and_then(|text| match text.parse() {
            Ok(secrets) => Some(secrets),
            Err(error) => {
                let error: outbound::SecretError = error;
                reader.problem(format!("SMS_WEBHOOK_SECRET {error}"));
                None
            }
        }),
        allow_private_networks: rules.allow_private_networks,
    }
}

impl Given {
    pub(super) fn has_credentials(&self) -> bool {
        self.has_endpoint
    }

    /// Reports settings that are needed and missing.
    pub(super) fn note_missing(&self, reader: &mut Reader<'_>) {
        for (name, is_missing) in
            [("SMS_WEBHOOK_URL", !self.has_endpoint), ("SMS_WEBHOOK_SECRET", !self.has_secrets)]
        {
            if is_missing {
                reader.problem(format!("{name} must be set when SMS_PROVIDERS names webhook"));
            }
        }
    }

    pub(super) fn report_reader(&self) -> Option<WebhookReports> {
        self.secrets.clone().map(WebhookReports::new)
    }

    pub(super) fn settings(self, limits: Limits) -> Option<WebhookSettings> {
        Some(WebhookSettings {
            endpoint: self.endpoint?,
            secrets: self.secrets?,
            allow_private_networks: self.allow_private_networks,
            limits,
        })
    }
}

/// The endpoint knows where to report by its own settings.
pub(super) fn reports(public_base_url: Option<&Url>) -> Reports {
    let address = address(public_base_url, &["api", "webhook", "status"]);
    address.map_or(Reports::Never(NO_ADDRESS), Reports::To)
}
