//! The settings of Twilio.

use secrecy::SecretString;
use url::Url;

use super::{super::reader::Reader, OtherSettings, Reports};
use crate::{
    domain::{
        delivery::{Channel, ChannelPolicy},
        phone::PhoneNumber,
    },
    sms::{
        Callbacks, Credentials, DEFAULT_MAX_IN_FLIGHT, DEFAULT_TIMEOUT, RiskCheck, Sender, Senders,
        TwilioSettings, WhatsApp,
    },
};

/// What was read, before it is known whether Twilio is needed.
pub(super) struct Given {
    account: Account,
    senders: ChannelSenders,
    api_base_url: Option<Url>,
    risk_check: Option<RiskCheck>,
    max_in_flight: usize,
}

pub(super) fn given(reader: &mut Reader<'_>) -> Given {
    let account = account(reader);
    let senders = senders_by_channel(reader);
    let base = reader.text("TWILIO_API_BASE_URL").unwrap_or_else(|| "https://api.twilio.com".to_owned());
    let api_base_url = reader.check_http_url("TWILIO_API_BASE_URL", &base);
    let risk_check = risk_check(reader);
    let most = i64::try_from(DEFAULT_MAX_IN_FLIGHT).unwrap_or(i64::MAX);
    let max_in_flight = reader.number("TWILIO_MAX_IN_FLIGHT", most, 1, 10_000);
    let max_in_flight = usize::try_from(max_in_flight).unwrap_or(DEFAULT_MAX_IN_FLIGHT);
    Given { account, senders, api_base_url, risk_check, max_in_flight }
}

impl Given {
    pub(super) fn has_credentials(&self) -> bool {
        !self.account.is_empty()
    }

    /// Whether what this channel needs is set.
    pub(super) fn is_set_up_for(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.senders.senders != Senders::default(),
            Channel::WhatsApp => !self.senders.lacks_whatsapp,
            Channel::Call => self.senders.voice_number.is_some(),
        }
    }

    /// How reports are verified.
    pub(super) fn callbacks(&self, public_base_url: Option<&Url>) -> Option<Callbacks> {
        let (base, token) = public_base_url.zip(self.account.auth_token.as_ref())?;
        Some(Callbacks::new(base.clone(), token.clone()))
    }

    pub(super) fn settings(self, reports: &Reports, breaker: bool) -> Option<TwilioSettings> {
        let credentials = self.account.credentials()?;
        Some(TwilioSettings {
            account_sid: self.account.sid?,
            credentials,
            senders: self.senders.senders,
            whatsapp: self.senders.whatsapp,
            voice_number: self.senders.voice_number,
            status_callback: reports.address().cloned(),
            risk_check: self.risk_check,
            api_base_url: self.api_base_url?,
            timeout: DEFAULT_TIMEOUT,
            max_in_flight: self.max_in_flight,
            breaker,
        })
    }
}

/// The account at Twilio and its credentials.
struct Account {
    sid: Option<String>,
    auth_token: Option<SecretString>,
    key_sid: Option<String>,
    key_secret: Option<SecretString>,
}

impl Account {
    fn is_empty(&self) -> bool {
        self.sid.is_none() && self.auth_token.is_none() && self.key_sid.is_none() && self.key_secret.is_none()
    }

    /// The API key if there is one, because it can be revoked separately; else the account's own token.
    fn credentials(&self) -> Option<Credentials> {
        let key = self.key_sid.clone().zip(self.key_secret.clone());
        let (user, password) = key.or_else(|| self.sid.clone().zip(self.auth_token.clone()))?;
        Some(Credentials { user, password })
    }
}

fn account(reader: &mut Reader<'_>) -> Account {
    let account = Account {
        sid: reader.text("TWILIO_ACCOUNT_SID"),
        auth_token: reader.text("TWILIO_AUTH_TOKEN").map(SecretString::from),
        key_sid: reader.text("TWILIO_API_KEY_SID"),
        key_secret: reader.text("TWILIO_API_KEY_SECRET").map(SecretString::from),
    };
    check_sid(reader, "TWILIO_ACCOUNT_SID", "AC", account.sid.as_deref());
    check_sid(reader, "TWILIO_API_KEY_SID", "SK", account.key_sid.as_deref());
    match (&account.key_sid, &account.key_secret) {
        (Some(_), None) => reader.problem("TWILIO_API_KEY_SECRET must be set when TWILIO_API_KEY_SID is"),
        (None, Some(_)) => reader.problem("TWILIO_API_KEY_SID must be set when TWILIO_API_KEY_SECRET is"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    account
}

/// Warns only: Twilio decides what is valid, and a test server in its place may use other ids.
fn check_sid(reader: &mut Reader<'_>, name: &str, prefix: &str, sid: Option<&str>) {
    if sid.is_some_and(|sid| !is_sid(prefix, sid)) {
        reader.warn(format!("{name} does not look right: Twilio's are {prefix} and 32 hex digits"));
    }
}

fn is_sid(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The sender for each channel.
struct ChannelSenders {
    senders: Senders,
    whatsapp: Option<WhatsApp>,
    lacks_whatsapp: bool,
    voice_number: Option<String>,
}

fn senders_by_channel(reader: &mut Reader<'_>) -> ChannelSenders {
    let number = reader.text("TWILIO_PHONE_NUMBER");
    let service = reader.text("TWILIO_MESSAGING_SERVICE_SID");
    check_sid(reader, "TWILIO_MESSAGING_SERVICE_SID", "MG", service.as_deref());
    let by_number = number.as_ref().map(|number| {
        number.parse().unwrap_or_else(|_| {
            reader.warn(
                "TWILIO_PHONE_NUMBER looks neither like a number in E.164 nor like an alphanumeric sender",
            );
            Sender::Number(number.clone())
        })
    });
    let mut senders = match reader.text("TWILIO_SENDERS").map(|text| Senders::parse(&text)) {
        Some(Ok(senders)) => senders,
        Some(Err(error)) => {
            reader.problem(format!("TWILIO_SENDERS: {error}"));
            Senders::default()
        }
        None => Senders::default(),
    };
    senders.others = senders.others.or(service.map(Sender::MessagingService)).or(by_number);
    let voice_number = reader.text("TWILIO_VOICE_NUMBER");
    if voice_number.as_ref().is_some_and(|number| !is_number(number)) {
        reader.problem("TWILIO_VOICE_NUMBER must be a number in E.164, such as +15005550006");
    }
    let voice_number = voice_number.or_else(|| number.filter(|number| is_number(number)));
    let (whatsapp, lacks_whatsapp) = whatsapp(reader);
    ChannelSenders { senders, whatsapp, lacks_whatsapp, voice_number }
}

fn is_number(text: &str) -> bool {
    PhoneNumber::from_e164(text).is_some()
}

/// The WhatsApp sender with its templates, and whether one of the two is missing.
fn whatsapp(reader: &mut Reader<'_>) -> (Option<WhatsApp>, bool) {
    let sender = reader.text("TWILIO_WHATSAPP_SENDER");
    let content = reader.text("TWILIO_WHATSAPP_CONTENT_SID");
    let is_missing = sender.is_none() || content.is_none();
    let sender = sender.map(|text| text.trim_start_matches("whatsapp:").parse());
    let sender = match sender {
        None => None,
        Some(Ok(sender @ (Sender::Number(_) | Sender::MessagingService(_)))) => Some(sender),
        Some(Ok(Sender::Alphanumeric(_)) | Err(_)) => {
            reader.problem(
                "TWILIO_WHATSAPP_SENDER must be a number in E.164 or a messaging service (MG and 32 hex digits)",
            );
            None
        }
    };
    let content = match content.map(|text| WhatsApp::parse_content(&text)).transpose() {
        Ok(content) => content,
        Err(error) => {
            reader.problem(format!("TWILIO_WHATSAPP_CONTENT_SID: {error}"));
            None
        }
    };
    (sender.zip(content).map(|(sender, content)| WhatsApp { sender, content }), is_missing)
}

fn risk_check(reader: &mut Reader<'_>) -> Option<RiskCheck> {
    match reader.text("TWILIO_RISK_CHECK")?.to_ascii_lowercase().as_str() {
        "enable" => Some(RiskCheck::Enable),
        "disable" => Some(RiskCheck::Disable),
        _ => {
            reader.problem("TWILIO_RISK_CHECK must be enable or disable");
            None
        }
    }
}

impl Given {
    /// Reports settings that Twilio needs and that are missing.
    pub(super) fn note_missing(&self, reader: &mut Reader<'_>, channels: &ChannelPolicy) {
        let account = &self.account;
        let has_key = account.key_sid.is_some() || account.key_secret.is_some();
        for (name, is_missing) in [
            ("TWILIO_ACCOUNT_SID", account.sid.is_none()),
            (
                "TWILIO_AUTH_TOKEN, or TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET,",
                account.auth_token.is_none() && !has_key,
            ),
            (
                "TWILIO_PHONE_NUMBER, TWILIO_MESSAGING_SERVICE_SID or TWILIO_SENDERS",
                channels.is_on(Channel::Sms) && !self.is_set_up_for(Channel::Sms),
            ),
        ] {
            if is_missing {
                reader.problem(format!("{name} must be set when TWILIO_TEST_MODE is false"));
            }
        }
    }
}

/// Reports that no provider of a country has the settings of a channel that only Twilio has next.
pub(super) fn note_missing_channel(reader: &mut Reader<'_>, channel: Channel) {
    match channel {
        Channel::Sms => {}
        Channel::WhatsApp => reader.problem(
            "TWILIO_WHATSAPP_SENDER and TWILIO_WHATSAPP_CONTENT_SID must be set when OTP_CHANNELS has whatsapp",
        ),
        Channel::Call => reader.problem(
            "TWILIO_VOICE_NUMBER must be set when OTP_CHANNELS has call and TWILIO_PHONE_NUMBER is no number",
        ),
    }
}

/// The URL for delivery reports, with warnings if none will arrive.
pub(super) fn reports(
    reader: &mut Reader<'_>,
    other: &OtherSettings<'_>,
    callbacks: Option<&Callbacks>,
    channels: &ChannelPolicy,
) -> Reports {
    let url = callbacks.and_then(Callbacks::status_url);
    let reports = match url {
        Some(url) if url.host_str().is_some_and(|host| host.contains('_')) => {
            // Twilio would refuse every message for it (error 21609).
            Reports::Never("the host of PUBLIC_BASE_URL has an underscore, which Twilio refuses")
        }
        Some(url) => Reports::To(url),
        None if other.public_base_url.is_none() => {
            Reports::Never("PUBLIC_BASE_URL is not set, so Twilio cannot be told where to report")
        }
        None => Reports::Never(
            "TWILIO_AUTH_TOKEN is not set, without which Twilio's reports cannot be told from forged ones",
        ),
    };
    if let Reports::Never(why) = &reports {
        let is_underscore = callbacks.is_some();
        if other.is_prod || is_underscore {
            reader.warn(format!("no delivery report will come: {why}"));
        } else if !channels.fallback.is_empty() {
            reader.warn(format!("OTP_FALLBACK needs delivery reports, and none will come: {why}"));
        }
    }
    reports
}
