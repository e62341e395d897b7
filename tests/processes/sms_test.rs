//! `loopin-auth sms test`: sends one real message, and prints the answer of the provider.

use serde_json::json;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::{
    doctor::{SID, TOKEN, account},
    server::{CommandOutput, Folder, free_port, run},
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
fn assert_output(output: &CommandOutput, code: i32, sentences: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}{}", output.out, output.err);
    for sentence in sentences {
        assert!(output.out.contains(sentence), "{sentence:?} is not in:\n{}{}", output.out, output.err);
    }
    for secret in [TOKEN, PHONE] {
        assert!(!output.out.contains(secret) && !output.err.contains(secret), "{}{}", output.out, output.err);
    }
}

#[test]
fn in_test_mode_nothing_goes_out_and_what_would_is_shown() {
    let folder = Folder::new();
    let output = run(&folder, &["sms", "test", PHONE], &[]);
    assert_output(&output, 0, &["nothing goes out", "sms to +91******", "Loopin", "taken by the test inbox"]);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "no database is needed");
    // A number in national format, and another language.
    let output = run(&folder, &["sms", "test", "062058 29376", "--language", "hi-IN"], &[]);
    assert_output(&output, 0, &["sms to +91******9376 in hi", "कोड"]);
    let output = run(&folder, &["sms", "test", PHONE, "--language", "xx"], &[]);
    assert_output(
        &output,
        1,
        &["nothing was sent", "no text in the language \"xx\"", "there are en, hi", "SMS_TEXTS_DIR"],
    );
    // A channel that is off gets a warning, and is tried.
    let output = run(&folder, &["sms", "test", PHONE, "--channel", "call"], &[]);
    assert_output(&output, 0, &["call to", "OTP_CHANNELS does not have call"]);
    let output = run(&folder, &["sms", "test", PHONE, "--channel", "call"], &[("OTP_CHANNELS", "call")]);
    assert!(!output.out.contains("OTP_CHANNELS"), "{}", output.out);
}

#[test]
fn what_is_no_phone_or_no_channel_is_said() {
    let output = run(&Folder::new(), &["sms", "test", "12"], &[]);
    assert_output(&output, 1, &["nothing was sent", "Phone number"]);
    let output = run(&Folder::new(), &["sms", "test", PHONE, "--channel", "pigeon"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.err.contains("must be sms, whatsapp or call"), "{}", output.err);
    let output = run(&Folder::new(), &["sms", "test", PHONE], &[("TWILIO_TEST_MODE", "false")]);
    assert_output(&output, 1, &["nothing was sent"]);
    assert!(output.err.contains("TWILIO_ACCOUNT_SID must be set"), "{}", output.err);
}

#[test]
fn the_magic_numbers_of_test_mode_are_refused() {
    let output = run(&Folder::new(), &["sms", "test", "+15005550001"], &[]);
    assert_output(&output, 1, &["not taken", "21211"]);
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
    // Errors in other settings are printed and stop nothing.
    let settings =
        [account(&url), vec![("OTP_LENGTH", "99"), ("PUBLIC_BASE_URL", "https://auth.example.com")]].concat();
    let output = run(&folder, &["sms", "test", PHONE], &settings);
    assert_output(
        &output,
        0,
        &["taken by Twilio, status queued", id, "1 segment", "-0.00750 USD", "not delivered"],
    );
    assert!(output.err.contains("OTP_LENGTH"), "{}", output.err);

    let requests = twilio.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!(request.url.path(), format!("/2010-04-01/Accounts/{SID}/Messages.json"));
    assert_eq!(field(request, "To").as_deref(), Some(PHONE));
    assert_eq!(field(request, "From").as_deref(), Some("+15005550006"));
    let body = field(request, "Body").unwrap();
    let code: String = body.chars().filter(char::is_ascii_digit).take(4).collect();
    assert_eq!(code.len(), 4, "{body}");
    assert!(!output.out.contains(&body), "the text goes to the phone: {}", output.out);
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
        let output = run(&Folder::new(), &["sms", "test", PHONE], &account(&twilio.uri()));
        assert_output(&output, 1, sentences);
        // Its own words follow, without numbers and ids.
        assert!(output.out.contains("is not good"), "{}", output.out);
        assert!(!output.out.contains(SID) && !output.out.contains(PHONE), "{}", output.out);
    }
}

#[test]
fn a_way_that_lacks_its_settings_names_them() {
    let unreachable = format!("http://127.0.0.1:{}", free_port());
    let settings = [account(&unreachable), vec![("TWILIO_PHONE_NUMBER", "Loopin")]].concat();
    for (channel, name) in [("whatsapp", "TWILIO_WHATSAPP_SENDER"), ("call", "TWILIO_VOICE_NUMBER")] {
        let output = run(&Folder::new(), &["sms", "test", PHONE, "--channel", channel], &settings);
        assert_output(&output, 1, &["nothing was sent", name]);
    }
    let settings =
        [account(&unreachable), vec![("TWILIO_PHONE_NUMBER", ""), ("TWILIO_SENDERS", "US=+15005550006")]];
    let output = run(&Folder::new(), &["sms", "test", PHONE], &settings.concat());
    assert_output(&output, 1, &["not taken", "TWILIO_SENDERS"]);
}

#[test]
fn a_twilio_that_is_down_is_told() {
    let unreachable = format!("http://127.0.0.1:{}", free_port());
    let output = run(&Folder::new(), &["sms", "test", PHONE], &account(&unreachable));
    assert_output(&output, 1, &["not taken by Twilio", "no connection"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_provider_of_a_country_can_be_tried() {
    let answer = json!({"type": "success", "message": "4d61f3a6c2b14e29"});
    let msg91 = twilio(ResponseTemplate::new(200).set_body_json(answer)).await;
    let second =
        twilio(ResponseTemplate::new(201).set_body_json(json!({"sid": "SM1", "status": "queued"}))).await;
    let (first_url, second_url) = (msg91.uri(), second.uri());
    let settings = [
        account(&second_url),
        vec![
            ("SMS_PROVIDERS", "IN=msg91,twilio;*=twilio"),
            ("MSG91_AUTH_KEY", "the-key"),
            ("MSG91_TEMPLATE_ID", "template"),
            ("MSG91_API_BASE_URL", &first_url),
        ],
    ]
    .concat();
    let test = |more: &[&str]| run(&Folder::new(), &[&["sms", "test", PHONE], more].concat(), &settings);
    assert_output(&test(&[]), 0, &["taken by MSG91"]);
    assert_output(&test(&["--provider", "twilio"]), 0, &["taken by Twilio"]);
    assert_output(&test(&["--provider", "vonage"]), 1, &["SMS_PROVIDERS does not name this provider"]);
    assert_output(
        &test(&["--provider", "msg91", "--channel", "call"]),
        1,
        &["this provider does not carry call"],
    );
    let output = test(&["--provider", "plivo"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.err.contains("there are twilio, vonage, msg91 and webhook"), "{}", output.err);
}
