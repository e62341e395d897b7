//! A row for each case: its facts, its code and its sentence.

mod events;
mod messages;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;

use super::*;
use crate::{
    budget::{Budget, Spent},
    delivery::{Channel, DeliveryStatus, UnreachableReason},
};

const ADDRESS: &str = "203.0.113.7";

const DELIVERED: &str = "Delivered at 10:02:09, and no code was entered since.";

fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("2026-03-14T{text}Z")).unwrap().to_utc()
}

/// A quarter past ten in India.
fn now() -> DateTime<Utc> {
    time("04:45:00")
}

fn unknown() -> PhoneFacts {
    PhoneFacts {
        now: now(),
        zone: Tz::Asia__Kolkata,
        country: Some("IN".to_owned()),
        block: None,
        address_block: None,
        past_block: None,
        not_served: None,
        review_until: None,
        account: None,
        moved_away: None,
        unlinked_at: None,
        spent: Vec::new(),
        prefix: None,
        day_cap_until: None,
        country_cap_until: None,
        deleted_until: None,
        last: None,
        messages: Vec::new(),
        code: None,
        last_asked_at: None,
    }
}

fn with_account() -> PhoneFacts {
    PhoneFacts { account: Some(AccountFacts { is_active: true, is_stale: false }), ..unknown() }
}

fn happened(what: What) -> PhoneFacts {
    let last = Happened { at: time("04:40:00"), what, address: Some(ADDRESS.to_owned()) };
    PhoneFacts { last: Some(last), ..unknown() }
}

/// The same, refused by a budget until half past ten.
fn refused(budget: Budget) -> PhoneFacts {
    happened(What::Refused(budget, Some(time("05:00:00"))))
}

fn spent(budget: Budget, network: Option<&str>, window: Option<i64>, until: Option<&str>) -> Spent {
    Spent {
        budget,
        network: network.map(str::to_owned),
        used: 5,
        most: 5,
        window,
        is_spent: true,
        until: until.map(time),
    }
}

fn message(status: DeliveryStatus) -> MessageFacts {
    MessageFacts {
        channel: Channel::Sms,
        provider: Some("Twilio"),
        status,
        at: time("04:32:09"),
        created_at: time("04:32:08"),
        accepted_at: Some(time("04:32:08")),
        reason: None,
        cause: None,
        said: None,
        blame: None,
    }
}

fn code() -> CodeFacts {
    CodeFacts {
        attempts: 0,
        max_attempts: 3,
        expires_at: time("04:50:00"),
        consumed_at: None,
        last_wrong_at: None,
        is_of_service: false,
    }
}

/// A phone whose last message is this one.
fn sent(message: MessageFacts) -> PhoneFacts {
    PhoneFacts { messages: vec![message], code: Some(code()), ..unknown() }
}

fn refused_by_provider(
    reason: Option<UnreachableReason>,
    cause: Option<&'static str>,
    blame: Option<Blame>,
) -> MessageFacts {
    MessageFacts { reason, cause, blame, accepted_at: None, ..message(DeliveryStatus::Failed) }
}

fn delivered() -> PhoneFacts {
    sent(message(DeliveryStatus::Delivered))
}

fn with_code(code: CodeFacts) -> PhoneFacts {
    PhoneFacts { code: Some(code), ..delivered() }
}

fn closed() -> ClosedPrefix {
    ClosedPrefix { prefix: "+916205".to_owned(), since: time("04:30:00"), until: time("05:30:00") }
}

#[track_caller]
fn check(rows: Vec<(PhoneFacts, &str, &str)>) {
    for (facts, code, sentence) in rows {
        let verdict = judge(&facts);
        assert_eq!((verdict.code, verdict.sentence.as_str()), (code, sentence), "{facts:#?}");
        assert!(verdict.advice.tell.ends_with('.') && verdict.advice.act.ends_with('.'), "{code}");
    }
}

#[test]
fn hard_stops() {
    let failures = spent(Budget::PhoneFailures, None, None, None);
    let guesses = spent(Budget::PhoneGuesses, None, Some(86_400), Some("11:00:00"));
    let block = |until| Some(StaffBlock { part: BlockedPart::Number, until });
    let of_part = |part| PhoneFacts { block: Some(StaffBlock { part, until: None }), ..unknown() };
    check(vec![
        (
            PhoneFacts { block: block(Some(time("05:00:00"))), ..with_account() },
            "blocked_by_staff",
            "Staff blocked this number until 10:30.",
        ),
        (PhoneFacts { block: block(None), ..delivered() }, "blocked_by_staff", "Staff blocked this number."),
        (
            of_part(BlockedPart::Prefix),
            "blocked_by_staff",
            "Staff blocked all numbers that begin like this one.",
        ),
        (of_part(BlockedPart::Country), "blocked_by_staff", "Staff blocked all numbers of this country."),
        (
            PhoneFacts {
                address_block: Some(StaffBlock { part: BlockedPart::Address, until: Some(time("05:00:00")) }),
                ..happened(What::Excluded)
            },
            "address_blocked_by_staff",
            "Staff blocked the address that the last request came from until 10:30.",
        ),
        (
            PhoneFacts { account: Some(AccountFacts { is_active: false, is_stale: false }), ..delivered() },
            "account_disabled",
            "The account of this number is disabled.",
        ),
        (
            PhoneFacts {
                not_served: Some(UnreachableReason::RegionNotAllowed),
                country: Some("GB".to_owned()),
                ..unknown()
            },
            "country_not_allowed",
            "No codes are sent to this country (GB): the settings do not allow it.",
        ),
        (
            PhoneFacts { not_served: Some(UnreachableReason::RegionNotAllowed), country: None, ..unknown() },
            "country_not_allowed",
            "No codes are sent to a number that belongs to no country: the settings do not allow it.",
        ),
        (
            PhoneFacts { not_served: Some(UnreachableReason::Blocked), ..delivered() },
            "number_not_served",
            "No codes are sent to numbers that begin like this one: the settings block them.",
        ),
        (
            PhoneFacts { spent: vec![guesses.clone(), failures], ..delivered() },
            "locked_until_unlocked",
            "Locked until staff unlock it: too many wrong codes in a row were entered.",
        ),
        (
            PhoneFacts { spent: vec![guesses], ..delivered() },
            "locked_for_strangers",
            "Locked until 16:30: too many wrong codes were entered within a day.",
        ),
        (
            PhoneFacts {
                review_until: Some(time("18:30:00")),
                not_served: Some(UnreachableReason::Blocked),
                ..delivered()
            },
            "review_number",
            "This number is for app review until 00:00 on 15 March: its code is fixed, and nothing is sent to it.",
        ),
    ]);
}

#[test]
fn limits_that_refused_the_last_request() {
    let hour = spent(Budget::PhoneSends, None, Some(3_600), Some("05:00:00"));
    let day = spent(Budget::PhoneSends, None, Some(86_400), Some("06:00:00"));
    let address = |budget| spent(budget, Some(ADDRESS), Some(86_400), Some("05:00:00"));
    let with = |budget: Budget, spent: Vec<Spent>| PhoneFacts { spent, ..refused(budget) };
    check(vec![
        (
            refused(Budget::Cooldown),
            "cooldown",
            "A code was sent a moment ago, so the next one is refused until 10:30.",
        ),
        (
            with(Budget::PhoneGuessesFromAddress, vec![address(Budget::PhoneGuessesFromAddress)]),
            "locked_for_address",
            "Locked for the address 203.0.113.7 until 10:30: too many wrong codes were entered from there.",
        ),
        (
            with(Budget::PhoneSends, vec![hour.clone()]),
            "sends_of_hour_used_up",
            "This number got 5 codes within an hour, so it gets no more until 10:30.",
        ),
        // The one that lasts longer.
        (
            with(Budget::PhoneSends, vec![hour, day]),
            "sends_of_day_used_up",
            "This number got 5 codes within a day, so it gets no more until 11:30.",
        ),
        (
            with(Budget::PhoneSendsFromAddress, vec![address(Budget::PhoneSendsFromAddress)]),
            "sends_from_address_used_up",
            "Too many codes for this number were requested from the address 203.0.113.7: no more until 10:30.",
        ),
        (
            refused(Budget::DeviceSends),
            "device_sends_used_up",
            "The user's device requested too many codes: no more until 10:30.",
        ),
        (
            refused(Budget::DeviceGuesses),
            "device_guesses_used_up",
            "Too many wrong codes were entered on the user's device: no more guesses until 10:30.",
        ),
        (
            refused(Budget::AddressRequests),
            "address_requests_used_up",
            "Too many codes were requested from the address 203.0.113.7: no more until 10:30.",
        ),
        (
            refused(Budget::AddressGuesses),
            "address_guesses_used_up",
            "Too many wrong codes were entered from the address 203.0.113.7: no more guesses until 10:30.",
        ),
        (
            refused(Budget::NamePasswords),
            "passwords_used_up",
            "Too many wrong passwords were tried: no more until 10:30.",
        ),
        (
            PhoneFacts { prefix: Some(closed()), ..refused(Budget::Prefix) },
            "prefix_closed",
            "Numbers that begin with +916205 are closed since 10:00:00 until 11:00, because too few of their codes \
             were entered.",
        ),
        (
            PhoneFacts { day_cap_until: Some(time("18:30:00")), ..refused(Budget::Day) },
            "day_cap_reached",
            "The messages of the day are used up until 00:00 on 15 March.",
        ),
        (
            PhoneFacts { country_cap_until: Some(time("18:30:00")), ..refused(Budget::Country) },
            "country_cap_reached",
            "The messages of the day to this country (IN) are used up until 00:00 on 15 March.",
        ),
    ]);
}

#[test]
fn a_limit_that_is_over_refuses_nothing() {
    let over = |budget| happened(What::Refused(budget, Some(time("04:44:59"))));
    let earlier = "The last request was refused at 10:10:00. What refused it is over.";
    check(vec![
        (over(Budget::AddressRequests), "refused_earlier", earlier),
        // Staff unlocked the phone, or opened its prefix.
        (refused(Budget::PhoneGuesses), "refused_earlier", earlier),
        (refused(Budget::PhoneGuessesFromAddress), "refused_earlier", earlier),
        (refused(Budget::Prefix), "refused_earlier", earlier),
        (happened(What::Excluded), "refused_earlier", earlier),
        (
            PhoneFacts { messages: delivered().messages, code: delivered().code, ..over(Budget::Cooldown) },
            "delivered_not_entered",
            DELIVERED,
        ),
    ]);
}

#[test]
fn what_refuses_the_next_code_counts_only_if_the_user_needs_one() {
    let closed = |facts| PhoneFacts { prefix: Some(closed()), ..facts };
    for (facts, code) in [
        (closed(unknown()), "prefix_closed"),
        (closed(delivered()), "delivered_not_entered"),
        (closed(with_code(CodeFacts { expires_at: time("04:44:00"), ..code() })), "prefix_closed"),
        (closed(with_code(CodeFacts { attempts: 3, ..code() })), "prefix_closed"),
        (closed(happened(What::SignedIn)), "verified"),
        (closed(happened(What::Excluded)), "prefix_closed"),
        (PhoneFacts { day_cap_until: Some(time("18:30:00")), ..unknown() }, "day_cap_reached"),
        (PhoneFacts { deleted_until: Some(time("04:50:00")), ..unknown() }, "recently_deleted"),
    ] {
        assert_eq!(judge(&facts).code, code, "{facts:#?}");
    }
}

#[test]
fn a_message_that_is_newer_than_anything_else_decides() {
    let earlier = Happened { at: time("04:32:00"), what: What::SignedIn, address: None };
    let facts = PhoneFacts { last: Some(earlier), ..delivered() };
    assert_eq!(judge(&facts).code, "delivered_not_entered");
    let later = Happened { at: time("04:32:08"), what: What::SignedIn, address: None };
    assert_eq!(judge(&PhoneFacts { last: Some(later), ..delivered() }).code, "verified");
}
