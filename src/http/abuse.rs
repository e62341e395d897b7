//! Locked phones and closed number prefixes, for staff: why a user gets no code, and how to lift it.

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
    envelope::{ErrorCode, ErrorResponse},
    error::RequestError,
    fields::{Field, FieldErrors, optional, parsed},
    json::Json,
    lists::list_response,
    security::Gate,
    users::shapes::{PageNumber, PerPage},
};
use crate::{
    domain::{
        budget::{Prefix, PrefixName, Wanted},
        phone::PhoneNumber,
        roles::{self, Forbidden, StaffPermission},
        users::{Number, PageOf, Size},
    },
    flows::{Services, console, prefixes, unlock},
};

use shapes::{MAX_HOURS, OpenPrefixRequest, PhoneStatus, PrefixRows, PrefixState, Prefixes, Unlocked};

const NO_PREFIX: &str = "No message was ever sent to this prefix";

/// The operations of this module.
pub struct AbuseApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

list_response!(
    /// The responses of listing prefixes.
    PrefixesResponse: Prefixes, "The page, most messages first; empty past the end.", for staff
);

/// The responses of opening a prefix.
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

/// The responses of closing a prefix.
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

/// The responses of reading the state of a phone.
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

/// The responses of unlocking a phone.
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
    /// password. The response also has the sums of every country, whatever `state` is.
    #[oai(path = "/api/abuse/prefixes", method = "get", operation_id = "listPrefixes")]
    async fn list(
        &self,
        gate: Gate,
        request: &Request,
        /// `closed`: prefixes that get no messages now. `open`: the others.
        state: Query<Field<PrefixState>>,
        /// The page, from 1.
        page: Query<Field<PageNumber>>,
        /// Prefixes per page, 1 to 100; default 20.
        per_page: Query<Field<PerPage>>,
    ) -> Result<PrefixesResponse> {
        if staff_permission(&gate, request).is_err() {
            return Ok(PrefixesResponse::Forbidden(forbidden()));
        }
        let mut errors = FieldErrors::default();
        let wanted = errors.check("state", parsed(Wanted::parse(state.raw_text())));
        let number = errors.check("page", parsed(Number::parse(page.raw_text())));
        let size = Size::parse(per_page.raw_text())
            .map_err(|_| "Prefixes per page must be a whole number from 1 to 100");
        let size = errors.check("per_page", parsed(size));
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
        body: MaybeJson<OpenPrefixRequest>,
    ) -> Result<OpenPrefixResponse> {
        use OpenPrefixResponse as Response;
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(Response::Forbidden(forbidden()));
        };
        let mut errors = FieldErrors::default();
        let body = body.0.unwrap_or_default();
        let hours = optional(&mut errors, "hours", &body.hours, |field| match field.integer()? {
            hours if (1..=i64::from(MAX_HOURS)).contains(&hours) => Ok(hours),
            _ => Err(vec![format!("Hours must be a whole number from 1 to {MAX_HOURS}")]),
        });
        if !errors.is_empty() {
            return Ok(Response::Invalid(errors.into_error_response()));
        }
        let Ok(prefix) = prefix.parse::<PrefixName>() else {
            return Ok(Response::Unknown(no_prefix()));
        };
        let rows =
            prefixes::open(&self.services, prefix, hours, permission).await.map_err(RequestError::from)?;
        Ok(prefix_rows(&rows).map_or_else(|| Response::Unknown(no_prefix()), Response::Done))
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
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(Response::Forbidden(forbidden()));
        };
        let Ok(prefix) = prefix.parse::<PrefixName>() else {
            return Ok(Response::Unknown(no_prefix()));
        };
        let rows =
            prefixes::close_by_hand(&self.services, prefix, permission).await.map_err(RequestError::from)?;
        Ok(prefix_rows(&rows).map_or_else(|| Response::Unknown(no_prefix()), Response::Done))
    }

    /// Get the state of a phone number
    ///
    /// Why a user got no code: every limit of the phone that is partly or fully used, until when; whether settings
    /// exclude the number; and the state of its prefix. Reading it is recorded in the audit log.
    #[oai(path = "/api/abuse/phones/:phone", method = "get", operation_id = "getPhone")]
    async fn phone(
        &self,
        gate: Gate,
        request: &Request,
        /// The phone number, in any spelling.
        phone: Path<String>,
    ) -> Result<PhoneResponse> {
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(PhoneResponse::Forbidden(forbidden()));
        };
        let phone = match self.parse_phone(&phone) {
            Ok(phone) => phone,
            Err(errors) => return Ok(PhoneResponse::Invalid(errors.into_error_response())),
        };
        let status = unlock::look(&self.services, &phone).await.map_err(RequestError::from)?;
        console::note_shown(&self.services, &phone, None, permission);
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
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(UnlockResponse::Forbidden(forbidden()));
        };
        let phone = match self.parse_phone(&phone) {
            Ok(phone) => phone,
            Err(errors) => return Ok(UnlockResponse::Invalid(errors.into_error_response())),
        };
        let unlocked =
            unlock::unlock(&self.services, phone.clone(), permission).await.map_err(RequestError::from)?;
        Ok(UnlockResponse::Done(Json(Unlocked::from_unlocked(&phone, &unlocked))))
    }
}

impl AbuseApi {
    fn parse_phone(&self, text: &str) -> Result<PhoneNumber, FieldErrors> {
        let mut errors = FieldErrors::default();
        let phone = errors.check("phone", parsed(PhoneNumber::parse(text, self.services.region)));
        phone.ok_or(errors)
    }
}

fn staff_permission(gate: &Gate, request: &Request) -> Result<StaffPermission, Forbidden> {
    roles::may_act_as_staff(&gate.0, client_ip::from_request(request))
}

fn forbidden() -> ErrorResponse {
    ErrorResponse::from_code(ErrorCode::Forbidden)
}

fn prefix_rows(rows: &[Prefix]) -> Option<Json<PrefixRows>> {
    (!rows.is_empty()).then(|| Json(PrefixRows::from_rows(rows)))
}

fn no_prefix() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::NotFound, NO_PREFIX)
}
