//! Twilio's Messages API, version 2010-04-01: <https://www.twilio.com/docs/messaging/api/message-resource>.

use std::{error::Error as _, fmt, time::Duration};

use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use thiserror::Error;
use tracing::{error, info, warn};
use url::Url;

use super::{
    Message, Outcome, Receipt, ReceiptStatus, SendError,
    refusal::{self, Refusal},
};

/// How long a whole request may take by default, body included. The contract answers its clients within ten
/// seconds; the two left are for the database and the way back.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(8);

/// Of it, how long the connection may take to stand, TLS included, so that a host that is gone is found out early.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections that lie unused for longer are closed by us: one that Twilio closes first would cut a message in two.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Twilio's answers have about 1 KiB. What is longer is not read to its end.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// `ValidityPeriod` in seconds, as Twilio allows it.
const MIN_VALIDITY_SECONDS: u64 = 1;
const MAX_VALIDITY_SECONDS: u64 = 36_000;

/// No client is told to wait for longer than an hour because of one answer's header.
const MAX_RETRY_AFTER_SECONDS: u64 = 3_600;

/// What [`Twilio::new`] needs. Its `Debug` shows neither the account nor the token nor the sender.
#[derive(Clone)]
pub struct TwilioSettings {
    /// `TWILIO_ACCOUNT_SID`: `AC` and 32 hex digits.
    pub account_sid: String,
    /// `TWILIO_AUTH_TOKEN`.
    pub auth_token: SecretString,
    /// Who the message comes from.
    pub sender: Sender,
    /// `TWILIO_API_BASE_URL`: `http` or `https`, a path is kept, user and password are refused.
    pub api_base_url: Url,
    /// How long one request may take from its start to the end of the answer; see [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
}

impl fmt::Debug for TwilioSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioSettings")
            .field("sender", &self.sender)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Who a message comes from: one or the other, never both. Its `Debug` shows only which.
#[derive(Clone)]
pub enum Sender {
    /// `TWILIO_PHONE_NUMBER`: a number of the account in E.164, or an alphanumeric sender id.
    From(String),
    /// `TWILIO_MESSAGING_SERVICE_SID`: `MG` and 32 hex digits; the service picks the number.
    MessagingService(String),
}

impl Sender {
    fn field(&self) -> (&'static str, &str) {
        match self {
            Self::From(number) => ("From", number),
            Self::MessagingService(sid) => ("MessagingServiceSid", sid),
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field().0)
    }
}

/// Why there is no [`Twilio`]. Found at start.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Not `http` or `https`, without a host, or with a user or password in it.
    #[error("TWILIO_API_BASE_URL must be an http or https address without a user and password")]
    BaseUrl,
    /// The HTTP client could not be made, most likely for want of CA certificates.
    #[error("the HTTP client for Twilio could not be made")]
    Client(#[source] reqwest::Error),
}

/// A Twilio account to send with. One per process: it keeps its connections. Its `Debug` shows no setting.
pub struct Twilio {
    client: Client,
    messages: Url,
    account_sid: String,
    auth_token: SecretString,
    sender: Sender,
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio").finish_non_exhaustive()
    }
}

impl Twilio {
    /// Makes the one client, without a word to Twilio.
    ///
    /// # Errors
    ///
    /// [`SetupError`] when the base URL is of no use or the client cannot be made.
    pub fn new(settings: TwilioSettings) -> Result<Self, SetupError> {
        let messages = messages_url(settings.api_base_url, &settings.account_sid)?;
        let client = Client::builder()
            .user_agent("loopin-auth")
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // A redirect would carry the text to wherever it points; a proxy in the environment is no setting of ours.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(SetupError::Client)?;
        let TwilioSettings { account_sid, auth_token, sender, .. } = settings;
        Ok(Self { client, messages, account_sid, auth_token, sender })
    }

    /// Posts the message, once, and logs why it was not taken.
    pub(super) async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let answer = match self.post(message).await {
            Ok(answer) => answer,
            Err(failure) => {
                let refusal = refusal::of_no_answer(outcome_of(&failure));
                report(message, &refusal, None, Some(root_cause(&failure).as_str()));
                return Err(refusal.error);
            }
        };
        read(message, &answer).map_err(|refusal| {
            report(message, &refusal, Some(answer.status.as_u16()), None);
            refusal.error
        })
    }

    async fn post(&self, message: &Message) -> Result<Answer, reqwest::Error> {
        let validity =
            message.valid_for.as_secs().clamp(MIN_VALIDITY_SECONDS, MAX_VALIDITY_SECONDS).to_string();
        let form = [
            ("To", message.to.full()),
            self.sender.field(),
            ("Body", message.body.expose_secret()),
            ("ValidityPeriod", &validity),
        ];
        let request = self
            .client
            .post(self.messages.clone())
            .basic_auth(&self.account_sid, Some(self.auth_token.expose_secret()))
            .form(&form);
        let response = request.send().await?;
        Ok(Answer {
            status: response.status(),
            retry_after: retry_after(&response),
            body: read_json(response).await,
        })
    }
}

/// The address of the account's messages under the base URL.
fn messages_url(mut base: Url, account_sid: &str) -> Result<Url, SetupError> {
    let spoken = matches!(base.scheme(), "http" | "https");
    if !spoken || !base.username().is_empty() || base.password().is_some() {
        return Err(SetupError::BaseUrl);
    }
    base.set_query(None);
    base.set_fragment(None);
    base.path_segments_mut().map_err(|()| SetupError::BaseUrl)?.pop_if_empty().extend([
        "2010-04-01",
        "Accounts",
        account_sid,
        "Messages.json",
    ]);
    Ok(base)
}

/// What came back, as far as it could be read.
struct Answer {
    status: StatusCode,
    retry_after: Option<u64>,
    body: Option<Map<String, Value>>,
}

impl Answer {
    fn text(&self, key: &str) -> Option<&str> {
        self.body.as_ref()?.get(key)?.as_str()
    }

    /// An error code, which Twilio writes as a number, as a string, or as null.
    fn code(&self, key: &str) -> Option<u32> {
        match self.body.as_ref()?.get(key)? {
            Value::Number(number) => number.as_u64().and_then(|code| u32::try_from(code).ok()),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// The answer's JSON object. Too long, cut short, slow or something else: nothing.
async fn read_json(mut response: Response) -> Option<Map<String, Value>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).ok()
}

/// The seconds of `Retry-After`. Its other form, a date, would need a clock; Twilio sends seconds.
fn retry_after(response: &Response) -> Option<u64> {
    let seconds: u64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.clamp(1, MAX_RETRY_AFTER_SECONDS))
}

/// Decides what the answer says of the message.
fn read(message: &Message, answer: &Answer) -> Result<Receipt, Refusal> {
    let status = answer.status.as_u16();
    if !answer.status.is_success() {
        return Err(refusal::of_answer(status, answer.code("code"), answer.retry_after));
    }
    let said = answer.text("status");
    if matches!(said, Some("failed" | "undelivered" | "canceled")) {
        return Err(refusal::of_failed_message(status, answer.code("error_code")));
    }
    let provider_id = answer.text("sid").filter(|sid| is_id(sid)).map(str::to_owned);
    if provider_id.is_none() {
        // To call this a failure would invite a second message, and a second bill.
        warn!(message_id = %message.id, http_status = status, "SMS taken, but the answer could not be read");
    }
    let sent = matches!(said, Some("sent" | "delivered" | "read"));
    Ok(Receipt { provider_id, status: if sent { ReceiptStatus::Sent } else { ReceiptStatus::Queued } })
}

/// What may go into a row as an id: whoever answers under the base URL could send anything.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a request without an answer can have reached Twilio. Only a connection that never stood proves that it has
/// not; `is_connect` covers DNS, TCP, TLS and their time-out. `is_builder` is a request that could not be written.
fn outcome_of(failure: &reqwest::Error) -> Outcome {
    if failure.is_connect() || failure.is_builder() { Outcome::NotSent } else { Outcome::Unknown }
}

/// The innermost cause, such as "Connection refused". The outer layers name the URL, and the account with it.
fn root_cause(failure: &reqwest::Error) -> String {
    let mut cause = failure.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}

/// One line for a message that was not taken, at the level of whoever must act. Twilio's own text is left out: it names
/// the phone.
fn report(message: &Message, refusal: &Refusal, http_status: Option<u16>, cause: Option<&str>) {
    let (message_id, to, hint) = (message.id, &message.to, refusal.hint);
    let provider_code = refusal.error.provider_code();
    match &refusal.error {
        SendError::Unreachable { reason, .. } => {
            let reason = reason.as_str();
            info!(%message_id, %to, reason, provider_code, http_status, hint, "SMS refused: this number gets none");
        }
        SendError::Rejected { .. } => {
            error!(%message_id, %to, provider_code, http_status, hint, "SMS refused: something of ours is to mend");
        }
        SendError::Unavailable { outcome, retry_after, .. } => {
            let sent = match outcome {
                Outcome::NotSent => "no",
                Outcome::Unknown => "unknown",
            };
            warn!(
                %message_id, %to, sent, provider_code, http_status, retry_after, cause, hint,
                "SMS provider unavailable"
            );
        }
    }
}
