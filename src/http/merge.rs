//! Joining two accounts of one user.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use secrecy::ExposeSecret;

use super::{
    Tag, client_ip,
    envelope::{ErrorCode, ErrorResponse, SuccessWithToken},
    error::RequestError,
    fields::{self, Field, FieldErrors},
    json::Json,
    preferences::languages,
    security::{Gate, too_few_rights},
    verify::{CodeRefusal, LoggedInData, code_refusal},
};
use crate::{
    domain::account_merge::Unfit,
    flows::{
        Services,
        merge::{self, MergeRefused, Merged},
        session::TokenRefused,
    },
};

const STAFF: &str = "An account of staff, or one for app review, is not joined with another one";

/// The operations of this module.
pub struct MergeApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// The code that was sent to the phone of the other account.
#[derive(Debug, Object)]
#[oai(example)]
pub struct MergeAccountsRequest {
    phone_number: Field<fields::Phone>,
    otp_code: Field<fields::Code>,
}

impl Example for MergeAccountsRequest {
    fn example() -> Self {
        Self { phone_number: Field::from_value("+919876543210"), otp_code: Field::from_value("1097") }
    }
}

/// The responses of `merge-accounts`.
#[derive(ApiResponse)]
pub enum MergeAccountsResponse {
    /// The two accounts are one, and this session goes on. `token` is its next access token.
    #[oai(status = 200)]
    Merged(Json<SuccessWithToken<LoggedInData>>),
    /// `otp_not_found`: no code is pending, or it was used. `otp_expired`: the code has expired. `otp_invalid`: the
    /// code is wrong; `error.attempts_remaining` guesses are left.
    #[oai(status = 400)]
    Refused(ErrorResponse),
    /// `reauthentication_required`: confirm first: the code stays valid. `forbidden`: one of the accounts belongs to staff, or is for
    /// app review, or this session has fewer rights than its account. `account_disabled`: the code is right, but the other account is
    /// disabled.
    #[oai(status = 403)]
    NotAllowed(ErrorResponse),
    /// `user_not_found`: the code is right, but the phone has no account.
    #[oai(status = 404)]
    NoAccount(ErrorResponse),
    /// `validation_failed`: `error.fields` names what is wrong, also if it is the account's own number. No guess was used.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_attempts_exhausted`: all guesses are used; request the next code after `error.retry_after` seconds.
    /// `phone_locked`: too many wrong codes for this phone; without `error.retry_after` only staff can unlock it.
    /// `rate_limited`: too many wrong codes from this address. No guess was used.
    #[oai(status = 429)]
    Exhausted(ErrorResponse),
}

#[OpenApi(tag = "Tag::Session")]
impl MergeApi {
    /// Join another account of the same user
    ///
    /// Takes the code that `change-phone` with `merge` sent to the phone of the other account. This account stays: it gets that phone,
    /// the profile of the account with more of it, and the interests of both; username, e-mail address and password come along where
    /// it has none. The other account is gone, and its id answers 410 `account_merged`. All other sessions of both end, and
    /// both phones get a notice. Needs a sign-in or `confirm` in this session in the last ten minutes.
    #[oai(path = "/api/auth/merge-accounts", method = "post", operation_id = "mergeAccounts")]
    async fn merge_accounts(
        &self,
        gate: Gate,
        request: &Request,
        body: Json<MergeAccountsRequest>,
    ) -> Result<MergeAccountsResponse> {
        let (body, services) = (&body.0, &self.services);
        let mut errors = FieldErrors::default();
        let phone = errors.check("phone_number", fields::phone(&body.phone_number, services.region));
        let code = errors.check("otp_code", fields::otp_code(&body.otp_code, services.otp.length));
        let Some((phone, code)) = phone.zip(code) else {
            return Ok(MergeAccountsResponse::Invalid(errors.into_error_response()));
        };
        let (languages, from) = (languages(request), client_ip::from_request(request));
        let merged = merge::merge(services, gate.0, phone.clone(), code, languages, from);
        Ok(match merged.await.map_err(RequestError::from)? {
            Merged::In(signed_in) => {
                let data = LoggedInData::new(services, &phone, &signed_in);
                let token = signed_in.tokens.access.expose_secret();
                MergeAccountsResponse::Merged(SuccessWithToken::new(
                    "Accounts merged successfully",
                    data,
                    token,
                ))
            }
            Merged::Code(refused) => match code_refusal(request, refused) {
                CodeRefusal::BadRequest(refusal) => MergeAccountsResponse::Refused(refusal),
                CodeRefusal::Exhausted(refusal) => MergeAccountsResponse::Exhausted(refusal),
            },
            Merged::Refused(refused) => refusal(refused),
            Merged::Ended => return Err(RequestError::Token(TokenRefused::Revoked).into()),
        })
    }
}

fn refusal(refused: MergeRefused) -> MergeAccountsResponse {
    use MergeAccountsResponse as Response;
    match refused {
        MergeRefused::Forbidden => Response::NotAllowed(too_few_rights()),
        MergeRefused::RecentAuthRequired => {
            Response::NotAllowed(ErrorResponse::from_code(ErrorCode::ReauthenticationRequired))
        }
        MergeRefused::Own | MergeRefused::Unfit(Unfit::Same) => {
            let errors = FieldErrors::new("phone_number", "This is the phone number of your account already");
            Response::Invalid(errors.into_error_response())
        }
        MergeRefused::NoAccount | MergeRefused::Unfit(Unfit::Stale) => {
            Response::NoAccount(ErrorResponse::from_code(ErrorCode::UserNotFound))
        }
        // A blocked phone is an error of the request, as everywhere.
        MergeRefused::Unfit(Unfit::Staff | Unfit::Blocked) => {
            Response::NotAllowed(ErrorResponse::new(ErrorCode::Forbidden, STAFF))
        }
        MergeRefused::Unfit(Unfit::Disabled) => {
            Response::NotAllowed(ErrorResponse::from_code(ErrorCode::AccountDisabled))
        }
    }
}
