//! The envelope: the one shape of every answer of the Loopin endpoints, and of every error of the whole server.

use std::{borrow::Cow, collections::BTreeMap};

use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, Enum, Object,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{Example, ParseFromJSON, ToJSON, Type},
};

use super::{
    bot_check::Challenge,
    json::{JSON, Json},
};

/// A success.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Success<T: Type + ParseFromJSON + ToJSON + Example> {
    /// Always true.
    pub success: bool,
    /// For a person; it may change.
    pub message: String,
    /// The data of the answer.
    pub data: T,
    /// Always null.
    pub token: Option<String>,
}

impl<T: Type + ParseFromJSON + ToJSON + Example> Success<T> {
    /// Data without a token.
    pub fn new(message: &str, data: T) -> Json<Self> {
        Json(Self { success: true, message: message.to_owned(), data, token: None })
    }
}

impl<T: Type + ParseFromJSON + ToJSON + Example> Example for Success<T> {
    fn example() -> Self {
        Self { success: true, message: "Done".to_owned(), data: T::example(), token: None }
    }
}

/// A success that signs somebody in.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SuccessWithToken<T: Type + ParseFromJSON + ToJSON + Example> {
    /// Always true.
    pub success: bool,
    /// For a person; it may change.
    pub message: String,
    /// The data of the answer.
    pub data: T,
    /// The access token.
    pub token: String,
}

impl<T: Type + ParseFromJSON + ToJSON + Example> SuccessWithToken<T> {
    /// Data with a token.
    pub fn new(message: &str, data: T, token: &str) -> Json<Self> {
        Json(Self { success: true, message: message.to_owned(), data, token: token.to_owned() })
    }
}

impl<T: Type + ParseFromJSON + ToJSON + Example> Example for SuccessWithToken<T> {
    fn example() -> Self {
        Self {
            success: true,
            message: "Done".to_owned(),
            data: T::example(),
            token: "eyJhbGciOiJIUzI1NiJ9.e30.access".to_owned(),
        }
    }
}

/// What went wrong, for programs. A code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The body is not JSON, or not an object.
    MalformedRequest,
    /// The `Host` header names no host of this server.
    HostNotAllowed,
    /// No code is waiting for this phone, or it was used.
    OtpNotFound,
    /// The wrong code.
    OtpInvalid,
    /// The code is older than its life.
    OtpExpired,
    /// All guesses at this code were used.
    OtpAttemptsExhausted,
    /// A code was sent to this phone too recently.
    OtpCooldown,
    /// Too many wrong codes came for this phone.
    PhoneLocked,
    /// Too many requests came from this address, for this phone, or in all.
    RateLimited,
    /// A proof that no program asks: `error.challenge` says which, and the request is sent again with it as
    /// `challenge_response`.
    ChallengeRequired,
    /// The number cannot get messages.
    PhoneUnreachable,
    /// No access token came with the request.
    TokenMissing,
    /// The token is not ours, was altered, or is of the wrong kind.
    TokenInvalid,
    /// The token's time is over.
    TokenExpired,
    /// The token's session has ended.
    TokenRevoked,
    /// The account was disabled.
    AccountDisabled,
    /// Wrong username or password: one answer for both.
    CredentialsInvalid,
    /// Whoever asks may not.
    Forbidden,
    /// Who holds the session has to be proved again: by `POST /api/auth/confirm`.
    ReauthenticationRequired,
    /// The phone has no account.
    UserNotFound,
    /// There is nothing at this path.
    NotFound,
    /// The path does not know this method.
    MethodNotAllowed,
    /// The phone has a finished account.
    UserAlreadyExists,
    /// The username is another account's.
    UsernameTaken,
    /// The e-mail address is another account's.
    EmailTaken,
    /// The phone is another account's.
    PhoneTaken,
    /// The body is over 64 KiB.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// One or more fields are not as they should be.
    ValidationFailed,
    /// A fault of the server.
    Internal,
    /// The SMS provider refuses the server.
    SmsRejected,
    /// The SMS provider does not answer, or not now.
    SmsUnavailable,
    /// The database does not answer.
    DatabaseUnavailable,
    /// The server took too long.
    Timeout,
}

impl ErrorCode {
    /// What it says to a person, where the occasion has nothing to add.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::MalformedRequest => "The request does not have the required form",
            Self::HostNotAllowed => "This server does not serve that host",
            Self::OtpNotFound => "No OTP found. Please request a new OTP",
            Self::OtpInvalid => "Invalid OTP",
            Self::OtpExpired => "OTP has expired. Please request a new OTP",
            Self::OtpAttemptsExhausted => "Too many attempts. Please request a new OTP",
            Self::OtpCooldown => "Please wait before you request another OTP",
            Self::PhoneLocked => "Too many wrong codes were entered for this number. Please try again later",
            Self::RateLimited => "Too many requests. Please try again later",
            Self::ChallengeRequired => "Please complete the verification challenge",
            Self::PhoneUnreachable => "This number cannot receive our messages",
            Self::TokenMissing => "Sign in first: send the access token as Authorization: Bearer <token>",
            Self::TokenInvalid => "The token is not valid",
            Self::TokenExpired => "The token has expired",
            Self::TokenRevoked => "The session has ended. Please sign in again",
            Self::AccountDisabled => "This account has been disabled",
            Self::CredentialsInvalid => "No active account found with the given credentials",
            Self::Forbidden => "You are not allowed to do this",
            Self::ReauthenticationRequired => "Please confirm that it is you",
            Self::UserNotFound => "User not found. Please signup first.",
            Self::NotFound => "This path does not exist",
            Self::MethodNotAllowed => "This path does not support this method",
            Self::UserAlreadyExists => "User already exists. Please login instead.",
            Self::UsernameTaken => "This username is taken",
            Self::EmailTaken => "This e-mail address is taken",
            Self::PhoneTaken => "This phone number belongs to another account",
            Self::PayloadTooLarge => "The body must be at most 64 KiB",
            Self::UnsupportedMediaType => {
                "Send the body as JSON, with the header Content-Type: application/json"
            }
            Self::ValidationFailed => "Please check the fields that are named",
            Self::Internal => "Something went wrong on the server",
            Self::SmsRejected => "We cannot send messages at the moment. Please try again later",
            Self::SmsUnavailable => "The message could not be sent. Please try again",
            Self::DatabaseUnavailable => "The service is not available right now. Please try again",
            Self::Timeout => "The server took too long. Please try again",
        }
    }

    /// The code as clients see it.
    #[must_use]
    pub fn as_str(self) -> String {
        match self.to_json() {
            Some(serde_json::Value::String(code)) => code,
            _ => String::new(),
        }
    }
}

/// Why a number cannot receive messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum UnreachableReason {
    /// It is no number, or nobody has it.
    Invalid,
    /// It cannot receive SMS.
    NotMobile,
    /// Its owner asked to get no more messages.
    OptedOut,
    /// Its country is not served.
    RegionNotAllowed,
    /// The provider blocked it.
    Blocked,
}

impl From<crate::flows::UnreachableReason> for UnreachableReason {
    fn from(reason: crate::flows::UnreachableReason) -> Self {
        use crate::flows::UnreachableReason as Sms;
        match reason {
            Sms::Invalid => Self::Invalid,
            Sms::NotMobile => Self::NotMobile,
            Sms::OptedOut => Self::OptedOut,
            Sms::RegionNotAllowed => Self::RegionNotAllowed,
            Sms::Blocked => Self::Blocked,
        }
    }
}

/// The machine-readable half of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct ErrorBody {
    /// What went wrong.
    pub code: ErrorCode,
    /// Guesses left for this code.
    #[oai(validator(minimum(value = "0")))]
    pub attempts_remaining: Option<i64>,
    /// Seconds until a retry may succeed; the same as the `Retry-After` header.
    #[oai(validator(minimum(value = "1")))]
    pub retry_after: Option<i64>,
    /// Why the number cannot receive messages.
    pub reason: Option<UnreachableReason>,
    /// The errors by field, all at once.
    pub fields: Option<BTreeMap<String, Vec<String>>>,
    /// The challenge to solve; send the request again with the solution as `challenge_response`.
    pub challenge: Option<Challenge>,
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct Failure {
    /// Always false.
    pub success: bool,
    /// For a person; it may change.
    pub message: String,
    /// Always null.
    pub data: Option<Nothing>,
    /// Always null.
    pub token: Option<String>,
    /// For programs.
    pub error: ErrorBody,
}

/// An empty object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Nothing {}

impl Example for Nothing {
    fn example() -> Self {
        Self {}
    }
}

impl Failure {
    /// A failure with its usual sentence.
    #[must_use]
    pub fn from_code(code: ErrorCode) -> Self {
        Self::new(code, code.sentence())
    }

    /// A failure with a sentence for the occasion.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            success: false,
            message: message.into().into_owned(),
            data: None,
            token: None,
            error: ErrorBody {
                code,
                attempts_remaining: None,
                retry_after: None,
                reason: None,
                fields: None,
                challenge: None,
            },
        }
    }

    /// With the guesses left.
    #[must_use]
    pub fn attempts_remaining(mut self, left: i64) -> Self {
        self.error.attempts_remaining = Some(left);
        self
    }

    /// With the seconds to wait.
    #[must_use]
    pub fn retry_after(mut self, seconds: i64) -> Self {
        self.error.retry_after = Some(seconds.max(1));
        self
    }
}

/// A failure on its way out. It tells the log which one it was, and sets `Retry-After` where the body names it.
#[derive(Debug, Clone)]
pub struct ErrorResponse(pub Failure);

impl From<Failure> for ErrorResponse {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl Payload for ErrorResponse {
    const CONTENT_TYPE: &'static str = JSON;

    fn schema_ref() -> MetaSchemaRef {
        Failure::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Failure::register(registry);
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let code = self.0.error.code;
        let retry_after = self.0.error.retry_after;
        let mut response = Json(self.0).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(poem::http::header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(code);
        response
    }
}

impl ApiResponse for ErrorResponse {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "",
                status: Some(400),
                status_range: None,
                content: vec![MetaMediaType { content_type: JSON, schema: Self::schema_ref() }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }
}
