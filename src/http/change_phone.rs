//! Changing the phone of an account, or adding its first one.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, registry::MetaSchema, types::Example};

use super::{
    Tag, budget, client_ip,
    code::{CodeSentData, NotSent, bot_check_unavailable, challenge_required, cooldown, not_sent},
    envelope::{ErrorCode, ErrorResponse, Success},
    error::RequestError,
    fields::{self, Describe, Field, FieldErrors, describe},
    json::Json,
    preferences::{delivery_preferences, languages},
    security::{GuestGate, too_few_rights},
    verify::{CodeRefusal, code_refusal},
};
use crate::flows::{
    SendOutcome, Services,
    change_phone::{self, ChangeRequested, Changed, CodeFor, Refused},
    session,
};

const CODE_SENT: &str = "OTP sent successfully to your new phone number";
const CODE_SENT_TO_OTHER: &str = "OTP sent successfully to the phone number of your other account";

describe!(/// `merge` of `change-phone`.
MergeFlag, required: false, MetaSchema {
    description: Some("True to join the account of this number with yours: the code is for `merge-accounts`, and is sent whether or not the number has an account. Default false."),
    example: Some(false.into()),
    nullable: true,
    ..MetaSchema::new("boolean")
});

/// The operations of this module.
pub struct ChangePhoneApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// A request to change the number.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct ChangePhoneRequest {
    phone_number: Field<fields::Phone>,
    #[oai(skip_serializing_if_is_none)]
    channel: Field<fields::Channel>,
    #[oai(skip_serializing_if_is_none)]
    platform: Field<fields::Platform>,
    #[oai(skip_serializing_if_is_none)]
    merge: Field<MergeFlag>,
    #[oai(skip_serializing_if_is_none)]
    challenge_response: Field<fields::ChallengeResponse>,
}

impl Example for ChangePhoneRequest {
    fn example() -> Self {
        Self { phone_number: Field::from_value("+919876543210"), ..Self::default() }
    }
}

/// The code that was sent to the new number.
#[derive(Debug, Object)]
#[oai(example)]
pub struct VerifyChangePhoneRequest {
    phone_number: Field<fields::Phone>,
    otp_code: Field<fields::Code>,
}

impl Example for VerifyChangePhoneRequest {
    fn example() -> Self {
        Self { phone_number: Field::from_value("+919876543210"), otp_code: Field::from_value("1097") }
    }
}

/// The new number.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PhoneChangedData {
    /// The verified phone in E.164. Access tokens name it after the next `refresh`.
    phone_number: String,
}

impl Example for PhoneChangedData {
    fn example() -> Self {
        Self { phone_number: "+919876543210".to_owned() }
    }
}

/// The responses of `change-phone`.
#[derive(ApiResponse)]
pub enum ChangePhoneResponse {
    /// The code was sent to the new number.
    #[oai(status = 200)]
    Sent(Json<Success<CodeSentData>>),
    /// `phone_unreachable`: the number cannot receive messages; `error.reason` says why.
    #[oai(status = 400)]
    Unreachable(ErrorResponse),
    /// `reauthentication_required`: confirm first. `forbidden`: the account is one of staff, and the session was opened by a phone
    /// code or without the second factor. `challenge_required`, for a guest: solve `error.challenge` and send the request again with
    /// `challenge_response`.
    #[oai(status = 403)]
    NotAllowed(ErrorResponse),
    /// `phone_taken`: the number belongs to another account. If that is the same user's, `merge` and `merge-accounts` join the two.
    #[oai(status = 409)]
    Taken(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong, also if it is the account's current number.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
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

/// The responses of `verify-change-phone`.
#[derive(ApiResponse)]
pub enum VerifyChangePhoneResponse {
    /// The number was changed.
    #[oai(status = 200)]
    Changed(Json<Success<PhoneChangedData>>),
    /// `otp_not_found`: no code is pending, or it was used. `otp_expired`: the code has expired. `otp_invalid`: the
    /// code is wrong; `error.attempts_remaining` guesses are left.
    #[oai(status = 400)]
    Refused(ErrorResponse),
    /// `reauthentication_required`: confirm first, then verify: the code stays valid. `forbidden`: the account is one of staff,
    /// and the session was opened by a phone code or without the second factor.
    #[oai(status = 403)]
    NotAllowed(ErrorResponse),
    /// `phone_taken`: another account has taken the number meanwhile.
    #[oai(status = 409)]
    Taken(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong. No guess was used.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_attempts_exhausted`: all guesses are used; request the next code after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone; without `error.retry_after` only staff can unlock it.
    /// `rate_limited`: too many wrong codes from this address. No guess was used.
    #[oai(status = 429)]
    Exhausted(ErrorResponse),
}

#[OpenApi(tag = "Tag::Session")]
impl ChangePhoneApi {
    /// Request a code for a new phone number
    ///
    /// Needs a sign-in or `confirm` in this session in the last ten minutes. The code is bound to this account and this
    /// number. An account without a phone gets its first one in the same way. With `merge` the code is for `merge-accounts`. A guest needs no `confirm`, and counts as a client of
    /// `signup`: with its requests per address, and with its challenges.
    #[oai(path = "/api/auth/change-phone", method = "post", operation_id = "changePhone")]
    async fn change_phone(
        &self,
        gate: GuestGate,
        request: &Request,
        body: Json<ChangePhoneRequest>,
    ) -> Result<ChangePhoneResponse> {
        let (body, services) = (&body.0, &self.services);
        let mut errors = FieldErrors::default();
        let phone = errors.check("phone_number", fields::phone(&body.phone_number, services.region));
        let (channel, platform, channels) = (&body.channel, &body.platform, &services.channels);
        let preferences = delivery_preferences(request, channel, platform, channels, &mut errors);
        let merge = errors.check("merge", body.merge.given().map_or(Ok(false), Field::boolean));
        let response =
            errors.check("challenge_response", fields::challenge_response(&body.challenge_response));
        let (Some(phone), Some(preferences), Some(merge), Some(response)) =
            (phone, preferences, merge, response)
        else {
            return Ok(ChangePhoneResponse::Invalid(errors.into_error_response()));
        };
        let (code_for, message) =
            if merge { (CodeFor::Merge, CODE_SENT_TO_OTHER) } else { (CodeFor::Change, CODE_SENT) };
        let from = client_ip::from_request(request);
        let outcome = change_phone::request_code(
            services,
            gate.0,
            phone.clone(),
            code_for,
            preferences,
            response,
            from,
        )
        .await
        .map_err(RequestError::from)?;
        Ok(match outcome {
            ChangeRequested::Code(SendOutcome::Sent(sent)) => {
                ChangePhoneResponse::Sent(Success::new(message, CodeSentData::new(&phone, sent)))
            }
            ChangeRequested::Code(SendOutcome::TooSoon { retry_after }) => {
                ChangePhoneResponse::TooSoon(cooldown(retry_after))
            }
            ChangeRequested::Code(SendOutcome::Refused(refusal)) => {
                ChangePhoneResponse::TooSoon(budget::refusal(request, &refusal))
            }
            ChangeRequested::Code(SendOutcome::Failed(error)) => match not_sent(&error) {
                NotSent::Unreachable(refusal) => ChangePhoneResponse::Unreachable(refusal),
                NotSent::Rejected(refusal) => ChangePhoneResponse::SmsRejected(refusal),
                NotSent::Unavailable(refusal) => ChangePhoneResponse::SmsUnavailable(refusal),
            },
            ChangeRequested::Challenge(challenge) => {
                ChangePhoneResponse::NotAllowed(challenge_required(challenge))
            }
            ChangeRequested::BotCheckUnavailable => {
                ChangePhoneResponse::SmsUnavailable(bot_check_unavailable())
            }
            ChangeRequested::Refused(refused) => match refusal(refused) {
                Refusal::NotAllowed(refusal) => ChangePhoneResponse::NotAllowed(refusal),
                Refusal::Taken(refusal) => ChangePhoneResponse::Taken(refusal),
                Refusal::Invalid(refusal) => ChangePhoneResponse::Invalid(refusal),
            },
        })
    }

    /// Verify the code and change the phone number
    ///
    /// Needs a sign-in or `confirm` in the last ten minutes. The other sessions end, and the old number is notified by
    /// SMS. The tokens of this session stay valid, and name the new number after a refresh. A guest becomes a user.
    #[oai(path = "/api/auth/verify-change-phone", method = "post", operation_id = "verifyChangePhone")]
    async fn verify_change_phone(
        &self,
        gate: GuestGate,
        request: &Request,
        body: Json<VerifyChangePhoneRequest>,
    ) -> Result<VerifyChangePhoneResponse> {
        let (body, services) = (&body.0, &self.services);
        let mut errors = FieldErrors::default();
        let phone = errors.check("phone_number", fields::phone(&body.phone_number, services.region));
        let code = errors.check("otp_code", fields::otp_code(&body.otp_code, services.otp.length));
        let Some((phone, code)) = phone.zip(code) else {
            return Ok(VerifyChangePhoneResponse::Invalid(errors.into_error_response()));
        };
        let (languages, from) = (languages(request), client_ip::from_request(request));
        let changed = change_phone::verify(services, gate.0, phone.clone(), code, languages, from);
        Ok(match changed.await.map_err(RequestError::from)? {
            Changed::Done => {
                let data = PhoneChangedData { phone_number: phone.full().to_owned() };
                VerifyChangePhoneResponse::Changed(Success::new("Phone number changed successfully", data))
            }
            Changed::Code(refused) => match code_refusal(request, refused) {
                CodeRefusal::BadRequest(refusal) => VerifyChangePhoneResponse::Refused(refusal),
                CodeRefusal::Exhausted(refusal) => VerifyChangePhoneResponse::Exhausted(refusal),
            },
            Changed::Refused(refused) => match refusal(refused) {
                Refusal::NotAllowed(refusal) => VerifyChangePhoneResponse::NotAllowed(refusal),
                Refusal::Taken(refusal) => VerifyChangePhoneResponse::Taken(refusal),
                Refusal::Invalid(refusal) => VerifyChangePhoneResponse::Invalid(refusal),
            },
            Changed::Ended => return Err(RequestError::Token(session::TokenRefused::Revoked).into()),
        })
    }
}

/// The responses to a number that the account cannot have, by status.
enum Refusal {
    NotAllowed(ErrorResponse),
    Taken(ErrorResponse),
    Invalid(ErrorResponse),
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Forbidden => Refusal::NotAllowed(too_few_rights()),
        Refused::RecentAuthRequired => {
            Refusal::NotAllowed(ErrorResponse::from_code(ErrorCode::ReauthenticationRequired))
        }
        Refused::Taken => Refusal::Taken(ErrorResponse::from_code(ErrorCode::PhoneTaken)),
        Refused::Own => {
            let errors = FieldErrors::new("phone_number", "This is the phone number of your account already");
            Refusal::Invalid(errors.into_error_response())
        }
    }
}
