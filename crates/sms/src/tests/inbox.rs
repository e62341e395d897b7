//! The test inbox.

use super::*;
use domain::delivery::DeliveryStatus::{self, Delivered, Queued, Sent, Undelivered};

/// A message created this many milliseconds after the start.
fn message_at(phone: &str, id: u128, channel: Channel, millis: i64) -> Message {
    Message {
        id: Uuid::from_u128(id),
        attempt: Attempt { delivery_id: Uuid::from_u128(id), number: 1 },
        to: PhoneNumber::from_e164(phone).unwrap(),
        channel,
        text: Text {
            language: "hi".to_owned(),
            voice: "hi-IN".to_owned(),
            body: format!("आपका कोड {CODE}").into(),
            dlt: None,
        },
        otp_code: Some(CODE.into()),
        valid_for: Duration::from_mins(10),
        created_at: at(millis),
    }
}

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::milliseconds(millis)
}

fn by_sms(phone: &str, id: u128) -> Message {
    message_at(phone, id, Channel::Sms, 0)
}

/// The reports due at this time: message id and status.
fn due(inbox: &Inbox, millis: i64) -> Vec<(u128, DeliveryStatus)> {
    let plain = |report: Report| match report.of {
        ReportOf::Message { id, delivery_id, .. } => {
            assert_eq!(delivery_id, id);
            (id.as_u128(), report.status)
        }
        ReportOf::Provider { .. } | ReportOf::Recipient { .. } => panic!("the inbox knows our ids"),
    };
    inbox.due(at(millis)).into_iter().map(plain).collect()
}

#[tokio::test]
async fn the_inbox_gives_the_newest_first_and_by_phone() {
    let sms = Sms::TestInbox(Inbox::default());
    for (phone, id) in [(PHONE, 1), ("+12025550123", 2), (PHONE, 3)] {
        let receipt = sms.send(&by_sms(phone, id)).await.unwrap();
        assert_eq!(receipt, Receipt { provider_id: None, status: Queued, segments: Some(1), price: None });
    }
    let inbox = sms.inbox().unwrap();
    let ids = |phone: Option<&str>| -> Vec<u128> {
        inbox
            .list(phone.and_then(PhoneNumber::from_e164).as_ref())
            .iter()
            .map(|message| message.id.as_u128())
            .collect()
    };
    assert_eq!(ids(None), [3, 2, 1]);
    assert_eq!(ids(Some(PHONE)), [3, 1]);
    assert!(ids(Some("+12025550199")).is_empty());

    let newest = &inbox.list(None)[0];
    assert_eq!(
        (newest.channel, newest.otp_code.as_deref(), newest.language.as_str()),
        (Channel::Sms, Some(CODE), "hi")
    );
    assert!(newest.body.contains(CODE));
    assert_eq!(newest.created_at, DateTime::UNIX_EPOCH);
}

#[test]
fn of_two_sent_at_once_the_one_made_later_is_newer_whichever_came_in_first() {
    let inbox = Inbox::default();
    for (id, seconds) in [(1, 10), (3, 30), (2, 20)] {
        inbox.send(&message_at(PHONE, id, Channel::Sms, seconds * 1_000)).unwrap();
    }
    let ids: Vec<u128> = inbox.list(None).iter().map(|message| message.id.as_u128()).collect();
    assert_eq!(ids, [3, 2, 1]);
}

#[test]
fn the_inbox_keeps_a_thousand_and_what_has_fallen_out_reports_no_more() {
    let inbox = Inbox::default();
    for id in 0..1_100 {
        inbox.clone().send(&by_sms(PHONE, id)).unwrap();
    }
    let kept = inbox.list(None);
    assert_eq!(kept.len(), 1_000);
    assert_eq!((kept[0].id.as_u128(), kept[999].id.as_u128()), (1_099, 100));
    let reports = due(&inbox, 60_000);
    assert_eq!(reports.len(), 2_000);
    assert!(reports.iter().all(|(id, _)| *id >= 100));
}

#[test]
fn a_report_comes_when_it_is_due_and_once() {
    let inbox = Inbox::default();
    inbox.send(&by_sms(PHONE, 1)).unwrap();
    for (millis, expected) in [
        (0, &[][..]),
        (299, &[]),
        (300, &[(1, Sent)]),
        (300, &[]),
        (999, &[]),
        (1_000, &[(1, Delivered)]),
        (1_000, &[]),
        (86_400_000, &[]),
    ] {
        assert_eq!(due(&inbox, millis), expected, "after {millis} ms");
    }
}

#[test]
fn reports_of_several_messages_come_in_the_order_of_their_times() {
    let inbox = Inbox::default();
    inbox.send(&message_at("+15005550010", 1, Channel::Sms, 0)).unwrap();
    inbox.send(&message_at("+15005550011", 2, Channel::Sms, 500)).unwrap();
    inbox.send(&message_at(PHONE, 3, Channel::Call, 400)).unwrap();
    assert_eq!(due(&inbox, 700), [(3, Sent)]);
    assert_eq!(due(&inbox, 60_000), [(2, Sent), (3, Delivered), (2, Undelivered), (1, Sent), (1, Delivered)]);
}

#[test]
fn every_number_plays_what_it_is_there_for() {
    let arrives = &[(0, Queued), (300, Sent), (1_000, Delivered)][..];
    let slow = &[(0, Queued), (20_000, Sent), (30_000, Delivered)][..];
    let comes_back = &[(0, Queued), (300, Sent), (3_000, Undelivered)][..];
    for (phone, channel, expected) in [
        (PHONE, Channel::Sms, arrives),
        (PHONE, Channel::WhatsApp, arrives),
        (PHONE, Channel::Call, arrives),
        ("+15005550006", Channel::Sms, arrives),
        ("+15005550010", Channel::Sms, slow),
        ("+15005550010", Channel::Call, slow),
        ("+15005550011", Channel::Sms, comes_back),
        ("+15005550011", Channel::WhatsApp, arrives),
        ("+15005550011", Channel::Call, arrives),
    ] {
        let inbox = Inbox::default();
        let receipt = inbox.send(&message_at(phone, 1, channel, 5)).unwrap();
        assert_eq!(receipt.segments, (channel == Channel::Sms).then_some(1));
        let message = &inbox.list(None)[0];
        let seen: Vec<_> = message
            .happened(at(60_005))
            .map(|step| ((step.at - at(5)).num_milliseconds(), step.status))
            .collect();
        assert_eq!(seen, expected, "{phone} {channel:?}");
        for (position, (millis, status)) in expected.iter().enumerate() {
            let now = at(5 + millis);
            assert_eq!(message.happened(now).count(), position + 1);
            assert_eq!(message.status(now), *status);
        }
        assert_eq!((message.happened(at(0)).count(), message.status(at(0))), (0, Queued));
        let codes: Vec<_> = inbox.due(at(60_005)).into_iter().map(|it| (it.error_code, it.reason)).collect();
        let last = (Some(30_005), Some(UnreachableReason::Invalid));
        let last = if expected == comes_back { last } else { (None, None) };
        assert_eq!(codes, [(None, None), last]);
    }
}

#[test]
fn the_magic_numbers_fail_as_twilios_do() {
    let theirs = |reason, code| SendError::Unreachable { reason, provider_code: Some(code) };
    for (phone, expected) in [
        ("+15005550001", theirs(UnreachableReason::Invalid, 21_211)),
        ("+15005550002", theirs(UnreachableReason::RegionNotAllowed, 21_612)),
        ("+15005550003", theirs(UnreachableReason::RegionNotAllowed, 21_408)),
        ("+15005550004", theirs(UnreachableReason::OptedOut, 21_610)),
        ("+15005550009", theirs(UnreachableReason::NotMobile, 21_614)),
        ("+15005550012", unavailable(Outcome::NotSent)),
        ("+15005550013", SendError::Rejected { provider_code: Some(20_003), http_status: Some(401) }),
    ] {
        let inbox = Inbox::default();
        let is_of_sms = ["+15005550004", "+15005550009"].contains(&phone);
        for channel in Channel::ALL {
            let sent = inbox.send(&message_at(phone, 1, channel, 0));
            if channel == Channel::Sms || !is_of_sms {
                assert_eq!(sent, Err(expected.clone()), "{phone} {channel:?}");
            } else {
                // Apps offer these channels after the SMS was refused.
                assert!(sent.is_ok(), "{phone} {channel:?}");
            }
        }
        let sent = if is_of_sms { 2 } else { 0 };
        assert_eq!(inbox.list(None).len(), sent, "what is refused was never sent");
        assert_eq!(inbox.due(at(60_000)).is_empty(), !is_of_sms);
    }
}

/// A typed magic number must reach the inbox.
#[test]
fn a_client_can_name_every_one_of_these_numbers() {
    let region = "IN".parse().unwrap();
    for last in ["01", "02", "03", "04", "06", "09", "10", "11", "12", "13"] {
        let phone = format!("+150055500{last}");
        assert_eq!(PhoneNumber::parse(&phone, region).unwrap().full(), phone);
    }
}

#[test]
fn a_long_text_has_its_segments_counted() {
    let long = Text { body: "क".repeat(71).into(), ..by_sms(PHONE, 1).text };
    let receipt = Inbox::default().send(&Message { text: long, ..by_sms(PHONE, 1) }).unwrap();
    assert_eq!(receipt.segments, Some(2));
}

#[test]
fn the_words_and_the_code_are_not_in_its_debug() {
    let inbox = Inbox::default();
    inbox.send(&by_sms(PHONE, 1)).unwrap();
    let shown = format!("{inbox:?} {:?}", inbox.list(None));
    assert!(!shown.contains(CODE) && !shown.contains("कोड") && !shown.contains(PHONE), "{shown}");
}

#[test]
fn the_provider_and_its_inbox() {
    let twilio = sms(settings("https://api.twilio.com"));
    assert_eq!((twilio.provider(), twilio.inbox().is_none()), (Provider::Twilio, true));
    let inbox = Sms::TestInbox(Inbox::default());
    assert_eq!((inbox.provider(), inbox.inbox().is_some()), (Provider::TestInbox, true));
}
