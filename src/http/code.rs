//! Requesting a code, to sign up or to log in.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, Union, types::Example};

use super::{
    Tag, budget,
    envelope::{ErrorCode, ErrorResponse, Success},
    error::RequestError,
    fields::{self, Describe, Field, FieldErrors},
    json::Json,
    password::{self, LoginPassword, LoginUsername, SignIn, SignedInData, TotpCode},
    preferences::delivery_preferences,
};
use crate::{
    domain::phone::PhoneNumber,
    flows::{
        CodeRequest, CodeSent, DEFAULT_RETRY_AFTER, SendError, SendOutcome, Services,
        bot_check::BotChallenge,
        budget::CountedRequest,
        login::{self, Login},
        signup::{self, Signup},
    },
};

/// The fields that `signup` and `login` share.
struct CodeFields<'a, P> {
    phone: &'a Field<P>,
    channel: &'a Field<fields::Channel>,
    platform: &'a Field<fields::Platform>,
    device_token: &'a Field<fields::DeviceToken>,
    challenge_response: &'a Field<fields::ChallengeResponse>,
}

/// The operations of this module.
pub struct CodeApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// A request for a code.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct SignupRequest {
    phone_number: Field<fields::Phone>,
    #[oai(skip_serializing_if_is_none)]
    channel: Field<fields::Channel>,
    #[oai(skip_serializing_if_is_none)]
    platform: Field<fields::Platform>,
    #[oai(skip_serializing_if_is_none)]
    device_token: Field<fields::DeviceToken>,
    #[oai(skip_serializing_if_is_none)]
    challenge_response: Field<fields::ChallengeResponse>,
}

impl Example for SignupRequest {
    fn example() -> Self {
        Self { phone_number: Field::from_value("+916205829376"), ..Self::default() }
    }
}

/// A request for a code to log in with.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct LoginRequest {
    #[oai(skip_serializing_if_is_none)]
    phone_number: Field<fields::LoginPhone>,
    #[oai(skip_serializing_if_is_none)]
    username: Field<LoginUsername>,
    #[oai(skip_serializing_if_is_none)]
    password: Field<LoginPassword>,
    #[oai(skip_serializing_if_is_none)]
    totp_code: Field<TotpCode>,
    #[oai(skip_serializing_if_is_none)]
    channel: Field<fields::Channel>,
    #[oai(skip_serializing_if_is_none)]
    platform: Field<fields::Platform>,
    #[oai(skip_serializing_if_is_none)]
    device_token: Field<fields::DeviceToken>,
    #[oai(skip_serializing_if_is_none)]
    challenge_response: Field<fields::ChallengeResponse>,
}

impl Example for LoginRequest {
    fn example() -> Self {
        Self { phone_number: Field::from_value("+916205829376"), ..Self::default() }
    }
}

/// A code was sent.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CodeSentData {
    /// The phone in E.164.
    phone_number: String,
    /// Seconds until the code expires. A resend does not extend it.
    expires_in: i64,
    /// Seconds until the next code can be requested.
    resend_in: i64,
    /// For `GET /api/auth/deliveries/{delivery_id}`, the delivery status of the message.
    delivery_id: String,
}

impl CodeSentData {
    /// The data of a code that was sent to this phone.
    pub fn new(phone: &PhoneNumber, sent: CodeSent) -> Self {
        Self {
            phone_number: phone.full().to_owned(),
            expires_in: sent.expires_in,
            resend_in: sent.resend_in,
            delivery_id: sent.delivery_id.to_string(),
        }
    }
}

impl Example for CodeSentData {
    fn example() -> Self {
        Self {
            phone_number: "+916205829376".to_owned(),
            expires_in: 600,
            resend_in: 30,
            delivery_id: "5f0c9a52-6d1e-4c0b-b7a9-94b1c36b7f0d".to_owned(),
        }
    }
}

/// The responses of `signup`.
#[derive(ApiResponse)]
pub enum SignupResponse {
    /// The code was sent.
    #[oai(status = 200)]
    Sent(Json<Success<CodeSentData>>),
    /// `phone_unreachable`: the number cannot receive messages; `error.reason` says why.
    #[oai(status = 400)]
    Unreachable(ErrorResponse),
    /// `account_disabled`: the account of this phone is disabled. `signup_closed`: the phone has no account, and gets none.
    /// `challenge_required`: solve `error.challenge` and send the request again with `challenge_response`.
    #[oai(status = 403)]
    Disabled(ErrorResponse),
    /// `user_already_exists`: the phone has an account with a complete profile. Log in instead.
    #[oai(status = 409)]
    Registered(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_cooldown`: a code was sent to this phone too recently; the next one after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone; without `error.retry_after` only staff can unlock it.
    /// `rate_limited`: too many codes were requested, for this phone, from this address, or in all.
    #[oai(status = 429)]
    TooSoon(ErrorResponse),
    /// `sms_rejected`: the SMS provider refuses the server. The operator has to act.
    #[oai(status = 502)]
    SmsRejected(ErrorResponse),
    /// `sms_unavailable`: the SMS provider does not answer. Try again; there is no cooldown.
    #[oai(status = 503)]
    SmsUnavailable(ErrorResponse),
}

/// The data of `login`: with a phone, the code that was sent; with a username and a password, the tokens.
#[derive(Debug, Union)]
#[oai(one_of = true)]
pub enum LoginData {
    /// With a phone.
    Sent(Success<CodeSentData>),
    /// With a username and a password.
    SignedIn(SignedInData),
}

/// The responses of `login`.
#[derive(ApiResponse)]
pub enum LoginResponse {
    /// The code was sent; or, with a `username` and `password`, the tokens.
    #[oai(status = 200)]
    Done(Json<LoginData>),
    /// `phone_unreachable`: the number cannot receive messages; `error.reason` says why. `malformed_request`: the body
    /// has neither `phone_number` nor `username`, or both.
    #[oai(status = 400)]
    BadRequest(ErrorResponse),
    /// `credentials_invalid`: the username or the password is wrong.
    #[oai(status = 401)]
    Wrong(ErrorResponse, #[oai(header = "WWW-Authenticate")] String),
    /// `account_disabled`: the account is disabled; with a `username` only after the right password.
    /// `challenge_required`: solve `error.challenge` and send the request again with `challenge_response`.
    #[oai(status = 403)]
    Disabled(ErrorResponse),
    /// `user_not_found`: the phone has no account. Sign up first.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_cooldown`: a code was sent to this phone too recently; the next one after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone; without `error.retry_after` only staff can unlock it.
    /// `rate_limited`: too many codes were requested, for this phone, from this address, or in all; or too many wrong
    /// passwords for this `username` or from this address.
    #[oai(status = 429)]
    TooSoon(ErrorResponse),
    /// `sms_rejected`: the SMS provider refuses the server. The operator has to act.
    #[oai(status = 502)]
    SmsRejected(ErrorResponse),
    /// `sms_unavailable`: the SMS provider does not answer. Try again; there is no cooldown.
    #[oai(status = 503)]
    SmsUnavailable(ErrorResponse),
}

#[OpenApi(tag = "Tag::Phone")]
impl CodeApi {
    /// Request a code to sign up
    ///
    /// Sends a code to a phone without an account, or with an account whose profile is not complete. A request before
    /// the code expires is a resend: it sends the same code, by another `channel` if one is given, and adds no guesses.
    /// The text is in the first language of `Accept-Language` that the server has, else in English. If the operator
    /// hides which phones have an account, every phone gets a code, and every response is the same.
    #[oai(path = "/api/auth/signup", method = "post", operation_id = "signup")]
    async fn signup(&self, request: &Request, body: Json<SignupRequest>) -> Result<SignupResponse> {
        let SignupRequest { phone_number, channel, platform, device_token, challenge_response } = &body.0;
        let counted = budget::counted(&self.services, request).await?;
        let fields = CodeFields { phone: phone_number, channel, platform, device_token, challenge_response };
        let code_request = match self.code_request(request, &fields, counted) {
            Ok(code_request) => code_request,
            Err(errors) => return Ok(SignupResponse::Invalid(errors.into_error_response())),
        };
        let phone = code_request.phone.clone();
        let outcome = signup::signup(&self.services, code_request).await.map_err(RequestError::from)?;
        Ok(match outcome {
            Signup::Code { sending: SendOutcome::Sent(sent), unfinished } => {
                let message = if unfinished {
                    "OTP sent successfully. Please verify to complete your registration."
                } else {
                    "OTP sent successfully to your phone number"
                };
                SignupResponse::Sent(Success::new(message, CodeSentData::new(&phone, sent)))
            }
            Signup::Code { sending: SendOutcome::TooSoon { retry_after }, .. } => {
                SignupResponse::TooSoon(cooldown(retry_after))
            }
            Signup::Code { sending: SendOutcome::Refused(refusal), .. } | Signup::Refused(refusal) => {
                SignupResponse::TooSoon(budget::refusal(request, &refusal))
            }
            Signup::Code { sending: SendOutcome::Failed(error), .. } => match not_sent(&error) {
                NotSent::Unreachable(refusal) => SignupResponse::Unreachable(refusal),
                NotSent::Rejected(refusal) => SignupResponse::SmsRejected(refusal),
                NotSent::Unavailable(refusal) => SignupResponse::SmsUnavailable(refusal),
            },
            Signup::Registered => {
                SignupResponse::Registered(ErrorResponse::from_code(ErrorCode::UserAlreadyExists))
            }
            Signup::Disabled => {
                SignupResponse::Disabled(ErrorResponse::from_code(ErrorCode::AccountDisabled))
            }
            Signup::Closed => SignupResponse::Disabled(ErrorResponse::from_code(ErrorCode::SignupClosed)),
            Signup::BotCheckRequired(challenge) => SignupResponse::Disabled(challenge_required(challenge)),
            Signup::BotCheckUnavailable => SignupResponse::SmsUnavailable(bot_check_unavailable()),
        })
    }

    /// Request a code to log in, or log in with a password
    ///
    /// With a `phone_number`: sends a code to a phone that has an account, or to any phone if the operator hides which
    /// have one. `signup` and `login` are resends of each other.
    ///
    /// With a `username` and a `password`: signs in, and returns the tokens without an envelope. Staff who need a second
    /// factor send its code as `totp_code`; without a right one the session has the role `user`.
    #[oai(path = "/api/auth/login", method = "post", operation_id = "login")]
    async fn login(&self, request: &Request, body: Json<LoginRequest>) -> Result<LoginResponse> {
        let (phone, by_name) = (&body.0.phone_number, body.0.username.given().is_some());
        // A phone of null beside a username counts as absent; alone it is a wrong type (422).
        let by_phone = if by_name { phone.given().is_some() } else { phone.is_given() };
        let message = match (by_phone, by_name) {
            (true, false) => None,
            (true, true) => Some("Name a phone_number or a username, not both"),
            (false, true) => {
                return self.login_by_name(request, &body.0).await;
            }
            (false, false) => Some("Name a phone_number, or a username and its password"),
        };
        if let Some(message) = message {
            return Ok(LoginResponse::BadRequest(ErrorResponse::new(ErrorCode::MalformedRequest, message)));
        }
        let LoginRequest { phone_number, channel, platform, device_token, challenge_response, .. } = &body.0;
        let counted = budget::counted(&self.services, request).await?;
        let fields = CodeFields { phone: phone_number, channel, platform, device_token, challenge_response };
        let code_request = match self.code_request(request, &fields, counted) {
            Ok(code_request) => code_request,
            Err(errors) => return Ok(LoginResponse::Invalid(errors.into_error_response())),
        };
        let phone = code_request.phone.clone();
        let outcome = login::login(&self.services, code_request).await.map_err(RequestError::from)?;
        Ok(match outcome {
            Login::Code(SendOutcome::Sent(sent)) => {
                let data = CodeSentData::new(&phone, sent);
                let Json(sent) = Success::new("OTP sent successfully to your phone number", data);
                LoginResponse::Done(Json(LoginData::Sent(sent)))
            }
            Login::Code(SendOutcome::TooSoon { retry_after }) => {
                LoginResponse::TooSoon(cooldown(retry_after))
            }
            Login::Code(SendOutcome::Refused(refusal)) | Login::Refused(refusal) => {
                LoginResponse::TooSoon(budget::refusal(request, &refusal))
            }
            Login::Code(SendOutcome::Failed(error)) => match not_sent(&error) {
                NotSent::Unreachable(refusal) => LoginResponse::BadRequest(refusal),
                NotSent::Rejected(refusal) => LoginResponse::SmsRejected(refusal),
                NotSent::Unavailable(refusal) => LoginResponse::SmsUnavailable(refusal),
            },
            Login::Unknown => LoginResponse::Unknown(ErrorResponse::from_code(ErrorCode::UserNotFound)),
            Login::Disabled => LoginResponse::Disabled(ErrorResponse::from_code(ErrorCode::AccountDisabled)),
            Login::BotCheckRequired(challenge) => LoginResponse::Disabled(challenge_required(challenge)),
            Login::BotCheckUnavailable => LoginResponse::SmsUnavailable(bot_check_unavailable()),
        })
    }
}

impl CodeApi {
    async fn login_by_name(&self, request: &Request, body: &LoginRequest) -> Result<LoginResponse> {
        let LoginRequest { username, password, totp_code, .. } = body;
        Ok(match password::sign_in(&self.services, request, username, password, totp_code).await? {
            SignIn::In(data) => LoginResponse::Done(Json(LoginData::SignedIn(data))),
            SignIn::Wrong(refusal, challenge) => LoginResponse::Wrong(refusal, challenge),
            SignIn::Disabled(refusal) => LoginResponse::Disabled(refusal),
            SignIn::Invalid(refusal) => LoginResponse::Invalid(refusal),
            SignIn::TooMany(refusal) => LoginResponse::TooSoon(refusal),
        })
    }

    /// Reads all fields of a request for a code.
    fn code_request(
        &self,
        request: &Request,
        fields: &CodeFields<'_, impl Describe>,
        counted: CountedRequest,
    ) -> Result<CodeRequest, FieldErrors> {
        let mut errors = FieldErrors::default();
        let phone = errors.check("phone_number", fields::phone(fields.phone, self.services.region));
        let (channel, platform, channels) = (fields.channel, fields.platform, &self.services.channels);
        let preferences = delivery_preferences(request, channel, platform, channels, &mut errors);
        let device_token = errors.check("device_token", fields::device_token(fields.device_token));
        let response =
            errors.check("challenge_response", fields::challenge_response(fields.challenge_response));
        match (phone, preferences, device_token, response) {
            (Some(phone), Some(preferences), Some(device_token), Some(challenge_response)) => {
                Ok(CodeRequest { counted, phone, preferences, device_token, challenge_response })
            }
            _ => Err(errors),
        }
    }
}

/// The responses to a message that was not sent, by status.
pub enum NotSent {
    /// 400: the number cannot receive messages.
    Unreachable(ErrorResponse),
    /// 502: the provider refuses the server.
    Rejected(ErrorResponse),
    /// 503: the provider does not answer.
    Unavailable(ErrorResponse),
}

/// The response to a message that was not sent.
pub fn not_sent(error: &SendError) -> NotSent {
    match error {
        SendError::Unreachable { reason, .. } => {
            let mut failure = ErrorResponse::from_code(ErrorCode::PhoneUnreachable);
            failure.error.reason = Some((*reason).into());
            NotSent::Unreachable(failure)
        }
        SendError::Rejected { .. } => NotSent::Rejected(ErrorResponse::from_code(ErrorCode::SmsRejected)),
        SendError::Unavailable { retry_after, .. } => {
            let seconds = retry_after.and_then(|seconds| i64::try_from(seconds).ok());
            let seconds = seconds.unwrap_or(i64::from(DEFAULT_RETRY_AFTER));
            NotSent::Unavailable(ErrorResponse::from_code(ErrorCode::SmsUnavailable).retry_after(seconds))
        }
    }
}

/// 403 `challenge_required`, with the challenge to solve.
pub fn challenge_required(challenge: BotChallenge) -> ErrorResponse {
    let mut failure = ErrorResponse::from_code(ErrorCode::ChallengeRequired);
    failure.error.challenge = Some(challenge.into());
    failure
}

/// 503: a bot check is required, and its provider does not answer. No message is sent.
pub fn bot_check_unavailable() -> ErrorResponse {
    ErrorResponse::from_code(ErrorCode::SmsUnavailable).retry_after(i64::from(DEFAULT_RETRY_AFTER))
}

/// 429 `otp_cooldown`.
pub fn cooldown(retry_after: i64) -> ErrorResponse {
    let message = format!("Please wait {retry_after} seconds before you request another OTP");
    ErrorResponse::new(ErrorCode::OtpCooldown, message).retry_after(retry_after)
}
