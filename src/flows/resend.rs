//! Staff have a code sent to a user: the code of the pending sign-in again, or a new one. It goes through the same limits as
//! a code that the user requests, except those of the client's address. Staff never see the code.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    CodeSent, DeliveryPreferences, Error, SendError, SendOutcome, Services, UnreachableReason,
    asked_by::AskedBy,
    before_send::BotProof,
    blocks,
    code::{self, SendRequest},
    destination, device, run_to_completion, transaction,
};
use crate::{
    domain::{
        audit::{Action, Event},
        budget::{Budget, BudgetExceeded, Kind},
        delivery::Channel,
        otp::{ChallengeKey, Holder, Purpose},
        phone::PhoneNumber,
        roles::StaffPermission,
        sent_message::SentMessage,
        verdict::{by_channel, wait},
    },
    store,
};

/// The outcome of sending a code to a user.
#[derive(Debug)]
pub enum Resent {
    /// The provider took the message.
    Sent {
        /// The code that was sent.
        code: CodeSent,
        /// The channel.
        channel: Channel,
    },
    /// A code was sent to this phone too recently.
    TooSoon {
        /// Seconds until the next code may be sent, at least 1.
        retry_after: i64,
    },
    /// Wrong codes have locked the phone.
    Locked(BudgetExceeded),
    /// A limit of the phone, of its prefix or of the day is used up.
    Limited(BudgetExceeded),
    /// The settings or an admin's block exclude the number.
    NotServed(UnreachableReason),
    /// The account of the phone is disabled.
    Disabled,
    /// The phone has a fixed code for app reviewers, and gets no messages.
    ReviewNumber,
    /// The channel is not switched on.
    ChannelOff(Channel),
    /// The message was not sent. The next one may be sent at once.
    Failed(SendError),
}

impl Resent {
    /// The outcome as a sentence for staff.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Sent { code, channel } => {
                let left = wait(code.expires_in);
                format!("A code was sent {}. The user can enter it for {left}.", by_channel(*channel))
            }
            Self::TooSoon { retry_after } => {
                format!(
                    "Nothing was sent: the last code was a moment ago. Try again in {}.",
                    wait(*retry_after)
                )
            }
            Self::Locked(_) => {
                "Nothing was sent: wrong codes have locked this number. Unlock it first.".to_owned()
            }
            Self::Limited(exceeded) => limited(exceeded),
            Self::NotServed(UnreachableReason::RegionNotAllowed) => {
                "Nothing was sent: this server sends no messages to this country.".to_owned()
            }
            Self::NotServed(_) => {
                "Nothing was sent: an admin, the settings or the operator's check before sending block this \
                 number, or all that begin like it."
                    .to_owned()
            }
            Self::Disabled => "Nothing was sent: the account is disabled. Activate it first.".to_owned(),
            Self::ReviewNumber => {
                "Nothing was sent: this number is for app review, and its code is fixed.".to_owned()
            }
            Self::ChannelOff(channel) => {
                format!("Nothing was sent: sending {} is not switched on.", by_channel(*channel))
            }
            Self::Failed(error) => failed(error).to_owned(),
        }
    }
}

fn limited(exceeded: &BudgetExceeded) -> String {
    let why = match exceeded.budget {
        Budget::PhoneSends | Budget::DeviceSends => "this number has got as many codes as it may",
        Budget::Prefix => {
            "too few codes to numbers that begin like this one were entered, so they are closed"
        }
        Budget::Day => "today's messages are used up",
        Budget::Country => "today's messages to this country are used up",
        Budget::PhoneGuessesFromAddress
        | Budget::PhoneGuesses
        | Budget::PhoneFailures
        | Budget::AddressGuesses
        | Budget::Cooldown
        | Budget::PhoneSendsFromAddress
        | Budget::AddressRequests
        | Budget::DeviceGuesses
        | Budget::NamePasswordsFromAddress
        | Budget::NamePasswords
        | Budget::AddressPasswords
        | Budget::Registrations
        | Budget::Guests
        | Budget::Proof
        | Budget::AddressKeys
        | Budget::ServiceSends
        | Budget::ServiceGuesses
        | Budget::ServicePhoneGuesses
        | Budget::ServiceAddress => "a limit is used up",
    };
    match exceeded.retry_after {
        Some(seconds) => format!("Nothing was sent: {why}. Try again in {}.", wait(seconds)),
        None => format!("Nothing was sent: {why}."),
    }
}

fn failed(error: &SendError) -> &'static str {
    match error {
        SendError::Unreachable { reason: UnreachableReason::OptedOut, .. } => {
            "Nothing was sent: the user wrote STOP to our number. START from the same phone lifts it."
        }
        SendError::Unreachable { .. } => {
            "Nothing was sent: the provider says that this number takes no messages."
        }
        SendError::Rejected { .. } => {
            "Nothing was sent: the provider refuses our messages. Tell the operator."
        }
        SendError::Unavailable { .. } if error.definitely_not_sent() => {
            "Nothing was sent: the provider does not answer. Try again."
        }
        SendError::Unavailable { .. } => {
            "The provider did not answer in time, so the code may have been sent or not."
        }
    }
}

/// Sends a code for signing in to this phone. It is the code that the user waits for, if there is one: of the device that
/// asked for it, if a known device did.
///
/// # Errors
/// When the database does not answer: nothing was sent.
pub async fn resend(
    services: &Arc<Services>,
    phone: PhoneNumber,
    channel: Option<Channel>,
    permission: StaffPermission,
) -> Result<Resent, Error> {
    run_to_completion(services, move |services| async move {
        if let Some(off) = channel.filter(|channel| !services.channels.is_on(*channel)) {
            return Ok(Resent::ChannelOff(off));
        }
        let now = services.clock.now();
        // Written before anything is sent, because nothing is sent inside of a transaction.
        transaction(|| record(&services, &phone, channel, permission, now)).await?;
        send(&services, &phone, channel, permission, now).await
    })
    .await
}

async fn record(
    services: &Services,
    phone: &PhoneNumber,
    channel: Option<Channel>,
    permission: StaffPermission,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let event =
        Event::new(Action::CodeResentByStaff, permission.actor()).phone(phone).from(permission.from());
    let txn = services.store.begin().await?;
    services.audit.write(&txn, event.with_known("channel", channel.map(Channel::as_str)), now).await?;
    Ok(txn.commit().await?)
}

async fn send(
    services: &Services,
    phone: &PhoneNumber,
    channel: Option<Channel>,
    permission: StaffPermission,
    now: DateTime<Utc>,
) -> Result<Resent, Error> {
    let (of_sign_in, asked_by) = (ChallengeKey::sign_in(phone), AskedBy::Staff(permission));
    let caller = device::find_caller(services, phone, None, now).await?;
    // All other refusals are recorded where they are found.
    let refuse = |reason: &'static str| {
        let event = asked_by.event(Action::CodeRefused).phone(phone);
        services.audit.note(event.with("purpose", Purpose::SignIn.as_str()).with("reason", reason), now);
    };
    if caller.account.as_ref().is_some_and(|account| !account.is_active) {
        refuse("account_disabled");
        return Ok(Resent::Disabled);
    }
    if caller.fixed.is_some() {
        refuse("review_number");
        return Ok(Resent::ReviewNumber);
    }
    if let Some(reason) = services.destinations.refuses(phone) {
        destination::refused(services, of_sign_in, asked_by, now);
        return Ok(Resent::NotServed(reason));
    }
    if blocks::refused_code(services, of_sign_in, asked_by, now).await?.is_some() {
        return Ok(Resent::NotServed(UnreachableReason::Blocked));
    }
    let key = ChallengeKey { holder: pending_holder(services, phone).await?, ..of_sign_in };
    let device = key.holder.and_then(Holder::device);
    let last = store::messages::list_to(&services.store, phone, 1).await?.pop();
    let preferences = as_before(last, channel);
    let request = SendRequest {
        key,
        source: None,
        invitation: None,
        preferences: &preferences,
        asked_by,
        device,
        is_proved: device.is_some() || caller.account.is_some(),
        is_known: device.is_some() || (caller.account.is_some() && !services.hides_accounts),
        is_review: false,
        proof: None,
        bot_proof: BotProof::Impossible,
    };
    Ok(match code::send(services, &request, now).await? {
        SendOutcome::Sent(code) => Resent::Sent { channel: code.channel, code },
        SendOutcome::TooSoon { retry_after } => Resent::TooSoon { retry_after },
        SendOutcome::Refused(exceeded) if exceeded.budget.kind() == Kind::Lock => Resent::Locked(exceeded),
        SendOutcome::Refused(exceeded) => Resent::Limited(exceeded),
        // Only our own refusals have no code of the provider.
        SendOutcome::Failed(SendError::Unreachable {
            reason: reason @ UnreachableReason::Blocked,
            provider_code: None,
        }) => Resent::NotServed(reason),
        SendOutcome::Failed(error) => Resent::Failed(error),
    })
}

/// What the last sign-in of this phone is bound to. An app that shows a device token enters the code of its device's own
/// challenge, and any other code would be unknown there.
async fn pending_holder(services: &Services, phone: &PhoneNumber) -> Result<Option<Holder>, Error> {
    let challenges = store::otp::list_to(&services.store, phone).await?;
    let of_sign_in = challenges.into_iter().filter(|(code, _)| code.purpose == Purpose::SignIn);
    // Of two of the same moment the one that waits.
    let last = of_sign_in.max_by_key(|(code, _)| (code.opened_at, code.challenge.consumed_at.is_none()));
    let pending = last.filter(|(code, _)| code.challenge.consumed_at.is_none());
    Ok(pending.and_then(|(_, holder)| holder))
}

/// The language and the platform of the last message: staff do not know those of the user's app.
fn as_before(last: Option<SentMessage>, channel: Option<Channel>) -> DeliveryPreferences {
    match last {
        Some(last) => DeliveryPreferences {
            channel,
            platform: last.platform,
            languages: Some(last.language).filter(|language| !language.is_empty()).into_iter().collect(),
        },
        None => DeliveryPreferences { channel, ..DeliveryPreferences::default() },
    }
}
