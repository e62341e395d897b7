//! The timeline of a phone: messages, refusals, guesses, sessions and acts of staff as sentences, newest first. It contains
//! no code and no phone number.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    access::Session,
    audit::{Action, Entry},
    budget::Budget,
    delivery::{Channel, DeliveryStatus},
    sent_message::SentMessage,
    verdict::{MessageFacts, by_channel, why},
};

/// How an entry is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something worked.
    Good,
    /// Something failed or was refused.
    Bad,
    /// Neither.
    Plain,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// `message`, `session`, or the name of an action of the audit log.
    pub kind: String,
    /// What happened, as a sentence.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
    /// The client's address.
    pub address: Option<String>,
    /// The staff account that did it.
    pub staff: Option<Uuid>,
    /// The message.
    pub message: Option<Uuid>,
    /// The channel of the message.
    pub channel: Option<Channel>,
    /// The status that the message got.
    pub status: Option<DeliveryStatus>,
    /// Orders entries of the same moment.
    order: (u8, Uuid),
}

/// Joins entries, newest first, and keeps so many.
#[must_use]
pub fn newest_first(mut entries: Vec<TimelineEntry>, most: usize) -> Vec<TimelineEntry> {
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.at, entry.order)));
    entries.truncate(most);
    entries
}

fn line(at: DateTime<Utc>, kind: &str, text: String, tone: Tone, order: (u8, Uuid)) -> TimelineEntry {
    TimelineEntry {
        at,
        kind: kind.to_owned(),
        text,
        tone,
        address: None,
        staff: None,
        message: None,
        channel: None,
        status: None,
        order,
    }
}

/// The steps of a message. `facts` says why it failed.
#[must_use]
pub fn of_message(message: &SentMessage, facts: &MessageFacts) -> Vec<TimelineEntry> {
    let what = match message.channel {
        Channel::Sms => "SMS",
        Channel::WhatsApp => "WhatsApp message",
        Channel::Call => "phone call",
    };
    let content = if message.challenge_id.is_some() { "A code" } else { "A notice" };
    let step = |rank, at, status, text: String, tone| TimelineEntry {
        message: Some(message.id),
        channel: Some(message.channel),
        status: Some(status),
        ..line(at, "message", text, tone, (rank, message.id))
    };
    let by = by_channel(message.channel);
    let created = format!("{content} was to be sent {by}.");
    let mut steps = vec![step(0, message.created_at, DeliveryStatus::Pending, created, Tone::Plain)];
    for (rank, (status, at)) in (1..).zip(message.reached.iter().copied()) {
        let (text, tone) = match status {
            DeliveryStatus::Pending | DeliveryStatus::Unknown => continue,
            DeliveryStatus::Queued => (format!("The provider accepted the {what}."), Tone::Plain),
            DeliveryStatus::Sent => (format!("The provider passed the {what} on."), Tone::Plain),
            DeliveryStatus::Delivered => (format!("The {what} was delivered."), Tone::Good),
            DeliveryStatus::Undelivered => {
                (format!("The {what} was not delivered: {}.", why(facts)), Tone::Bad)
            }
            DeliveryStatus::Failed => (format!("The {what} failed: {}.", why(facts)), Tone::Bad),
        };
        steps.push(step(rank, at, status, text, tone));
    }
    if message.status == DeliveryStatus::Unknown {
        let text = format!("The provider did not confirm the {what}: it may have been sent or not.");
        steps.push(step(9, message.updated_at, DeliveryStatus::Unknown, text, Tone::Bad));
    }
    steps
}

/// The end of a session. Its beginning is in the audit log.
#[must_use]
pub fn of_session(session: &Session) -> Option<TimelineEntry> {
    let ended_at = session.ended_at?;
    Some(line(ended_at, "session", "A session was ended.".to_owned(), Tone::Plain, (5, session.id)))
}

/// An entry of the audit log. `None` if another part of the timeline says the same, or if staff need not see it.
#[must_use]
pub fn of_audit(entry: &Entry) -> Option<TimelineEntry> {
    let action: Action = entry.action.parse().ok()?;
    let (text, tone) = sentence(action, entry)?;
    let staff = entry.actor_id.filter(|_| entry.actor_kind == "staff");
    let line = line(entry.at, action.as_str(), text, tone, (4, entry.id));
    Some(TimelineEntry { address: entry.address.clone(), staff, ..line })
}

fn sentence(action: Action, entry: &Entry) -> Option<(String, Tone)> {
    let word = |name: &str| entry.detail.get(name).and_then(Value::as_str);
    let by = if word("by") == Some("code") { "with a code" } else { "with the password" };
    let refused_by = || word("budget").and_then(budget).unwrap_or_else(|| reason(word("reason")));
    let known = [
        (Action::CodeRefused, format!("No code was sent: {}.", refused_by()), Tone::Bad),
        (Action::WrongCode, "A wrong code was entered.".to_owned(), Tone::Bad),
        (Action::GuessRefused, format!("A code was not judged: {}.", refused_by()), Tone::Bad),
        (Action::PhoneLocked, format!("The number was locked: {}.", refused_by()), Tone::Bad),
        (Action::PhoneUnlocked, "The number was unlocked.".to_owned(), Tone::Good),
        (Action::CodeResentByStaff, "Staff had a code sent.".to_owned(), Tone::Plain),
        (Action::LeadVerifiedByStaff, "Staff verified the number by hand.".to_owned(), Tone::Good),
        (Action::SignedIn, format!("The user signed in {by}."), Tone::Good),
        (Action::ReviewSignIn, "The fixed code for app review signed in.".to_owned(), Tone::Good),
        (Action::SignInRefused, format!("A sign-in was refused: {}.", refused_by()), Tone::Bad),
        (Action::WrongPassword, "A wrong password was entered.".to_owned(), Tone::Bad),
        (Action::Registered, "The account was registered.".to_owned(), Tone::Plain),
        (Action::RefreshReused, "A session was ended: an old token came back.".to_owned(), Tone::Bad),
        (Action::LoggedOutEverywhere, "The user ended all sessions.".to_owned(), Tone::Plain),
        (Action::PhoneChanged, "The account got this number.".to_owned(), Tone::Plain),
        (Action::PasswordChanged, "The password was set or changed.".to_owned(), Tone::Plain),
        (Action::Confirmed, format!("The user confirmed {by}."), Tone::Plain),
        (Action::AccountDeleted, "The user deleted the account.".to_owned(), Tone::Plain),
        (
            Action::AccountUnlinked,
            "The account lost this number, because it was unused.".to_owned(),
            Tone::Bad,
        ),
        (Action::AccountReunited, "Staff gave an account this number back.".to_owned(), Tone::Plain),
        (Action::AccountEdited, "Staff changed the account.".to_owned(), Tone::Plain),
        (Action::RoleChanged, "The role of the account was changed.".to_owned(), Tone::Plain),
        (Action::AccountDeactivated, "The account was deactivated.".to_owned(), Tone::Bad),
        (Action::AccountActivated, "The account was activated.".to_owned(), Tone::Good),
        (Action::ChallengeFailed, bot_check(word("reason")).to_owned(), Tone::Bad),
    ];
    let found = known.into_iter().find(|(of, ..)| *of == action)?;
    Some((found.1, found.2))
}

/// A budget that refuses, in words.
fn budget(name: &str) -> Option<&'static str> {
    let budget = Budget::ALL.into_iter().find(|budget| budget.as_str() == name)?;
    Some(match budget {
        Budget::PhoneGuessesFromAddress => "too many wrong codes from this address",
        Budget::PhoneGuesses => "too many wrong codes within a day",
        Budget::PhoneFailures => "too many wrong codes in a row",
        Budget::AddressGuesses => "too many wrong codes from this address, for whatever number",
        Budget::Cooldown => "the last one was a moment ago",
        Budget::PhoneSends => "this number got as many codes as it may",
        Budget::PhoneSendsFromAddress => "this address requested as many for the number as it may",
        Budget::AddressRequests => "this address sent as many requests as it may",
        Budget::DeviceGuesses => "too many wrong codes on the user's device",
        Budget::DeviceSends => "the user's device requested as many as it may",
        Budget::Prefix => "numbers that begin like this one are closed",
        Budget::Day => "the messages of the day are used up",
        Budget::Country => "the messages of the day to this country are used up",
        Budget::NamePasswordsFromAddress | Budget::NamePasswords | Budget::AddressPasswords => {
            "too many wrong passwords"
        }
        Budget::Registrations => "too many registrations from this address",
        Budget::Proof => "the bot check was used before",
    })
}

fn reason(word: Option<&str>) -> &'static str {
    match word {
        Some("region_not_allowed") => "the country is not served",
        Some("blocked") => "an admin or the settings block the number",
        Some("account_disabled") => "the account is disabled",
        Some("no_account") => "the number has no account",
        Some("already_registered") => "the number has an account already",
        _ => "it was not allowed",
    }
}

fn bot_check(reason: Option<&str>) -> &'static str {
    match reason {
        Some("missing") => "The app was asked to prove that it is no bot.",
        Some("unavailable") => "The provider of the bot check did not answer.",
        _ => "The bot check failed.",
    }
}
