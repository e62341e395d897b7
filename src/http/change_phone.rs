//! Changing the phone of an account, or giving it its first.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};

use super::{
    Tag,
    body::Json,
    budget, client_ip,
    code::{CodeSentData, NotSent, cooldown, languages, not_sent},
    envelope::{ErrorCode, Failure, Refusal, Success},
    fault::Fault,
    fields::{self, Faults, Field},
    security::Gate,
    verify::{NotTaken, not_taken},
};
use crate::flows::{
    Sending, Services, Wish,
    change_phone::{self, Asked, Changed, Refused},
    gate,
};

const CODE_SENT: &str = "OTP sent successfully to your new phone number";

/// The operations of this page.
pub struct ChangePhoneApi {
    /// What the verbs work with.
    pub services: Arc<Services>,
}

/// A wish for another number.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ChangePhoneRequest {
    phone_number: Field<fields::Phone>,
    #[oai(skip_serializing_if_is_none)]
    channel: Field<fields::Channel>,
    #[oai(skip_serializing_if_is_none)]
    platform: Field<fields::Platform>,
}

impl Example for ChangePhoneRequest {
    fn example() -> Self {
        Self { phone_number: Field::of("+919876543210"), channel: Field::absent(), platform: Field::absent() }
    }
}

/// The code that came to the new number.
#[derive(Debug, Object)]
#[oai(example)]
pub struct VerifyChangePhoneRequest {
    phone_number: Field<fields::Phone>,
    otp_code: Field<fields::Code>,
}

impl Example for VerifyChangePhoneRequest {
    fn example() -> Self {
        Self { phone_number: Field::of("+919876543210"), otp_code: Field::of("1097") }
    }
}

/// The number that is hers now.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PhoneChangedData {
    /// The verified phone in E.164. Tokens name it from the next `refresh` on.
    phone_number: String,
}

impl Example for PhoneChangedData {
    fn example() -> Self {
        Self { phone_number: "+919876543210".to_owned() }
    }
}

/// What `change-phone` can answer.
#[derive(ApiResponse)]
pub enum ChangePhoneResponse {
    /// The code is on its way to the new number.
    #[oai(status = 200)]
    Sent(Json<Success<CodeSentData>>),
    /// `phone_unreachable`: the number cannot get messages; `error.reason` says why.
    #[oai(status = 400)]
    Unreachable(Refusal),
    /// `reauthentication_required`: confirm first.
    #[oai(status = 403)]
    NotProved(Refusal),
    /// `phone_taken`: the number is another account's.
    #[oai(status = 409)]
    Taken(Refusal),
    /// `validation_failed`: `error.fields` names what is wrong; the number that the account has already too.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `otp_cooldown`: a code was sent to this phone too recently; `error.retry_after` says when the next may be.
    /// `phone_locked`: too many wrong codes came for this phone. `rate_limited`: too many codes were asked for.
    #[oai(status = 429)]
    TooSoon(Refusal),
    /// `sms_rejected`: the SMS provider refuses the server. Its operator has to act.
    #[oai(status = 502)]
    SmsRejected(Refusal),
    /// `sms_unavailable`: the SMS provider does not answer. Try again; there is no cooldown to wait for.
    #[oai(status = 503)]
    SmsUnavailable(Refusal),
}

/// What `verify-change-phone` can answer.
#[derive(ApiResponse)]
pub enum VerifyChangePhoneResponse {
    /// The number is the account's.
    #[oai(status = 200)]
    Changed(Json<Success<PhoneChangedData>>),
    /// `otp_not_found`: no code is waiting, or it was used. `otp_expired`: it is older than its life. `otp_invalid`:
    /// the wrong code, with `error.attempts_remaining`.
    #[oai(status = 400)]
    Refused(Refusal),
    /// `reauthentication_required`: confirm first, and then verify: the code keeps.
    #[oai(status = 403)]
    NotProved(Refusal),
    /// `phone_taken`: the number became another account's meanwhile.
    #[oai(status = 409)]
    Taken(Refusal),
    /// `validation_failed`: `error.fields` names what is wrong. No attempt was taken.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `otp_attempts_exhausted`: all guesses were used; `error.retry_after` says when the next code may be asked for.
    /// `phone_locked`: too many wrong codes came for this phone; without `error.retry_after` only staff can unlock it.
    /// `rate_limited`: too many wrong codes came from this address. No attempt was taken.
    #[oai(status = 429)]
    Exhausted(Refusal),
}

#[OpenApi(tag = "Tag::Session")]
impl ChangePhoneApi {
    /// Request a code for a new phone number
    ///
    /// Needs a proof of the last ten minutes of who holds the session: a sign-in, or `confirm`. The code is bound to this
    /// account and this number and opens nothing else. An account without a phone gets its first one so.
    #[oai(path = "/api/auth/change-phone", method = "post", operation_id = "changePhone")]
    async fn change_phone(
        &self,
        gate: Gate,
        request: &Request,
        body: Json<ChangePhoneRequest>,
    ) -> Result<ChangePhoneResponse> {
        let (body, services) = (&body.0, &self.services);
        let mut faults = Faults::default();
        let phone = faults.check("phone_number", fields::phone(&body.phone_number, services.region));
        let channel = faults.check("channel", fields::channel(&body.channel, &services.channels));
        let platform = faults.check("platform", fields::platform(&body.platform));
        let (Some(phone), Some(channel), Some(platform)) = (phone, channel, platform) else {
            return Ok(ChangePhoneResponse::Invalid(faults.refusal()));
        };
        let wish = Wish { channel, platform, languages: languages(request) };
        let asked = change_phone::ask(services, gate.0, phone.clone(), wish, client_ip::of(request))
            .await
            .map_err(Fault::from)?;
        Ok(match asked {
            Asked::Code(Sending::Sent(sent)) => {
                ChangePhoneResponse::Sent(Success::new(CODE_SENT, CodeSentData::new(&phone, sent)))
            }
            Asked::Code(Sending::TooSoon { retry_after }) => {
                ChangePhoneResponse::TooSoon(cooldown(retry_after))
            }
            Asked::Code(Sending::Refused(refusal)) => {
                ChangePhoneResponse::TooSoon(budget::refusal(request, &refusal))
            }
            Asked::Code(Sending::Failed(error)) => match not_sent(&error) {
                NotSent::Unreachable(refusal) => ChangePhoneResponse::Unreachable(refusal),
                NotSent::Rejected(refusal) => ChangePhoneResponse::SmsRejected(refusal),
                NotSent::Unavailable(refusal) => ChangePhoneResponse::SmsUnavailable(refusal),
            },
            Asked::Refused(refused) => match not_hers(refused) {
                NotHers::NotProved(refusal) => ChangePhoneResponse::NotProved(refusal),
                NotHers::Taken(refusal) => ChangePhoneResponse::Taken(refusal),
                NotHers::Invalid(refusal) => ChangePhoneResponse::Invalid(refusal),
            },
        })
    }

    /// Verify the code and change the phone number
    ///
    /// Needs a fresh proof again. The other sessions end, and the old number is told by SMS. The tokens of this session
    /// go on; they name the new number once they are refreshed.
    #[oai(path = "/api/auth/verify-change-phone", method = "post", operation_id = "verifyChangePhone")]
    async fn verify_change_phone(
        &self,
        gate: Gate,
        request: &Request,
        body: Json<VerifyChangePhoneRequest>,
    ) -> Result<VerifyChangePhoneResponse> {
        let (body, services) = (&body.0, &self.services);
        let mut faults = Faults::default();
        let phone = faults.check("phone_number", fields::phone(&body.phone_number, services.region));
        let code = faults.check("otp_code", fields::otp_code(&body.otp_code, services.otp.length));
        let Some((phone, code)) = phone.zip(code) else {
            return Ok(VerifyChangePhoneResponse::Invalid(faults.refusal()));
        };
        let (languages, from) = (languages(request), client_ip::of(request));
        let changed = change_phone::verify(services, gate.0, phone.clone(), code, languages, from);
        Ok(match changed.await.map_err(Fault::from)? {
            Changed::Done => {
                let data = PhoneChangedData { phone_number: phone.full().to_owned() };
                VerifyChangePhoneResponse::Changed(Success::new("Phone number changed successfully", data))
            }
            Changed::Code(refused) => match not_taken(request, refused) {
                NotTaken::BadRequest(refusal) => VerifyChangePhoneResponse::Refused(refusal),
                NotTaken::Exhausted(refusal) => VerifyChangePhoneResponse::Exhausted(refusal),
            },
            Changed::Refused(refused) => match not_hers(refused) {
                NotHers::NotProved(refusal) => VerifyChangePhoneResponse::NotProved(refusal),
                NotHers::Taken(refusal) => VerifyChangePhoneResponse::Taken(refusal),
                NotHers::Invalid(refusal) => VerifyChangePhoneResponse::Invalid(refusal),
            },
            Changed::Ended => return Err(Fault::Token(gate::Refused::Revoked).into()),
        })
    }
}

/// The three kinds of answer to a number that she cannot have.
enum NotHers {
    NotProved(Refusal),
    Taken(Refusal),
    Invalid(Refusal),
}

fn not_hers(refused: Refused) -> NotHers {
    match refused {
        Refused::NotProved => NotHers::NotProved(Failure::of(ErrorCode::ReauthenticationRequired).into()),
        Refused::Taken => NotHers::Taken(Failure::of(ErrorCode::PhoneTaken).into()),
        Refused::Own => {
            let mut faults = Faults::default();
            let sentence = "This is the phone number of your account already".to_owned();
            faults.check::<()>("phone_number", Err(vec![sentence]));
            NotHers::Invalid(faults.refusal())
        }
    }
}
