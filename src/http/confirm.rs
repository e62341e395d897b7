//! Confirming a session: by a code to the phone of the account, or by its password.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};

use super::{
    Tag, budget, client_ip,
    code::{CodeSentData, NotSent, cooldown, not_sent},
    envelope::{ErrorCode, ErrorResponse, Success},
    error::RequestError,
    fields::{self, Field, FieldErrors},
    json::Json,
    preferences::languages,
    security::Gate,
    timestamp::rfc3339,
    verify::{CodeRefusal, code_refusal},
};
use crate::flows::{
    DeliveryPreferences, SendOutcome, Services,
    confirm::{self, CodeAsked, Confirmed},
    session::TokenRefused,
};

const NO_PHONE: &str = "This account has no verified phone number: confirm with your password";
const CODE_SENT: &str = "OTP sent successfully to your phone number";

/// The operations of this module.
pub struct ConfirmApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// A confirmation: one of the two.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct ConfirmRequest {
    #[oai(skip_serializing_if_is_none)]
    otp_code: Field<fields::MaybeCode>,
    #[oai(skip_serializing_if_is_none)]
    password: Field<fields::OwnPassword>,
}

impl Example for ConfirmRequest {
    fn example() -> Self {
        Self { otp_code: Field::from_value("1097"), ..Self::default() }
    }
}

/// How long the confirmation is valid.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ConfirmedData {
    /// Until when this session may do what needs a confirmation (RFC 3339, UTC).
    confirmed_until: String,
}

impl Example for ConfirmedData {
    fn example() -> Self {
        Self { confirmed_until: "2025-10-03T10:25:23.435393+00:00".to_owned() }
    }
}

/// The responses of `confirm-code`.
#[derive(ApiResponse)]
pub enum ConfirmCodeResponse {
    /// The code was sent.
    #[oai(status = 200)]
    Sent(Json<Success<CodeSentData>>),
    /// `phone_unreachable`: the number cannot receive messages; `error.reason` says why.
    #[oai(status = 400)]
    Unreachable(ErrorResponse),
    /// `not_found`: the account has no verified phone. Confirm with the password.
    #[oai(status = 404)]
    NoPhone(ErrorResponse),
    /// `otp_cooldown`: a code was sent to this phone too recently; the next one after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone. `rate_limited`: too many codes were requested.
    #[oai(status = 429)]
    TooSoon(ErrorResponse),
    /// `sms_rejected`: the SMS provider refuses the server. The operator has to act.
    #[oai(status = 502)]
    SmsRejected(ErrorResponse),
    /// `sms_unavailable`: the SMS provider does not answer. Try again; there is no cooldown.
    #[oai(status = 503)]
    SmsUnavailable(ErrorResponse),
}

/// The responses of `confirm`.
#[derive(ApiResponse)]
pub enum ConfirmResponse {
    /// Confirmed.
    #[oai(status = 200)]
    Confirmed(Json<Success<ConfirmedData>>),
    /// `otp_not_found`: no code is pending, or it was used. `otp_expired`: the code has expired. `otp_invalid`: the
    /// code is wrong; `error.attempts_remaining` guesses are left. `malformed_request`: the body has neither or both of
    /// `otp_code` and `password`.
    #[oai(status = 400)]
    Refused(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong, also a wrong password: on a 401 apps would refresh
    /// their token.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_attempts_exhausted`: all guesses are used; request the next code after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone; without `error.retry_after` only staff can unlock it.
    /// `rate_limited`: too many wrong codes or passwords from this address, or too many wrong passwords for this
    /// account. Nothing was judged.
    #[oai(status = 429)]
    Exhausted(ErrorResponse),
}

#[OpenApi(tag = "Tag::Session")]
impl ConfirmApi {
    /// Request a code to confirm the session
    ///
    /// Sends a code to the verified phone of the account. The code confirms and does nothing else; no other code
    /// confirms.
    #[oai(path = "/api/auth/confirm-code", method = "post", operation_id = "confirmCode")]
    async fn confirm_code(&self, gate: Gate, request: &Request) -> Result<ConfirmCodeResponse> {
        let preferences =
            DeliveryPreferences { languages: languages(request), ..DeliveryPreferences::default() };
        let outcome =
            confirm::send_code(&self.services, gate.0, preferences, client_ip::from_request(request))
                .await
                .map_err(RequestError::from)?;
        Ok(match outcome {
            CodeAsked::Code { phone, sending: SendOutcome::Sent(sent) } => {
                ConfirmCodeResponse::Sent(Success::new(CODE_SENT, CodeSentData::new(&phone, sent)))
            }
            CodeAsked::Code { sending: SendOutcome::TooSoon { retry_after }, .. } => {
                ConfirmCodeResponse::TooSoon(cooldown(retry_after))
            }
            CodeAsked::Code { sending: SendOutcome::Refused(refusal), .. } => {
                ConfirmCodeResponse::TooSoon(budget::refusal(request, &refusal))
            }
            CodeAsked::Code { sending: SendOutcome::Failed(error), .. } => match not_sent(&error) {
                NotSent::Unreachable(refusal) => ConfirmCodeResponse::Unreachable(refusal),
                NotSent::Rejected(refusal) => ConfirmCodeResponse::SmsRejected(refusal),
                NotSent::Unavailable(refusal) => ConfirmCodeResponse::SmsUnavailable(refusal),
            },
            CodeAsked::NoPhone => {
                ConfirmCodeResponse::NoPhone(ErrorResponse::new(ErrorCode::NotFound, NO_PHONE))
            }
        })
    }

    /// Confirm the session with a code or the password
    ///
    /// Accepts a code of `confirm-code`, once, or the password. For ten minutes this session may then change the phone,
    /// set a first password and delete the account. A sign-in confirms too.
    #[oai(path = "/api/auth/confirm", method = "post", operation_id = "confirm")]
    async fn confirm(
        &self,
        gate: Gate,
        request: &Request,
        body: Json<ConfirmRequest>,
    ) -> Result<ConfirmResponse> {
        let ConfirmRequest { otp_code, password } = &body.0;
        let mut errors = FieldErrors::default();
        let outcome = match (otp_code.given(), password.given()) {
            (Some(field), None) => {
                let code = fields::otp_code(field, self.services.otp.length);
                let Some(code) = errors.check("otp_code", code) else {
                    return Ok(ConfirmResponse::Invalid(errors.into_error_response()));
                };
                confirm::by_code(&self.services, gate.0, code, client_ip::from_request(request)).await
            }
            (None, Some(field)) => {
                let Some(password) = errors.check("password", field.text()) else {
                    return Ok(ConfirmResponse::Invalid(errors.into_error_response()));
                };
                confirm::by_password(
                    &self.services,
                    gate.0,
                    password.into(),
                    client_ip::from_request(request),
                )
                .await
            }
            (None, None) => return Ok(malformed("Name an otp_code or a password")),
            (Some(_), Some(_)) => return Ok(malformed("Name an otp_code or a password, not both")),
        };
        Ok(match outcome.map_err(RequestError::from)? {
            Confirmed::Until(until) => {
                let confirmed_until = rfc3339(until);
                ConfirmResponse::Confirmed(Success::new("Confirmed", ConfirmedData { confirmed_until }))
            }
            Confirmed::Code(refused) => match code_refusal(request, refused) {
                CodeRefusal::BadRequest(refusal) => ConfirmResponse::Refused(refusal),
                CodeRefusal::Exhausted(refusal) => ConfirmResponse::Exhausted(refusal),
            },
            Confirmed::WrongPassword => {
                let errors = FieldErrors::new("password", "This is not your password");
                ConfirmResponse::Invalid(errors.into_error_response())
            }
            Confirmed::Refused(refusal) => ConfirmResponse::Exhausted(budget::refusal(request, &refusal)),
            Confirmed::Ended => return Err(RequestError::Token(TokenRefused::Revoked).into()),
        })
    }
}

fn malformed(message: &'static str) -> ConfirmResponse {
    ConfirmResponse::Refused(ErrorResponse::new(ErrorCode::MalformedRequest, message))
}
