//! What Twilio is asked.

use super::*;

#[tokio::test]
async fn the_form_is_exact() {
    let server = stub(created("queued", Value::Null)).await;
    sms(settings(&server.uri())).send(&message()).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    let request = &requests[0];
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!(request.url.path(), format!("/2010-04-01/Accounts/{SID}/Messages.json"));
    assert_eq!(request.url.query(), None);
    assert_eq!(request.headers["authorization"], BASIC);
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(
        String::from_utf8_lossy(&request.body),
        "To=%2B919876543210&From=%2B15005550006\
         &Body=Your+Caf%C3%A9+%26+Co+verification+code+is%3A+48213097.+50%25+%3D+done%3F&ValidityPeriod=599"
    );
}

#[tokio::test]
async fn a_messaging_service_takes_the_place_of_the_number() {
    let server = stub(created("accepted", Value::Null)).await;
    let settings =
        TwilioSettings { sender: Sender::MessagingService(SERVICE.into()), ..settings(&server.uri()) };
    sms(settings).send(&message()).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    let body = String::from_utf8_lossy(&requests[0].body);
    assert!(body.starts_with(&format!("To=%2B919876543210&MessagingServiceSid={SERVICE}&Body=")), "{body}");
    assert!(!body.contains("From="), "{body}");
}

#[tokio::test]
async fn the_validity_stays_within_what_twilio_takes() {
    let server = stub(created("queued", Value::Null)).await;
    let sms = sms(settings(&server.uri()));
    for (valid_for, expected) in
        [(Duration::ZERO, 1), (Duration::from_mins(10), 600), (Duration::from_hours(24), 36_000)]
    {
        sms.send(&Message { valid_for, ..message() }).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        let body = String::from_utf8_lossy(&requests.last().unwrap().body).into_owned();
        assert!(body.ends_with(&format!("&ValidityPeriod={expected}")), "{body}");
    }
}

#[tokio::test]
async fn a_path_in_the_base_url_is_kept() {
    for base in ["/stub", "/stub/", "/stub/?a=b#c"] {
        let server = stub(created("queued", Value::Null)).await;
        sms(settings(&format!("{}{base}", server.uri()))).send(&message()).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), format!("/stub/2010-04-01/Accounts/{SID}/Messages.json"));
    }
}

#[test]
fn a_base_url_that_cannot_be_posted_to_is_refused_at_start() {
    for base in
        ["ftp://api.twilio.com", "mailto:a@b.example", "https://user@api.twilio.com", "https://:pw@a.example"]
    {
        assert!(matches!(Twilio::new(settings(base)), Err(SetupError::BaseUrl)), "{base}");
    }
}
