//! What the timeline says about entries of the audit log and about blocks.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::*;
use crate::{
    audit::{Actor, Detail},
    phone::PhoneNumber,
};

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-14T09:00:00Z").unwrap().to_utc()
}

fn entry(number: u128, action: Action, actor: Actor, detail: &str) -> Entry {
    Entry {
        id: Uuid::from_u128(number),
        at: now(),
        action: action.as_str().into(),
        actor_kind: actor.kind().into(),
        actor_id: actor.id(),
        user_id: None,
        phone_mark: None,
        phone_masked: None,
        address: None,
        detail: Detail::parse(detail).unwrap(),
    }
}

fn texts(mut entries: Vec<Entry>) -> Vec<String> {
    entries.reverse();
    of_audit(&entries).into_iter().rev().map(|line| line.text).collect()
}

#[test]
fn a_code_that_staff_ask_for_is_one_line_with_its_outcome() {
    let staff = Actor::Staff(Uuid::from_u128(7));
    let asked = |number| entry(number, Action::CodeResentByStaff, staff, "{}");
    let refused = |number, actor, detail| entry(number, Action::CodeRefused, actor, detail);
    let cooldown = r#"{"purpose": "sign_in", "budget": "cooldown"}"#;
    for (entries, lines) in [
        (vec![asked(1)], vec!["Staff asked for a code to be sent."]),
        (vec![asked(1), entry(2, Action::CodeSent, staff, "{}")], vec!["Staff had a code sent."]),
        (
            vec![asked(1), entry(2, Action::CodeNotSent, staff, "{}")],
            vec!["Staff wanted to send a code. The provider did not take it."],
        ),
        (
            vec![asked(1), refused(2, staff, cooldown)],
            vec!["Staff wanted to send a code. It was refused: the last one was a moment ago."],
        ),
        (
            vec![asked(1), refused(2, staff, r#"{"reason": "blocked", "block": "x"}"#)],
            vec!["Staff wanted to send a code. It was refused: staff had blocked the number or the network."],
        ),
        // One provider refused it, and the next one took it.
        (
            vec![
                asked(1),
                entry(2, Action::CodeNotSent, staff, r#"{"delivery_id": "d"}"#),
                entry(3, Action::CodeSent, staff, r#"{"delivery_id": "d"}"#),
            ],
            vec!["Staff had a code sent."],
        ),
        // Of another member of staff, of the user, or about another purpose.
        (
            vec![asked(1), refused(2, Actor::Person(None), cooldown)],
            vec!["Staff asked for a code to be sent.", "No code was sent: the last one was a moment ago."],
        ),
        (
            vec![asked(1), entry(2, Action::CodeSent, staff, r#"{"purpose": "move_phone"}"#)],
            vec!["Staff asked for a code to be sent."],
        ),
        // Two entries about one outcome make one line.
        (
            vec![asked(1), entry(2, Action::CodeSent, staff, "{}"), asked(3), refused(4, staff, cooldown)],
            vec![
                "Staff had a code sent.",
                "Staff wanted to send a code. It was refused: the last one was a moment ago.",
            ],
        ),
    ] {
        assert_eq!(texts(entries), lines);
    }
}

#[test]
fn a_block_has_a_beginning_and_an_end() {
    let block = Block {
        id: Uuid::from_u128(1),
        target: Target::Phone(PhoneNumber::from_e164("+916205829376").unwrap()),
        reason: "a test".to_owned(),
        reference: None,
        made_by: Some(Uuid::from_u128(7)),
        made_at: now() - Duration::hours(2),
        ends_at: None,
        ended_at: None,
        ended_by: None,
    };
    let hour_ago = Some(now() - Duration::hours(1));
    let ended = Block { ended_at: hour_ago, ended_by: Some(Uuid::from_u128(8)), ..block.clone() };
    let expired = Block { ends_at: hour_ago, ..block.clone() };
    let marked = Block { ended_at: hour_ago, ..expired.clone() };
    let early = Block { ends_at: Some(now()), ..ended.clone() };
    let made = "Staff blocked this number.";
    for (block, lines) in [
        (block, vec![made]),
        (ended, vec![made, "Staff ended the block of this number."]),
        (expired, vec![made, "The block of this number ended by itself."]),
        (marked, vec![made, "The block of this number ended by itself."]),
        (early, vec![made, "Staff ended the block of this number."]),
    ] {
        let told: Vec<String> = of_block(&block, now()).into_iter().map(|line| line.text).collect();
        assert_eq!(told, lines);
    }
}

#[test]
fn a_lost_message_comes_before_the_one_that_follows_it_at_that_moment() {
    let lost_at = now() + Duration::seconds(5);
    let message = |number: u128, created_at, status| SentMessage {
        id: Uuid::from_u128(number),
        delivery_id: Uuid::from_u128(1),
        challenge_id: Some(Uuid::from_u128(1)),
        attempt: 1,
        channel: Channel::Sms,
        template: "otp".to_owned(),
        provider: "twilio".to_owned(),
        language: "en".to_owned(),
        platform: None,
        status,
        error_code: None,
        error_text: None,
        reason: None,
        created_at,
        updated_at: created_at,
        reached: vec![(status, lost_at)],
    };
    let facts = |message: &SentMessage| MessageFacts {
        channel: message.channel,
        provider: Some("Twilio"),
        status: message.status,
        at: message.updated_at,
        created_at: message.created_at,
        accepted_at: None,
        reason: None,
        cause: None,
        said: None,
        blame: None,
    };
    // Ids do not decide: they are random within a millisecond.
    let lost = message(9, now(), DeliveryStatus::Undelivered);
    let next = message(2, lost_at, DeliveryStatus::Queued);
    let entries =
        [&next, &lost].into_iter().flat_map(|message| of_message(message, &facts(message))).collect();
    let told: Vec<String> = newest_first(entries, 9).into_iter().rev().map(|entry| entry.text).collect();
    assert_eq!(
        told,
        [
            "A code was to be sent by SMS through Twilio.",
            "The SMS was not delivered: the carrier gave no reason.",
            "A code was to be sent by SMS through Twilio.",
            "Twilio accepted the SMS.",
        ]
    );
}
