//! A new password in the place of a forgotten one. No answer tells whether an account has the name, until the code is right.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};

use super::{
    Tag, budget, client_ip,
    code::{bot_check_unavailable, challenge_required},
    envelope::{ErrorResponse, Nothing, Success},
    error::RequestError,
    fields::{self, Field, FieldErrors},
    json::Json,
    password::{
        new_password, non_empty,
        shapes::{NewPassword, Username},
    },
    preferences::{delivery_preferences, languages},
    verify::{CodeRefusal, code_refusal},
};
use crate::{
    domain::credentials::{LONGEST_EMAIL, Login},
    flows::{
        Services,
        forgot_password::{self, Asked, Forgotten},
        reset_password::{self, Reset},
    },
};

const ASKED: &str =
    "If an account with a verified phone number has this name, an OTP is on its way to that number";

/// The operations of this module.
pub struct ForgottenPasswordApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// A request for a new password.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct ForgotPasswordRequest {
    username: Field<Username>,
    #[oai(skip_serializing_if_is_none)]
    channel: Field<fields::Channel>,
    #[oai(skip_serializing_if_is_none)]
    platform: Field<fields::Platform>,
    #[oai(skip_serializing_if_is_none)]
    challenge_response: Field<fields::ChallengeResponse>,
}

impl Example for ForgotPasswordRequest {
    fn example() -> Self {
        Self { username: Field::from_value("gaurav"), ..Self::default() }
    }
}

/// What every name is told.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PasswordForgottenData {
    /// Seconds until a code for this name expires. A resend does not extend it.
    expires_in: i64,
    /// Seconds until the next code can be requested.
    resend_in: i64,
}

impl Example for PasswordForgottenData {
    fn example() -> Self {
        Self { expires_in: 600, resend_in: 30 }
    }
}

/// The code, and the new password.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct ResetPasswordRequest {
    username: Field<Username>,
    otp_code: Field<fields::Code>,
    new_password: Field<NewPassword>,
}

impl Example for ResetPasswordRequest {
    fn example() -> Self {
        Self {
            username: Field::from_value("gaurav"),
            otp_code: Field::from_value("1097"),
            new_password: Field::from_value("staple of the stable"),
        }
    }
}

/// The responses of `forgot-password`.
#[derive(ApiResponse)]
pub enum ForgotPasswordResponse {
    /// The request was taken. The response is the same whether an account has the name or not, and whether a code is sent or not.
    #[oai(status = 200)]
    Taken(Json<Success<PasswordForgottenData>>),
    /// `challenge_required`: solve `error.challenge` and send the request again with `challenge_response`.
    #[oai(status = 403)]
    Challenged(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `rate_limited`: too many requests for this name or from this address. `phone_locked`: too many wrong codes for this name.
    #[oai(status = 429)]
    TooMany(ErrorResponse),
    /// `sms_unavailable`: the provider of the bot check does not answer.
    #[oai(status = 503)]
    Unavailable(ErrorResponse),
}

/// The responses of `reset-password`.
#[derive(ApiResponse)]
pub enum ResetPasswordResponse {
    /// The password is set, and all sessions of the user have ended.
    #[oai(status = 200)]
    Done(Json<Success<Nothing>>),
    /// `otp_not_found`: no code was requested for this name, or it was used. `otp_expired`: the code has expired. `otp_invalid`: the
    /// code is wrong; `error.attempts_remaining` guesses are left.
    #[oai(status = 400)]
    Refused(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong. No guess was used.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_attempts_exhausted`: all guesses are used; request the next code after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this name. `rate_limited`: too many wrong codes from this address. No guess was
    /// used.
    #[oai(status = 429)]
    Exhausted(ErrorResponse),
}

#[OpenApi(tag = "Tag::Password")]
impl ForgottenPasswordApi {
    /// Request a code to set a new password
    ///
    /// Sends a code to the verified phone of the account with this username, e-mail address or phone. The response says the same
    /// for every name, and the message is sent after it. Staff, admins and disabled accounts get no code.
    #[oai(path = "/api/auth/forgot-password", method = "post", operation_id = "forgotPassword")]
    async fn forgot_password(
        &self,
        request: &Request,
        body: Json<ForgotPasswordRequest>,
    ) -> Result<ForgotPasswordResponse> {
        let ForgotPasswordRequest { username, channel, platform, challenge_response } = &body.0;
        let counted = budget::counted(&self.services, request).await?;
        let mut errors = FieldErrors::default();
        let name = errors.check("username", non_empty(username));
        let channels = &self.services.channels;
        let preferences = delivery_preferences(request, channel, platform, channels, &mut errors);
        let response = errors.check("challenge_response", fields::challenge_response(challenge_response));
        let (Some(name), Some(preferences), Some(challenge_response)) = (name, preferences, response) else {
            return Ok(ForgotPasswordResponse::Invalid(errors.into_error_response()));
        };
        let login = Login::parse(name, self.services.region);
        let forgotten = Forgotten { counted, login, preferences, challenge_response };
        let asked = forgot_password::ask(&self.services, forgotten).await.map_err(RequestError::from)?;
        Ok(match asked {
            Asked::Taken { expires_in, resend_in } => ForgotPasswordResponse::Taken(Success::new(
                ASKED,
                PasswordForgottenData { expires_in, resend_in },
            )),
            Asked::Refused(refusal) => ForgotPasswordResponse::TooMany(budget::refusal(request, &refusal)),
            Asked::BotCheckRequired(challenge) => {
                ForgotPasswordResponse::Challenged(challenge_required(challenge))
            }
            Asked::BotCheckUnavailable => ForgotPasswordResponse::Unavailable(bot_check_unavailable()),
        })
    }

    /// Set a new password with a code
    ///
    /// Takes a code of `forgot-password` for the same name, once, and ends all sessions of the user. A new password that is
    /// refused uses no guess; the code stays valid. Every name is told the same until the code is right.
    #[oai(path = "/api/auth/reset-password", method = "post", operation_id = "resetPassword")]
    async fn reset_password(
        &self,
        request: &Request,
        body: Json<ResetPasswordRequest>,
    ) -> Result<ResetPasswordResponse> {
        let ResetPasswordRequest { username, otp_code, new_password: new } = &body.0;
        let mut errors = FieldErrors::default();
        let name = errors.check("username", non_empty(username));
        let code = errors.check("otp_code", fields::otp_code(otp_code, self.services.otp.length));
        // The other names of the account are compared once the code is right: until then they are a secret. No name is longer.
        let typed: String = name.unwrap_or_default().trim().chars().take(LONGEST_EMAIL).collect();
        let password = errors.check("new_password", new_password(new, &[&typed]));
        let (Some(name), Some(code), Some(password)) = (name, code, password) else {
            return Ok(ResetPasswordResponse::Invalid(errors.into_error_response()));
        };
        let login = Login::parse(name, self.services.region);
        let new = reset_password::NewPassword { login, code, password, languages: languages(request) };
        let reset = reset_password::reset(&self.services, new, client_ip::from_request(request));
        Ok(match reset.await.map_err(RequestError::from)? {
            Reset::Done => ResetPasswordResponse::Done(Success::new(
                "Password changed successfully. Please login with it.",
                Nothing {},
            )),
            Reset::Code(refused) => match code_refusal(request, refused) {
                CodeRefusal::BadRequest(refusal) => ResetPasswordResponse::Refused(refusal),
                CodeRefusal::Exhausted(refusal) => ResetPasswordResponse::Exhausted(refusal),
            },
            Reset::Password(messages) => {
                let mut errors = FieldErrors::default();
                errors.check::<()>("new_password", Err(messages));
                ResetPasswordResponse::Invalid(errors.into_error_response())
            }
        })
    }
}
