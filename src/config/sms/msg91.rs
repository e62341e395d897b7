//! The settings of MSG91.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{super::reader::Reader, NO_ADDRESS, Reports, address};
use crate::sms::{ByLanguage, Limits, Msg91Reports, Msg91Settings};

/// The shortest secret of the address for reports. It is all that protects them.
const MIN_STATUS_SECRET: usize = 24;

/// What was read, before it is known whether MSG91 is needed.
pub(super) struct Given {
    auth_key: Option<SecretString>,
    templates: Option<ByLanguage>,
    has_templates: bool,
    variable: String,
    status_secret: Option<SecretString>,
    api_base_url: Option<Url>,
}

pub(super) fn given(reader: &mut Reader<'_>) -> Given {
    let base = reader.text("MSG91_API_BASE_URL").unwrap_or_else(|| "https://control.msg91.com".to_owned());
    let templates = reader.text("MSG91_TEMPLATE_ID");
    let has_templates = templates.is_some();
    Given {
        auth_key: reader.text("MSG91_AUTH_KEY").map(SecretString::from),
        templates: templates.and_then(|text| match ByLanguage::parse(&text) {
            Ok(templates) => Some(templates),
            Err(error) => {
                reader.problem(format!("MSG91_TEMPLATE_ID: {error}"));
                None
            }
        }),
        has_templates,
        variable: variable(reader),
        status_secret: status_secret(reader),
        api_base_url: reader.check_http_url("MSG91_API_BASE_URL", &base),
    }
}

fn variable(reader: &mut Reader<'_>) -> String {
    let variable = reader.text("MSG91_CODE_VARIABLE").unwrap_or_else(|| "otp".to_owned());
    let is_name = (1..=32).contains(&variable.len())
        && variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name || variable == "mobiles" {
        reader.problem(
            "MSG91_CODE_VARIABLE must be the name of a variable of the template: 1 to 32 letters, digits and underscores",
        );
    }
    variable
}

fn status_secret(reader: &mut Reader<'_>) -> Option<SecretString> {
    let secret = SecretString::from(reader.text("MSG91_STATUS_SECRET")?);
    let text = secret.expose_secret();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.len() < MIN_STATUS_SECRET || !text.bytes().all(fits) {
        reader.problem(format!(
            "MSG91_STATUS_SECRET must be at least {MIN_STATUS_SECRET} letters, digits, hyphens and underscores, such as \
             $(openssl rand -hex 24): it is the end of an address"
        ));
        return None;
    }
    Some(secret)
}

impl Given {
    pub(super) fn has_credentials(&self) -> bool {
        self.auth_key.is_some()
    }

    /// Reports settings that are needed and missing.
    pub(super) fn note_missing(&self, reader: &mut Reader<'_>) {
        for (name, is_missing) in
            [("MSG91_AUTH_KEY", self.auth_key.is_none()), ("MSG91_TEMPLATE_ID", !self.has_templates)]
        {
            if is_missing {
                reader.problem(format!("{name} must be set when SMS_PROVIDERS names msg91"));
            }
        }
    }

    pub(super) fn report_reader(&self) -> Option<Msg91Reports> {
        self.status_secret.clone().map(Msg91Reports::new)
    }

    /// The address without its secret.
    pub(super) fn reports(&self, public_base_url: Option<&Url>) -> Reports {
        if self.status_secret.is_none() {
            return Reports::Never(
                "MSG91_STATUS_SECRET is not set, without which MSG91's reports cannot be told from forged ones",
            );
        }
        let address = address(public_base_url, &["api", "msg91", "status", "MSG91_STATUS_SECRET"]);
        address.map_or(Reports::Never(NO_ADDRESS), Reports::To)
    }

    pub(super) fn settings(self, limits: Limits) -> Option<Msg91Settings> {
        Some(Msg91Settings {
            auth_key: self.auth_key?,
            templates: self.templates?,
            variable: self.variable,
            api_base_url: self.api_base_url?,
            limits,
        })
    }
}
