//! The phone page: why the user of a phone is not signed in, and what happened. It only reads; that a phone was shown is
//! recorded by [`super::console::note_shown`].

use chrono::{DateTime, Utc};

use super::{Error, Services, blocks, budget, delivery::meaning, unlock};
use crate::{
    domain::{
        access::Session,
        account::Account,
        address::ClientAddress,
        audit::{Action, Entry},
        block::{Block, Target},
        budget::{Budget, decide},
        delivery::{DeliveryStatus, NO_PROVIDER},
        lead::Lead,
        messages::said_by_provider,
        otp::Purpose,
        phone::PhoneNumber,
        pseudonym::Pseudonym,
        review::Listed,
        roles::StaffPermission,
        sent_message::SentMessage,
        timeline::{self, TimelineEntry},
        verdict::{
            self, AccountFacts, Blame, BlockedPart, ClosedPrefix, CodeFacts, Happened, MessageFacts,
            MovedAway, NOT_HANDED_OVER, PastBlock, PhoneFacts, StaffBlock, Verdict, last_happened,
        },
    },
    sms::{Mender, Provider},
    store::{self, otp::IssuedCode},
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
    /// The account that left the phone for another number, and when. It still exists.
    pub mover: Option<(Account, DateTime<Utc>)>,
    /// The block that applies to the phone, or else to the address of its last request.
    pub block: Option<Block>,
    /// The lead of the phone.
    pub lead: Option<Lead>,
    /// Its limits and its prefix.
    pub limits: unlock::PhoneStatus,
}

/// The rows that the report is made from.
struct Rows {
    account: Option<Account>,
    former: Option<Account>,
    /// The entry that says that an account left the phone, and the account, if it still exists.
    left: Option<(Entry, Option<Account>)>,
    /// The blocks that apply or applied to the phone, newest first.
    blocks: Vec<Block>,
    lead: Option<Lead>,
    limits: unlock::PhoneStatus,
    messages: Vec<SentMessage>,
    challenges: Vec<IssuedCode>,
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
    let last = last_happened(&rows.entries);
    let own = blocks::find(services, phone).await?;
    let of_address = block_of_address(services, last.as_ref()).await?;
    let past = past_block(services, last.as_ref(), now).await?;
    let of_last = BlocksOfLast { own: own.as_ref(), of_address: of_address.as_ref(), past };
    let facts = facts(services, phone, &rows, last, &of_last, now).await?;
    let timeline = timeline_of(&rows, now);
    let Rows { account, former, left, lead, limits, .. } = rows;
    Ok(PhoneReport {
        phone: phone.clone(),
        verdict: verdict::judge(&facts),
        timeline,
        account,
        former,
        mover: left.and_then(|(entry, account)| Some((account?, entry.at))),
        block: own.or(of_address),
        lead,
        limits,
    })
}

async fn read(services: &Services, phone: &PhoneNumber) -> Result<Rows, Error> {
    let db = &services.store;
    services.receipts.settle().await;
    let account = store::accounts::find_by_phone(db, phone, None).await?;
    let challenges = store::otp::list_to(db, phone).await?;
    let hashes = services.pseudonyms.phone_with_all(phone);
    let mut entries = store::audit::list_of_phone(db, &hashes, MOST).await?;
    let mut sessions = Vec::new();
    if let Some(account) = &account {
        entries.extend(store::audit::list_about(db, account.id, MOST).await?);
        sessions = store::sessions::list_last(db, account.id, MOST).await?;
    }
    entries.retain(|entry| !is_of_another_phone(entry, &hashes));
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.place()));
    entries.dedup_by_key(|entry| entry.id);
    Ok(Rows {
        left: find_left(services, &entries).await?,
        blocks: store::blocks::list_covering(db, phone, MOST).await?,
        former: store::accounts::find_by_former_phone(db, phone).await?,
        lead: store::leads::find(db, phone).await?,
        limits: unlock::look(services, phone).await?,
        messages: store::messages::list_to(db, phone, MOST).await?,
        challenges: challenges.into_iter().map(|(code, _)| code).collect(),
        account,
        entries,
        sessions,
    })
}

/// Whether an entry about the account of the phone says what became of another number of this account.
fn is_of_another_phone(entry: &Entry, hashes: &[Pseudonym]) -> bool {
    let is_about_a_number = [Action::PhoneLeft, Action::BlockMade, Action::BlockEnded]
        .into_iter()
        .any(|action| entry.action == action.as_str());
    let is_own =
        entry.phone_mark.as_ref().is_some_and(|mark| hashes.iter().any(|hash| hash.as_str() == mark));
    is_about_a_number && !is_own
}

/// The newest entry that says that an account left the phone, and the account.
async fn find_left(
    services: &Services,
    entries: &[Entry],
) -> Result<Option<(Entry, Option<Account>)>, Error> {
    let left = entries.iter().find(|entry| entry.action == Action::PhoneLeft.as_str());
    let Some((entry, id)) = left.and_then(|entry| Some((entry, entry.user_id?))) else {
        return Ok(None);
    };
    Ok(Some((entry.clone(), store::accounts::find_by_id(&services.store, id).await?)))
}

/// Whether the phone got another account after this entry.
fn is_used_since(rows: &Rows, left: &Entry) -> bool {
    let since = rows.entries.iter().take_while(|entry| entry.id != left.id);
    let opens = [
        Action::SignedIn,
        Action::PhoneChanged,
        Action::PhoneMoved,
        Action::LeadVerifiedByStaff,
        Action::AccountDeleted,
    ];
    since.into_iter().any(|entry| opens.iter().any(|action| entry.action == action.as_str()))
}

/// The blocks that apply, and the one that the newest entry is about.
struct BlocksOfLast<'a> {
    /// Of the phone.
    own: Option<&'a Block>,
    /// Of the address of the last request.
    of_address: Option<&'a Block>,
    past: Option<PastBlock>,
}

async fn facts(
    services: &Services,
    phone: &PhoneNumber,
    rows: &Rows,
    last: Option<Happened>,
    blocks: &BlocksOfLast<'_>,
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
    Ok(PhoneFacts {
        now,
        zone: services.zone,
        country: phone.region().map(|region| region.to_string()),
        block: blocks.own.map(staff_block),
        address_block: blocks.of_address.map(staff_block),
        past_block: blocks.past,
        not_served: rows.limits.not_served,
        review_until: match services.review.find(phone, now) {
            Listed::Yes(number) if rows.account.as_ref().is_none_or(crate::domain::review::may_open) => {
                Some(number.ends_at)
            }
            Listed::Yes(_) | Listed::No | Listed::Ended => None,
        },
        account: rows.account.as_ref().map(|account| AccountFacts { is_active: account.is_active, is_stale }),
        moved_away: rows.left.as_ref().filter(|(entry, _)| !is_used_since(rows, entry)).map(
            |(entry, account)| MovedAway {
                at: entry.at,
                is_by_staff: entry.is_by_staff(),
                is_deleted: account.is_none(),
            },
        ),
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
async fn block_of_address(services: &Services, last: Option<&Happened>) -> Result<Option<Block>, Error> {
    let address = last.and_then(|last| last.address.as_deref()).and_then(|address| address.parse().ok());
    match address {
        Some(address) => blocks::find_of_address(services, ClientAddress::new(address)).await,
        None => Ok(None),
    }
}

/// The block that the newest entry is about, if it is over.
async fn past_block(
    services: &Services,
    last: Option<&Happened>,
    now: DateTime<Utc>,
) -> Result<Option<PastBlock>, Error> {
    let block = match last.and_then(|last| last.what.block()) {
        Some(id) => store::blocks::find(&services.store, id).await?,
        None => None,
    };
    Ok(block.and_then(|block| Some(PastBlock { part: part(&block), ended_at: block.ended(now)? })))
}

fn staff_block(block: &Block) -> StaffBlock {
    StaffBlock { part: part(block), until: block.ends_at }
}

fn part(block: &Block) -> BlockedPart {
    match block.target {
        Target::Phone(_) => BlockedPart::Number,
        Target::Prefix(_) => BlockedPart::Prefix,
        Target::Country(_) => BlockedPart::Country,
        Target::Address(_) => BlockedPart::Address,
    }
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
    let challenge = rows.challenges.iter().find(|code| Some(code.challenge.id) == newest.challenge_id);
    let wrong = Action::WrongCode.as_str();
    let code = challenge.map(|IssuedCode { challenge, purpose, .. }| CodeFacts {
        attempts: challenge.attempts,
        max_attempts: services.otp.max_attempts,
        expires_at: challenge.expires_at,
        consumed_at: challenge.consumed_at,
        last_wrong_at: rows.entries.iter().find(|entry| entry.action == wrong).map(|entry| entry.at),
        is_of_service: *purpose == Purpose::Verification,
    });
    (messages, code)
}

fn message_facts(message: &SentMessage, entries: &[Entry]) -> MessageFacts {
    MessageFacts {
        channel: message.channel,
        provider: name_of(&message.provider),
        status: message.status,
        at: message.status_at(),
        created_at: message.created_at,
        accepted_at: message
            .reached_at(DeliveryStatus::Queued)
            .or_else(|| message.reached_at(DeliveryStatus::Sent)),
        reason: message.reason,
        cause: match meaning(&message.provider, message.error_code) {
            Some(meaning) => Some(meaning.cause),
            None if message.provider == NO_PROVIDER => Some(NOT_HANDED_OVER),
            None => None,
        },
        said: said_by_provider(message.error_code, message.error_text.as_deref()),
        blame: blame(message, entries),
    }
}

/// The provider in a sentence. The test inbox plays a provider that has no name.
fn name_of(provider: &str) -> Option<&'static str> {
    let provider: Provider = provider.parse().ok()?;
    (provider != Provider::TestInbox).then(|| provider.title())
}

/// Who can mend the failure of a message: by the provider's code, or by what the audit log says about a refusal without one.
fn blame(message: &SentMessage, entries: &[Entry]) -> Option<Blame> {
    if let Some(meaning) = meaning(&message.provider, message.error_code) {
        return Some(match meaning.mender {
            Mender::User => Blame::Number,
            Mender::Operator => Blame::Us,
            Mender::Time => Blame::Passing,
        });
    }
    let (not_sent, delivery_id) = (Action::CodeNotSent.as_str(), message.delivery_id.to_string());
    let word =
        |entry: &Entry, name| entry.detail.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let refusal = entries.iter().find(|entry| {
        entry.action == not_sent
            && word(entry, "delivery_id").as_ref() == Some(&delivery_id)
            && word(entry, "channel").as_deref() == Some(message.channel.as_str())
            // An entry of an earlier version names no provider.
            && word(entry, "provider").is_none_or(|provider| provider == message.provider)
    })?;
    match word(refusal, "reason").as_deref() {
        Some("rejected") => Some(Blame::Us),
        Some("unreachable") => Some(Blame::Number),
        Some("unavailable" | "unknown") => Some(Blame::Passing),
        _ => None,
    }
}

fn timeline_of(rows: &Rows, now: DateTime<Utc>) -> Vec<TimelineEntry> {
    let mut entries = Vec::new();
    for message in &rows.messages {
        entries.extend(timeline::of_message(message, &message_facts(message, &rows.entries)));
    }
    entries.extend(timeline::of_audit(&rows.entries));
    entries.extend(rows.blocks.iter().flat_map(|block| timeline::of_block(block, now)));
    entries.extend(rows.sessions.iter().filter_map(timeline::of_session));
    timeline::newest_first(entries, usize::try_from(MOST).unwrap_or(usize::MAX))
}
