//! Verifying a code, which signs the user in.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use secrecy::ExposeSecret;

use super::{
    Tag, budget, client, client_ip,
    envelope::{ErrorCode, ErrorResponse, SuccessWithToken},
    error::RequestError,
    fields::{self, Field, FieldErrors},
    json::Json,
};
use crate::{
    domain::{otp::OtpCode, phone::PhoneNumber},
    flows::{
        Services,
        verify::{self, CodeRefused, LoggedIn, Refused, Requester, SignedIn, SignedUp},
    },
};

/// The operations of this module.
pub struct VerifyApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// A code to verify.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct VerifyRequest {
    phone_number: Field<fields::Phone>,
    otp_code: Field<fields::Code>,
    #[oai(skip_serializing_if_is_none)]
    device_token: Field<fields::DeviceToken>,
}

impl Example for VerifyRequest {
    fn example() -> Self {
        Self {
            phone_number: Field::from_value("+916205829376"),
            otp_code: Field::from_value("1097"),
            ..Self::default()
        }
    }
}

/// The user, and the tokens.
#[derive(Debug, Object)]
#[oai(example)]
pub struct VerifiedData {
    /// The account (UUID version 7).
    user_id: String,
    /// The verified phone in E.164.
    phone_number: String,
    /// Whether the profile still lacks a name, birth date, gender, interest or picture, or the terms in force are not accepted.
    needs_profile_completion: bool,
    /// For `POST /api/auth/refresh`.
    refresh_token: String,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// For this device's next sign-in: send it as `device_token` to `signup` or `login` and to the verify route. The
    /// device then has its own guesses and messages. Valid for 180 days; it opens nothing by itself.
    device_token: String,
}

impl Example for VerifiedData {
    fn example() -> Self {
        Self {
            user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            phone_number: "+916205829376".to_owned(),
            needs_profile_completion: true,
            refresh_token: "eyJhbGciOiJIUzI1NiJ9.e30.refresh".to_owned(),
            expires_in: 1800,
            device_token: "eyJhbGciOiJIUzI1NiJ9.e30.device".to_owned(),
        }
    }
}

/// The user, and the tokens.
#[derive(Debug, Object)]
#[oai(example)]
pub struct LoggedInData {
    /// The account (UUID version 7).
    user_id: String,
    /// The verified phone in E.164.
    phone_number: String,
    /// The profile's name, if given.
    name: Option<String>,
    /// Whether the phone is verified: always true here.
    is_verified: bool,
    /// Whether the profile still lacks a name, birth date, gender, interest or picture, or the terms in force are not accepted.
    needs_profile_completion: bool,
    /// For `POST /api/auth/refresh`.
    refresh_token: String,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// For this device's next sign-in: send it as `device_token` to `signup` or `login` and to the verify route. The
    /// device then has its own guesses and messages. Valid for 180 days; it opens nothing by itself.
    device_token: String,
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
            device_token: "eyJhbGciOiJIUzI1NiJ9.e30.device".to_owned(),
        }
    }
}

/// The responses of `verify-otp`.
#[derive(ApiResponse)]
pub enum VerifyOtpResponse {
    /// The code was right. `token` is the access token.
    #[oai(status = 200)]
    SignedIn(Json<SuccessWithToken<VerifiedData>>),
    /// `otp_not_found`: no code is pending, or it was used. `otp_expired`: the code has expired. `otp_invalid`: the
    /// code is wrong; `error.attempts_remaining` guesses are left.
    #[oai(status = 400)]
    Refused(ErrorResponse),
    /// `account_disabled`: the code is right, but the account is disabled. `signup_closed`: the code is right, but the phone has
    /// no account and gets none. The code is used up.
    #[oai(status = 403)]
    Disabled(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong. No guess was used.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_attempts_exhausted`: all guesses are used; request the next code after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone; without `error.retry_after` only staff can unlock it.
    /// `rate_limited`: too many wrong codes from this address. No guess was used.
    #[oai(status = 429)]
    Exhausted(ErrorResponse),
}

/// The responses of `verify-login`.
#[derive(ApiResponse)]
pub enum VerifyLoginResponse {
    /// The code was right. `token` is the access token.
    #[oai(status = 200)]
    SignedIn(Json<SuccessWithToken<LoggedInData>>),
    /// `otp_not_found`: no code is pending, or it was used. `otp_expired`: the code has expired. `otp_invalid`: the
    /// code is wrong; `error.attempts_remaining` guesses are left.
    #[oai(status = 400)]
    Refused(ErrorResponse),
    /// `account_disabled`: the code is right, but the account is disabled. The code is used up.
    #[oai(status = 403)]
    Disabled(ErrorResponse),
    /// `user_not_found`: the code is right, but the phone has no account. The code stays valid for `verify-otp`.
    #[oai(status = 404)]
    NoAccount(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong. No guess was used.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_attempts_exhausted`: all guesses are used; request the next code after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone; without `error.retry_after` only staff can unlock it.
    /// `rate_limited`: too many wrong codes from this address. No guess was used.
    #[oai(status = 429)]
    Exhausted(ErrorResponse),
}

#[OpenApi(tag = "Tag::Phone")]
impl VerifyApi {
    /// Verify a code and sign up or log in
    ///
    /// Accepts a code of `signup` or `login`, once. `OTP_MAX_ATTEMPTS` wrong guesses use it up.
    #[oai(path = "/api/auth/verify-otp", method = "post", operation_id = "verifyOtp")]
    async fn verify_otp(&self, request: &Request, body: Json<VerifyRequest>) -> Result<VerifyOtpResponse> {
        let (phone, code, requester) = match self.read_fields(request, &body.0) {
            Ok(fields) => fields,
            Err(errors) => return Ok(VerifyOtpResponse::Invalid(errors.into_error_response())),
        };
        let client = client::from_request(request);
        let outcome = verify::sign_up(&self.services, phone.clone(), code, requester, client)
            .await
            .map_err(RequestError::from)?;
        Ok(match outcome {
            SignedUp::In(signed_in) => {
                VerifyOtpResponse::SignedIn(verified(&self.services, &phone, &signed_in))
            }
            SignedUp::Refused(refused) => match sign_in_refusal(request, refused) {
                SignInRefusal::BadRequest(refusal) => VerifyOtpResponse::Refused(refusal),
                SignInRefusal::Disabled(refusal) => VerifyOtpResponse::Disabled(refusal),
                SignInRefusal::Exhausted(refusal) => VerifyOtpResponse::Exhausted(refusal),
            },
        })
    }

    /// Verify a code and log in
    ///
    /// Accepts a code of `signup` or `login`, once. `OTP_MAX_ATTEMPTS` wrong guesses use it up. The right code of a
    /// phone without an account stays valid for `verify-otp`.
    #[oai(path = "/api/auth/verify-login", method = "post", operation_id = "verifyLogin")]
    async fn verify_login(
        &self,
        request: &Request,
        body: Json<VerifyRequest>,
    ) -> Result<VerifyLoginResponse> {
        let (phone, code, requester) = match self.read_fields(request, &body.0) {
            Ok(fields) => fields,
            Err(errors) => return Ok(VerifyLoginResponse::Invalid(errors.into_error_response())),
        };
        let client = client::from_request(request);
        let outcome = verify::log_in(&self.services, phone.clone(), code, requester, client)
            .await
            .map_err(RequestError::from)?;
        Ok(match outcome {
            LoggedIn::In(signed_in) => {
                VerifyLoginResponse::SignedIn(logged_in(&self.services, &phone, &signed_in))
            }
            LoggedIn::NoAccount => {
                VerifyLoginResponse::NoAccount(ErrorResponse::from_code(ErrorCode::UserNotFound))
            }
            LoggedIn::Refused(refused) => match sign_in_refusal(request, refused) {
                SignInRefusal::BadRequest(refusal) => VerifyLoginResponse::Refused(refusal),
                SignInRefusal::Disabled(refusal) => VerifyLoginResponse::Disabled(refusal),
                SignInRefusal::Exhausted(refusal) => VerifyLoginResponse::Exhausted(refusal),
            },
        })
    }
}

impl VerifyApi {
    fn read_fields(
        &self,
        request: &Request,
        body: &VerifyRequest,
    ) -> Result<(PhoneNumber, OtpCode, Requester), FieldErrors> {
        let mut errors = FieldErrors::default();
        let phone = errors.check("phone_number", fields::phone(&body.phone_number, self.services.region));
        let code = errors.check("otp_code", fields::otp_code(&body.otp_code, self.services.otp.length));
        let device_token = errors.check("device_token", fields::device_token(&body.device_token));
        match (phone, code, device_token) {
            (Some(phone), Some(code), Some(device_token)) => {
                Ok((phone, code, Requester { address: client_ip::from_request(request), device_token }))
            }
            _ => Err(errors),
        }
    }
}

fn verified(
    services: &Services,
    phone: &PhoneNumber,
    SignedIn { tokens, account, device_token }: &SignedIn,
) -> Json<SuccessWithToken<VerifiedData>> {
    let needs_profile_completion = account.needs_completion(services.terms.as_ref());
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
        device_token: device_token.expose_secret().to_owned(),
    };
    SuccessWithToken::new(message, data, tokens.access.expose_secret())
}

fn logged_in(
    services: &Services,
    phone: &PhoneNumber,
    signed_in: &SignedIn,
) -> Json<SuccessWithToken<LoggedInData>> {
    let data = LoggedInData::new(services, phone, signed_in);
    SuccessWithToken::new("Login successful", data, signed_in.tokens.access.expose_secret())
}

impl LoggedInData {
    pub(super) fn new(
        services: &Services,
        phone: &PhoneNumber,
        SignedIn { tokens, account, device_token }: &SignedIn,
    ) -> Self {
        Self {
            user_id: account.id.to_string(),
            phone_number: phone.full().to_owned(),
            name: account.profile.name.clone(),
            is_verified: account.phone.is_some(),
            needs_profile_completion: account.needs_completion(services.terms.as_ref()),
            refresh_token: tokens.refresh.expose_secret().to_owned(),
            expires_in: tokens.expires_in,
            device_token: device_token.expose_secret().to_owned(),
        }
    }
}

/// The responses to a refused sign-in, by status.
enum SignInRefusal {
    BadRequest(ErrorResponse),
    Disabled(ErrorResponse),
    Exhausted(ErrorResponse),
}

fn sign_in_refusal(request: &Request, refused: Refused) -> SignInRefusal {
    match refused {
        Refused::Code(refused) => match code_refusal(request, refused) {
            CodeRefusal::BadRequest(refusal) => SignInRefusal::BadRequest(refusal),
            CodeRefusal::Exhausted(refusal) => SignInRefusal::Exhausted(refusal),
        },
        Refused::Disabled => SignInRefusal::Disabled(ErrorResponse::from_code(ErrorCode::AccountDisabled)),
        Refused::SignupClosed => SignInRefusal::Disabled(ErrorResponse::from_code(ErrorCode::SignupClosed)),
    }
}

/// The responses to a code that is refused, whatever its purpose, by status.
pub enum CodeRefusal {
    /// 400: not found, expired or wrong.
    BadRequest(ErrorResponse),
    /// 429: all guesses are used, or a budget is used up.
    Exhausted(ErrorResponse),
}

/// The response to a code that is refused.
pub fn code_refusal(request: &Request, refused: CodeRefused) -> CodeRefusal {
    match refused {
        CodeRefused::NoneRequested => {
            CodeRefusal::BadRequest(ErrorResponse::from_code(ErrorCode::OtpNotFound))
        }
        CodeRefused::Expired => CodeRefusal::BadRequest(ErrorResponse::from_code(ErrorCode::OtpExpired)),
        CodeRefused::Wrong { left } => CodeRefusal::BadRequest(wrong(left)),
        CodeRefused::Budget(refusal) => CodeRefusal::Exhausted(budget::refusal(request, &refusal)),
        CodeRefused::Exhausted { retry_after } => CodeRefusal::Exhausted(
            ErrorResponse::from_code(ErrorCode::OtpAttemptsExhausted).retry_after(retry_after),
        ),
    }
}

fn wrong(left: i64) -> ErrorResponse {
    let plural = if left == 1 { "" } else { "s" };
    let message = format!("Invalid OTP. {left} attempt{plural} remaining");
    ErrorResponse::new(ErrorCode::OtpInvalid, message).attempts_remaining(left)
}
