//! `loopin-auth sms test`: sends one real message and prints the provider's answer. It needs no database.

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{
    CommandError, Context,
    output::{print, print_error},
    runtime, with_causes,
};
use crate::{
    app,
    clock::Clock,
    config::{Config, ProviderSettings, Reports, SmsSettings},
    domain::{
        delivery::{Attempt, Channel},
        phone::PhoneNumber,
    },
    random::Random,
    sms::{
        Inbox, Kind, Message, Provider, Receipt, Sms, Texts, Turn, TwilioSettings, Unsent, VonageSettings,
        Wording, explain_with_text,
    },
};

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The recipient: +919876543210, or a national number of `PHONE_DEFAULT_REGION`
    pub phone: String,
    /// The channel: sms, whatsapp or call
    #[arg(long)]
    pub channel: Option<Channel>,
    /// The provider, where the country of the phone has several: twilio, vonage, msg91 or webhook
    #[arg(long, value_parser = provider_name)]
    pub provider: Option<Provider>,
    /// The language, such as hi
    #[arg(long)]
    pub language: Option<String>,
}

/// A provider that `SMS_PROVIDERS` can name.
fn provider_name(text: &str) -> Result<Provider, String> {
    let provider = text.parse().ok().filter(|provider| *provider != Provider::TestInbox);
    provider.ok_or_else(|| "there are twilio, vonage, msg91 and webhook".to_owned())
}

/// The result of the test.
struct Outcome {
    /// Whether the provider accepted the message.
    is_taken: bool,
    /// What is printed.
    text: String,
}

impl Outcome {
    fn failed(text: impl Into<String>) -> Self {
        Self { is_taken: false, text: text.into() }
    }
}

/// Sends one message. Problems with settings that it does not need are printed, and do not stop it.
///
/// # Errors
/// When the output cannot be written.
pub fn run(context: &Context, options: &Options) -> Result<ExitCode, CommandError> {
    let (config, problems) = context.inspect_config();
    if !problems.0.is_empty() {
        print_error(&problems);
    }
    let runtime = runtime()?;
    let outcome = runtime.block_on(test(&config, options, &context.clock, &context.random));
    // A DNS look-up that is still running cannot be cancelled; do not wait for it.
    runtime.shutdown_background();
    print(&outcome.text)?;
    Ok(if outcome.is_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends a message with a random code.
async fn test(config: &Config, options: &Options, clock: &Clock, random: &Random) -> Outcome {
    let phone = match PhoneNumber::parse(&options.phone, config.region) {
        Ok(phone) => phone,
        Err(error) => return Outcome::failed(format!("nothing was sent: {error}\n")),
    };
    let channel = options.channel.unwrap_or_else(|| config.channels.usual_for(&phone));
    let sms = match provider(config, &phone, (channel, options.provider), clock) {
        Ok(sms) => sms,
        Err(why) => return Outcome::failed(format!("nothing was sent: {why}\n")),
    };
    let texts = match Texts::load(config.texts.clone()) {
        Ok(texts) => texts,
        Err(error) => return Outcome::failed(format!("nothing was sent: {error}\n")),
    };
    if let Some(tag) = options.language.as_ref().filter(|tag| !texts.has(tag)) {
        let tags = texts.tags().join(", ");
        return Outcome::failed(format!(
            "nothing was sent: there is no text in the language {tag:?}; there are {tags}, and SMS_TEXTS_DIR adds others\n"
        ));
    }
    let message = message(config, options, phone, channel, &texts, clock, random);
    let mut text = String::new();
    if sms.inbox().is_some() {
        text.push_str("test mode: nothing goes out. This is what would:\n");
    }
    let _ = writeln!(text, "{} to {} in {}", channel.as_str(), message.to, message.text.language);
    if sms.inbox().is_some() {
        let _ = writeln!(text, "  {}", message.text.body.expose_secret().replace('\n', "\n  "));
    }
    if !config.channels.is_on(channel) {
        let _ = writeln!(text, "OTP_CHANNELS does not have {}: no app can ask for it", channel.as_str());
    }
    let sent = sms.send_within(&message, Turn::alone()).await;
    text.push_str(&describe(&sms, &sent));
    if sent.is_ok() && sms.inbox().is_none() {
        text.push_str(&delivery_notice(config, &sms));
    }
    Outcome { is_taken: sent.is_ok(), text }
}

/// The provider. It requests no delivery reports, because no server knows this message.
fn provider(
    config: &Config,
    phone: &PhoneNumber,
    wanted: (Channel, Option<Provider>),
    clock: &Clock,
) -> Result<Sms, String> {
    match &config.sms {
        SmsSettings::TestInbox => Ok(Sms::TestInbox(Inbox::default())),
        SmsSettings::Unknown => Err("the settings do not say who carries messages".to_owned()),
        SmsSettings::Providers(settings) => first_of(settings, phone, wanted, clock),
    }
}

/// The settings with which a provider is not asked to report.
fn without_reports(settings: &ProviderSettings) -> ProviderSettings {
    let twilio = settings.twilio.clone().map(|twilio| TwilioSettings { status_callback: None, ..twilio });
    let vonage = settings.vonage.clone().map(|vonage| VonageSettings { status_callback: None, ..vonage });
    ProviderSettings { twilio, vonage, ..settings.clone() }
}

/// The first provider of the phone's country that carries the channel, or the one that is wanted.
fn first_of(
    settings: &ProviderSettings,
    phone: &PhoneNumber,
    (channel, wanted): (Channel, Option<Provider>),
    clock: &Clock,
) -> Result<Sms, String> {
    let order = settings.routes.order_for(phone);
    let kind = Kind::code_by(channel);
    let is_wanted = |provider: &Provider| wanted.is_none_or(|wanted| wanted == *provider);
    let carriers: Vec<Provider> =
        order.iter().copied().filter(|provider| provider.carries(kind) && is_wanted(provider)).collect();
    let settings = without_reports(settings);
    let mut lacking = None;
    for provider in carriers {
        match app::provider(provider, &settings, clock).map_err(|error| with_causes(&error))? {
            Some(sms) if sms.carries(kind) => return Ok(sms),
            Some(_) | None => lacking = lacking.or(Some(provider)),
        }
    }
    Err(match (lacking, channel) {
        (None, _) if wanted.is_some_and(|wanted| !order.contains(&wanted)) => {
            "SMS_PROVIDERS does not name this provider for the country of the phone".to_owned()
        }
        (None, _) if wanted.is_some() => format!("this provider does not carry {}", channel.as_str()),
        (None, _) => {
            format!("SMS_PROVIDERS has no provider of this country that carries {}", channel.as_str())
        }
        (Some(Provider::Twilio), Channel::WhatsApp) => {
            "set TWILIO_WHATSAPP_SENDER and TWILIO_WHATSAPP_CONTENT_SID first".to_owned()
        }
        (Some(Provider::Twilio), Channel::Call) => "set TWILIO_VOICE_NUMBER first".to_owned(),
        (Some(provider), _) => {
            format!("set the settings of {} for {} first", provider.title(), channel.as_str())
        }
    })
}

fn message(
    config: &Config,
    options: &Options,
    to: PhoneNumber,
    channel: Channel,
    texts: &Texts,
    clock: &Clock,
    random: &Random,
) -> Message {
    let now = clock.now();
    let digits = random.bytes::<8>().into_iter().take(config.otp.length.digits());
    // Slightly uneven, but this code opens nothing.
    let otp_code: SecretString = digits.map(|byte| char::from(b'0' + byte % 10)).collect::<String>().into();
    let minutes = config.otp.life.num_minutes();
    let languages: Vec<String> = options.language.iter().cloned().collect();
    let text =
        texts.compose(&Wording { channel, languages: &languages, platform: None, code: &otp_code, minutes });
    Message {
        id: random.id(now),
        attempt: Attempt { delivery_id: random.bits(), number: 1 },
        to,
        channel,
        text,
        otp_code: Some(otp_code),
        valid_for: config.otp.life.to_std().unwrap_or(Duration::from_mins(10)),
        created_at: now,
    }
}

fn describe(sms: &Sms, sent: &Result<Receipt, Unsent>) -> String {
    let who = sms.provider().title();
    match sent {
        Ok(receipt) => {
            let mut text = format!("taken by {who}, status {}", receipt.status.as_str());
            if let Some(id) = &receipt.provider_id {
                let _ = write!(text, ", id {id}");
            }
            match receipt.segments {
                Some(1) => text.push_str(", 1 segment"),
                Some(segments) => {
                    let _ = write!(text, ", {segments} segments");
                }
                None => {}
            }
            if let Some(price) = &receipt.price {
                let _ = write!(text, ", price {} {}", price.amount, price.unit);
            }
            text.push('\n');
            text
        }
        Err(unsent) if unsent.error.definitely_not_sent() => {
            format!("not taken by {who}: {}\n", explain_with_text(sms.provider(), unsent))
        }
        Err(unsent) => {
            let why = explain_with_text(sms.provider(), unsent);
            format!("it is not known whether {who} took it: {why}\n")
        }
    }
}

/// How the operator finds out whether the message arrived.
fn delivery_notice(config: &Config, sms: &Sms) -> String {
    let provider = sms.provider();
    let who = provider.title();
    let reports = config.reports.iter().find(|(of, _)| *of == provider).map(|(_, reports)| reports);
    match reports {
        Some(Reports::To(_) | Reports::Played) => {
            format!("taken is not delivered: look at the phone, or for the id in {who}'s log\n")
        }
        Some(Reports::Never(_)) | None => format!(
            "taken is not delivered: look at the phone, or for the id in {who}'s log; this server will never know (see \
             loopin-auth doctor)\n"
        ),
    }
}
