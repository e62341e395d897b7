//! Tests of this crate against a stub that answers like Twilio, and against broken connections.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use super::*;
use clock::Clock;

mod account;
mod answers;
mod bad_days;
mod callback;
mod circuit;
mod dlt;
mod inbox;
mod msg91;
mod request;
mod room;
mod scripted;
mod secrets;
mod senders;
mod texts;
mod tries;
mod vonage;
mod webhook;

/// The turn of a provider that has all of the time of its settings.
fn unhurried() -> Turn {
    Turn { deadline: tokio::time::Instant::now() + Duration::from_hours(1), is_last: true }
}

/// Most tests are about one provider.
impl Sms {
    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        self.send_within(message, unhurried()).await.map_err(|unsent| unsent.error)
    }
}

#[expect(private_bounds, reason = "only tests of this crate send by a client")]
impl<A: client::Api> client::Client<A> {
    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        self.send_within(message, unhurried()).await.map_err(|unsent| unsent.error)
    }
}

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
        attempt: Attempt { delivery_id: Uuid::from_u128(0xd), number: 2 },
        to: PhoneNumber::from_e164(phone).unwrap(),
        channel: Channel::Sms,
        text: Text {
            language: "en".to_owned(),
            voice: "en-IN".to_owned(),
            body: format!("Your Café & Co verification code is: {CODE}. 50% = done?").into(),
            dlt: None,
        },
        otp_code: Some(CODE.into()),
        valid_for: Duration::from_millis(599_900),
        created_at: DateTime::UNIX_EPOCH,
    }
}

fn settings(base: &str) -> TwilioSettings {
    TwilioSettings {
        account_sid: SID.into(),
        credentials: Credentials { user: SID.into(), password: TOKEN.into() },
        senders: Senders::everywhere(Sender::Number("+15005550006".into())),
        whatsapp: None,
        voice_number: None,
        status_callback: None,
        risk_check: None,
        api_base_url: Url::parse(base).unwrap(),
        timeout: Duration::from_secs(5),
        max_in_flight: DEFAULT_MAX_IN_FLIGHT,
        breaker: true,
    }
}

fn sms(settings: TwilioSettings) -> Sms {
    sms_at(settings, Clock::fixed(DateTime::UNIX_EPOCH))
}

fn sms_at(settings: TwilioSettings, clock: Clock) -> Sms {
    Sms::Twilio(Box::new(Twilio::new(settings, clock).unwrap()))
}

/// A stub that gives every request this answer.
async fn stub(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::any()).respond_with(answer).mount(&server).await;
    server
}

/// A stub that gives these answers in turn, and then repeats the last one.
async fn stub_in_turn(answers: impl IntoIterator<Item = ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    let mut answers = answers.into_iter().peekable();
    while let Some(answer) = answers.next() {
        let mock = Mock::given(matchers::any()).respond_with(answer);
        if answers.peek().is_some() { mock.up_to_n_times(1) } else { mock }.mount(&server).await;
    }
    server
}

async fn count(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

/// The result of a message if the first answer is final.
async fn answered(answer: ResponseTemplate) -> Result<Receipt, SendError> {
    let server = stub(answer).await;
    let result = sms(settings(&server.uri())).send(&message()).await;
    // Exactly one request: a second one could be a second message.
    assert_eq!(count(&server).await, 1);
    result
}

/// The result of a message if every answer is this one and allows retries.
async fn answered_each_time(answer: ResponseTemplate) -> Result<Receipt, SendError> {
    let server = stub(answer).await;
    let result = sms(settings(&server.uri())).send(&message()).await;
    assert_eq!(count(&server).await, 3);
    result
}

/// A refusal as Twilio writes it; like Twilio's, its text contains the phone.
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

/// A server for one connection. It reads until it has seen `until`, writes `answer` and closes. Returns its base URL.
fn hangs_up(until: &'static [u8], answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
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
