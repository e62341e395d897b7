//! The operator's servers, as they are called over the network: the hook before sending is asked whether a code may be sent,
//! and the receiver of events gets a report of what happened (`hooks/events.rs`).
//!
//! This module knows the question, the answer and what counts as a failure. Use cases decide when it is asked, and what
//! follows from a decision. The question never contains a code.

mod events;
mod issuer_keys;
mod receiver;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use outbound::{Client, Endpoint, Secrets};
use serde_json::{Value, json};
use uuid::Uuid;

use self::receiver::Receiver;
pub use self::{
    events::{DEADLINE as EVENT_DEADLINE, EventReceiver, EventsSettings},
    issuer_keys::{DEADLINE as KEYS_DEADLINE, KeySource},
    receiver::Failure,
};
use crate::domain::{address::ClientAddress, delivery::Channel, otp::Purpose, phone::PhoneNumber};

/// How long the whole question may take. A user waits for it.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// `BEFORE_SEND_ON_FAILURE`: what happens if the hook gives no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The code is sent.
    Allow,
    /// It is not.
    Deny,
}

/// The settings of the hook.
#[derive(Debug, Clone)]
pub struct BeforeSendSettings {
    /// `BEFORE_SEND_URL`
    pub endpoint: Endpoint,
    /// `BEFORE_SEND_SECRET`
    pub secrets: Secrets,
    /// `BEFORE_SEND_ON_FAILURE`
    pub on_failure: OnFailure,
}

/// Whether the client has proved that it is no bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BotProof {
    /// With this request.
    Given,
    /// It has not, and can be asked to.
    NotGiven,
    /// It cannot be asked to: the bot check is off, or no client of a sign-in waits.
    Impossible,
}

/// A code that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The recipient.
    pub phone: &'a PhoneNumber,
    /// What the code is for.
    pub purpose: Purpose,
    /// How it is sent.
    pub channel: Channel,
    /// The client's address. `None` if staff or the server itself send the code.
    pub address: Option<ClientAddress>,
    /// Whether the account was signed in on the device before.
    pub is_known_device: bool,
    /// Whether the client has proved that it is no bot.
    pub bot_proof: BotProof,
}

/// What the hook decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The code is sent.
    Allow,
    /// It is not.
    Deny,
    /// The client must prove first that it is no bot.
    Challenge,
}

impl Decision {
    const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::Challenge];

    /// The word in answers, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Challenge => "challenge",
        }
    }
}

/// The client of the hook.
#[derive(Debug)]
pub struct BeforeSend {
    receiver: Receiver,
    on_failure: OnFailure,
}

impl BeforeSend {
    /// Does not contact the hook.
    #[must_use]
    pub fn new(client: Client, settings: BeforeSendSettings) -> Self {
        let BeforeSendSettings { endpoint, secrets, on_failure } = settings;
        Self { receiver: Receiver { client, endpoint, secrets }, on_failure }
    }

    /// What happens if there is no decision.
    #[must_use]
    pub fn on_failure(&self) -> OnFailure {
        self.on_failure
    }

    /// Asks once. `id` is new for every question.
    ///
    /// # Errors
    /// [`Failure`] for everything that is no clear decision.
    pub async fn ask(
        &self,
        id: Uuid,
        question: &Question<'_>,
        now: DateTime<Utc>,
    ) -> Result<Decision, Failure> {
        decision(&self.receiver.post(id, &body(question, now), DEADLINE, now).await?)
    }
}

fn body(question: &Question<'_>, now: DateTime<Utc>) -> Value {
    let Question { phone, purpose, channel, address, is_known_device, bot_proof } = *question;
    json!({
        "type": "before_send",
        "timestamp": now.to_rfc3339_opts(SecondsFormat::Micros, false),
        "phone_number": phone.full(),
        "country": phone.region().map(|region| region.to_string()),
        "purpose": purpose.as_str(),
        "channel": channel.as_str(),
        "address": address.map(|address| address.to_string()),
        "device_known": is_known_device,
        "bot_check": match bot_proof {
            BotProof::Given => "passed",
            BotProof::NotGiven | BotProof::Impossible => "not_passed",
        },
        "can_challenge": bot_proof == BotProof::NotGiven,
    })
}

/// Only one of the three words is a decision.
fn decision(answer: &outbound::Answer) -> Result<Decision, Failure> {
    let no = |why| Failure::from_answer(why, answer);
    let body = answer.body.as_deref().ok_or(no("body"))?;
    let body: Value = serde_json::from_slice(body).map_err(|_| no("not-json"))?;
    let word = body.get("decision").and_then(Value::as_str);
    let decision = word.and_then(|word| Decision::ALL.into_iter().find(|one| one.as_str() == word));
    decision.ok_or(no("no-decision"))
}
