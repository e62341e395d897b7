//! `loopin-auth sms test`: one real message, and what the provider says of it. No database is needed.

use std::{fmt::Write as _, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::with_causes;
use crate::{
    clock::Clock,
    config::{Config, Reports, SmsSettings},
    domain::{delivery::Channel, phone::PhoneNumber},
    random::Random,
    sms::{Inbox, Message, Receipt, SendError, Sms, Texts, Twilio, Wording, explain},
};

/// What is to be tried.
#[derive(Debug)]
pub struct Trial {
    /// Who gets the message, as the operator wrote it.
    pub phone: String,
    /// By which way; the usual one when not said.
    pub channel: Option<Channel>,
    /// In which language; English when not said.
    pub language: Option<String>,
}

/// What came of it, in words for a person.
#[derive(Debug)]
pub struct Outcome {
    /// Whether the message was taken.
    pub is_taken: bool,
    /// What happened.
    pub said: String,
}

impl Outcome {
    fn failed(said: impl Into<String>) -> Self {
        Self { is_taken: false, said: said.into() }
    }
}

/// Sends a message with a code that is made up.
pub async fn test(config: &Config, trial: &Trial, clock: &Clock, random: &Random) -> Outcome {
    let phone = match PhoneNumber::parse(&trial.phone, config.region) {
        Ok(phone) => phone,
        Err(error) => return Outcome::failed(format!("nothing was sent: {error}\n")),
    };
    let channel = trial.channel.unwrap_or_else(|| config.channels.usual());
    let sms = match provider(config, channel, clock) {
        Ok(sms) => sms,
        Err(why) => return Outcome::failed(format!("nothing was sent: {why}\n")),
    };
    let texts = match Texts::load(config.texts.clone()) {
        Ok(texts) => texts,
        Err(error) => return Outcome::failed(format!("nothing was sent: {error}\n")),
    };
    if let Some(tag) = trial.language.as_ref().filter(|tag| !texts.has(tag)) {
        let tags = texts.tags().join(", ");
        return Outcome::failed(format!(
            "nothing was sent: there is no text in the language {tag:?}; there are {tags}, and SMS_TEXTS_DIR adds others\n"
        ));
    }
    let message = message(config, trial, phone, channel, &texts, clock, random);
    let mut said = String::new();
    if sms.inbox().is_some() {
        said.push_str("test mode: nothing goes out. This is what would:\n");
    }
    let _ = writeln!(said, "{} to {} in {}", channel.as_str(), message.to, message.text.language);
    if sms.inbox().is_some() {
        let _ = writeln!(said, "  {}", message.text.body.expose_secret().replace('\n', "\n  "));
    }
    if !config.channels.is_on(channel) {
        let _ = writeln!(said, "OTP_CHANNELS does not have {}: no app can ask for it", channel.as_str());
    }
    let sent = sms.send(&message).await;
    said.push_str(&told(&sms, &sent));
    if sent.is_ok() && sms.inbox().is_none() {
        said.push_str(later(&config.reports));
    }
    Outcome { is_taken: sent.is_ok(), said }
}

/// Who carries it. Reports about it would come to a server that knows nothing of it, so none are asked for.
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
    trial: &Trial,
    to: PhoneNumber,
    channel: Channel,
    texts: &Texts,
    clock: &Clock,
    random: &Random,
) -> Message {
    let now = clock.now();
    let digits = random.bytes::<8>().into_iter().take(config.otp.length.digits());
    // Not evenly spread, and nobody's secret.
    let otp_code: SecretString = digits.map(|byte| char::from(b'0' + byte % 10)).collect::<String>().into();
    let minutes = config.otp.life.num_minutes();
    let languages: Vec<String> = trial.language.iter().cloned().collect();
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

fn told(sms: &Sms, sent: &Result<Receipt, SendError>) -> String {
    let who = match sms {
        Sms::Twilio(_) => "Twilio",
        Sms::TestInbox(_) => "the test inbox",
    };
    match sent {
        Ok(receipt) => {
            let mut said = format!("taken by {who}, status {}", receipt.status.as_str());
            if let Some(id) = &receipt.provider_id {
                let _ = write!(said, ", id {id}");
            }
            match receipt.segments {
                Some(1) => said.push_str(", 1 segment"),
                Some(segments) => {
                    let _ = write!(said, ", {segments} segments");
                }
                None => {}
            }
            if let Some(price) = &receipt.price {
                let _ = write!(said, ", price {} {}", price.amount, price.unit);
            }
            said.push('\n');
            said
        }
        Err(error) if error.definitely_not_sent() => format!("not taken by {who}: {}\n", explain(error)),
        Err(error) => format!("it is not known whether {who} took it: {}\n", explain(error)),
    }
}

fn later(reports: &Reports) -> &'static str {
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
