//! What events say, and how long they are sent again.

use chrono::TimeZone as _;

use super::*;

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 28, 10, 0, 0).single().unwrap()
}

fn phone() -> PhoneNumber {
    PhoneNumber::from_e164("+916205829376").unwrap()
}

fn stored(fact: &Fact<'_>, subject: Subject, include_phone: bool) -> StoredEvent {
    let event = NewEvent::new(Uuid::nil(), subject, fact, include_phone);
    StoredEvent {
        position: 1,
        id: event.id,
        kind: event.kind.to_owned(),
        subject,
        data: event.data,
        created_at: now(),
        attempts: 0,
        next_attempt_at: Some(now()),
        retry_until: now() + RETRIED_FOR,
        died_at: None,
        last_error: None,
    }
}

#[test]
fn a_payload_has_the_ids_of_its_columns_and_phones_only_where_they_are_included() {
    let (id, phone) = (Uuid::from_u128(7), phone());
    let fact = Fact::UserCreated { by: CreatedBy::Code, role: Role::User, phone: Some(&phone) };
    assert_eq!(
        stored(&fact, Subject::user(id), false).payload(),
        json!({
            "type": "user.created",
            "timestamp": "2026-11-28T10:00:00.000000+00:00",
            "data": {"user_id": id, "created_by": "code", "role": "user"},
        })
    );
    let data = stored(&fact, Subject::user(id), true).data();
    assert_eq!(data["phone_number"], "+916205829376");
    let moved = Fact::PhoneChanged { phone: None, previous: Some(&phone) };
    assert_eq!(
        stored(&moved, Subject::user(id), true).data(),
        json!({"user_id": id, "phone_number": null, "previous_phone_number": "+916205829376"})
    );
}

#[test]
fn a_deleted_user_has_no_phone_in_any_setting() {
    let id = Uuid::from_u128(7);
    assert_eq!(stored(&Fact::Deleted, Subject::user(id), true).data(), json!({"user_id": id}));
}

#[test]
fn the_waits_grow_and_end_after_three_days() {
    let mut event = stored(&Fact::Deleted, Subject::default(), false);
    let (mut at, mut waits) = (now(), Vec::new());
    while let Some(next) = event.next_attempt(None, 0, at) {
        waits.push((next - at).num_seconds());
        at = next;
        event.attempts += 1;
    }
    assert_eq!(waits.get(..9), Some(&WAITS[..]));
    let last = waits.pop().unwrap();
    assert!(waits.is_sorted() && last <= 28_800, "{waits:?} {last}");
    assert_eq!(at - now(), RETRIED_FOR, "a receiver that is back after almost three days gets it");
}

#[test]
fn a_receiver_can_ask_for_a_longer_wait_up_to_an_hour() {
    let event = stored(&Fact::Deleted, Subject::default(), false);
    let wait = |asked| event.next_attempt(asked, 0, now()).unwrap() - now();
    assert_eq!(wait(None), Duration::seconds(5));
    assert_eq!(wait(Some(Duration::seconds(2))), Duration::seconds(5));
    assert_eq!(wait(Some(Duration::seconds(90))), Duration::seconds(90));
    assert_eq!(wait(Some(Duration::days(9))), Duration::hours(1));
    assert_eq!(event.next_attempt(None, 255, now()).unwrap() - now(), Duration::milliseconds(5_500));
}
