//! The room against a stub that speaks Twilio's shapes, and against connections that go wrong.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use serde_json::{Value, json};
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use super::*;

mod answers;
mod bad_days;
mod inbox;
mod request;
mod secrets;

const SID: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const TOKEN: &str = "token+with:signs";
const BASIC: &str = "Basic QUNhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYTp0b2tlbit3aXRoOnNpZ25z";
const PHONE: &str = "+919876543210";
const CODE: &str = "48213097";
const SERVICE: &str = "MGbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const MESSAGE_SID: &str = "SMcccccccccccccccccccccccccccccccc";

fn message() -> Message {
    message_to(PHONE, 1)
}

fn message_to(phone: &str, id: u128) -> Message {
    Message {
        id: Uuid::from_u128(id),
        to: PhoneNumber::from_e164(phone).unwrap(),
        body: format!("Your Café & Co verification code is: {CODE}. 50% = done?").into(),
        otp_code: CODE.into(),
        valid_for: Duration::from_millis(599_900),
        created_at: DateTime::UNIX_EPOCH,
    }
}

fn settings(base: &str) -> TwilioSettings {
    TwilioSettings {
        account_sid: SID.into(),
        auth_token: TOKEN.into(),
        sender: Sender::From("+15005550006".into()),
        api_base_url: Url::parse(base).unwrap(),
        timeout: Duration::from_secs(5),
    }
}

fn sms(settings: TwilioSettings) -> Sms {
    Sms::Twilio(Twilio::new(settings).unwrap())
}

/// A Twilio that gives every request this answer.
async fn stub(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::any()).respond_with(answer).mount(&server).await;
    server
}

async fn answered(answer: ResponseTemplate) -> Result<Receipt, SendError> {
    let server = stub(answer).await;
    let result = sms(settings(&server.uri())).send(&message()).await;
    // One call is one request: a second one could be a second message.
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    result
}

/// The refusal in Twilio's shape; its text names the phone, as Twilio's does.
fn refused(http_status: u16, code: impl Into<Value>) -> ResponseTemplate {
    ResponseTemplate::new(http_status).set_body_json(json!({
        "code": code.into(),
        "message": format!("The 'To' number {PHONE} of {SID} is not good"),
        "more_info": "https://www.twilio.com/docs/errors",
        "status": http_status,
    }))
}

fn created(status: &str, error_code: impl Into<Value>) -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(json!({
        "sid": MESSAGE_SID, "account_sid": SID, "status": status, "error_code": error_code.into(),
        "error_message": null, "num_segments": "1", "price": null, "price_unit": "USD", "new_field": {},
    }))
}

/// A server for one connection: reads what comes until it has seen `until`, says `answer`, hangs up. Its base URL.
fn hangs_up(scheme: &str, until: &'static [u8], answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("{scheme}://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
        while !seen.windows(until.len()).any(|window| window == until) {
            match stream.read(&mut buffer).unwrap() {
                0 => return,
                length => seen.extend_from_slice(&buffer[..length]),
            }
        }
        stream.write_all(answer).unwrap();
    });
    base
}

fn unavailable(outcome: Outcome) -> SendError {
    SendError::Unavailable { outcome, retry_after: None, provider_code: None }
}
