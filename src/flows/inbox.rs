//! The inbox of test mode: the messages that went nowhere else.

use std::collections::HashMap;

use uuid::Uuid;

use super::Services;
pub use crate::sms::InboxMessage;
use crate::{
    domain::{
        otp::{Challenge, CodeState},
        phone::PhoneNumber,
    },
    store::{self, StoreError},
};

/// Which messages are wanted.
#[derive(Debug)]
pub enum Wanted {
    /// All.
    All,
    /// Those to this phone.
    To(PhoneNumber),
    /// Those to phones that have these digits in their number.
    Part(String),
}

/// Whether messages go to the inbox.
#[must_use]
pub fn is_there(services: &Services) -> bool {
    services.sms.inbox().is_some()
}

/// The messages, newest first, each with the state of its code, if it has one that is known. `None` when messages go to
/// phones.
pub async fn list(services: &Services, wanted: &Wanted) -> Option<Vec<(InboxMessage, Option<CodeState>)>> {
    let inbox = services.sms.inbox()?;
    let messages = match wanted {
        Wanted::All => inbox.list(None),
        Wanted::To(phone) => inbox.list(Some(phone)),
        Wanted::Part(digits) => {
            inbox.list(None).into_iter().filter(|message| message.to.full().contains(digits)).collect()
        }
    };
    // A message can be read without the database, too.
    let challenges = challenges_of(services, &messages).await.ok();
    let now = services.clock.now();
    let state = |message: &InboxMessage| {
        let challenge = challenges.as_ref()?.get(&message.id);
        message.otp_code.as_ref().map(|_| CodeState::from_challenge(challenge, &services.otp, now))
    };
    Some(
        messages
            .into_iter()
            .map(|message| (state(&message), message))
            .map(|(state, it)| (it, state))
            .collect(),
    )
}

/// The challenges of messages, by the ids of these.
async fn challenges_of(
    services: &Services,
    messages: &[InboxMessage],
) -> Result<HashMap<Uuid, Challenge>, StoreError> {
    let ids = messages.iter().filter(|message| message.otp_code.is_some()).map(|message| message.id);
    let of = store::messages::list_challenges(&services.store, ids.collect()).await?;
    let challenges = store::otp::list_by_ids(&services.store, of.iter().map(|(_, id)| *id).collect()).await?;
    let known: HashMap<Uuid, Challenge> = challenges.into_iter().map(|one| (one.id, one)).collect();
    Ok(of.into_iter().filter_map(|(message, id)| Some((message, known.get(&id)?.clone()))).collect())
}
