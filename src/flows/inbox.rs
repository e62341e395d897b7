//! The inbox of test mode: messages that were not sent to a provider.

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

/// Which messages to list.
#[derive(Debug)]
pub enum Wanted {
    /// All messages.
    All,
    /// Messages to this phone.
    To(PhoneNumber),
    /// Messages to phones whose number contains these digits.
    Part(String),
}

/// Whether the server is in test mode, so that messages go to the inbox.
#[must_use]
pub fn is_there(services: &Services) -> bool {
    services.sms.inbox().is_some()
}

/// The messages, newest first, each with the state of its code if that is known. `None` when the server is not in test
/// mode.
pub async fn list(services: &Services, wanted: &Wanted) -> Option<Vec<(InboxMessage, Option<CodeState>)>> {
    let inbox = services.sms.inbox()?;
    let messages = match wanted {
        Wanted::All => inbox.list(None),
        Wanted::To(phone) => inbox.list(Some(phone)),
        Wanted::Part(digits) => {
            inbox.list(None).into_iter().filter(|message| message.to.full().contains(digits)).collect()
        }
    };
    // Messages can be shown even if the database does not answer.
    let challenges = challenges_of(services, &messages).await.ok();
    let now = services.clock.now();
    let state = |message: &InboxMessage| {
        let challenge = challenges.as_ref()?.get(&message.id);
        message.otp_code.as_ref().map(|_| CodeState::from_challenge(challenge, &services.otp, now))
    };
    Some(
        messages
            .into_iter()
            .map(|message| {
                let state = state(&message);
                (message, state)
            })
            .collect(),
    )
}

/// The challenges of messages, by message id.
async fn challenges_of(
    services: &Services,
    messages: &[InboxMessage],
) -> Result<HashMap<Uuid, Challenge>, StoreError> {
    let with_code = || messages.iter().filter(|message| message.otp_code.is_some());
    let ids = with_code().map(|message| message.id).collect();
    let pairs = store::messages::list_challenges(&services.store, ids).await?;
    let phones = with_code().map(|message| &message.to);
    let ids = pairs.iter().map(|(_, id)| *id).collect();
    let challenges = store::otp::list_by_ids(&services.store, phones, ids).await?;
    let by_id: HashMap<Uuid, Challenge> =
        challenges.into_iter().map(|challenge| (challenge.id, challenge)).collect();
    Ok(pairs.into_iter().filter_map(|(message, id)| Some((message, by_id.get(&id)?.clone()))).collect())
}
