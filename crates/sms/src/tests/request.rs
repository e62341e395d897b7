//! The requests to Twilio.

use super::*;

const REPORTS: &str = "https://auth.example.com/api/twilio/status";
/// With the message in it.
const ADDRESS: &str =
    "https://auth.example.com/api/twilio/status?delivery_id=00000000-0000-0000-0000-00000000000d&attempt=2";
const TEMPLATE: &str = "HX11111111111111111111111111111111";
const HINDI: &str = "HX22222222222222222222222222222222";

fn fields(request: &wiremock::Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

/// The form of the only request.
async fn form(server: &MockServer) -> Vec<(String, String)> {
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    fields(&requests[0])
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

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
    let senders = Senders::everywhere(Sender::MessagingService(SERVICE.into()));
    sms(TwilioSettings { senders, ..settings(&server.uri()) }).send(&message()).await.unwrap();
    let body = message().text.body;
    assert_eq!(
        form(&server).await,
        pairs(&[
            ("To", PHONE),
            ("MessagingServiceSid", SERVICE),
            ("Body", body.expose_secret()),
            ("ValidityPeriod", "599"),
        ])
    );
}

#[tokio::test]
async fn an_alphanumeric_sender_reports_and_risk_check_are_told_when_they_are_set() {
    for (risk_check, word) in [(RiskCheck::Enable, "enable"), (RiskCheck::Disable, "disable")] {
        let server = stub(created("accepted", Value::Null)).await;
        let settings = TwilioSettings {
            senders: Senders::everywhere(Sender::Alphanumeric("Loopin & Co".into())),
            status_callback: Some(Url::parse(REPORTS).unwrap()),
            risk_check: Some(risk_check),
            ..settings(&server.uri())
        };
        sms(settings).send(&message()).await.unwrap();
        let body = message().text.body;
        assert_eq!(
            form(&server).await,
            pairs(&[
                ("To", PHONE),
                ("From", "Loopin & Co"),
                ("Body", body.expose_secret()),
                ("ValidityPeriod", "599"),
                ("StatusCallback", ADDRESS),
                ("RiskCheck", word),
            ])
        );
    }
}

#[tokio::test]
async fn each_country_hears_from_its_own_sender_and_one_without_is_not_served() {
    let server = stub(created("queued", Value::Null)).await;
    let senders = Senders::parse(&format!("IN={SERVICE},US=+15005550006")).unwrap();
    let sms = sms(TwilioSettings { senders, ..settings(&server.uri()) });
    sms.send(&message()).await.unwrap();
    sms.send(&message_to("+12025550123", 2)).await.unwrap();
    let reason = UnreachableReason::RegionNotAllowed;
    assert_eq!(
        sms.send(&message_to("+447911123456", 3)).await,
        Err(SendError::Unreachable { reason, provider_code: None })
    );
    let requests = server.received_requests().await.unwrap();
    let senders: Vec<_> = requests.iter().map(|request| fields(request)[1].clone()).collect();
    assert_eq!(senders, pairs(&[("MessagingServiceSid", SERVICE), ("From", "+15005550006")]));
}

#[tokio::test]
async fn an_api_key_asks_in_the_accounts_name() {
    let server = stub(created("queued", Value::Null)).await;
    let key = Credentials { user: "SKeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee".into(), password: "hush".into() };
    sms(TwilioSettings { credentials: key, ..settings(&server.uri()) }).send(&message()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), format!("/2010-04-01/Accounts/{SID}/Messages.json"));
    assert_eq!(
        requests[0].headers["authorization"],
        "Basic U0tlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZTpodXNo"
    );
}

fn by_whatsapp(base: &str, sender: Sender) -> TwilioSettings {
    let content = WhatsApp::parse_content(&format!("en={TEMPLATE},hi={HINDI}")).unwrap();
    TwilioSettings { whatsapp: Some(WhatsApp { sender, content }), ..settings(base) }
}

#[tokio::test]
async fn whatsapp_gets_the_template_of_the_language_with_the_code_in_it_and_no_text() {
    let to = format!("whatsapp:{PHONE}");
    let variables = format!(r#"{{"1":"{CODE}"}}"#);
    for (sender, language, from, template) in [
        (Sender::Number("+15005550006".into()), "en", ("From", "whatsapp:+15005550006"), TEMPLATE),
        (Sender::MessagingService(SERVICE.into()), "hi-IN", ("MessagingServiceSid", SERVICE), HINDI),
    ] {
        let server = stub(created("queued", Value::Null)).await;
        let settings = TwilioSettings {
            status_callback: Some(Url::parse(REPORTS).unwrap()),
            risk_check: Some(RiskCheck::Enable),
            ..by_whatsapp(&server.uri(), sender)
        };
        let text = Text { language: language.to_owned(), ..message().text };
        let message = Message { channel: Channel::WhatsApp, text, ..message() };
        sms(settings).send(&message).await.unwrap();
        assert_eq!(
            form(&server).await,
            pairs(&[
                ("To", &to),
                from,
                ("ContentSid", template),
                ("ContentVariables", &variables),
                ("ValidityPeriod", "599"),
                ("StatusCallback", ADDRESS),
            ])
        );
    }
}

fn call(body: &str) -> Message {
    let text = Text { language: "hi".to_owned(), voice: "hi-IN".to_owned(), body: body.into(), dlt: None };
    Message { channel: Channel::Call, text, otp_code: Some("1097".into()), ..message() }
}

fn by_call(base: &str) -> TwilioSettings {
    TwilioSettings { voice_number: Some("+15005550006".to_owned()), ..settings(base) }
}

#[tokio::test]
async fn a_call_reads_the_digits_slowly_and_twice() {
    let server = stub(created("queued", Value::Null)).await;
    let settings =
        TwilioSettings { status_callback: Some(Url::parse(REPORTS).unwrap()), ..by_call(&server.uri()) };
    let message = call("Your <Café & Co> code is: 1, 0, 9, 7. It's good for 10 minutes.");
    sms(settings).send(&message).await.unwrap();

    let digits = ["1", "0", "9", "7"]
        .map(|digit| format!(r#"<Say language="hi-IN">{digit}</Say><Pause length="1"/>"#))
        .concat();
    let once = format!(
        r#"<Say language="hi-IN">Your &lt;Café &amp; Co&gt; code is:</Say>{digits}<Say language="hi-IN">It&apos;s good for 10 minutes.</Say>"#
    );
    let twiml = format!(r#"<Response>{once}<Pause length="1"/>{once}</Response>"#);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), format!("/2010-04-01/Accounts/{SID}/Calls.json"));
    assert_eq!(
        form(&server).await,
        pairs(&[
            ("To", PHONE),
            ("From", "+15005550006"),
            ("Twiml", &twiml),
            ("StatusCallback", ADDRESS),
            ("StatusCallbackEvent", "initiated"),
            ("StatusCallbackEvent", "ringing"),
            ("StatusCallbackEvent", "answered"),
            ("StatusCallbackEvent", "completed"),
            ("Timeout", "20"),
        ])
    );
}

#[tokio::test]
async fn a_call_without_reports_names_no_events_and_words_without_the_code_are_followed_by_it() {
    let server = stub(created("queued", Value::Null)).await;
    sms(by_call(&server.uri())).send(&call("नमस्ते \u{8}।")).await.unwrap();
    let fields = form(&server).await;
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["To", "From", "Twiml", "Timeout"]);
    let twiml = &fields[2].1;
    assert!(
        twiml.starts_with(
            r#"<Response><Say language="hi-IN">नमस्ते  ।</Say><Say language="hi-IN">1</Say><Pause length="1"/>"#
        ),
        "{twiml}"
    );
}

#[tokio::test]
async fn a_call_that_is_too_long_for_twilio_is_ours_to_mend() {
    let server = stub(created("queued", Value::Null)).await;
    let sms = sms(by_call(&server.uri()));
    let rejected = Err(SendError::Rejected { provider_code: None, http_status: None });
    // 4,000 characters of TwiML have room for about 3,400 of text, which is said twice.
    for (length, is_taken) in [(1_700, true), (1_900, false)] {
        let result = sms.send(&call(&format!("{} 1, 0, 9, 7", "ए".repeat(length)))).await;
        assert_eq!(result.is_ok(), is_taken, "{length}");
        assert!(is_taken || result == rejected, "{result:?}");
    }
    let twiml = form(&server).await[2].1.chars().count();
    assert!((3_500..=4_000).contains(&twiml), "{twiml}");
}

#[tokio::test]
async fn a_channel_that_is_not_set_up_is_ours_to_mend_and_twilio_is_not_asked() {
    let server = stub(created("queued", Value::Null)).await;
    let empty = WhatsApp { sender: Sender::Number("+15005550006".into()), content: Vec::new() };
    for (channel, whatsapp) in
        [(Channel::WhatsApp, None), (Channel::WhatsApp, Some(empty)), (Channel::Call, None)]
    {
        let sms = sms(TwilioSettings { whatsapp, ..settings(&server.uri()) });
        let error = sms.send(&Message { channel, ..message() }).await.unwrap_err();
        assert_eq!(error, SendError::Rejected { provider_code: None, http_status: None });
        assert!(explain(Provider::Twilio, &error).contains("TWILIO_"));
    }
    assert_eq!(count(&server).await, 0);
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
        assert!(matches!(Twilio::new(settings(base), Clock::System), Err(SetupError::BaseUrl(_))), "{base}");
    }
}
