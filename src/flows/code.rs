//! Sending a code: what signing up and logging in share, and what happens when a message comes back.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services};
use crate::{
    domain::{
        delivery::{Channel, DeliveryStatus, Platform},
        lead::Source,
        otp::{Challenge, ChallengeKey, seconds_up},
    },
    sms::{self, Message, SendError, Wording},
    store::{
        self,
        messages::{NewMessage, News, Which},
    },
};

/// How a person wants her code.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// By which way, where she says so. It is on.
    pub channel: Option<Channel>,
    /// What her app runs on.
    pub platform: Option<Platform>,
    /// The languages that she reads, the best first.
    pub languages: Vec<String>,
}

/// A code is on its way.
#[derive(Debug, Clone, Copy)]
pub struct CodeSent {
    /// Seconds until the code dies.
    pub expires_in: i64,
    /// Seconds until the next one may be asked for.
    pub resend_in: i64,
    /// By which a client may ask what becomes of the message.
    pub delivery_id: Uuid,
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

/// A message that is to carry the code of a challenge.
pub(super) struct Outgoing<'a> {
    pub(super) key: ChallengeKey<'a>,
    pub(super) challenge: &'a Challenge,
    pub(super) delivery_id: Uuid,
    pub(super) attempt: i64,
    pub(super) channel: Channel,
    pub(super) platform: Option<Platform>,
    pub(super) languages: &'a [String],
}

/// Claims the send, commits, sends, and writes down what became of it. Whoever asks without a source is no lead: she has
/// an account.
pub(super) async fn send(
    services: &Services,
    key: ChallengeKey<'_>,
    source: Option<Source>,
    wish: &Wish,
    now: DateTime<Utc>,
) -> Result<Sending, Error> {
    let db = &services.store;
    let opening = services.otp.opening(services.random.bits(), &services.otp_keys, key, now);
    let Some(challenge) = store::otp::open(db, key, &opening).await? else {
        let retry_after = if let Some(waiting) = store::otp::find(db, key).await? {
            waiting.resend_in(&services.otp, now)
        } else {
            let until = store::otp::find_mark(db, &opening.marks, key.purpose, now).await?;
            until.map_or(1, |until| seconds_up(until - now).max(1))
        };
        return Ok(Sending::TooSoon { retry_after });
    };
    let outgoing = Outgoing {
        key,
        challenge: &challenge,
        delivery_id: services.random.bits(),
        attempt: 1,
        channel: wish.channel.unwrap_or_else(|| services.channels.usual()),
        platform: wish.platform,
        languages: &wish.languages,
    };
    let written = write_down_first(services, &outgoing, source, now).await;
    let message = match written {
        Ok(message) => message,
        Err(error) => {
            give_back(services, key, &challenge, now).await;
            return Err(error);
        }
    };
    if let Err(failure) = hand_over(services, &message).await {
        give_back(services, key, &challenge, now).await;
        return Ok(Sending::Failed(failure));
    }
    // The provider may have taken seconds, which are gone from the code's life and from the wait.
    let after = services.clock.now();
    Ok(Sending::Sent(CodeSent {
        expires_in: challenge.seconds_left(after),
        resend_in: challenge.wait_left(&services.otp, after),
        delivery_id: outgoing.delivery_id,
    }))
}

/// Writes down the lead and the first message of a wish.
async fn write_down_first(
    services: &Services,
    outgoing: &Outgoing<'_>,
    source: Option<Source>,
    now: DateTime<Utc>,
) -> Result<Message, Error> {
    let db = &services.store;
    if let Some(source) = source {
        store::leads::open(db, outgoing.key.phone, source, services.random.id(now), now).await?;
    }
    // A wish is new, so nobody else can have sent its first message.
    write_down(services, outgoing, now).await?.ok_or(Error::Collision)
}

/// Writes down the message that is about to go out. `None` when another request sends this one.
pub(super) async fn write_down(
    services: &Services,
    outgoing: &Outgoing<'_>,
    now: DateTime<Utc>,
) -> Result<Option<Message>, Error> {
    let Outgoing { key, challenge, channel, .. } = *outgoing;
    let code = services.otp_keys.code(challenge, key, services.otp.length).ok_or(Error::KeyGone)?;
    let text = services.texts.compose(&Wording {
        channel,
        languages: outgoing.languages,
        platform: outgoing.platform,
        code: code.expose(),
        minutes: (challenge.seconds_left(now) / 60).max(1),
    });
    let row = NewMessage {
        id: services.random.id(now),
        delivery_id: outgoing.delivery_id,
        attempt: outgoing.attempt,
        challenge_id: Some(challenge.id),
        account_id: key.holder,
        phone: key.phone,
        channel,
        language: &text.language,
        platform: outgoing.platform,
        template: sms::TEMPLATE,
        provider: services.sms.provider(),
    };
    let id = row.id;
    if !store::messages::insert(&services.store, row, now).await? {
        return Ok(None);
    }
    let left = challenge.expires_at - now;
    Ok(Some(Message {
        id,
        to: key.phone.clone(),
        channel,
        text,
        otp_code: Some(code.expose().clone()),
        valid_for: left.to_std().unwrap_or_default(),
        created_at: now,
    }))
}

/// Hands the message to the provider and writes down what became of it.
pub(super) async fn hand_over(services: &Services, message: &Message) -> Result<(), SendError> {
    let sent = services.sms.send(message).await;
    if let Ok(receipt) = &sent {
        tracing::info!(
            message_id = %message.id,
            to = %message.to,
            channel = message.channel.as_str(),
            provider_id = receipt.provider_id,
            "message taken"
        );
    }
    // When it was learnt, which is seconds after it was asked where the provider is slow.
    let now = services.clock.now();
    // The message may be out, so a database that goes away no longer changes the answer.
    let marked = store::messages::mark(&services.store, Which::Id(message.id), news(&sent), now).await;
    if let Err(error) = marked {
        tracing::error!(message_id = %message.id, %error, "what became of a message could not be written down");
    }
    sent.map(|_| ())
}

/// Lifts the cooldown of a send that came to nothing, or of which nothing is known: the person may try again at once.
/// The code stays the same, so a message that arrives after all still works.
async fn give_back(services: &Services, key: ChallengeKey<'_>, challenge: &Challenge, now: DateTime<Utc>) {
    if let Err(error) = store::otp::mark_unsent(&services.store, key, challenge.id, now).await {
        tracing::error!(%error, "the cooldown of a failed send could not be lifted");
    }
}

fn news(sent: &Result<sms::Receipt, SendError>) -> News {
    match sent {
        Ok(receipt) => News {
            provider_id: receipt.provider_id.clone(),
            segments: receipt.segments,
            price: receipt.price.clone(),
            ..News::of(receipt.status)
        },
        Err(error) => News {
            error_code: error.provider_code().map(i64::from),
            reason: error.reason(),
            ..News::of(if error.definitely_not_sent() {
                DeliveryStatus::Failed
            } else {
                DeliveryStatus::Unknown
            })
        },
    }
}
