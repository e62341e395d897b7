//! Checks of phones for other services.

mod shapes;

use std::{net::IpAddr, sync::Arc};

use poem::{Request, Result};
use poem_openapi::{ApiResponse, OpenApi, param::Path};
use uuid::Uuid;

use self::shapes::{
    CheckVerificationRequest, EndUserAddress, StartVerificationRequest, StartedVerification, Verification,
};
use super::{
    Tag,
    api_key::VerificationsKey,
    budget,
    code::{NotSent, cooldown, not_sent},
    envelope::{ErrorCode, ErrorResponse},
    error::RequestError,
    fields::{self, Describe, ErrorMessages, Field, FieldErrors},
    json::Json,
    preferences::language_tag,
    verify::{CodeRefusal, code_refusal},
};
use crate::{
    domain::{address::ClientAddress, verification},
    flows::{
        DeliveryPreferences, Services,
        verifications::{self, Asked, Checked, Started},
    },
};

const NO_VERIFICATION: &str = "There is no such verification, or it is too old";

/// The operations of this module.
pub struct VerificationsApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// The responses of `startVerification`.
#[derive(ApiResponse)]
pub enum StartVerificationResponse {
    /// The code was sent.
    #[oai(status = 201)]
    Started(Json<StartedVerification>),
    /// `phone_unreachable`: the number cannot receive messages, or this key may not send to its country; `error.reason` says
    /// why.
    #[oai(status = 400)]
    Unreachable(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_cooldown`: a code was sent to this phone too recently; the next one after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone at this service. `rate_limited`: too many codes were sent to this phone, by
    /// this key, for the user's address, or in all.
    #[oai(status = 429)]
    TooSoon(ErrorResponse),
    /// `sms_rejected`: the SMS provider refuses the server. The operator has to act.
    #[oai(status = 502)]
    SmsRejected(ErrorResponse),
    /// `sms_unavailable`: the SMS provider does not answer. Try again; there is no cooldown.
    #[oai(status = 503)]
    SmsUnavailable(ErrorResponse),
}

/// The responses of `checkVerification`.
#[derive(ApiResponse)]
pub enum CheckVerificationResponse {
    /// The code is right, and is used up. The status is `approved`.
    #[oai(status = 200)]
    Approved(Json<Verification>),
    /// `otp_not_found`: the verification was approved or canceled. `otp_expired`: the code has expired. `otp_invalid`: the
    /// code is wrong; `error.attempts_remaining` guesses are left.
    #[oai(status = 400)]
    Refused(ErrorResponse),
    /// `not_found`: this key has no such verification.
    #[oai(status = 404)]
    NotFound(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong. No guess was used.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_attempts_exhausted`: all guesses are used; start the next verification after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone at this service. `rate_limited`: too many wrong codes at this service, or
    /// from the user's address. No guess was used.
    #[oai(status = 429)]
    Exhausted(ErrorResponse),
}

/// The responses to a request about a verification.
#[derive(ApiResponse)]
pub enum VerificationResponse {
    /// The verification as it is now.
    #[oai(status = 200)]
    Known(Json<Verification>),
    /// `not_found`: this key has no such verification.
    #[oai(status = 404)]
    NotFound(ErrorResponse),
}

#[OpenApi(tag = "Tag::Services")]
impl VerificationsApi {
    /// Send a code to a phone, for another service
    ///
    /// The same phone and `reference` again, while the verification is pending, is a resend: the same verification, the same code, by
    /// another `channel` if one is given, and no more guesses. No account and no session come of it.
    #[oai(path = "/api/verifications", method = "post", operation_id = "startVerification")]
    async fn start(
        &self,
        key: VerificationsKey,
        request: &Request,
        body: Json<StartVerificationRequest>,
    ) -> Result<StartVerificationResponse> {
        use StartVerificationResponse as Response;
        let asked = match self.read_fields(&body.0) {
            Ok(asked) => asked,
            Err(errors) => return Ok(Response::Invalid(errors.into_error_response())),
        };
        let outcome = verifications::start(&self.services, key.0, asked).await.map_err(RequestError::from)?;
        Ok(match outcome {
            Started::Sent(verification, sent) => {
                let now = self.services.clock.now();
                Response::Started(Json(StartedVerification::new(&verification, sent, now)))
            }
            Started::TooSoon { retry_after } => Response::TooSoon(cooldown(retry_after)),
            Started::Refused(refusal) => Response::TooSoon(budget::refusal(request, &refusal)),
            Started::Failed(error) => match not_sent(&error) {
                NotSent::Unreachable(refusal) => Response::Unreachable(refusal),
                NotSent::Rejected(refusal) => Response::SmsRejected(refusal),
                NotSent::Unavailable(refusal) => Response::SmsUnavailable(refusal),
            },
        })
    }

    /// Check the code of a verification
    ///
    /// Takes the right code once. `OTP_MAX_ATTEMPTS` wrong guesses use it up.
    #[oai(path = "/api/verifications/:id/check", method = "post", operation_id = "checkVerification")]
    async fn check(
        &self,
        key: VerificationsKey,
        request: &Request,
        /// The `id` of the verification.
        id: Path<String>,
        body: Json<CheckVerificationRequest>,
    ) -> Result<CheckVerificationResponse> {
        use CheckVerificationResponse as Response;
        let CheckVerificationRequest { otp_code, end_user_address } = &body.0;
        let mut errors = FieldErrors::default();
        let code = errors.check("otp_code", fields::otp_code(otp_code, self.services.otp.length));
        let end_user = errors.check("end_user_address", end_user(end_user_address));
        let (Some(code), Some(end_user)) = (code, end_user) else {
            return Ok(Response::Invalid(errors.into_error_response()));
        };
        let Ok(id) = id.0.parse::<Uuid>() else { return Ok(Response::NotFound(not_found())) };
        let outcome = verifications::check(&self.services, key.0, id, code, end_user);
        Ok(match outcome.await.map_err(RequestError::from)? {
            Checked::Approved(verification) => {
                Response::Approved(Json(Verification::new(&verification, self.services.clock.now())))
            }
            Checked::NotFound => Response::NotFound(not_found()),
            Checked::Refused(refused) => match code_refusal(request, refused) {
                CodeRefusal::BadRequest(refusal) => Response::Refused(refusal),
                CodeRefusal::Exhausted(refusal) => Response::Exhausted(refusal),
            },
        })
    }

    /// Get a verification
    ///
    /// How it stands now. It is kept as long as its messages (`RETENTION_MESSAGES_DAYS`).
    #[oai(path = "/api/verifications/:id", method = "get", operation_id = "getVerification")]
    async fn get(
        &self,
        key: VerificationsKey,
        /// The `id` of the verification.
        id: Path<String>,
    ) -> Result<VerificationResponse> {
        let Ok(id) = id.0.parse::<Uuid>() else { return Ok(VerificationResponse::NotFound(not_found())) };
        let found = verifications::find(&self.services, &key.0, id).await.map_err(RequestError::from)?;
        Ok(self.known(found))
    }

    /// Cancel a verification
    ///
    /// A pending one is canceled, and its code ends. Any other stays as it is: the response says how it stands.
    #[oai(path = "/api/verifications/:id", method = "delete", operation_id = "cancelVerification")]
    async fn cancel(
        &self,
        key: VerificationsKey,
        /// The `id` of the verification.
        id: Path<String>,
    ) -> Result<VerificationResponse> {
        let Ok(id) = id.0.parse::<Uuid>() else { return Ok(VerificationResponse::NotFound(not_found())) };
        let found = verifications::cancel(&self.services, key.0, id).await.map_err(RequestError::from)?;
        Ok(self.known(found))
    }
}

impl VerificationsApi {
    fn known(&self, found: Option<verification::Verification>) -> VerificationResponse {
        let now = self.services.clock.now();
        found.map_or_else(
            || VerificationResponse::NotFound(not_found()),
            |found| VerificationResponse::Known(Json(Verification::new(&found, now))),
        )
    }

    fn read_fields(&self, body: &StartVerificationRequest) -> Result<Asked, FieldErrors> {
        let StartVerificationRequest { phone_number, channel, locale, reference, end_user_address } = body;
        let mut errors = FieldErrors::default();
        let phone = errors.check("phone_number", fields::phone(phone_number, self.services.region));
        let channel = errors.check("channel", fields::channel(channel, &self.services.channels));
        let locale = errors.check("locale", maybe(locale, |field| language_tag(field.text()?)));
        let reference = maybe(reference, |field| fields::parsed(verification::reference(field.text()?)));
        let reference = errors.check("reference", reference);
        let end_user = errors.check("end_user_address", end_user(end_user_address));
        match (phone, channel, locale, reference, end_user) {
            (Some(phone), Some(channel), Some(locale), Some(reference), Some(end_user)) => {
                let languages = locale.into_iter().collect();
                let preferences = DeliveryPreferences { channel, platform: None, languages };
                Ok(Asked { phone, preferences, reference, end_user })
            }
            _ => Err(errors),
        }
    }
}

/// Reads a field that may be left out or null.
fn maybe<D: Describe, T>(
    field: &Field<D>,
    read: impl FnOnce(&Field<D>) -> Result<T, ErrorMessages>,
) -> Result<Option<T>, ErrorMessages> {
    field.given().map(read).transpose()
}

fn end_user(field: &Field<EndUserAddress>) -> Result<Option<ClientAddress>, ErrorMessages> {
    maybe(field, |field| {
        let address = field.text()?.parse::<IpAddr>();
        address.map(ClientAddress::new).map_err(|_| vec!["Must be an IPv4 or IPv6 address".to_owned()])
    })
}

fn not_found() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::NotFound, NO_VERIFICATION)
}
