//! `loopin-auth sms test`: one real message, and what the provider said.

use serde_json::json;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::{
    doctor::{SID, TOKEN, account},
    server::{Folder, Said, free_port, run},
    support::PHONE,
};

async fn twilio(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::method("POST")).respond_with(answer).mount(&server).await;
    server
}

fn refused(status: u16, code: u32) -> ResponseTemplate {
    let message = format!("The 'To' number {PHONE} of {SID} is not good");
    ResponseTemplate::new(status).set_body_json(json!({"code": code, "message": message, "status": status}))
}

fn field(request: &Request, name: &str) -> Option<String> {
    let mut fields = url::form_urlencoded::parse(&request.body);
    fields.find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
}

#[track_caller]
fn said_so(said: &Said, code: i32, sentences: &[&str]) {
    assert_eq!(said.status.code(), Some(code), "{}{}", said.out, said.err);
    for sentence in sentences {
        assert!(said.out.contains(sentence), "{sentence:?} is not in:\n{}{}", said.out, said.err);
    }
    for secret in [TOKEN, PHONE] {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{}{}", said.out, said.err);
    }
}

#[test]
fn in_test_mode_nothing_goes_out_and_what_would_is_shown() {
    let folder = Folder::new();
    let said = run(&folder, &["sms", "test", PHONE], &[]);
    said_so(&said, 0, &["nothing goes out", "sms to +91******", "Loopin", "taken by the test inbox"]);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "no database is needed");
    // A number that is written as at home, in another language.
    let said = run(&folder, &["sms", "test", "062058 29376", "--language", "hi-IN"], &[]);
    said_so(&said, 0, &["sms to +91******9376 in hi", "कोड"]);
    let said = run(&folder, &["sms", "test", PHONE, "--language", "xx"], &[]);
    said_so(
        &said,
        1,
        &["nothing was sent", "no text in the language \"xx\"", "there are en, hi", "SMS_TEXTS_DIR"],
    );
    // A way that is off is told, and tried.
    let said = run(&folder, &["sms", "test", PHONE, "--channel", "call"], &[]);
    said_so(&said, 0, &["call to", "OTP_CHANNELS does not have call"]);
    let said = run(&folder, &["sms", "test", PHONE, "--channel", "call"], &[("OTP_CHANNELS", "call")]);
    assert!(!said.out.contains("OTP_CHANNELS"), "{}", said.out);
}

#[test]
fn what_is_no_phone_or_no_channel_is_said() {
    let said = run(&Folder::new(), &["sms", "test", "12"], &[]);
    said_so(&said, 1, &["nothing was sent", "Phone number"]);
    let said = run(&Folder::new(), &["sms", "test", PHONE, "--channel", "pigeon"], &[]);
    assert_eq!(said.status.code(), Some(2));
    assert!(said.err.contains("must be sms, whatsapp or call"), "{}", said.err);
    let said = run(&Folder::new(), &["sms", "test", PHONE], &[("TWILIO_TEST_MODE", "false")]);
    said_so(&said, 1, &["nothing was sent"]);
    assert!(said.err.contains("TWILIO_ACCOUNT_SID must be set"), "{}", said.err);
}

#[test]
fn the_magic_numbers_of_test_mode_are_refused() {
    let said = run(&Folder::new(), &["sms", "test", "+15005550001"], &[]);
    said_so(&said, 1, &["not taken", "21211"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_taken_is_told_with_its_id() {
    let id = "SM0123456789abcdef0123456789abcdef";
    let answer = json!({
        "sid": id, "status": "queued", "error_code": null, "num_segments": "1",
        "price": "-0.00750", "price_unit": "USD",
    });
    let twilio = twilio(ResponseTemplate::new(201).set_body_json(answer)).await;
    let url = twilio.uri();
    let folder = Folder::new();
    // What is wrong with other settings is told and stops nothing.
    let settings =
        [account(&url), vec![("OTP_LENGTH", "99"), ("PUBLIC_BASE_URL", "https://auth.example.com")]].concat();
    let said = run(&folder, &["sms", "test", PHONE], &settings);
    said_so(&said, 0, &["taken by Twilio, status queued", id, "1 segment", "-0.00750 USD", "not delivered"]);
    assert!(said.err.contains("OTP_LENGTH"), "{}", said.err);

    let requests = twilio.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!(request.url.path(), format!("/2010-04-01/Accounts/{SID}/Messages.json"));
    assert_eq!(field(request, "To").as_deref(), Some(PHONE));
    assert_eq!(field(request, "From").as_deref(), Some("+15005550006"));
    let body = field(request, "Body").unwrap();
    let code: String = body.chars().filter(char::is_ascii_digit).take(4).collect();
    assert_eq!(code.len(), 4, "{body}");
    assert!(!said.out.contains(&body), "the text goes to the phone: {}", said.out);
    assert_eq!(field(request, "StatusCallback"), None, "no server waits for its reports");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_twilio_refuses_is_told_in_our_words_with_its_code() {
    for (answer, sentences) in [
        (refused(400, 21211), &["not taken by Twilio", "21211"][..]),
        (refused(401, 20003), &["not taken by Twilio", "20003", "TWILIO_ACCOUNT_SID"]),
    ] {
        let twilio = twilio(answer).await;
        let said = run(&Folder::new(), &["sms", "test", PHONE], &account(&twilio.uri()));
        said_so(&said, 1, sentences);
        assert!(!said.out.contains("is not good") && !said.out.contains(SID), "{}", said.out);
    }
}

#[test]
fn a_way_that_lacks_its_settings_names_them() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let settings = [account(&nobody), vec![("TWILIO_PHONE_NUMBER", "Loopin")]].concat();
    for (channel, name) in [("whatsapp", "TWILIO_WHATSAPP_SENDER"), ("call", "TWILIO_VOICE_NUMBER")] {
        let said = run(&Folder::new(), &["sms", "test", PHONE, "--channel", channel], &settings);
        said_so(&said, 1, &["nothing was sent", name]);
    }
    let settings =
        [account(&nobody), vec![("TWILIO_PHONE_NUMBER", ""), ("TWILIO_SENDERS", "US=+15005550006")]];
    let said = run(&Folder::new(), &["sms", "test", PHONE], &settings.concat());
    said_so(&said, 1, &["not taken", "TWILIO_SENDERS"]);
}

#[test]
fn a_twilio_that_is_down_is_told() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let said = run(&Folder::new(), &["sms", "test", PHONE], &account(&nobody));
    said_so(&said, 1, &["not taken by Twilio", "no connection"]);
}
