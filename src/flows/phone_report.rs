//! The phone page: why the user of a phone is not signed in, and what happened. It only reads; that a phone was shown is
//! recorded by [`super::console::note_shown`].

use chrono::{DateTime, Utc};

use super::{Error, Services, blocks, budget, unlock};
use crate::{
    domain::{
        access::Session,
        account::Account,
        address::ClientAddress,
        audit::{Action, Entry},
        block::{Block, Target},
        budget::{Budget, decide},
        delivery::DeliveryStatus,
        lead::Lead,
        otp::{Challenge, Purpose},
        phone::PhoneNumber,
        review::Listed,
        roles::StaffPermission,
        sent_message::SentMessage,
        timeline::{self, TimelineEntry},
        verdict::{
            self, AccountFacts, Blame, BlockedPart, ClosedPrefix, CodeFacts, Happened, MessageFacts,
            PhoneFacts, StaffBlock, Verdict, last_happened,
        },
    },
    sms::{self, Mender},
    store,
};

/// How many entries the timeline has at most. So many rows are read of each table.
const MOST: u64 = 200;

/// What staff see about a phone.
#[derive(Debug)]
pub struct PhoneReport {
    /// The phone.
    pub phone: PhoneNumber,
    /// Why its user is not signed in.
    pub verdict: Verdict,
    /// What happened, newest first.
    pub timeline: Vec<TimelineEntry>,
    /// The account that has the phone.
    pub account: Option<Account>,
    /// The account that lost the phone because it was unused for too long.
    pub former: Option<Account>,
    /// The lead of the phone.
    pub lead: Option<Lead>,
    /// Its limits and its prefix.
    pub limits: unlock::PhoneStatus,
}

/// The rows that the report is made from.
struct Rows {
    account: Option<Account>,
    former: Option<Account>,
    lead: Option<Lead>,
    limits: unlock::PhoneStatus,
    messages: Vec<SentMessage>,
    challenges: Vec<Challenge>,
    /// Newest first.
    entries: Vec<Entry>,
    sessions: Vec<Session>,
}

/// Reports on a phone, also on an unknown one.
pub async fn report(
    services: &Services,
    phone: &PhoneNumber,
    _permission: &StaffPermission,
) -> Result<PhoneReport, Error> {
    // What this server knows and has not written yet.
    services.audit.flush().await?;
    let now = services.clock.now();
    let rows = read(services, phone).await?;
    let facts = facts(services, phone, &rows, now).await?;
    let timeline = timeline_of(&rows);
    let Rows { account, former, lead, limits, .. } = rows;
    Ok(PhoneReport {
        phone: phone.clone(),
        verdict: verdict::judge(&facts),
        timeline,
        account,
        former,
        lead,
        limits,
    })
}

async fn read(services: &Services, phone: &PhoneNumber) -> Result<Rows, Error> {
    let db = &services.store;
    let account = store::accounts::find_by_phone(db, phone, None).await?;
    let challenges = store::otp::list_to(db, phone).await?;
    let hashes = services.pseudonyms.phone_with_all(phone);
    let mut entries = store::audit::list_of_phone(db, &hashes, MOST).await?;
    let mut sessions = Vec::new();
    if let Some(account) = &account {
        entries.extend(store::audit::list_about(db, account.id, MOST).await?);
        sessions = store::sessions::list_last(db, account.id, MOST).await?;
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.place()));
    entries.dedup_by_key(|entry| entry.id);
    Ok(Rows {
        former: store::accounts::find_by_former_phone(db, phone).await?,
        lead: store::leads::find(db, phone).await?,
        limits: unlock::look(services, phone).await?,
        messages: store::messages::list_to(db, phone, MOST).await?,
        challenges: challenges.into_iter().map(|(code, _)| code.challenge).collect(),
        account,
        entries,
        sessions,
    })
}

async fn facts(
    services: &Services,
    phone: &PhoneNumber,
    rows: &Rows,
    now: DateTime<Utc>,
) -> Result<PhoneFacts, Error> {
    let is_stale = match (&rows.account, services.used_after(now)) {
        (Some(_), Some(used_after)) => {
            store::accounts::find_by_phone(&services.store, phone, Some(used_after)).await?.is_none()
        }
        (Some(_) | None, _) => false,
    };
    let is_known = rows.account.is_some() && !is_stale && !services.hides_accounts;
    let caps = caps(services, phone, is_known, now).await?;
    let hashes = services.otp_keys.phone_hashes(phone);
    let (messages, code) = newest_code(services, rows);
    let last = last_happened(&rows.entries);
    Ok(PhoneFacts {
        now,
        zone: services.zone,
        country: phone.region().map(|region| region.to_string()),
        block: blocks::find(services, phone).await?.as_ref().map(staff_block),
        address_block: address_block(services, last.as_ref()).await?,
        not_served: rows.limits.not_served,
        review_until: match services.review.find(phone, now) {
            Listed::Yes(number) if rows.account.as_ref().is_none_or(crate::domain::review::may_open) => {
                Some(number.ends_at)
            }
            Listed::Yes(_) | Listed::No | Listed::Ended => None,
        },
        account: rows.account.as_ref().map(|account| AccountFacts { is_active: account.is_active, is_stale }),
        unlinked_at: rows.former.as_ref().and_then(|former| former.unlinked_at),
        spent: if services.budgets.is_on { rows.limits.spent.clone() } else { Vec::new() },
        prefix: closed_prefix(services, rows, is_known),
        day_cap_until: caps.day,
        country_cap_until: caps.country,
        deleted_until: store::otp::find_tombstone(&services.store, &hashes, Purpose::SignIn, now).await?,
        last,
        messages,
        code,
        last_asked_at: rows.lead.as_ref().map(|lead| lead.last_requested_at),
    })
}

/// The block of the address that the last request came from.
async fn address_block(services: &Services, last: Option<&Happened>) -> Result<Option<StaffBlock>, Error> {
    let address = last.and_then(|last| last.address.as_deref()).and_then(|address| address.parse().ok());
    Ok(match address {
        Some(address) => {
            let block = blocks::find_of_address(services, ClientAddress::new(address)).await?;
            block.as_ref().map(staff_block)
        }
        None => None,
    })
}

fn staff_block(block: &Block) -> StaffBlock {
    let part = match block.target {
        Target::Phone(_) => BlockedPart::Number,
        Target::Prefix(_) => BlockedPart::Prefix,
        Target::Country(_) => BlockedPart::Country,
        Target::Address(_) => BlockedPart::Address,
    };
    StaffBlock { part, until: block.ends_at }
}

/// The prefix, if it is closed to this phone.
fn closed_prefix(services: &Services, rows: &Rows, is_known: bool) -> Option<ClosedPrefix> {
    let prefix = rows.limits.prefix.as_ref().filter(|_| services.budgets.is_on && !is_known)?;
    let until = prefix.closed_until?;
    // A prefix is always closed for the same time.
    let since = until - services.budgets.prefix.closed_for;
    Some(ClosedPrefix { prefix: prefix.prefix.clone(), since, until })
}

/// Until when the caps of the day refuse a message.
#[derive(Default)]
struct Caps {
    day: Option<DateTime<Utc>>,
    country: Option<DateTime<Utc>>,
}

async fn caps(
    services: &Services,
    phone: &PhoneNumber,
    is_known: bool,
    now: DateTime<Utc>,
) -> Result<Caps, Error> {
    let mut caps = Caps::default();
    if !services.budgets.is_on {
        return Ok(caps);
    }
    let (day, ends_at) = budget::day(services, now);
    let charges = services.budgets.message(phone, is_known, (day, ends_at), now);
    let found = store::budgets::list(&services.store, &charges).await?;
    for charge in charges {
        let spent = decide(&[charge], &found, now).map(|exceeded| exceeded.budget);
        if spent == Some(Budget::Day) {
            caps.day = Some(ends_at);
        } else if spent == Some(Budget::Country) {
            caps.country = Some(ends_at);
        }
    }
    Ok(caps)
}

/// The messages with the newest code, newest first, and the code.
fn newest_code(services: &Services, rows: &Rows) -> (Vec<MessageFacts>, Option<CodeFacts>) {
    let mut with_code = rows.messages.iter().filter(|message| message.challenge_id.is_some()).peekable();
    let Some(newest) = with_code.peek().copied() else {
        return (Vec::new(), None);
    };
    let of_delivery = with_code.take_while(|message| message.delivery_id == newest.delivery_id);
    let messages = of_delivery.map(|message| message_facts(message, &rows.entries)).collect();
    let challenge = rows.challenges.iter().find(|challenge| Some(challenge.id) == newest.challenge_id);
    let wrong = Action::WrongCode.as_str();
    let code = challenge.map(|challenge| CodeFacts {
        attempts: challenge.attempts,
        max_attempts: services.otp.max_attempts,
        expires_at: challenge.expires_at,
        consumed_at: challenge.consumed_at,
        last_wrong_at: rows.entries.iter().find(|entry| entry.action == wrong).map(|entry| entry.at),
    });
    (messages, code)
}

fn message_facts(message: &SentMessage, entries: &[Entry]) -> MessageFacts {
    MessageFacts {
        channel: message.channel,
        status: message.status,
        at: message.status_at(),
        created_at: message.created_at,
        accepted_at: message
            .reached_at(DeliveryStatus::Queued)
            .or_else(|| message.reached_at(DeliveryStatus::Sent)),
        reason: message.reason,
        error_code: message.error_code,
        blame: blame(message, entries),
    }
}

/// Who can mend the failure of a message: by the provider's code, or by what the audit log says about a refusal without one.
fn blame(message: &SentMessage, entries: &[Entry]) -> Option<Blame> {
    let code = message.error_code.and_then(|code| u32::try_from(code).ok());
    if let Some(mender) = code.and_then(sms::mender) {
        return Some(match mender {
            Mender::User => Blame::Number,
            Mender::Operator => Blame::Us,
            Mender::Nobody => Blame::Passing,
        });
    }
    let (not_sent, delivery_id) = (Action::CodeNotSent.as_str(), message.delivery_id.to_string());
    let word =
        |entry: &Entry, name| entry.detail.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let refusal = entries.iter().find(|entry| {
        entry.action == not_sent
            && word(entry, "delivery_id").as_ref() == Some(&delivery_id)
            && word(entry, "channel").as_deref() == Some(message.channel.as_str())
    })?;
    match word(refusal, "reason").as_deref() {
        Some("rejected") => Some(Blame::Us),
        Some("unreachable") => Some(Blame::Number),
        Some("unavailable" | "unknown") => Some(Blame::Passing),
        _ => None,
    }
}

fn timeline_of(rows: &Rows) -> Vec<TimelineEntry> {
    let mut entries = Vec::new();
    for message in &rows.messages {
        entries.extend(timeline::of_message(message, &message_facts(message, &rows.entries)));
    }
    entries.extend(rows.entries.iter().filter_map(timeline::of_audit));
    entries.extend(rows.sessions.iter().filter_map(timeline::of_session));
    timeline::newest_first(entries, usize::try_from(MOST).unwrap_or(usize::MAX))
}
