//! The test inbox.

use super::*;

#[tokio::test]
async fn the_inbox_gives_the_newest_first_and_by_phone() {
    let sms = Sms::TestInbox(Inbox::default());
    for (phone, id) in [(PHONE, 1), ("+12025550123", 2), (PHONE, 3)] {
        let receipt = sms.send(&message_to(phone, id)).await.unwrap();
        assert_eq!(receipt, Receipt { provider_id: None, status: ReceiptStatus::Sent });
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
    assert_eq!((newest.channel, newest.otp_code.as_str()), ("sms", CODE));
    assert!(newest.body.contains(CODE));
    assert_eq!(newest.created_at, DateTime::UNIX_EPOCH);
}

#[test]
fn of_two_sent_at_once_the_one_made_later_is_newer_whichever_came_in_first() {
    let inbox = Inbox::default();
    for (id, seconds) in [(1, 10), (3, 30), (2, 20)] {
        let created_at = DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds);
        inbox.put(&Message { created_at, ..message_to(PHONE, id) });
    }
    let ids: Vec<u128> = inbox.list(None).iter().map(|message| message.id.as_u128()).collect();
    assert_eq!(ids, [3, 2, 1]);
}

#[test]
fn the_inbox_keeps_a_thousand() {
    let inbox = Inbox::default();
    for id in 0..1_100 {
        inbox.clone().put(&message_to(PHONE, id));
    }
    let kept = inbox.list(None);
    assert_eq!(kept.len(), 1_000);
    assert_eq!((kept[0].id.as_u128(), kept[999].id.as_u128()), (1_099, 100));
}

#[test]
fn the_provider_and_the_words_of_the_contract() {
    assert_eq!(sms(settings("https://api.twilio.com")).provider(), "twilio");
    assert!(sms(settings("https://api.twilio.com")).inbox().is_none());
    assert_eq!(Sms::TestInbox(Inbox::default()).provider(), "test_inbox");
    assert_eq!([ReceiptStatus::Queued.as_str(), ReceiptStatus::Sent.as_str()], ["queued", "sent"]);
}
