//! Signing up and logging in by phone.

use std::sync::Arc;

use poem::Result;
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use secrecy::ExposeSecret;

use super::{
    Tag,
    body::Json,
    envelope::{ErrorCode, Failure, Refusal, Success},
    fault::Fault,
    fields::{self, Faults, Field},
};
use crate::{
    domain::{otp::OtpCode, phone::PhoneNumber},
    flows::{
        CodeSent, SendError, Sending, Services,
        login::{self, Login},
        signup::{self, Signup},
        verify::{self, LoggedIn, Refused, SignedIn, SignedUp},
    },
};

/// When the SMS provider does not say, try again after so many seconds.
const SMS_RETRY_AFTER: i64 = 5;

/// The operations of this page.
pub struct AuthApi {
    /// What the verbs work with.
    pub services: Arc<Services>,
}

/// A wish for a code.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SignupRequest {
    phone_number: Field<fields::Phone>,
}

impl Example for SignupRequest {
    fn example() -> Self {
        Self { phone_number: Field::of("+916205829376") }
    }
}

/// A wish for a code to log in with.
#[derive(Debug, Object)]
#[oai(example)]
pub struct LoginRequest {
    phone_number: Field<fields::Phone>,
    #[oai(skip_serializing_if_is_none)]
    username: Field<fields::Username>,
}

impl Example for LoginRequest {
    fn example() -> Self {
        Self { phone_number: Field::of("+916205829376"), username: Field::absent() }
    }
}

/// A code that came back.
#[derive(Debug, Object)]
#[oai(example)]
pub struct VerifyRequest {
    phone_number: Field<fields::Phone>,
    otp_code: Field<fields::Code>,
}

impl Example for VerifyRequest {
    fn example() -> Self {
        Self { phone_number: Field::of("+916205829376"), otp_code: Field::of("1097") }
    }
}

/// A code is on its way.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CodeSentData {
    /// The phone in E.164.
    phone_number: String,
    /// Seconds until the code dies. A resend sends the same code with what remains of its life.
    expires_in: i64,
    /// Seconds until the next one may be asked for.
    resend_in: i64,
}

impl CodeSentData {
    fn new(phone: &PhoneNumber, sent: CodeSent) -> Self {
        Self { phone_number: phone.full().to_owned(), expires_in: sent.expires_in, resend_in: sent.resend_in }
    }
}

impl Example for CodeSentData {
    fn example() -> Self {
        Self { phone_number: "+916205829376".to_owned(), expires_in: 600, resend_in: 30 }
    }
}

/// The person behind a code, and the token for the next pair.
#[derive(Debug, Object)]
#[oai(example)]
pub struct VerifiedData {
    /// The account (UUID version 7).
    user_id: String,
    /// The verified phone in E.164.
    phone_number: String,
    /// Whether name, birth date, gender, an interest and a picture are still to be given.
    needs_profile_completion: bool,
    /// For `POST /api/auth/refresh`.
    refresh_token: String,
    /// Seconds until the access token expires.
    expires_in: i64,
}

impl Example for VerifiedData {
    fn example() -> Self {
        Self {
            user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            phone_number: "+916205829376".to_owned(),
            needs_profile_completion: true,
            refresh_token: "eyJhbGciOiJIUzI1NiJ9.e30.refresh".to_owned(),
            expires_in: 1800,
        }
    }
}

/// The person behind a code, by name.
#[derive(Debug, Object)]
#[oai(example)]
pub struct LoggedInData {
    /// The account (UUID version 7).
    user_id: String,
    /// The verified phone in E.164.
    phone_number: String,
    /// The profile's name, once it is given.
    name: Option<String>,
    /// Whether the phone is verified: always true here.
    is_verified: bool,
    /// Whether name, birth date, gender, an interest and a picture are still to be given.
    needs_profile_completion: bool,
    /// For `POST /api/auth/refresh`.
    refresh_token: String,
    /// Seconds until the access token expires.
    expires_in: i64,
}

impl Example for LoggedInData {
    fn example() -> Self {
        Self {
            user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            phone_number: "+916205829376".to_owned(),
            name: Some("Gaurav Kumar".to_owned()),
            is_verified: true,
            needs_profile_completion: false,
            refresh_token: "eyJhbGciOiJIUzI1NiJ9.e30.refresh".to_owned(),
            expires_in: 1800,
        }
    }
}

/// What `signup` can answer.
#[derive(ApiResponse)]
pub enum SignupResponse {
    /// The code is on its way.
    #[oai(status = 200)]
    Sent(Json<Success<CodeSentData>>),
    /// `phone_unreachable`: the number cannot get messages; `error.reason` says why.
    #[oai(status = 400)]
    Unreachable(Refusal),
    /// `account_disabled`: the account of this phone was disabled.
    #[oai(status = 403)]
    Disabled(Refusal),
    /// `user_already_exists`: the phone has a finished account. Log in instead.
    #[oai(status = 409)]
    Registered(Refusal),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `otp_cooldown`: a code was sent to this phone too recently; `error.retry_after` says when the next may be.
    #[oai(status = 429)]
    TooSoon(Refusal),
    /// `sms_rejected`: the SMS provider refuses the server. Its operator has to act.
    #[oai(status = 502)]
    SmsRejected(Refusal),
    /// `sms_unavailable`: the SMS provider does not answer. Try again; there is no cooldown to wait for.
    #[oai(status = 503)]
    SmsUnavailable(Refusal),
}

/// What `login` can answer.
#[derive(ApiResponse)]
pub enum LoginResponse {
    /// The code is on its way.
    #[oai(status = 200)]
    Sent(Json<Success<CodeSentData>>),
    /// `phone_unreachable`: the number cannot get messages; `error.reason` says why. `malformed_request`: the body
    /// names no `phone_number`, or a `username` beside it.
    #[oai(status = 400)]
    BadRequest(Refusal),
    /// `account_disabled`: the account of this phone was disabled.
    #[oai(status = 403)]
    Disabled(Refusal),
    /// `user_not_found`: the phone has no account. Sign up first.
    #[oai(status = 404)]
    Unknown(Refusal),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `otp_cooldown`: a code was sent to this phone too recently; `error.retry_after` says when the next may be.
    #[oai(status = 429)]
    TooSoon(Refusal),
    /// `sms_rejected`: the SMS provider refuses the server. Its operator has to act.
    #[oai(status = 502)]
    SmsRejected(Refusal),
    /// `sms_unavailable`: the SMS provider does not answer. Try again; there is no cooldown to wait for.
    #[oai(status = 503)]
    SmsUnavailable(Refusal),
}

/// What `verify-otp` can answer.
#[derive(ApiResponse)]
pub enum VerifyOtpResponse {
    /// The code was right. `token` is the access token.
    #[oai(status = 200)]
    SignedIn(Json<Success<VerifiedData>>),
    /// `otp_not_found`: no code is waiting, or it was used. `otp_expired`: it is older than its life. `otp_invalid`:
    /// the wrong code, with `error.attempts_remaining`.
    #[oai(status = 400)]
    Refused(Refusal),
    /// `account_disabled`: the right code of a disabled account. It is used up.
    #[oai(status = 403)]
    Disabled(Refusal),
    /// `validation_failed`: `error.fields` names what is wrong. No attempt was taken.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `otp_attempts_exhausted`: all guesses were used; `error.retry_after` says when the next code may be asked for.
    #[oai(status = 429)]
    Exhausted(Refusal),
}

/// What `verify-login` can answer.
#[derive(ApiResponse)]
pub enum VerifyLoginResponse {
    /// The code was right. `token` is the access token.
    #[oai(status = 200)]
    SignedIn(Json<Success<LoggedInData>>),
    /// `otp_not_found`: no code is waiting, or it was used. `otp_expired`: it is older than its life. `otp_invalid`:
    /// the wrong code, with `error.attempts_remaining`.
    #[oai(status = 400)]
    Refused(Refusal),
    /// `account_disabled`: the right code of a disabled account. It is used up.
    #[oai(status = 403)]
    Disabled(Refusal),
    /// `user_not_found`: the right code of a phone without an account. It is not used up: `verify-otp` takes it.
    #[oai(status = 404)]
    NoAccount(Refusal),
    /// `validation_failed`: `error.fields` names what is wrong. No attempt was taken.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `otp_attempts_exhausted`: all guesses were used; `error.retry_after` says when the next code may be asked for.
    #[oai(status = 429)]
    Exhausted(Refusal),
}

#[OpenApi(tag = "Tag::Phone")]
impl AuthApi {
    /// Ask for a code to sign up with
    ///
    /// Sends a code to a phone without an account, or with one whose profile is not finished. Asking again before the
    /// code dies sends the same code: a late message still works, and a resend buys no guesses.
    #[oai(path = "/api/auth/signup", method = "post", operation_id = "signup")]
    async fn signup(&self, body: Json<SignupRequest>) -> Result<SignupResponse> {
        let mut faults = Faults::default();
        let phone = fields::phone(&body.0.phone_number, self.services.region);
        let Some(phone) = faults.check("phone_number", phone) else {
            return Ok(SignupResponse::Invalid(faults.refusal()));
        };
        let outcome = signup::signup(&self.services, phone.clone()).await.map_err(Fault::from)?;
        Ok(match outcome {
            Signup::Code { sending: Sending::Sent(sent), unfinished } => {
                let message = if unfinished {
                    "OTP sent successfully. Please verify to complete your registration."
                } else {
                    "OTP sent successfully to your phone number"
                };
                SignupResponse::Sent(Success::new(message, CodeSentData::new(&phone, sent)))
            }
            Signup::Code { sending: Sending::TooSoon { retry_after }, .. } => {
                SignupResponse::TooSoon(cooldown(retry_after))
            }
            Signup::Code { sending: Sending::Failed(error), .. } => match not_sent(&error) {
                NotSent::Unreachable(refusal) => SignupResponse::Unreachable(refusal),
                NotSent::Rejected(refusal) => SignupResponse::SmsRejected(refusal),
                NotSent::Unavailable(refusal) => SignupResponse::SmsUnavailable(refusal),
            },
            Signup::Registered => {
                SignupResponse::Registered(Failure::of(ErrorCode::UserAlreadyExists).into())
            }
            Signup::Disabled => SignupResponse::Disabled(disabled()),
        })
    }

    /// Ask for a code to log in with
    ///
    /// Sends a code to a phone that has an account. `signup` and `login` are resends of each other.
    #[oai(path = "/api/auth/login", method = "post", operation_id = "login")]
    async fn login(&self, body: Json<LoginRequest>) -> Result<LoginResponse> {
        let sentence = match (body.0.phone_number.is_given(), body.0.username.given().is_some()) {
            (true, false) => None,
            (true, true) => Some("Name a phone_number or a username, not both"),
            (false, true) => Some("Sign-in by username is not available: name a phone_number"),
            (false, false) => Some("Name a phone_number"),
        };
        if let Some(sentence) = sentence {
            return Ok(LoginResponse::BadRequest(Failure::new(ErrorCode::MalformedRequest, sentence).into()));
        }
        let mut faults = Faults::default();
        let phone = fields::phone(&body.0.phone_number, self.services.region);
        let Some(phone) = faults.check("phone_number", phone) else {
            return Ok(LoginResponse::Invalid(faults.refusal()));
        };
        let outcome = login::login(&self.services, phone.clone()).await.map_err(Fault::from)?;
        Ok(match outcome {
            Login::Code(Sending::Sent(sent)) => LoginResponse::Sent(Success::new(
                "OTP sent successfully to your phone number",
                CodeSentData::new(&phone, sent),
            )),
            Login::Code(Sending::TooSoon { retry_after }) => LoginResponse::TooSoon(cooldown(retry_after)),
            Login::Code(Sending::Failed(error)) => match not_sent(&error) {
                NotSent::Unreachable(refusal) => LoginResponse::BadRequest(refusal),
                NotSent::Rejected(refusal) => LoginResponse::SmsRejected(refusal),
                NotSent::Unavailable(refusal) => LoginResponse::SmsUnavailable(refusal),
            },
            Login::Unknown => LoginResponse::Unknown(no_account()),
            Login::Disabled => LoginResponse::Disabled(disabled()),
        })
    }

    /// Verify a code, and make the account if there is none
    ///
    /// Takes a code of `signup` or `login`, once. Three wrong guesses use it up.
    #[oai(path = "/api/auth/verify-otp", method = "post", operation_id = "verifyOtp")]
    async fn verify_otp(&self, body: Json<VerifyRequest>) -> Result<VerifyOtpResponse> {
        let (phone, code) = match self.checked(&body.0) {
            Ok(checked) => checked,
            Err(faults) => return Ok(VerifyOtpResponse::Invalid(faults.refusal())),
        };
        Ok(match verify::sign_up(&self.services, phone.clone(), code).await.map_err(Fault::from)? {
            SignedUp::In(signed_in) => VerifyOtpResponse::SignedIn(verified(&phone, &signed_in)),
            SignedUp::Refused(refused) => match not_in(refused) {
                NotIn::BadRequest(refusal) => VerifyOtpResponse::Refused(refusal),
                NotIn::Disabled(refusal) => VerifyOtpResponse::Disabled(refusal),
                NotIn::Exhausted(refusal) => VerifyOtpResponse::Exhausted(refusal),
            },
        })
    }

    /// Verify a code, and log in
    ///
    /// Takes a code of `signup` or `login`, once. Three wrong guesses use it up. A phone without an account keeps its
    /// code for `verify-otp`.
    #[oai(path = "/api/auth/verify-login", method = "post", operation_id = "verifyLogin")]
    async fn verify_login(&self, body: Json<VerifyRequest>) -> Result<VerifyLoginResponse> {
        let (phone, code) = match self.checked(&body.0) {
            Ok(checked) => checked,
            Err(faults) => return Ok(VerifyLoginResponse::Invalid(faults.refusal())),
        };
        Ok(match verify::log_in(&self.services, phone.clone(), code).await.map_err(Fault::from)? {
            LoggedIn::In(signed_in) => VerifyLoginResponse::SignedIn(logged_in(&phone, &signed_in)),
            LoggedIn::NoAccount => VerifyLoginResponse::NoAccount(no_account()),
            LoggedIn::Refused(refused) => match not_in(refused) {
                NotIn::BadRequest(refusal) => VerifyLoginResponse::Refused(refusal),
                NotIn::Disabled(refusal) => VerifyLoginResponse::Disabled(refusal),
                NotIn::Exhausted(refusal) => VerifyLoginResponse::Exhausted(refusal),
            },
        })
    }
}

impl AuthApi {
    fn checked(&self, body: &VerifyRequest) -> Result<(PhoneNumber, OtpCode), Faults> {
        let mut faults = Faults::default();
        let phone = faults.check("phone_number", fields::phone(&body.phone_number, self.services.region));
        let code = faults.check("otp_code", fields::otp_code(&body.otp_code, self.services.otp.length));
        phone.zip(code).ok_or(faults)
    }
}

fn verified(phone: &PhoneNumber, SignedIn { tokens, account }: &SignedIn) -> Json<Success<VerifiedData>> {
    let needs_profile_completion = account.profile.needs_completion();
    let message = if needs_profile_completion {
        "OTP verified successfully. Please complete your profile."
    } else {
        "OTP verified successfully. You are logged in."
    };
    let data = VerifiedData {
        user_id: account.id.to_string(),
        phone_number: phone.full().to_owned(),
        needs_profile_completion,
        refresh_token: tokens.refresh.expose_secret().to_owned(),
        expires_in: tokens.expires_in,
    };
    Success::with_token(message, data, tokens.access.expose_secret())
}

fn logged_in(phone: &PhoneNumber, SignedIn { tokens, account }: &SignedIn) -> Json<Success<LoggedInData>> {
    let data = LoggedInData {
        user_id: account.id.to_string(),
        phone_number: phone.full().to_owned(),
        name: account.profile.name.clone(),
        is_verified: account.phone.is_some(),
        needs_profile_completion: account.profile.needs_completion(),
        refresh_token: tokens.refresh.expose_secret().to_owned(),
        expires_in: tokens.expires_in,
    };
    Success::with_token("Login successful", data, tokens.access.expose_secret())
}

/// The three ways in which a message can fail to go out, as answers.
enum NotSent {
    Unreachable(Refusal),
    Rejected(Refusal),
    Unavailable(Refusal),
}

fn not_sent(error: &SendError) -> NotSent {
    match error {
        SendError::Unreachable { reason, .. } => {
            let mut failure = Failure::of(ErrorCode::PhoneUnreachable);
            failure.error.reason = Some((*reason).into());
            NotSent::Unreachable(failure.into())
        }
        SendError::Rejected { .. } => NotSent::Rejected(Failure::of(ErrorCode::SmsRejected).into()),
        SendError::Unavailable { retry_after, .. } => {
            let seconds =
                retry_after.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(SMS_RETRY_AFTER);
            NotSent::Unavailable(Failure::of(ErrorCode::SmsUnavailable).retry_after(seconds).into())
        }
    }
}

fn cooldown(retry_after: i64) -> Refusal {
    let sentence = format!("Please wait {retry_after} seconds before you request another OTP");
    Failure::new(ErrorCode::OtpCooldown, sentence).retry_after(retry_after).into()
}

/// The three kinds of answer to a code that lets nobody in.
enum NotIn {
    BadRequest(Refusal),
    Disabled(Refusal),
    Exhausted(Refusal),
}

fn not_in(refused: Refused) -> NotIn {
    match refused {
        Refused::NoneRequested => NotIn::BadRequest(Failure::of(ErrorCode::OtpNotFound).into()),
        Refused::Expired => NotIn::BadRequest(Failure::of(ErrorCode::OtpExpired).into()),
        Refused::Wrong { left } => NotIn::BadRequest(wrong(left)),
        Refused::Disabled => NotIn::Disabled(disabled()),
        Refused::Exhausted { retry_after } => {
            NotIn::Exhausted(Failure::of(ErrorCode::OtpAttemptsExhausted).retry_after(retry_after).into())
        }
    }
}

fn wrong(left: i64) -> Refusal {
    let plural = if left == 1 { "" } else { "s" };
    let sentence = format!("Invalid OTP. {left} attempt{plural} remaining");
    Failure::new(ErrorCode::OtpInvalid, sentence).attempts_remaining(left).into()
}

fn no_account() -> Refusal {
    Failure::of(ErrorCode::UserNotFound).into()
}

pub(super) fn disabled() -> Refusal {
    Failure::of(ErrorCode::AccountDisabled).into()
}
