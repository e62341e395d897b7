//! The envelope: the shape of every response of the Loopin endpoints, and of every error of the server.

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
    /// For people; it may change.
    pub message: String,
    /// The data of the response.
    pub data: T,
    /// Always null.
    pub token: Option<String>,
}

impl<T: Type + ParseFromJSON + ToJSON + Example> Success<T> {
    /// A success without a token.
    pub fn new(message: &str, data: T) -> Json<Self> {
        Json(Self { success: true, message: message.to_owned(), data, token: None })
    }
}

impl<T: Type + ParseFromJSON + ToJSON + Example> Example for Success<T> {
    fn example() -> Self {
        Self { success: true, message: "Done".to_owned(), data: T::example(), token: None }
    }
}

/// A success that signs the user in.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SuccessWithToken<T: Type + ParseFromJSON + ToJSON + Example> {
    /// Always true.
    pub success: bool,
    /// For people; it may change.
    pub message: String,
    /// The data of the response.
    pub data: T,
    /// The access token.
    pub token: String,
}

impl<T: Type + ParseFromJSON + ToJSON + Example> SuccessWithToken<T> {
    /// A success with an access token.
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
    /// The `Host` header is not a host of this server.
    HostNotAllowed,
    /// No code is pending for this phone, or it was used.
    OtpNotFound,
    /// The code is wrong.
    OtpInvalid,
    /// The code has expired.
    OtpExpired,
    /// All guesses for this code are used.
    OtpAttemptsExhausted,
    /// A code was sent to this phone too recently.
    OtpCooldown,
    /// Too many wrong codes for this phone.
    PhoneLocked,
    /// Too many requests from this address, for this phone, or in all.
    RateLimited,
    /// A bot challenge must be solved: `error.challenge`. The request is sent again with its solution as
    /// `challenge_response`.
    ChallengeRequired,
    /// The number cannot receive messages.
    PhoneUnreachable,
    /// The request has no access token.
    TokenMissing,
    /// The token is not from this server, was altered, or is of the wrong kind.
    TokenInvalid,
    /// The token has expired.
    TokenExpired,
    /// The session of the token has ended.
    TokenRevoked,
    /// The account is disabled.
    AccountDisabled,
    /// The username or the password is wrong: one code for both.
    CredentialsInvalid,
    /// The user has no right to do this.
    Forbidden,
    /// The user has no account, and gets none in this way.
    SignupClosed,
    /// The session must be confirmed first: `POST /api/auth/confirm`.
    ReauthenticationRequired,
    /// The phone has no account.
    UserNotFound,
    /// The path does not exist.
    NotFound,
    /// The path does not support this method.
    MethodNotAllowed,
    /// The phone has an account with a complete profile.
    UserAlreadyExists,
    /// Another account has the username.
    UsernameTaken,
    /// Another account has the e-mail address.
    EmailTaken,
    /// Another account has the phone.
    PhoneTaken,
    /// The account was joined with another one of the same user: `error.merged_into` has its id.
    AccountMerged,
    /// The token of another system opened a session before.
    TokenUsed,
    /// Another person changed it since it was read.
    EditConflict,
    /// The body is over 64 KiB.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// One or more fields are invalid.
    ValidationFailed,
    /// An error of the server.
    Internal,
    /// The SMS provider refuses the server.
    SmsRejected,
    /// The SMS provider does not answer, or cannot send now.
    SmsUnavailable,
    /// The database does not answer.
    DatabaseUnavailable,
    /// The keys of the system that issued the token cannot be fetched.
    IssuerUnavailable,
    /// The server took too long.
    Timeout,
}

impl ErrorCode {
    /// The default `message` of a failure.
    #[must_use]
    pub fn message(self) -> &'static str {
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
            Self::SignupClosed => "There is no account for this user, and none can be created",
            Self::ReauthenticationRequired => "Please confirm that it is you",
            Self::UserNotFound => "User not found. Please signup first.",
            Self::NotFound => "This path does not exist",
            Self::MethodNotAllowed => "This path does not support this method",
            Self::UserAlreadyExists => "User already exists. Please login instead.",
            Self::UsernameTaken => "This username is taken",
            Self::EmailTaken => "This e-mail address is taken",
            Self::PhoneTaken => "This phone number belongs to another account",
            Self::AccountMerged => "This account was joined with another one of the same user",
            Self::TokenUsed => "This token was used before. Please sign in again",
            Self::EditConflict => "This was changed in the meantime. Please read it again",
            Self::PayloadTooLarge => "The body must be at most 64 KiB",
            Self::UnsupportedMediaType => {
                "Send the body as JSON, with the header Content-Type: application/json"
            }
            Self::ValidationFailed => "Please check the fields that are named",
            Self::Internal => "Something went wrong on the server",
            Self::SmsRejected => "We cannot send messages at the moment. Please try again later",
            Self::SmsUnavailable => "The message could not be sent. Please try again",
            Self::DatabaseUnavailable => "The service is not available right now. Please try again",
            Self::IssuerUnavailable => "The sign-in cannot be checked right now. Please try again",
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
    /// The number is invalid, or not in use.
    Invalid,
    /// It cannot receive SMS.
    NotMobile,
    /// The owner has opted out of messages.
    OptedOut,
    /// Its country is not served.
    RegionNotAllowed,
    /// It is blocked: by the provider, the settings or an admin.
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

/// The machine-readable part of a failure.
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
    /// The id of the account that this one was joined with.
    pub merged_into: Option<String>,
    /// The challenge to solve; send the request again with the solution as `challenge_response`.
    pub challenge: Option<Challenge>,
}

/// A failure.
// As a response it sets `Retry-After` where the body has it, and passes its code on to the log.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "Failure")]
pub struct ErrorResponse {
    /// Always false.
    pub success: bool,
    /// For people; it may change.
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

impl ErrorResponse {
    /// A failure with the default message of its code.
    #[must_use]
    pub fn from_code(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }

    /// A failure with a message of its own.
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
                merged_into: None,
                challenge: None,
            },
        }
    }

    /// Sets `attempts_remaining`.
    #[must_use]
    pub fn attempts_remaining(mut self, left: i64) -> Self {
        self.error.attempts_remaining = Some(left);
        self
    }

    /// Sets the seconds to wait, at least one.
    #[must_use]
    pub fn retry_after(mut self, seconds: i64) -> Self {
        self.error.retry_after = Some(seconds.max(1));
        self
    }
}

impl Payload for ErrorResponse {
    const CONTENT_TYPE: &'static str = JSON;

    fn schema_ref() -> MetaSchemaRef {
        <Self as Type>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        <Self as Type>::register(registry);
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let ErrorBody { code, retry_after, .. } = self.error;
        let mut response = Json(self).into_response();
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
                content: vec![MetaMediaType { content_type: JSON, schema: <Self as Type>::schema_ref() }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        <Self as Type>::register(registry);
    }
}
