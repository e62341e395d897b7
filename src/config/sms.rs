//! The settings of messages: providers, senders, channels, texts and delivery reports.
//!
//! Test mode needs no settings of a provider, but checks those that are set, so that a mistake is found before test mode
//! is switched off.

mod msg91;
mod twilio;
mod vonage;
mod webhook;

use std::path::PathBuf;

use url::{Host, Url};

use super::reader::Reader;
use crate::{
    domain::delivery::{Channel, ChannelOrder, ChannelPolicy},
    sms::{
        Kind, Limits, Msg91Settings, Provider, ReportReaders, Routes, TextSettings, Texts, TwilioSettings,
        VonageSettings, WebhookSettings, is_dlt_id,
    },
};

/// How messages are sent.
#[derive(Debug, Clone)]
pub enum SmsSettings {
    /// By providers.
    Providers(Box<ProviderSettings>),
    /// Not at all: they go to the log and the inbox.
    TestInbox,
    /// Settings are missing or wrong, so the server does not start.
    Unknown,
}

impl SmsSettings {
    /// Whether the order of providers follows how many of their codes are entered.
    #[must_use]
    pub fn is_adaptive(&self) -> bool {
        match self {
            Self::Providers(settings) => settings.is_adaptive,
            Self::TestInbox | Self::Unknown => false,
        }
    }
}

/// The providers that `SMS_PROVIDERS` names. One that is named and lacks settings is `None`, and the server does not
/// start.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// `SMS_PROVIDERS`
    pub routes: Routes,
    /// `SMS_ROUTING`
    pub is_adaptive: bool,
    /// Twilio.
    pub twilio: Option<TwilioSettings>,
    /// Vonage.
    pub vonage: Option<VonageSettings>,
    /// MSG91.
    pub msg91: Option<Msg91Settings>,
    /// The operator's own endpoint.
    pub webhook: Option<WebhookSettings>,
}

/// Whether delivery reports of a provider arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reports {
    /// The provider is told this URL, or the operator must set it there. A secret in it is left out.
    To(Url),
    /// Test mode simulates them.
    Played,
    /// They do not arrive, for this reason.
    Never(&'static str),
}

impl Reports {
    /// Whether they go to an address of this machine or its network, which a provider on the internet cannot reach. An endpoint of
    /// the operator's own may be there too.
    #[must_use]
    pub fn are_out_of_reach(&self, provider: Provider) -> bool {
        provider != Provider::Webhook && self.address().is_some_and(is_local)
    }

    fn address(&self) -> Option<&Url> {
        match self {
            Self::To(url) => Some(url),
            Self::Played | Self::Never(_) => None,
        }
    }
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

/// The values of these settings.
pub(super) struct Sending {
    pub(super) sms: SmsSettings,
    pub(super) texts: TextSettings,
    pub(super) channels: ChannelPolicy,
    pub(super) report_readers: ReportReaders,
    pub(super) reports: Vec<(Provider, Reports)>,
}

/// Other settings that matter here.
pub(super) struct OtherSettings<'a> {
    pub(super) is_prod: bool,
    pub(super) rate_limits_enabled: bool,
    pub(super) public_base_url: Option<&'a Url>,
    pub(super) hook_rules: outbound::Rules,
}

/// What was read of each provider, before it is known which are needed.
struct Given {
    twilio: twilio::Given,
    vonage: vonage::Given,
    msg91: msg91::Given,
    webhook: webhook::Given,
}

impl Given {
    /// Whether credentials of this provider are set, so that messages are meant to be sent by it.
    fn has_credentials(&self, provider: Provider) -> bool {
        match provider {
            Provider::Twilio => self.twilio.has_credentials(),
            Provider::Vonage => self.vonage.has_credentials(),
            Provider::Msg91 => self.msg91.has_credentials(),
            Provider::Webhook => self.webhook.has_credentials(),
            Provider::TestInbox => false,
        }
    }

    fn is_set_up_for(&self, provider: Provider, channel: Channel) -> bool {
        match provider {
            Provider::Twilio => self.twilio.is_set_up_for(channel),
            Provider::Vonage => self.vonage.is_set_up_for(channel),
            Provider::Msg91 | Provider::Webhook | Provider::TestInbox => true,
        }
    }

    fn note_missing(&self, reader: &mut Reader<'_>, routes: &Routes, channels: &ChannelPolicy) {
        if routes.names(Provider::Twilio) {
            self.twilio.note_missing(reader, channels);
        }
        if routes.names(Provider::Vonage) {
            self.vonage.note_missing(reader, channels);
        }
        if routes.names(Provider::Msg91) {
            self.msg91.note_missing(reader);
        }
        if routes.names(Provider::Webhook) {
            self.webhook.note_missing(reader);
        }
        self.note_missing_channels(reader, routes, channels);
    }

    /// For each channel but SMS, whose settings are needed in any case: the first provider of a list that could carry it
    /// lacks its settings, and so do the others.
    fn note_missing_channels(&self, reader: &mut Reader<'_>, routes: &Routes, channels: &ChannelPolicy) {
        for channel in channels.on.iter().copied().filter(|channel| *channel != Channel::Sms) {
            let mut lacking: Vec<Provider> = Vec::new();
            for (_, carriers) in routes.carriers(Kind::code_by(channel)) {
                let is_carried = carriers.iter().any(|provider| self.is_set_up_for(*provider, channel));
                let first = carriers.first().filter(|first| !is_carried && !lacking.contains(first));
                lacking.extend(first);
            }
            for provider in lacking {
                match provider {
                    Provider::Twilio => twilio::note_missing_channel(reader, channel),
                    Provider::Vonage => vonage::note_missing_channel(reader),
                    Provider::Msg91 | Provider::Webhook | Provider::TestInbox => {}
                }
            }
        }
    }
}

pub(super) fn sending(reader: &mut Reader<'_>, other: &OtherSettings<'_>) -> Sending {
    let channels = channels(reader);
    let texts = texts(reader);
    let routes = routes(reader, &channels);
    let is_adaptive = is_adaptive(reader, &routes);
    check_channel_order(reader, &routes, &channels.order);
    let given = Given {
        twilio: twilio::given(reader),
        vonage: vonage::given(reader),
        msg91: msg91::given(reader),
        webhook: webhook::given(reader, other.hook_rules),
    };
    let is_meant = Provider::ALL.into_iter().any(|it| routes.names(it) && given.has_credentials(it));
    let is_test = reader.flag("TWILIO_TEST_MODE", !other.is_prod && !is_meant);
    if is_test && other.is_prod {
        // The settings of the providers are checked all the same, so that the list of problems is complete.
        reader.problem("TWILIO_TEST_MODE must not be true in prod: it shows codes");
    }
    let is_real = !is_test || other.is_prod;
    if is_real {
        given.note_missing(reader, &routes, &channels);
    }
    let callbacks = given.twilio.callbacks(other.public_base_url);
    let reports = if is_real {
        reports(reader, other, &given, &routes, &channels)
    } else {
        vec![(Provider::TestInbox, Reports::Played)]
    };
    let report_readers = ReportReaders {
        twilio: callbacks,
        vonage: given.vonage.report_reader(),
        msg91: given.msg91.report_reader(),
        webhook: given.webhook.report_reader(),
    };
    let sms = if is_test {
        SmsSettings::TestInbox
    } else {
        providers(given, (routes, is_adaptive), &reports, other.rate_limits_enabled)
    };
    Sending { sms, texts, channels, report_readers, reports }
}

/// The settings of the providers that are named.
fn providers(
    given: Given,
    (routes, is_adaptive): (Routes, bool),
    reports: &[(Provider, Reports)],
    breaker: bool,
) -> SmsSettings {
    let limits = Limits { breaker, ..Limits::default() };
    let of = |provider: Provider| reports.iter().find(|(of, _)| *of == provider).map(|(_, reports)| reports);
    let settings = ProviderSettings {
        twilio: of(Provider::Twilio).and_then(|reports| given.twilio.settings(reports, breaker)),
        vonage: of(Provider::Vonage).and_then(|reports| given.vonage.settings(reports, limits)),
        msg91: of(Provider::Msg91).and_then(|_| given.msg91.settings(limits)),
        webhook: of(Provider::Webhook).and_then(|_| given.webhook.settings(limits)),
        routes,
        is_adaptive,
    };
    let is_empty = settings.twilio.is_none()
        && settings.vonage.is_none()
        && settings.msg91.is_none()
        && settings.webhook.is_none();
    if is_empty { SmsSettings::Unknown } else { SmsSettings::Providers(Box::new(settings)) }
}

/// `SMS_PROVIDERS`, with a problem for each channel that no provider of a country has.
fn routes(reader: &mut Reader<'_>, channels: &ChannelPolicy) -> Routes {
    let routes = match reader.text("SMS_PROVIDERS").map(|text| Routes::parse(&text)) {
        Some(Ok(routes)) => routes,
        Some(Err(error)) => {
            reader.problem(format!("SMS_PROVIDERS: {error}"));
            return Routes::default();
        }
        None => return Routes::default(),
    };
    for channel in &channels.on {
        for (country, carriers) in routes.carriers(Kind::code_by(*channel)) {
            if carriers.is_empty() {
                let channel = channel.as_str();
                reader.problem(format!(
                    "SMS_PROVIDERS: no provider of {country} carries {channel}, which OTP_CHANNELS has"
                ));
            }
        }
    }
    for (country, carriers) in routes.carriers(Kind::notice()) {
        if carriers.is_empty() && channels.is_on(Channel::Sms) {
            reader.warn(format!(
                "SMS_PROVIDERS: no provider of {country} can send the notice that a phone was changed"
            ));
        }
    }
    routes
}

/// `SMS_ROUTING`
fn is_adaptive(reader: &mut Reader<'_>, routes: &Routes) -> bool {
    match reader.text("SMS_ROUTING").as_deref() {
        None | Some("listed") => false,
        Some("adaptive") => {
            let kind = Kind::code_by(Channel::Sms);
            if routes.carriers(kind).all(|(_, carriers)| carriers.len() < 2) {
                reader.warn("SMS_ROUTING=adaptive has no effect: no list of SMS_PROVIDERS has two providers that carry sms");
            }
            true
        }
        Some(_) => {
            reader.problem("SMS_ROUTING must be listed or adaptive");
            false
        }
    }
}

/// Whether reports of the named providers arrive, with warnings if not.
fn reports(
    reader: &mut Reader<'_>,
    other: &OtherSettings<'_>,
    given: &Given,
    routes: &Routes,
    channels: &ChannelPolicy,
) -> Vec<(Provider, Reports)> {
    let mut all = Vec::new();
    for provider in Provider::ALL.into_iter().filter(|provider| routes.names(*provider)) {
        let reports = match provider {
            Provider::Twilio => {
                let callbacks = given.twilio.callbacks(other.public_base_url);
                twilio::reports(reader, other, callbacks.as_ref(), channels)
            }
            Provider::Vonage => given.vonage.reports(other.public_base_url),
            Provider::Msg91 => given.msg91.reports(other.public_base_url),
            Provider::Webhook => webhook::reports(other.public_base_url),
            Provider::TestInbox => Reports::Played,
        };
        if let Reports::Never(why) = &reports
            && provider != Provider::Twilio
            && (other.is_prod || !channels.fallback.is_empty())
        {
            reader.warn(format!("no delivery report will come from {}: {why}", provider.title()));
        }
        all.push((provider, reports));
    }
    if let Some((provider, _)) = all.iter().find(|(provider, reports)| reports.are_out_of_reach(*provider)) {
        reader.warn(format!(
            "PUBLIC_BASE_URL is an address that {} cannot reach: no delivery report will come",
            provider.title()
        ));
    }
    all
}

/// An address below `PUBLIC_BASE_URL`.
fn address(public_base_url: Option<&Url>, path: &[&str]) -> Option<Url> {
    let mut url = public_base_url?.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(path);
    Some(url)
}

/// Why no report comes without `PUBLIC_BASE_URL`.
const NO_ADDRESS: &str = "PUBLIC_BASE_URL is not set, so there is no address for reports";

fn channels(reader: &mut Reader<'_>) -> ChannelPolicy {
    let default = ChannelPolicy::default();
    let on = channel_list(reader, "OTP_CHANNELS").unwrap_or_else(|| default.on.clone());
    let fallback = channel_list(reader, "OTP_FALLBACK").unwrap_or_default();
    for channel in fallback.iter().filter(|channel| !on.contains(channel)) {
        reader.problem(format!("OTP_FALLBACK has {}, which OTP_CHANNELS does not have", channel.as_str()));
    }
    let order = channel_order(reader, &on);
    ChannelPolicy { on, fallback, order }
}

/// `OTP_CHANNEL_ORDER`: the channels of requests that name none, by country.
fn channel_order(reader: &mut Reader<'_>, on: &[Channel]) -> ChannelOrder {
    const NAME: &str = "OTP_CHANNEL_ORDER";
    let order = match reader.text(NAME).map(|text| ChannelOrder::parse(&text)) {
        Some(Ok(order)) => order,
        Some(Err(error)) => {
            reader.problem(format!("{NAME}: {error}"));
            return ChannelOrder::default();
        }
        None => return ChannelOrder::default(),
    };
    for channel in Channel::ALL.into_iter().filter(|channel| !on.contains(channel)) {
        if order.channels().any(|named| named == channel) {
            reader.problem(format!("{NAME} has {}, which OTP_CHANNELS does not have", channel.as_str()));
        }
    }
    order
}

/// A problem for each channel of `OTP_CHANNEL_ORDER` that no provider of its country has. Where the order is for all other countries,
/// `OTP_CHANNELS` is checked for each list.
fn check_channel_order(reader: &mut Reader<'_>, routes: &Routes, order: &ChannelOrder) {
    for (region, channels) in order.by_region() {
        for channel in channels {
            let carries = |provider: &Provider| provider.carries(Kind::code_by(*channel));
            if !routes.order_of(region).iter().any(carries) {
                let channel = channel.as_str();
                reader.problem(format!("OTP_CHANNEL_ORDER: no provider of {region} carries {channel}"));
            }
        }
    }
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
        dlt_entity_id: dlt_entity_id(reader),
    };
    // Loaded here only to find problems, so that all are in one list.
    if let Err(error) = Texts::load(settings.clone()) {
        let error = error.to_string();
        let is_named = error.starts_with("SMS_");
        reader.problem(if is_named { error } else { format!("SMS_TEXTS_DIR: {error}") });
    }
    settings
}

/// The operator as registered in India.
fn dlt_entity_id(reader: &mut Reader<'_>) -> Option<String> {
    const NAME: &str = "SMS_DLT_ENTITY_ID";
    let id = reader.text(NAME)?;
    if !is_dlt_id(&id) {
        reader.problem(format!("{NAME} must be the 19 digits of the entity id"));
    }
    Some(id)
}
