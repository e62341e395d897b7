//! The order of the cases: what stops the phone for good, then what refused the last request and still does, then the last
//! thing that happened.

use chrono::{DateTime, Utc};

use super::{
    Case, Event, LastMessage, Limit, Stop,
    facts::{Blame, CodeFacts, Happened, MessageFacts, MovedAway, PhoneFacts, What},
    words,
};
use crate::{
    budget::{Budget, Spent},
    delivery::{DeliveryStatus, UnreachableReason},
};

/// The longest window that counts as an hour's, in seconds.
const HOUR: i64 = 3_600;

/// The case of a phone.
#[must_use]
pub fn find_case(facts: &PhoneFacts) -> Case {
    hard_stop(facts)
        .or_else(|| after_last(facts))
        .or_else(|| after_message(facts))
        .unwrap_or_else(|| at_rest(facts))
}

/// What stops every sign-in now.
fn hard_stop(facts: &PhoneFacts) -> Option<Case> {
    if let Some(block) = &facts.block {
        return Some(Case::Stopped(Stop::BlockedByStaff { part: block.part, until: block.until }));
    }
    if facts.account.is_some_and(|account| !account.is_active) {
        return Some(Case::Stopped(Stop::AccountDisabled));
    }
    let excluded = facts.not_served.filter(|_| facts.review_until.is_none());
    if let Some(reason) = excluded {
        return Some(Case::Stopped(match reason {
            UnreachableReason::RegionNotAllowed => Stop::CountryNotAllowed { country: facts.country.clone() },
            UnreachableReason::Invalid
            | UnreachableReason::NotMobile
            | UnreachableReason::OptedOut
            | UnreachableReason::Blocked => Stop::NumberNotServed,
        }));
    }
    if used_up(facts, Budget::PhoneFailures, None).is_some() {
        return Some(Case::Stopped(Stop::LockedUntilUnlocked));
    }
    if let Some(until) = used_up(facts, Budget::PhoneGuesses, None).and_then(|spent| spent.until) {
        return Some(Case::Stopped(Stop::LockedForStrangers { until }));
    }
    facts.review_until.map(|until| Case::Stopped(Stop::ReviewNumber { until }))
}

/// The budget, if it refuses now. Of several limits the one that refuses longest.
fn used_up<'a>(facts: &'a PhoneFacts, budget: Budget, address: Option<&str>) -> Option<&'a Spent> {
    let is_this = |spent: &&Spent| {
        let is_of_address = address.is_none() || spent.network.as_deref() == address;
        spent.budget == budget && spent.is_spent && is_of_address
    };
    facts.spent.iter().filter(is_this).max_by_key(|spent| spent.until)
}

/// The case, if the last thing that happened decides it.
fn after_last(facts: &PhoneFacts) -> Option<Case> {
    let Happened { at, what, .. } = *facts.last.as_ref().filter(|last| is_newer(last, facts))?;
    let has_account = facts.account.is_some();
    let has_live_account = facts.account.is_some_and(|account| !account.is_stale);
    // Whatever the app tried without an account: the user has one, under another number.
    let needs_account = matches!(
        what,
        What::NoAccount
            | What::RightCodeNoAccount
            | What::SignupClosed
            | What::RightCodeSignupClosed
            | What::MovedAway
    );
    if let Some(moved) = moved_away(facts).filter(|_| needs_account) {
        return Some(moved);
    }
    match what {
        What::Refused(Budget::Cooldown, until) => refused(facts, Budget::Cooldown, until),
        What::Refused(budget, until) => {
            let still = refused(facts, budget, until).or_else(|| soft_stop(facts));
            Some(still.unwrap_or(Case::Happened(Event::RefusedEarlier, at)))
        }
        What::Excluded => Some(excluded(facts, Event::RefusedEarlier, at)),
        What::RefusedByBlock(_) => {
            let (part, ended_at) = facts.past_block.map(|block| (block.part, block.ended_at)).unzip();
            Some(excluded(facts, Event::RefusedByBlock { part, ended_at }, at))
        }
        What::Blocked(_) => {
            let ended_at = facts.past_block.map(|block| block.ended_at);
            Some(Case::Happened(Event::BlockOver { ended_at }, at))
        }
        What::MovedAway => has_account.then_some(Case::AccountReady),
        What::MovedHere => Some(Case::Happened(Event::MovedHere, at)),
        What::NoAccount if facts.account.is_some_and(|account| account.is_stale) => {
            Some(Case::Stopped(Stop::NumberStale))
        }
        What::NoAccount => (!has_account).then_some(Case::Happened(Event::NoAccount, at)),
        What::AlreadyRegistered => has_account.then_some(Case::Happened(Event::AlreadyRegistered, at)),
        What::SignupClosed => (!has_live_account).then_some(Case::Happened(Event::SignupClosed, at)),
        What::RightCodeSignupClosed => {
            (!has_live_account).then_some(Case::Happened(Event::RightCodeSignupClosed, at))
        }
        What::RightCodeNoAccount => (!has_account).then_some(Case::Happened(Event::RightCodeNoAccount, at)),
        What::BotCheckMissing => Some(Case::Happened(Event::BotCheckMissing, at)),
        What::BotCheckFailed => Some(Case::Happened(Event::BotCheckFailed, at)),
        What::BotCheckUnavailable => Some(Case::Happened(Event::BotCheckUnavailable, at)),
        What::HookDenied => Some(Case::Happened(Event::HookDenied, at)),
        What::HookFailed => Some(Case::Happened(Event::HookFailed, at)),
        What::HookChallenged => Some(Case::Happened(Event::HookChallenged, at)),
        What::WrongPassword => Some(Case::Happened(Event::WrongPassword, at)),
        What::SignedIn if facts.unlinked_at.is_some_and(|unlinked| unlinked >= at) => {
            Some(Case::Happened(Event::Unlinked, at))
        }
        What::SignedIn => Some(Case::Happened(Event::Verified, at)),
        What::SignedInByPassword => Some(Case::Happened(Event::SignedInByPassword, at)),
        What::SignedInByToken => Some(Case::Happened(Event::SignedInByToken, at)),
        What::VerifiedByHand => Some(Case::Happened(Event::VerifiedByHand, at)),
        What::SignedOut => Some(Case::Happened(Event::SignedOut, at)),
        What::AccountDeleted => Some(match facts.deleted_until {
            Some(until) if until > facts.now => Case::Limited(Limit::RecentlyDeleted, until),
            Some(_) | None => Case::Happened(Event::AccountDeleted, at),
        }),
    }
}

/// The case of a refusal that no budget made: by a block, by the settings, or because of the account. `over` says that
/// nothing refuses any more.
fn excluded(facts: &PhoneFacts, over: Event, at: DateTime<Utc>) -> Case {
    match &facts.address_block {
        Some(block) => Case::Stopped(Stop::BlockedByStaff { part: block.part, until: block.until }),
        None => soft_stop(facts).unwrap_or(Case::Happened(over, at)),
    }
}

/// The case of a phone that its account left, unless another account has it since.
fn moved_away(facts: &PhoneFacts) -> Option<Case> {
    let MovedAway { at, is_by_staff, is_deleted } = facts.moved_away.filter(|_| facts.account.is_none())?;
    Some(Case::Happened(Event::MovedAway { is_by_staff, is_deleted }, at))
}

/// Whether it happened after the newest message was created. Things are recorded a moment after they happen, and messages at
/// once; so a thing of the same moment, if it is known, came after the message.
fn is_newer(last: &Happened, facts: &PhoneFacts) -> bool {
    facts.messages.first().is_none_or(|message| message.created_at <= last.at)
}

/// The case of a refusal by a budget, if the budget still refuses.
fn refused(facts: &PhoneFacts, budget: Budget, until: Option<DateTime<Utc>>) -> Option<Case> {
    let address = facts.last.as_ref().and_then(|last| last.address.clone());
    let until = until.filter(|until| *until > facts.now);
    let network = address.as_deref().map(network);
    let of_address = |budget| used_up(facts, budget, network.as_deref()).and_then(|spent| spent.until);
    match budget {
        // While these are used up they are hard stops. So staff have unlocked the phone since.
        // A registration, a guest, a proof and an unknown key are about no phone.
        Budget::PhoneGuesses
        | Budget::PhoneFailures
        | Budget::Registrations
        | Budget::Guests
        | Budget::Proof
        | Budget::AddressKeys => None,
        Budget::ServicePhoneGuesses => {
            let until = used_up(facts, budget, None).and_then(|spent| spent.until);
            until.map(|until| Case::Limited(Limit::Service, until))
        }
        Budget::ServiceSends | Budget::ServiceGuesses | Budget::ServiceAddress => {
            until.map(|until| Case::Limited(Limit::Service, until))
        }
        Budget::PhoneGuessesFromAddress => {
            of_address(budget).map(|until| Case::Limited(Limit::LockedForAddress(address), until))
        }
        Budget::AddressGuesses => until.map(|until| Case::Limited(Limit::AddressGuesses(address), until)),
        Budget::Cooldown => until.map(|until| Case::Limited(Limit::Cooldown, until)),
        Budget::PhoneSends => phone_sends(facts),
        Budget::PhoneSendsFromAddress => {
            of_address(budget).map(|until| Case::Limited(Limit::SendsFromAddress(address), until))
        }
        Budget::AddressRequests => until.map(|until| Case::Limited(Limit::AddressRequests(address), until)),
        Budget::DeviceGuesses => until.map(|until| Case::Limited(Limit::DeviceGuesses, until)),
        Budget::DeviceSends => until.map(|until| Case::Limited(Limit::DeviceSends, until)),
        Budget::Prefix => prefix_closed(facts),
        Budget::Day => facts.day_cap_until.map(|until| Case::Limited(Limit::Day, until)),
        Budget::Country => country_cap(facts),
        Budget::NamePasswordsFromAddress | Budget::NamePasswords | Budget::AddressPasswords => {
            until.map(|until| Case::Limited(Limit::Passwords, until))
        }
    }
}

/// The network of an address, as budgets write it.
fn network(address: &str) -> String {
    let parsed = address.parse().map(crate::address::ClientAddress::new);
    parsed.map_or_else(|_| address.to_owned(), crate::address::ClientAddress::network)
}

fn phone_sends(facts: &PhoneFacts) -> Option<Case> {
    let spent = used_up(facts, Budget::PhoneSends, None)?;
    let (most, until) = (spent.most, spent.until?);
    Some(if spent.window.is_some_and(|window| window <= HOUR) {
        Case::Limited(Limit::SendsOfHour(most), until)
    } else {
        Case::Limited(Limit::SendsOfDay(most), until)
    })
}

fn prefix_closed(facts: &PhoneFacts) -> Option<Case> {
    let closed = facts.prefix.as_ref()?;
    Some(Case::Limited(
        Limit::PrefixClosed { prefix: closed.prefix.clone(), since: closed.since },
        closed.until,
    ))
}

fn country_cap(facts: &PhoneFacts) -> Option<Case> {
    let until = facts.country_cap_until?;
    Some(Case::Limited(Limit::Country(facts.country.clone()), until))
}

/// What refuses the next code, for every client.
fn soft_stop(facts: &PhoneFacts) -> Option<Case> {
    prefix_closed(facts)
        .or_else(|| facts.day_cap_until.map(|until| Case::Limited(Limit::Day, until)))
        .or_else(|| country_cap(facts))
        .or_else(|| phone_sends(facts))
        .or_else(|| facts.deleted_until.map(|until| Case::Limited(Limit::RecentlyDeleted, until)))
}

/// The case, if the newest message decides it.
fn after_message(facts: &PhoneFacts) -> Option<Case> {
    let message = facts.messages.first()?;
    let case = facts.code.and_then(|code| guessed(&code, message, facts.now));
    let case = case.or_else(|| another_way(facts, message)).unwrap_or_else(|| by_status(facts, message));
    match case {
        // Where the user needs another code, it matters more that none would be sent.
        Case::Message(state, _) if state.needs_another() => Some(soft_stop(facts).unwrap_or(case)),
        case => Some(case),
    }
}

/// The case, if a code was entered after the message.
fn guessed(code: &CodeFacts, message: &MessageFacts, now: DateTime<Utc>) -> Option<Case> {
    if let Some(at) = code.consumed_at {
        let event = if code.is_of_service { Event::CheckedForService } else { Event::Verified };
        return Some(Case::Happened(event, at));
    }
    let last_wrong_at = code.last_wrong_at.filter(|at| *at >= message.created_at);
    if code.attempts >= code.max_attempts {
        let at = last_wrong_at.unwrap_or(message.at);
        return Some(Case::Message(LastMessage::GuessesUsedUp(code.max_attempts), at));
    }
    let at = last_wrong_at.filter(|_| code.attempts > 0)?;
    Some(if code.expires_at < now {
        Case::Message(LastMessage::ExpiredAfterWrongCode, code.expires_at)
    } else {
        Case::Message(LastMessage::WrongCode(code.max_attempts - code.attempts), at)
    })
}

/// The case of a code that went by a second provider or channel, if that message did not fail too.
fn another_way(facts: &PhoneFacts, message: &MessageFacts) -> Option<Case> {
    let failed = facts.messages.get(1).filter(|before| before.status.is_lost())?;
    let is_delivered = match message.status {
        DeliveryStatus::Delivered => true,
        DeliveryStatus::Pending | DeliveryStatus::Queued | DeliveryStatus::Sent => false,
        DeliveryStatus::Unknown | DeliveryStatus::Undelivered | DeliveryStatus::Failed => return None,
    };
    let is_live = facts.code.is_some_and(|code| code.expires_at >= facts.now);
    let (channel, why) = (message.channel, words::why(failed));
    let state = if failed.channel == channel {
        let (failed, provider) = (failed.provider, message.provider);
        LastMessage::AnotherProvider { channel, failed, why, provider, is_delivered }
    } else {
        LastMessage::AnotherChannel { failed: failed.channel, why, channel, is_delivered }
    };
    is_live.then_some(Case::Message(state, message.at))
}

fn by_status(facts: &PhoneFacts, message: &MessageFacts) -> Case {
    let ended = match facts.code {
        Some(code) => (code.expires_at < facts.now).then_some(Some(code.expires_at)),
        // The challenge was replaced or purged: the code is no longer valid.
        None => Some(None),
    };
    let (state, at) = match (message.status, ended) {
        (DeliveryStatus::Delivered, Some(expired_at)) => (LastMessage::ExpiredUnused(expired_at), message.at),
        (DeliveryStatus::Delivered, None) => (LastMessage::Delivered, message.at),
        (DeliveryStatus::Queued | DeliveryStatus::Sent, Some(expired_at)) => {
            let accepted_at = message.accepted_at.unwrap_or(message.at);
            (LastMessage::ExpiredWithoutReport(expired_at), accepted_at)
        }
        (DeliveryStatus::Pending, None) => (LastMessage::Sending, message.at),
        (DeliveryStatus::Queued, None) => (LastMessage::Accepted, message.at),
        (DeliveryStatus::Sent, None) => (LastMessage::PassedOn, message.at),
        (DeliveryStatus::Pending, Some(_)) | (DeliveryStatus::Unknown, _) => {
            (LastMessage::OutcomeUnknown, message.at)
        }
        (DeliveryStatus::Undelivered | DeliveryStatus::Failed, _) => (lost(facts, message), message.at),
    };
    Case::Message(state, at)
}

/// The state of a message that the provider refused, or accepted and lost.
fn lost(facts: &PhoneFacts, message: &MessageFacts) -> LastMessage {
    if message.reason == Some(UnreachableReason::OptedOut) {
        return LastMessage::OptedOut(message.channel);
    }
    if message.accepted_at.is_some() {
        return LastMessage::Undelivered(message.channel, words::why(message));
    }
    let refused_us = |before: &MessageFacts| {
        before.accepted_at.is_none() && before.reason.is_none() && before.blame == Some(Blame::Us)
    };
    match (message.reason, message.blame) {
        // The next provider does not serve the country, but the one before it would, and the operator can mend that.
        (Some(UnreachableReason::RegionNotAllowed), _) if facts.messages.iter().skip(1).any(refused_us) => {
            LastMessage::ProviderRefusesUs
        }
        (Some(_), _) | (None, Some(Blame::Number)) => LastMessage::NumberUnreachable(words::why(message)),
        (None, Some(Blame::Us)) => LastMessage::ProviderRefusesUs,
        (None, Some(Blame::Passing) | None) => LastMessage::ProviderUnavailable,
    }
}

/// The case of a phone to which nothing happened lately.
fn at_rest(facts: &PhoneFacts) -> Case {
    if let Some(stop) = soft_stop(facts) {
        return stop;
    }
    if let Some(moved) = moved_away(facts) {
        return moved;
    }
    if let Some(last) = &facts.last {
        return Case::Happened(Event::RefusedEarlier, last.at);
    }
    match (facts.account, facts.unlinked_at, facts.last_asked_at) {
        (Some(account), ..) if account.is_stale => Case::Stopped(Stop::NumberStale),
        (Some(_), ..) => Case::AccountReady,
        (None, Some(at), _) => Case::Happened(Event::Unlinked, at),
        (None, None, Some(at)) => Case::Happened(Event::AskedLongAgo, at),
        (None, None, None) => Case::NeverAsked,
    }
}
