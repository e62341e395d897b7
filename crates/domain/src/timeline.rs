//! The timeline of a phone: messages, refusals, guesses, sessions, blocks and acts of staff as sentences, newest first. It
//! contains no code and no phone number. What an entry of the audit log says is in `timeline/words.rs`.

mod words;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{
    access::Session,
    audit::{Action, Entry},
    block::{Block, Target},
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
    order: Order,
}

/// Orders entries of the same moment: by kind, then by message or row, then by the steps of a message. So a message that was lost
/// comes before the next one, which is created at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    kind: u8,
    created_at: DateTime<Utc>,
    id: Uuid,
    step: u8,
}

/// Joins entries, newest first, and keeps so many.
#[must_use]
pub fn newest_first(mut entries: Vec<TimelineEntry>, most: usize) -> Vec<TimelineEntry> {
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.at, entry.order)));
    entries.truncate(most);
    entries
}

fn line(at: DateTime<Utc>, kind: &str, text: String, tone: Tone, (rank, id): (u8, Uuid)) -> TimelineEntry {
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
        order: Order { kind: rank, created_at: at, id, step: 0 },
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
    let entry = |step, at, status, text: String, tone| TimelineEntry {
        message: Some(message.id),
        channel: Some(message.channel),
        status: Some(status),
        order: Order { kind: 0, created_at: message.created_at, id: message.id, step },
        ..line(at, "message", text, tone, (0, message.id))
    };
    let by = by_channel(message.channel);
    let created = match facts.provider {
        Some(provider) => format!("{content} was to be sent {by} through {provider}."),
        None => format!("{content} was to be sent {by}."),
    };
    let who = facts.provider.map_or_else(|| "The provider".to_owned(), at_the_beginning);
    let said = facts.said.as_ref().map_or_else(String::new, |said| format!(" ({said})"));
    let mut steps = vec![entry(0, message.created_at, DeliveryStatus::Pending, created, Tone::Plain)];
    for (step, (status, at)) in (1..).zip(message.reached.iter().copied()) {
        let (text, tone) = match status {
            DeliveryStatus::Pending | DeliveryStatus::Unknown => continue,
            DeliveryStatus::Queued => (format!("{who} accepted the {what}."), Tone::Plain),
            DeliveryStatus::Sent => (format!("{who} passed the {what} on."), Tone::Plain),
            DeliveryStatus::Delivered => (format!("The {what} was delivered."), Tone::Good),
            DeliveryStatus::Undelivered => {
                (format!("The {what} was not delivered: {}{said}.", why(facts)), Tone::Bad)
            }
            DeliveryStatus::Failed => (format!("The {what} failed: {}{said}.", why(facts)), Tone::Bad),
        };
        steps.push(entry(step, at, status, text, tone));
    }
    if message.status == DeliveryStatus::Unknown {
        let text = format!("{who} did not confirm the {what}: it may have been sent or not.");
        steps.push(entry(9, message.updated_at, DeliveryStatus::Unknown, text, Tone::Bad));
    }
    steps
}

/// A name as the first word of a sentence.
fn at_the_beginning(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The end of a session. Its beginning is in the audit log.
#[must_use]
pub fn of_session(session: &Session) -> Option<TimelineEntry> {
    let ended_at = session.ended_at?;
    Some(line(ended_at, "session", "A session was ended.".to_owned(), Tone::Plain, (5, session.id)))
}

/// How long after staff ask for a code its outcome is recorded at most: longer than a provider is waited for.
const OUTCOME_WITHIN: Duration = Duration::minutes(2);

/// The entries of the audit log, newest first. Left out is what another part of the timeline says, and what staff need not
/// see. That staff asked for a code, and that it was refused, is one line.
#[must_use]
pub fn of_audit(entries: &[Entry]) -> Vec<TimelineEntry> {
    // Each outcome belongs to the first of the entries that it can belong to.
    let mut outcomes: Vec<(Uuid, &Entry)> = Vec::new();
    for entry in entries.iter().rev() {
        let outcome = outcome_of_resend(entries, entry, &outcomes);
        outcomes.extend(outcome.map(|outcome| (entry.id, outcome)));
    }
    let is_own_line = |entry: &&Entry| outcomes.iter().all(|(_, outcome)| outcome.id != entry.id);
    let tell = |entry: &Entry| {
        let outcome = outcomes.iter().find(|(of, _)| *of == entry.id).map(|(_, outcome)| *outcome);
        let (action, (text, tone)) = words::tell(entry, outcome)?;
        let staff = entry.actor_id.filter(|_| entry.is_by_staff());
        let line = line(entry.at, action.as_str(), text, tone, (4, entry.id));
        Some(TimelineEntry { address: entry.address.clone(), staff, ..line })
    };
    entries.iter().filter(is_own_line).filter_map(tell).collect()
}

/// What became of the code that staff asked for, if `entry` says that they did. It is by the same member of staff.
fn outcome_of_resend<'a>(entries: &'a [Entry], entry: &Entry, known: &[(Uuid, &Entry)]) -> Option<&'a Entry> {
    const OUTCOMES: [Action; 3] = [Action::CodeSent, Action::CodeNotSent, Action::CodeRefused];
    if entry.action != Action::CodeResentByStaff.as_str() {
        return None;
    }
    let is_outcome = |found: &&Entry| {
        OUTCOMES.iter().any(|action| found.action == action.as_str())
            && words::fact(found, "purpose").is_none_or(|purpose| purpose == "sign_in")
            && (&found.actor_kind, found.actor_id) == (&entry.actor_kind, entry.actor_id)
            && found.at >= entry.at
            && found.at - entry.at <= OUTCOME_WITHIN
            && known.iter().all(|(_, outcome)| outcome.id != found.id)
    };
    let first = entries.iter().rev().find(is_outcome)?;
    // A code for which several providers were tried has an entry for each try, and at most one of them took it.
    let of_delivery = words::fact(first, "delivery_id");
    let took_it = |found: &&Entry| {
        let is_same = of_delivery.is_some() && words::fact(found, "delivery_id") == of_delivery;
        is_same && found.action == Action::CodeSent.as_str()
    };
    entries.iter().filter(is_outcome).find(took_it).or(Some(first))
}

/// The beginning of a block that applies to the phone, and its end.
#[must_use]
pub fn of_block(block: &Block, now: DateTime<Utc>) -> Vec<TimelineEntry> {
    let what = match &block.target {
        Target::Phone(_) => "this number",
        Target::Prefix(_) => "all numbers that begin like this one",
        Target::Country(_) => "all numbers of this country",
        Target::Address(_) => "a network",
    };
    let step = |action: Action, at, text, tone, staff| TimelineEntry {
        staff,
        ..line(at, action.as_str(), text, tone, (6, block.id))
    };
    let made = format!("Staff blocked {what}.");
    let mut steps = vec![step(Action::BlockMade, block.made_at, made, Tone::Bad, block.made_by)];
    if let Some(at) = block.ended(now) {
        // A block whose time is over is marked as ended when its value is blocked again.
        let is_over = block.ends_at.is_some_and(|ends_at| ends_at <= at);
        let text = if is_over {
            format!("The block of {what} ended by itself.")
        } else {
            format!("Staff ended the block of {what}.")
        };
        steps.push(step(Action::BlockEnded, at, text, Tone::Good, block.ended_by));
    }
    steps
}
