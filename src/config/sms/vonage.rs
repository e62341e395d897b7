//! The settings of Vonage.

use secrecy::SecretString;
use url::Url;

use super::{super::reader::Reader, NO_ADDRESS, Reports, address};
use crate::{
    domain::delivery::{Channel, ChannelPolicy},
    sms::{Limits, VonageReports, VonageSettings, VonageWhatsApp},
};

/// What was read, before it is known whether Vonage is needed.
pub(super) struct Given {
    api_key: Option<String>,
    api_secret: Option<SecretString>,
    signature_secret: Option<SecretString>,
    from: Option<String>,
    whatsapp: Option<VonageWhatsApp>,
    api_base_url: Option<Url>,
}

pub(super) fn given(reader: &mut Reader<'_>) -> Given {
    let base = reader.text("VONAGE_API_BASE_URL").unwrap_or_else(|| "https://api.nexmo.com".to_owned());
    let whatsapp_from = sender(reader, "VONAGE_WHATSAPP_FROM");
    let template = reader.text("VONAGE_WHATSAPP_TEMPLATE");
    Given {
        api_key: reader.text("VONAGE_API_KEY"),
        api_secret: reader.text("VONAGE_API_SECRET").map(SecretString::from),
        signature_secret: reader.text("VONAGE_SIGNATURE_SECRET").map(SecretString::from),
        from: sender(reader, "VONAGE_FROM"),
        whatsapp: whatsapp_from.zip(template).map(|(from, template)| VonageWhatsApp { from, template }),
        api_base_url: reader.check_http_url("VONAGE_API_BASE_URL", &base),
    }
}

/// A number, which Vonage writes without a plus, or a name of at most 11 letters and digits.
fn sender(reader: &mut Reader<'_>, name: &'static str) -> Option<String> {
    let text = reader.text(name)?;
    let digits = text.strip_prefix('+').unwrap_or(&text);
    let is_number = (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = (1..=11).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    if is_number {
        return Some(digits.to_owned());
    }
    if !is_name {
        reader.problem(format!("{name} must be a number, or at most 11 letters, digits and spaces"));
    }
    Some(text)
}

impl Given {
    pub(super) fn has_credentials(&self) -> bool {
        self.api_key.is_some() || self.api_secret.is_some()
    }

    /// Whether what this channel needs is set.
    pub(super) fn is_set_up_for(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.from.is_some(),
            Channel::WhatsApp => self.whatsapp.is_some(),
            Channel::Call => false,
        }
    }

    /// Reports settings that are needed and missing.
    pub(super) fn note_missing(&self, reader: &mut Reader<'_>, channels: &ChannelPolicy) {
        for (name, is_missing) in [
            ("VONAGE_API_KEY", self.api_key.is_none()),
            ("VONAGE_API_SECRET", self.api_secret.is_none()),
            ("VONAGE_FROM", channels.is_on(Channel::Sms) && self.from.is_none()),
        ] {
            if is_missing {
                reader.problem(format!("{name} must be set when SMS_PROVIDERS names vonage"));
            }
        }
    }

    pub(super) fn report_reader(&self) -> Option<VonageReports> {
        Some(VonageReports::new(self.api_key.clone(), self.signature_secret.clone()?))
    }

    pub(super) fn reports(&self, public_base_url: Option<&Url>) -> Reports {
        if self.signature_secret.is_none() {
            return Reports::Never(
                "VONAGE_SIGNATURE_SECRET is not set, without which Vonage's reports cannot be told from forged ones",
            );
        }
        let address = address(public_base_url, &["api", "vonage", "status"]);
        address.map_or(Reports::Never(NO_ADDRESS), Reports::To)
    }

    pub(super) fn settings(self, reports: &Reports, limits: Limits) -> Option<VonageSettings> {
        Some(VonageSettings {
            api_key: self.api_key?,
            api_secret: self.api_secret?,
            from: self.from,
            whatsapp: self.whatsapp,
            status_callback: reports.address().cloned(),
            api_base_url: self.api_base_url?,
            limits,
        })
    }
}

/// Reports that no provider of a country has the settings of `WhatsApp`, where Vonage is the first that could.
pub(super) fn note_missing_channel(reader: &mut Reader<'_>) {
    reader.problem(
        "VONAGE_WHATSAPP_FROM and VONAGE_WHATSAPP_TEMPLATE must be set when OTP_CHANNELS has whatsapp",
    );
}
