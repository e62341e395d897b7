//! Builds the form of a request: one for each channel.
//!
//! <https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource> and
//! <https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource>. Twilio ignores unknown fields, so
//! only a test that compares the whole form finds a misspelt one.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    callback,
    errors::UNSERVED,
    senders::{Sender, WhatsApp},
    settings::{RiskCheck, TwilioSettings},
    voice,
};
use crate::{
    Message,
    provider_error::{self, ProviderError},
};
use domain::delivery::Channel;

/// The range of `ValidityPeriod` in seconds. Twilio's default is the maximum.
const MIN_VALIDITY_SECONDS: u64 = 1;
const MAX_VALIDITY_SECONDS: u64 = 36_000;

/// How long a call rings, in seconds: short enough that most mailboxes do not pick up, because a code must not be
/// left on one.
const RINGING_SECONDS: &str = "20";

/// The events that Twilio reports for a call; by default it only reports the end.
const CALL_EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];

/// The fields in order. It contains the code and has no `Debug`.
pub(super) struct Form<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl<'a> Form<'a> {
    /// The form for this message at this time.
    ///
    /// # Errors
    /// A refusal of our own if the settings do not allow the message.
    pub(super) fn new(
        settings: &'a TwilioSettings,
        message: &'a Message,
        now: DateTime<Utc>,
    ) -> Result<Self, ProviderError> {
        match message.channel {
            Channel::Sms => Self::sms(settings, message, now),
            Channel::WhatsApp => Self::whatsapp(settings, message, now),
            Channel::Call => Self::call(settings, message),
        }
    }

    pub(super) fn fields(&self) -> &[(&'static str, Cow<'a, str>)] {
        &self.0
    }

    fn sms(
        settings: &'a TwilioSettings,
        message: &'a Message,
        now: DateTime<Utc>,
    ) -> Result<Self, ProviderError> {
        let sender = settings.senders.for_phone(&message.to).ok_or_else(unserved_country)?;
        let mut form = Self(vec![("To", message.to.full().into())]);
        form.0.push(match sender {
            Sender::MessagingService(sid) => ("MessagingServiceSid", sid.into()),
            Sender::Number(from) | Sender::Alphanumeric(from) => ("From", from.into()),
        });
        form.0.push(("Body", message.text.body.expose_secret().into()));
        form.0.push(("ValidityPeriod", validity(message, now)));
        form.report_to(settings, message);
        if let Some(check) = settings.risk_check {
            let word = match check {
                RiskCheck::Enable => "enable",
                RiskCheck::Disable => "disable",
            };
            form.0.push(("RiskCheck", word.into()));
        }
        Ok(form)
    }

    fn whatsapp(
        settings: &'a TwilioSettings,
        message: &'a Message,
        now: DateTime<Utc>,
    ) -> Result<Self, ProviderError> {
        let WhatsApp { sender, .. } = settings.whatsapp.as_ref().ok_or_else(no_whatsapp)?;
        let content = settings.whatsapp.as_ref().and_then(|it| it.content_for(&message.text.language));
        let content = content.ok_or_else(no_whatsapp)?;
        let mut form = Self(vec![("To", format!("whatsapp:{}", message.to.full()).into())]);
        form.0.push(match sender {
            Sender::MessagingService(sid) => ("MessagingServiceSid", sid.into()),
            Sender::Number(from) | Sender::Alphanumeric(from) => ("From", format!("whatsapp:{from}").into()),
        });
        // The template contains the text; we only send the code.
        let code = message.otp_code.as_ref().ok_or_else(no_template)?;
        let variables = json!({ "1": code.expose_secret() });
        form.0.push(("ContentSid", content.into()));
        form.0.push(("ContentVariables", variables.to_string().into()));
        form.0.push(("ValidityPeriod", validity(message, now)));
        form.report_to(settings, message);
        Ok(form)
    }

    /// A call has no validity period, because it is made at once or not at all.
    fn call(settings: &'a TwilioSettings, message: &'a Message) -> Result<Self, ProviderError> {
        let from = settings
            .voice_number
            .as_deref()
            .ok_or_else(|| provider_error::from_settings("no caller's number: set TWILIO_VOICE_NUMBER"))?;
        let twiml = voice::twiml(message).ok_or_else(|| {
            provider_error::from_settings(
                "the text of the call is too long: Twilio takes 4,000 characters of TwiML",
            )
        })?;
        let mut form =
            Self(vec![("To", message.to.full().into()), ("From", from.into()), ("Twiml", twiml.into())]);
        if form.report_to(settings, message) {
            form.0.extend(CALL_EVENTS.map(|event| ("StatusCallbackEvent", event.into())));
        }
        form.0.push(("Timeout", RINGING_SECONDS.into()));
        Ok(form)
    }

    /// Adds the address for reports, if there is one.
    fn report_to(&mut self, settings: &TwilioSettings, message: &Message) -> bool {
        let Some(base) = &settings.status_callback else { return false };
        let address = callback::address_for(message.attempt, base);
        self.0.push(("StatusCallback", String::from(address).into()));
        true
    }
}

/// The phone's country has no sender.
fn unserved_country() -> ProviderError {
    provider_error::unserved_country(UNSERVED)
}

fn no_whatsapp() -> ProviderError {
    provider_error::from_settings("no WhatsApp: set TWILIO_WHATSAPP_SENDER and TWILIO_WHATSAPP_CONTENT_SID")
}

/// `WhatsApp` accepts templates only, and ours contains a code.
fn no_template() -> ProviderError {
    provider_error::from_settings("no WhatsApp template for a message without a code")
}

/// The remaining validity of the message, which is less at a retry.
fn validity(message: &Message, now: DateTime<Utc>) -> Cow<'static, str> {
    message.seconds_left(now).clamp(MIN_VALIDITY_SECONDS, MAX_VALIDITY_SECONDS).to_string().into()
}
