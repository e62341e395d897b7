//! Sending a code: what signing up and logging in share.

use chrono::{DateTime, Utc};

use super::{Error, Services};
use crate::{
    domain::{
        lead::Source,
        otp::{Challenge, ChallengeKey},
        phone::PhoneNumber,
    },
    sms::{self, Message, SendError},
    store::{self, messages::NewMessage},
};

/// A code is on its way.
#[derive(Debug, Clone, Copy)]
pub struct CodeSent {
    /// Seconds until the code dies.
    pub expires_in: i64,
    /// Seconds until the next one may be asked for.
    pub resend_in: i64,
}

/// What became of a wish for a code.
#[derive(Debug)]
pub enum Sending {
    /// It is on its way.
    Sent(CodeSent),
    /// The phone was sent one too recently.
    TooSoon {
        /// Seconds until the next one may be asked for, at least 1.
        retry_after: i64,
    },
    /// The provider would not or could not. The next one may be asked for at once.
    Failed(SendError),
}

/// Claims the send, commits, sends, and writes down what became of it.
pub(super) async fn send(
    services: &Services,
    phone: &PhoneNumber,
    source: Source,
    now: DateTime<Utc>,
) -> Result<Sending, Error> {
    let db = &services.store;
    let key = ChallengeKey::sign_in(phone);
    let opening = services.otp.opening(services.random.bits(), &services.otp_keys, now);
    let Some(challenge) = store::otp::open(db, key, &opening).await? else {
        let waiting = store::otp::find(db, key).await?;
        return Ok(Sending::TooSoon {
            retry_after: waiting.map_or(1, |it| it.resend_in(&services.otp, now)),
        });
    };
    let message = match write_down(services, key, &challenge, source, now).await {
        Ok(message) => message,
        Err(error) => {
            give_back(services, key, &challenge, now).await;
            return Err(error);
        }
    };
    let sent = services.sms.send(&message).await;
    // The message may be out, so a database that goes away no longer changes the answer.
    if let Err(error) = store::messages::mark(db, message.id, outcome(&sent), now).await {
        tracing::error!(message_id = %message.id, %error, "what became of a message could not be written down");
    }
    if let Err(failure) = sent {
        give_back(services, key, &challenge, now).await;
        return Ok(Sending::Failed(failure));
    }
    let resend_in = services.otp.resend_after.num_seconds();
    Ok(Sending::Sent(CodeSent { expires_in: challenge.seconds_left(now), resend_in }))
}

/// Writes down the lead and the message that is about to go out.
async fn write_down(
    services: &Services,
    key: ChallengeKey<'_>,
    challenge: &Challenge,
    source: Source,
    now: DateTime<Utc>,
) -> Result<Message, Error> {
    let db = &services.store;
    store::leads::open(db, key.phone, source, services.random.id(now), now).await?;
    let code = services.otp_keys.code(challenge, key, services.otp.length).ok_or(Error::KeyGone)?;
    let left = challenge.expires_at - now;
    let message = Message {
        id: services.random.id(now),
        to: key.phone.clone(),
        body: sms::text::otp(&services.product, code.expose(), (challenge.seconds_left(now) / 60).max(1)),
        otp_code: code.expose().clone(),
        valid_for: left.to_std().unwrap_or_default(),
        created_at: now,
    };
    let row = NewMessage {
        id: message.id,
        phone: key.phone,
        channel: "sms",
        template: sms::text::OTP_TEMPLATE,
        provider: services.sms.provider(),
    };
    store::messages::insert(db, row, now).await?;
    Ok(message)
}

/// Lifts the cooldown of a send that came to nothing, or of which nothing is known: the person may try again at once.
/// The code stays the same, so a message that arrives after all still works.
async fn give_back(services: &Services, key: ChallengeKey<'_>, challenge: &Challenge, now: DateTime<Utc>) {
    if let Err(error) = store::otp::mark_unsent(&services.store, key, challenge.id, now).await {
        tracing::error!(%error, "the cooldown of a failed send could not be lifted");
    }
}

fn outcome(sent: &Result<sms::Receipt, SendError>) -> store::messages::Outcome {
    match sent {
        Ok(receipt) => store::messages::Outcome {
            status: receipt.status.as_str(),
            provider_id: receipt.provider_id.clone(),
            error_code: None,
        },
        Err(error) => store::messages::Outcome {
            status: if error.definitely_not_sent() { "failed" } else { "unknown" },
            provider_id: None,
            error_code: error.provider_code().map(i64::from),
        },
    }
}
