//! The settings of messages: provider, senders, channels, texts and delivery reports.
//!
//! Test mode needs no settings of Twilio, but checks those that are set, so that a mistake is found before test mode is
//! switched off.

use std::path::PathBuf;

use secrecy::SecretString;
use url::{Host, Url};

use super::reader::Reader;
use crate::{
    domain::{
        delivery::{Channel, ChannelPolicy},
        phone::PhoneNumber,
    },
    sms::{
        Callbacks, Credentials, DEFAULT_MAX_IN_FLIGHT, DEFAULT_TIMEOUT, RiskCheck, Sender, Senders,
        TextSettings, Texts, TwilioSettings, WhatsApp,
    },
};

/// How messages are sent.
#[derive(Debug)]
pub enum SmsSettings {
    /// By Twilio.
    Twilio(Box<TwilioSettings>),
    /// Not at all: they go to the log and the inbox.
    TestInbox,
    /// Settings are missing or wrong, so the server does not start.
    Unknown,
}

/// Whether delivery reports arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reports {
    /// The provider sends them to this URL.
    To(Url),
    /// Test mode simulates them.
    Played,
    /// They do not arrive, for this reason.
    Never(&'static str),
}

/// The values of these settings.
pub(super) struct Sending {
    pub(super) sms: SmsSettings,
    pub(super) texts: TextSettings,
    pub(super) channels: ChannelPolicy,
    pub(super) callbacks: Option<Callbacks>,
    pub(super) reports: Reports,
}

/// Other settings that matter here.
pub(super) struct OtherSettings<'a> {
    pub(super) is_prod: bool,
    pub(super) rate_limits_enabled: bool,
    pub(super) public_base_url: Option<&'a Url>,
}

pub(super) fn sending(reader: &mut Reader<'_>, other: &OtherSettings<'_>) -> Sending {
    let channels = channels(reader);
    let texts = texts(reader);
    let account = account(reader);
    let senders_by_channel = senders_by_channel(reader);
    let given = reader.text("TWILIO_API_BASE_URL").unwrap_or_else(|| "https://api.twilio.com".to_owned());
    let api_base_url = reader.check_http_url("TWILIO_API_BASE_URL", &given);
    let risk_check = risk_check(reader);
    let most = i64::try_from(DEFAULT_MAX_IN_FLIGHT).unwrap_or(i64::MAX);
    let max_in_flight = reader.number("TWILIO_MAX_IN_FLIGHT", most, 1, 10_000);
    let test_by_default = !other.is_prod && account.is_empty();
    let is_test = reader.flag("TWILIO_TEST_MODE", test_by_default);
    if is_test && other.is_prod {
        // The settings of Twilio are checked all the same, so that the list of problems is complete.
        reader.problem("TWILIO_TEST_MODE must not be true in prod: it shows codes");
    }
    let is_twilio = !is_test || other.is_prod;
    if is_twilio {
        note_missing(reader, &account, &senders_by_channel, &channels);
    }
    let callbacks = other.public_base_url.zip(account.auth_token.as_ref());
    let callbacks = callbacks.map(|(base, token)| Callbacks::new(base.clone(), token.clone()));
    let reports =
        if is_twilio { reports(reader, other, callbacks.as_ref(), &channels) } else { Reports::Played };
    let sms = match (is_test, account.credentials(), account.sid, api_base_url) {
        (true, ..) => SmsSettings::TestInbox,
        (false, Some(credentials), Some(account_sid), Some(api_base_url)) => {
            SmsSettings::Twilio(Box::new(TwilioSettings {
                account_sid,
                credentials,
                senders: senders_by_channel.senders,
                whatsapp: senders_by_channel.whatsapp,
                voice_number: senders_by_channel.voice_number,
                status_callback: match &reports {
                    Reports::To(url) => Some(url.clone()),
                    Reports::Played | Reports::Never(_) => None,
                },
                risk_check,
                api_base_url,
                timeout: DEFAULT_TIMEOUT,
                max_in_flight: usize::try_from(max_in_flight).unwrap_or(DEFAULT_MAX_IN_FLIGHT),
                breaker: other.rate_limits_enabled,
            }))
        }
        (false, ..) => SmsSettings::Unknown,
    };
    Sending { sms, texts, channels, callbacks, reports }
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

/// Reports settings that Twilio needs and that are missing.
fn note_missing(
    reader: &mut Reader<'_>,
    account: &Account,
    senders_by_channel: &ChannelSenders,
    channels: &ChannelPolicy,
) {
    let has_sender = senders_by_channel.senders != Senders::default();
    let has_key = account.key_sid.is_some() || account.key_secret.is_some();
    for (name, is_missing) in [
        ("TWILIO_ACCOUNT_SID", account.sid.is_none()),
        (
            "TWILIO_AUTH_TOKEN, or TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET,",
            account.auth_token.is_none() && !has_key,
        ),
        (
            "TWILIO_PHONE_NUMBER, TWILIO_MESSAGING_SERVICE_SID or TWILIO_SENDERS",
            channels.is_on(Channel::Sms) && !has_sender,
        ),
    ] {
        if is_missing {
            reader.problem(format!("{name} must be set when TWILIO_TEST_MODE is false"));
        }
    }
    if channels.is_on(Channel::WhatsApp) && senders_by_channel.lacks_whatsapp {
        reader.problem(
            "TWILIO_WHATSAPP_SENDER and TWILIO_WHATSAPP_CONTENT_SID must be set when OTP_CHANNELS has whatsapp",
        );
    }
    if channels.is_on(Channel::Call) && senders_by_channel.voice_number.is_none() {
        reader.problem(
            "TWILIO_VOICE_NUMBER must be set when OTP_CHANNELS has call and TWILIO_PHONE_NUMBER is no number",
        );
    }
}

/// The URL for delivery reports, with warnings if none will arrive.
fn reports(
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
        Some(url) => {
            if is_local(&url) {
                reader.warn(
                    "PUBLIC_BASE_URL is an address that Twilio cannot reach: no delivery report will come",
                );
            }
            Reports::To(url)
        }
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

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => {
            address.is_loopback() || address.is_private() || address.is_unspecified()
        }
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => true,
    }
}

fn channels(reader: &mut Reader<'_>) -> ChannelPolicy {
    let default = ChannelPolicy::default();
    let on = channel_list(reader, "OTP_CHANNELS").unwrap_or_else(|| default.on.clone());
    let fallback = channel_list(reader, "OTP_FALLBACK").unwrap_or_default();
    for channel in fallback.iter().filter(|channel| !on.contains(channel)) {
        reader.problem(format!("OTP_FALLBACK has {}, which OTP_CHANNELS does not have", channel.as_str()));
    }
    ChannelPolicy { on, fallback }
}

/// Channels separated by commas; `None` if the setting is missing or wrong.
fn channel_list(reader: &mut Reader<'_>, name: &'static str) -> Option<Vec<Channel>> {
    let text = reader.text(name)?;
    let mut channels = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().parse() {
            Ok(channel) if channels.contains(&channel) => {
                reader.problem(format!("{name} names a channel twice"));
                return None;
            }
            Ok(channel) => channels.push(channel),
            Err(error) => {
                reader.problem(format!("{name}: each channel {error}"));
                return None;
            }
        }
    }
    if channels.is_empty() {
        reader.problem(format!("{name} must name a channel: sms, whatsapp or call"));
        return None;
    }
    Some(channels)
}

fn texts(reader: &mut Reader<'_>) -> TextSettings {
    let product = reader.text("PRODUCT_NAME").unwrap_or_else(|| "Loopin".to_owned());
    if product.chars().count() > 40 || product.contains(char::is_control) {
        reader.problem("PRODUCT_NAME must be at most 40 characters long, without control characters");
    }
    let settings = TextSettings {
        product,
        webotp_domain: reader.text("SMS_WEBOTP_DOMAIN"),
        android_app_hash: reader.text("SMS_ANDROID_APP_HASH"),
        folder: reader.text("SMS_TEXTS_DIR").map(PathBuf::from),
    };
    // Loaded here only to find problems, so that all are in one list.
    if let Err(error) = Texts::load(settings.clone()) {
        let error = error.to_string();
        let is_named = error.starts_with("SMS_");
        reader.problem(if is_named { error } else { format!("SMS_TEXTS_DIR: {error}") });
    }
    settings
}
