//! A row for each case: its facts, its code and its sentence.

mod messages;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;

use super::*;
use crate::{
    budget::{Budget, Spent},
    delivery::{Channel, DeliveryStatus, UnreachableReason},
};

const ADDRESS: &str = "203.0.113.7";

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
        status,
        at: time("04:32:09"),
        created_at: time("04:32:08"),
        accepted_at: Some(time("04:32:08")),
        reason: None,
        cause: None,
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
    check(vec![
        (
            PhoneFacts { block: block(Some(time("05:00:00"))), ..with_account() },
            "blocked_by_staff",
            "Staff blocked this number until 10:30.",
        ),
        (PhoneFacts { block: block(None), ..delivered() }, "blocked_by_staff", "Staff blocked this number."),
        (
            PhoneFacts { block: Some(StaffBlock { part: BlockedPart::Prefix, until: None }), ..unknown() },
            "blocked_by_staff",
            "Staff blocked all numbers that begin like this one.",
        ),
        (
            PhoneFacts { block: Some(StaffBlock { part: BlockedPart::Country, until: None }), ..unknown() },
            "blocked_by_staff",
            "Staff blocked all numbers of this country.",
        ),
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
            "Delivered at 10:02:09, and no code was entered since.",
        ),
    ]);
}

#[test]
fn other_things_that_happened_last() {
    let deleted = PhoneFacts { deleted_until: Some(time("04:45:09.5")), ..happened(What::AccountDeleted) };
    let unlinked = PhoneFacts { unlinked_at: Some(time("04:40:00")), ..happened(What::SignedIn) };
    let account = |facts: PhoneFacts| PhoneFacts { account: with_account().account, ..facts };
    check(vec![
        (
            happened(What::BotCheckMissing),
            "bot_check_missing",
            "The app was asked at 10:10:00 to prove that it is no bot, and has not done so.",
        ),
        (
            happened(What::BotCheckFailed),
            "bot_check_failed",
            "The bot check failed at 10:10:00, so no code was sent.",
        ),
        (
            happened(What::BotCheckUnavailable),
            "bot_check_unavailable",
            "The provider of the bot check did not answer at 10:10:00, so no code was sent.",
        ),
        (
            happened(What::NoAccount),
            "no_account",
            "The app tried to log in at 10:10:00, and this number has no account.",
        ),
        (
            PhoneFacts {
                account: Some(AccountFacts { is_active: true, is_stale: true }),
                ..happened(What::NoAccount)
            },
            "number_stale",
            "The account of this number was unused for so long that the number may belong to another person now.",
        ),
        (
            account(happened(What::AlreadyRegistered)),
            "already_registered",
            "The app tried to sign up at 10:10:00, and this number has an account already.",
        ),
        (
            happened(What::RightCodeNoAccount),
            "right_code_no_account",
            "The right code was entered at 10:10:00 to log in, and this number has no account.",
        ),
        (
            account(happened(What::WrongPassword)),
            "wrong_password",
            "A wrong password was entered at 10:10:00.",
        ),
        (
            account(unlinked),
            "unlinked",
            "The number was taken at 10:10:00 from an account that was unused for too long.",
        ),
        (account(happened(What::SignedIn)), "verified", "The right code was entered at 10:10:00."),
        (
            account(happened(What::SignedInByPassword)),
            "signed_in_by_password",
            "The user signed in with a password at 10:10:00.",
        ),
        (
            account(happened(What::VerifiedByHand)),
            "verified_by_hand",
            "Staff verified this number by hand at 10:10:00.",
        ),
        (
            account(happened(What::SignedOut)),
            "signed_out",
            "The user was signed out at 10:10:00: an old token of the app came back.",
        ),
        (
            account(happened(What::MovedHere)),
            "moved_here",
            "Staff moved an account to this number at 10:10:00, which ended all of its sessions.",
        ),
        (deleted, "recently_deleted", "The account was just deleted, so no new code is sent until 10:15:10."),
        (happened(What::AccountDeleted), "account_deleted", "The user deleted the account at 10:10:00."),
    ]);
}

#[test]
fn blocks_that_are_over() {
    let over = |part| Some(PastBlock { part, ended_at: time("04:44:00") });
    let id = Some(uuid::Uuid::nil());
    check(vec![
        (
            PhoneFacts { past_block: over(BlockedPart::Number), ..happened(What::Blocked(id)) },
            "block_over",
            "Staff blocked this number at 10:10:00, which ended its codes and sessions. The block ended at 10:14:00.",
        ),
        (
            happened(What::Blocked(id)),
            "block_over",
            "Staff blocked this number at 10:10:00, which ended its codes and sessions. The block is over.",
        ),
        (
            PhoneFacts { past_block: over(BlockedPart::Prefix), ..happened(What::RefusedByBlock(id)) },
            "refused_by_block",
            "The last request was refused at 10:10:00, because staff had blocked all numbers that begin like this \
             one. The block ended at 10:14:00.",
        ),
        (
            happened(What::RefusedByBlock(None)),
            "refused_by_block",
            "The last request was refused at 10:10:00, because staff had blocked the number or the network. The \
             block is over.",
        ),
    ]);
}

#[test]
fn an_account_that_moved_to_another_number() {
    let moved = |is_by_staff, is_deleted| MovedAway { at: time("04:40:00"), is_by_staff, is_deleted };
    let left = |what, moved| PhoneFacts { moved_away: Some(moved), ..happened(what) };
    let staff = "Staff moved the account of this number to another number at 10:10:00.";
    let user = "The user moved the account of this number to another number at 10:10:00.";
    check(vec![
        (left(What::MovedAway, moved(true, false)), "moved_away", staff),
        (left(What::MovedAway, moved(false, false)), "moved_away", user),
        // The app tries the old number: signing up there would open a second account.
        (left(What::NoAccount, moved(true, false)), "moved_away", staff),
        (left(What::RightCodeNoAccount, moved(true, false)), "moved_away", staff),
        (PhoneFacts { last: None, ..left(What::NoAccount, moved(true, false)) }, "moved_away", staff),
        (
            left(What::MovedAway, moved(false, true)),
            "moved_away",
            "The user moved the account of this number to another number at 10:10:00, and it was deleted since.",
        ),
        // Another account has the number since.
        (
            PhoneFacts { account: with_account().account, ..left(What::SignedIn, moved(true, false)) },
            "verified",
            "The right code was entered at 10:10:00.",
        ),
    ]);
    for (is_deleted, may) in [(false, false), (true, true)] {
        let case = judge(&left(What::MovedAway, moved(true, is_deleted))).case;
        assert_eq!((case.may_send(), case.may_verify()), (may, may), "{is_deleted}");
    }
}

#[test]
fn nothing_happened_lately() {
    let at = Some(now() - Duration::days(400));
    check(vec![
        (unknown(), "never_asked", "No code was ever requested for this number."),
        (
            PhoneFacts { last_asked_at: at, ..unknown() },
            "asked_long_ago",
            "The last code was requested on 7 February 2025 at 10:15:00. Its messages are no longer stored.",
        ),
        (with_account(), "account_ready", "This number has an account, and no code was requested lately."),
        (
            PhoneFacts { unlinked_at: at, ..unknown() },
            "unlinked",
            "The number was taken on 7 February 2025 at 10:15:00 from an account that was unused for too long.",
        ),
        (
            PhoneFacts { account: Some(AccountFacts { is_active: true, is_stale: true }), ..unknown() },
            "number_stale",
            "The account of this number was unused for so long that the number may belong to another person now.",
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
