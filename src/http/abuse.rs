//! Locks of phones and prefixes of numbers, for staff: what stands between a person and her code, and how to lift it.

mod shapes;

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
};

use super::{
    Tag,
    body::MaybeJson,
    client_ip,
    envelope::{ErrorCode, ErrorResponse, Failure},
    error::RequestError,
    fields::{Field, FieldErrors, Messages, optional},
    json::Json,
    security::Gate,
    users::shapes::{PageNumber, PerPage},
};
use crate::{
    domain::{
        budget::{Prefix, PrefixName, Wanted},
        phone::PhoneNumber,
        roles::{self, AbusePermission, Forbidden},
        users::{Number, PageOf, Size},
    },
    flows::{Services, prefixes, unlock},
};

use shapes::{Opening, PhoneStatus, PrefixRows, PrefixState, Prefixes, Unlocked};

const NO_PREFIX: &str = "No message was ever sent to this prefix";

/// The longest time for which a prefix is held open: 30 days.
const MOST_HOURS: i64 = 720;

/// The operations of this page.
pub struct AbuseApi {
    /// What the verbs work with.
    pub services: Arc<Services>,
}

/// What the list of prefixes can answer.
#[derive(ApiResponse)]
pub enum PrefixesResponse {
    /// The page, most messages first; empty past the end.
    #[oai(status = 200)]
    List(Json<Prefixes>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `validation_failed`: `error.fields` names the parameters that are wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// What the opening of a prefix can answer.
#[derive(ApiResponse)]
pub enum OpenPrefixResponse {
    /// The prefix as it is now.
    #[oai(status = 200)]
    Done(Json<PrefixRows>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `not_found`: no message was ever sent to it, or it is not a prefix.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
    /// `validation_failed`: `hours` is not from 1 to 720.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// What the closing of a prefix can answer.
#[derive(ApiResponse)]
pub enum ClosePrefixResponse {
    /// The prefix as it is now.
    #[oai(status = 200)]
    Done(Json<PrefixRows>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `not_found`: no message was ever sent to it, or it is not a prefix.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
}

/// What the look at a phone can answer.
#[derive(ApiResponse)]
pub enum PhoneResponse {
    /// The state of the phone.
    #[oai(status = 200)]
    Found(Json<PhoneStatus>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `validation_failed`: `phone` is not a phone number.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// What the unlocking of a phone can answer.
#[derive(ApiResponse)]
pub enum UnlockResponse {
    /// The phone is not locked; it may not have been before.
    #[oai(status = 200)]
    Done(Json<Unlocked>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `validation_failed`: `phone` is not a phone number.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

#[OpenApi(tag = "Tag::Abuse")]
impl AbuseApi {
    /// List number prefixes
    ///
    /// A prefix is a country code and the next four digits. For staff and admins, in a session opened with the
    /// password. The answer also has the sums of every country, whatever `state` is.
    #[oai(path = "/api/abuse/prefixes", method = "get", operation_id = "listPrefixes")]
    async fn list(
        &self,
        gate: Gate,
        request: &Request,
        /// `closed`: prefixes that get no messages now. `open`: the others.
        state: Query<PrefixState>,
        /// The page, from 1.
        page: Query<PageNumber>,
        /// Prefixes per page, 1 to 100; default 20.
        per_page: Query<PerPage>,
    ) -> Result<PrefixesResponse> {
        if let Err(Forbidden) = keeping(&gate, request) {
            return Ok(PrefixesResponse::Forbidden(forbidden()));
        }
        let mut errors = FieldErrors::default();
        let wanted = errors.check("state", sentence(Wanted::parse(state.text())));
        let number = errors.check("page", sentence(Number::parse(page.text())));
        let size = Size::parse(per_page.text())
            .map_err(|_| "Prefixes per page must be a whole number from 1 to 100");
        let size = errors.check("per_page", sentence(size));
        let (Some(wanted), Some(number), Some(size)) = (wanted, number, size) else {
            return Ok(PrefixesResponse::Invalid(errors.into_error_response()));
        };
        let page = PageOf::new(number, size);
        let listed = prefixes::list(&self.services, wanted, page).await.map_err(RequestError::from)?;
        Ok(PrefixesResponse::List(Json(Prefixes::from_listed(&listed, page))))
    }

    /// Open a prefix
    ///
    /// With `hours` it is held open for that long, even if no codes come back, for example before a campaign. Without,
    /// it closes again if its codes do not come back.
    #[oai(path = "/api/abuse/prefixes/:prefix/open", method = "post", operation_id = "openPrefix")]
    async fn open(
        &self,
        gate: Gate,
        request: &Request,
        /// The prefix, with its plus or without: `916205`.
        prefix: Path<String>,
        body: MaybeJson<Opening>,
    ) -> Result<OpenPrefixResponse> {
        use OpenPrefixResponse as Response;
        let permission = match keeping(&gate, request) {
            Ok(permission) => permission,
            Err(Forbidden) => return Ok(Response::Forbidden(forbidden())),
        };
        let mut errors = FieldErrors::default();
        let absent = Field::absent();
        let hours = body.0.as_ref().map_or(&absent, |body| &body.hours);
        let hours = optional(&mut errors, "hours", hours, |field| match field.integer()? {
            hours if (1..=MOST_HOURS).contains(&hours) => Ok(hours),
            _ => Err(vec![format!("Hours must be a whole number from 1 to {MOST_HOURS}")]),
        });
        if !errors.is_empty() {
            return Ok(Response::Invalid(errors.into_error_response()));
        }
        let Ok(prefix) = prefix.parse::<PrefixName>() else {
            return Ok(Response::Unknown(no_prefix()));
        };
        let rows =
            prefixes::open(&self.services, prefix, hours, permission).await.map_err(RequestError::from)?;
        Ok(known(&rows).map_or_else(|| Response::Unknown(no_prefix()), Response::Done))
    }

    /// Close a prefix
    ///
    /// For `PREFIX_CLOSED_MINUTES`, even if codes come back. Phones with an account are still served. To block a prefix
    /// permanently use `SMS_BLOCKED_PREFIXES`.
    #[oai(path = "/api/abuse/prefixes/:prefix/close", method = "post", operation_id = "closePrefix")]
    async fn close(
        &self,
        gate: Gate,
        request: &Request,
        /// The prefix, with its plus or without: `916205`.
        prefix: Path<String>,
    ) -> Result<ClosePrefixResponse> {
        use ClosePrefixResponse as Response;
        let permission = match keeping(&gate, request) {
            Ok(permission) => permission,
            Err(Forbidden) => return Ok(Response::Forbidden(forbidden())),
        };
        let Ok(prefix) = prefix.parse::<PrefixName>() else {
            return Ok(Response::Unknown(no_prefix()));
        };
        let rows =
            prefixes::close_by_hand(&self.services, prefix, permission).await.map_err(RequestError::from)?;
        Ok(known(&rows).map_or_else(|| Response::Unknown(no_prefix()), Response::Done))
    }

    /// Get the state of a phone number
    ///
    /// Why a user got no code: every limit of the phone that is partly or fully used, until when; whether settings
    /// exclude the number; and the state of its prefix.
    #[oai(path = "/api/abuse/phones/:phone", method = "get", operation_id = "getPhone")]
    async fn phone(
        &self,
        gate: Gate,
        request: &Request,
        /// The phone number, in any spelling.
        phone: Path<String>,
    ) -> Result<PhoneResponse> {
        if let Err(Forbidden) = keeping(&gate, request) {
            return Ok(PhoneResponse::Forbidden(forbidden()));
        }
        let phone = match self.read(&phone) {
            Ok(phone) => phone,
            Err(errors) => return Ok(PhoneResponse::Invalid(errors.into_error_response())),
        };
        let status = unlock::look(&self.services, &phone).await.map_err(RequestError::from)?;
        Ok(PhoneResponse::Found(Json(PhoneStatus::from_status(&phone, &status))))
    }

    /// Unlock a phone
    ///
    /// Forgets wrong guesses from every address, and failures in a row. Messages sent still count. Verify the caller
    /// first: an attacker also wants the number unlocked.
    #[oai(path = "/api/abuse/phones/:phone/unlock", method = "post", operation_id = "unlockPhone")]
    async fn unlock(
        &self,
        gate: Gate,
        request: &Request,
        /// The phone number, in any spelling.
        phone: Path<String>,
    ) -> Result<UnlockResponse> {
        let permission = match keeping(&gate, request) {
            Ok(permission) => permission,
            Err(Forbidden) => return Ok(UnlockResponse::Forbidden(forbidden())),
        };
        let phone = match self.read(&phone) {
            Ok(phone) => phone,
            Err(errors) => return Ok(UnlockResponse::Invalid(errors.into_error_response())),
        };
        let unlocked =
            unlock::unlock(&self.services, phone.clone(), permission).await.map_err(RequestError::from)?;
        Ok(UnlockResponse::Done(Json(Unlocked::from_unlocked(&phone, &unlocked))))
    }
}

impl AbuseApi {
    fn read(&self, text: &str) -> Result<PhoneNumber, FieldErrors> {
        let mut errors = FieldErrors::default();
        let phone = errors.check("phone", sentence(PhoneNumber::parse(text, self.services.region)));
        phone.ok_or(errors)
    }
}

fn keeping(gate: &Gate, request: &Request) -> Result<AbusePermission, Forbidden> {
    roles::may_manage_abuse(&gate.0, client_ip::from_request(request))
}

fn forbidden() -> ErrorResponse {
    Failure::from_code(ErrorCode::Forbidden).into()
}

fn known(rows: &[Prefix]) -> Option<Json<PrefixRows>> {
    (!rows.is_empty()).then(|| Json(PrefixRows::from_rows(rows)))
}

fn no_prefix() -> ErrorResponse {
    Failure::new(ErrorCode::NotFound, NO_PREFIX).into()
}

fn sentence<T>(result: Result<T, impl std::fmt::Display>) -> Result<T, Messages> {
    result.map_err(|error| vec![error.to_string()])
}
