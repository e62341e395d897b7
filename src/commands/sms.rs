//! `loopin-auth sms test`: sends one real message and prints the provider's answer. It needs no database.

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{
    CommandError, Context,
    output::{print, print_error},
    runtime, with_causes,
};
use crate::{
    clock::Clock,
    config::{Config, Reports, SmsSettings},
    domain::{delivery::Channel, phone::PhoneNumber},
    random::Random,
    sms::{Inbox, Message, Receipt, SendError, Sms, Texts, Twilio, Wording, explain},
};

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The recipient: +919876543210, or a national number of `PHONE_DEFAULT_REGION`
    pub phone: String,
    /// The channel: sms, whatsapp or call
    #[arg(long)]
    pub channel: Option<Channel>,
    /// The language, such as hi
    #[arg(long)]
    pub language: Option<String>,
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
    let channel = options.channel.unwrap_or_else(|| config.channels.usual());
    let sms = match provider(config, channel, clock) {
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
    let sent = sms.send(&message).await;
    text.push_str(&describe(&sms, &sent));
    if sent.is_ok() && sms.inbox().is_none() {
        text.push_str(delivery_notice(&config.reports));
    }
    Outcome { is_taken: sent.is_ok(), text }
}

/// The provider. It requests no delivery reports, because no server knows this message.
fn provider(config: &Config, channel: Channel, clock: &Clock) -> Result<Sms, String> {
    match &config.sms {
        SmsSettings::TestInbox => Ok(Sms::TestInbox(Inbox::default())),
        SmsSettings::Unknown => Err("the settings do not say who carries messages".to_owned()),
        SmsSettings::Twilio(settings) => {
            let mut settings = (**settings).clone();
            settings.status_callback = None;
            match channel {
                Channel::WhatsApp if settings.whatsapp.is_none() => {
                    return Err("set TWILIO_WHATSAPP_SENDER and TWILIO_WHATSAPP_CONTENT_SID first".to_owned());
                }
                Channel::Call if settings.voice_number.is_none() => {
                    return Err("set TWILIO_VOICE_NUMBER first".to_owned());
                }
                Channel::Sms | Channel::WhatsApp | Channel::Call => {}
            }
            let twilio = Twilio::new(settings, clock.clone()).map_err(|error| with_causes(&error))?;
            Ok(Sms::Twilio(Box::new(twilio)))
        }
    }
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
        to,
        channel,
        text,
        otp_code: Some(otp_code),
        valid_for: config.otp.life.to_std().unwrap_or(Duration::from_mins(10)),
        created_at: now,
    }
}

fn describe(sms: &Sms, sent: &Result<Receipt, SendError>) -> String {
    let who = match sms {
        Sms::Twilio(_) => "Twilio",
        Sms::TestInbox(_) => "the test inbox",
    };
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
        Err(error) if error.definitely_not_sent() => format!("not taken by {who}: {}\n", explain(error)),
        Err(error) => format!("it is not known whether {who} took it: {}\n", explain(error)),
    }
}

/// How the operator finds out whether the message arrived.
fn delivery_notice(reports: &Reports) -> &'static str {
    match reports {
        Reports::To(_) | Reports::Played => {
            "taken is not delivered: look at the phone, or for the id in Twilio's log\n"
        }
        Reports::Never(_) => {
            "taken is not delivered: look at the phone, or for the id in Twilio's log; this server will never \
             know (see loopin-auth doctor)\n"
        }
    }
}
