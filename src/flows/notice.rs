//! Notices: messages without a code, which tell a user of a change of the account.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Services, blocks, budget, code, routing};
use crate::{
    domain::{
        delivery::{Attempt, Channel, NO_PROVIDER, Next},
        phone::PhoneNumber,
    },
    sms::{Kind, Message, Notice, Provider, Turn},
    store::{self, messages::NewMessage},
};

/// How long the provider may try to deliver a notice: as long as it keeps any message.
const VALID_FOR: Duration = Duration::from_hours(10);

/// Sends a notice about an account. What it is about stays as it is even if this fails.
pub(super) async fn send(
    services: &Services,
    notice: Notice,
    to: PhoneNumber,
    user_id: Uuid,
    languages: &[String],
    now: DateTime<Utc>,
) {
    let kind = notice.as_str();
    if !services.channels.is_on(Channel::Sms) {
        tracing::warn!(%to, notice = kind, "no notice: sms is not among OTP_CHANNELS");
        return;
    }
    if services.destinations.refuses(&to).is_some() {
        tracing::warn!(%to, notice = kind, "no notice: the settings exclude the number");
        return;
    }
    if !matches!(blocks::refused_message(services, &to, now).await, Ok(None)) {
        tracing::warn!(%to, notice = kind, "no notice: the number is blocked, or the blocks cannot be read");
        return;
    }
    if let Err(error) = budget::count_notice(services, &to, now).await {
        tracing::error!(%to, notice = kind, %error, "a notice could not be counted");
    }
    let delivery_id = services.random.bits();
    let text = services.texts.notice(notice, languages);
    let order = routing::order(services, &to, Kind::notice());
    // Without a provider the row of the message says so.
    let order = if order.is_empty() { vec![None] } else { order.into_iter().map(Some).collect() };
    let (deadline, last) = (Turn::alone().deadline, order.len());
    for (attempt, provider) in (1..).zip(order) {
        let message = Message {
            id: services.random.id(now),
            attempt: Attempt { delivery_id, number: attempt },
            to: to.clone(),
            channel: Channel::Sms,
            text: text.clone(),
            otp_code: None,
            valid_for: VALID_FOR,
            created_at: now,
        };
        record(services, &message, notice, provider, user_id, now).await;
        let turn = Turn { deadline, is_last: usize::try_from(attempt).is_ok_and(|attempt| attempt == last) };
        // A failure is in the log and in the row.
        match code::hand_over(services, provider, &message, turn).await {
            Err(failed) if failed.ending.next() == Next::Provider => {}
            Ok(()) | Err(_) => return,
        }
    }
}

async fn record(
    services: &Services,
    message: &Message,
    notice: Notice,
    provider: Option<Provider>,
    user_id: Uuid,
    now: DateTime<Utc>,
) {
    let row = NewMessage {
        id: message.id,
        delivery_id: message.attempt.delivery_id,
        attempt: message.attempt.number,
        challenge_id: None,
        account_id: Some(user_id),
        phone: &message.to,
        channel: message.channel,
        language: &message.text.language,
        platform: None,
        template: notice.as_str(),
        provider: provider.map_or(NO_PROVIDER, Provider::as_str),
        route: None,
    };
    if let Err(error) = store::messages::insert(&services.store, &row, now).await {
        tracing::error!(to = %message.to, notice = notice.as_str(), %error, "a notice could not be recorded");
    }
}
