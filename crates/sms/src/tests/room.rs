//! Which provider sends a message.

use super::*;

fn room(list: &str, providers: Vec<Sms>) -> Room {
    Room::new(Routes::parse(list).unwrap(), providers)
}

async fn msg91(server: &MockServer) -> Sms {
    let settings = Msg91Settings {
        auth_key: "key".into(),
        templates: ByLanguage::parse("template").unwrap(),
        variable: "otp".to_owned(),
        api_base_url: Url::parse(&server.uri()).unwrap(),
        limits: Limits::default(),
    };
    Sms::Msg91(Box::new(Msg91::new(settings, Clock::fixed(DateTime::UNIX_EPOCH)).unwrap()))
}

#[tokio::test]
async fn the_first_provider_of_the_country_that_carries_the_message_sends_it() {
    let (msg91_stub, twilio_stub) = (
        stub(ResponseTemplate::new(200).set_body_json(json!({ "type": "success", "message": "1" }))).await,
        stub(created("queued", Value::Null)).await,
    );
    let room =
        room("IN=msg91,twilio;US=twilio", vec![sms(settings(&twilio_stub.uri())), msg91(&msg91_stub).await]);
    let counts = async || (count(&msg91_stub).await, count(&twilio_stub).await);
    let send = async |message: Message| {
        let kind = Kind { channel: message.channel, has_code: message.otp_code.is_some() };
        let first = room.order_for(&message.to, kind).first().copied();
        room.send_by(first, &message, Turn::alone()).await.map_err(|unsent| unsent.error)
    };
    let indian = PhoneNumber::from_e164(PHONE).unwrap();
    let order = room.order_for(&indian, Kind::code_by(Channel::Sms));
    assert_eq!(order, [Provider::Msg91, Provider::Twilio]);
    send(message()).await.unwrap();
    assert_eq!(counts().await, (1, 0));
    // A notice has no template at MSG91, and no settings allow WhatsApp.
    assert_eq!(room.order_for(&indian, Kind::notice()), [Provider::Twilio]);
    assert_eq!(room.order_for(&indian, Kind::code_by(Channel::WhatsApp)), []);
    send(Message { otp_code: None, ..message() }).await.unwrap();
    send(message_to("+12025550100", 2)).await.unwrap();
    assert_eq!(counts().await, (1, 2));
    // A country without a list.
    let error = send(message_to("+447400123456", 3)).await.unwrap_err();
    let reason = UnreachableReason::RegionNotAllowed;
    assert_eq!(error, SendError::Unreachable { reason, provider_code: None });
    assert_eq!(counts().await, (1, 2));
}

#[tokio::test]
async fn test_mode_takes_everything() {
    let room = Room::test_inbox(Inbox::default());
    assert_eq!(room.order_for(&message().to, Kind::notice()), [Provider::TestInbox]);
    room.send_by(Some(Provider::TestInbox), &message(), Turn::alone()).await.unwrap();
    assert_eq!(room.inbox().unwrap().list(None).len(), 1);
}
