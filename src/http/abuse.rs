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
    body::{Json, MaybeJson},
    client_ip,
    envelope::{ErrorCode, Failure, Refusal},
    fault::Fault,
    fields::{Faults, Field, FieldFaults, optional},
    security::Gate,
    users::shapes::{PageNumber, PerPage},
};
use crate::{
    domain::{
        budget::{Prefix, PrefixName, Wanted},
        phone::PhoneNumber,
        roles::{self, Forbidden, Keeping},
        users::{Number, PageOf, Size},
    },
    flows::{Services, prefixes, unlock},
};

use shapes::{Opening, PhoneStanding, PrefixRows, PrefixState, Prefixes, Unlocked};

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
    Forbidden(Refusal),
    /// `validation_failed`: `error.fields` names the parameters that are wrong.
    #[oai(status = 422)]
    Invalid(Refusal),
}

/// What the opening of a prefix can answer.
#[derive(ApiResponse)]
pub enum OpenPrefixResponse {
    /// The prefix as it is now.
    #[oai(status = 200)]
    Done(Json<PrefixRows>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(Refusal),
    /// `not_found`: no message was ever sent to it, or it is not a prefix.
    #[oai(status = 404)]
    Unknown(Refusal),
    /// `validation_failed`: `hours` is not from 1 to 720.
    #[oai(status = 422)]
    Invalid(Refusal),
}

/// What the closing of a prefix can answer.
#[derive(ApiResponse)]
pub enum ClosePrefixResponse {
    /// The prefix as it is now.
    #[oai(status = 200)]
    Done(Json<PrefixRows>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(Refusal),
    /// `not_found`: no message was ever sent to it, or it is not a prefix.
    #[oai(status = 404)]
    Unknown(Refusal),
}

/// What the look at a phone can answer.
#[derive(ApiResponse)]
pub enum PhoneResponse {
    /// The state of the phone.
    #[oai(status = 200)]
    Found(Json<PhoneStanding>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(Refusal),
    /// `validation_failed`: `phone` is not a phone number.
    #[oai(status = 422)]
    Invalid(Refusal),
}

/// What the unlocking of a phone can answer.
#[derive(ApiResponse)]
pub enum UnlockResponse {
    /// The phone is not locked; it may not have been before.
    #[oai(status = 200)]
    Done(Json<Unlocked>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(Refusal),
    /// `validation_failed`: `phone` is not a phone number.
    #[oai(status = 422)]
    Invalid(Refusal),
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
        let mut faults = Faults::default();
        let wanted = faults.check("state", sentence(Wanted::parse(state.text())));
        let number = faults.check("page", sentence(Number::parse(page.text())));
        let size = Size::parse(per_page.text())
            .map_err(|_| "Prefixes per page must be a whole number from 1 to 100");
        let size = faults.check("per_page", sentence(size));
        let (Some(wanted), Some(number), Some(size)) = (wanted, number, size) else {
            return Ok(PrefixesResponse::Invalid(faults.refusal()));
        };
        let page = PageOf::new(number, size);
        let listed = prefixes::list(&self.services, wanted, page).await.map_err(Fault::from)?;
        Ok(PrefixesResponse::List(Json(Prefixes::of(&listed, page))))
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
        let leave = match keeping(&gate, request) {
            Ok(leave) => leave,
            Err(Forbidden) => return Ok(Response::Forbidden(forbidden())),
        };
        let mut faults = Faults::default();
        let absent = Field::absent();
        let hours = body.0.as_ref().map_or(&absent, |body| &body.hours);
        let hours = optional(&mut faults, "hours", hours, |field| match field.integer()? {
            hours if (1..=MOST_HOURS).contains(&hours) => Ok(hours),
            _ => Err(vec![format!("Hours must be a whole number from 1 to {MOST_HOURS}")]),
        });
        if !faults.is_empty() {
            return Ok(Response::Invalid(faults.refusal()));
        }
        let Ok(prefix) = prefix.parse::<PrefixName>() else {
            return Ok(Response::Unknown(no_prefix()));
        };
        let rows = prefixes::open(&self.services, prefix, hours, leave).await.map_err(Fault::from)?;
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
        let leave = match keeping(&gate, request) {
            Ok(leave) => leave,
            Err(Forbidden) => return Ok(Response::Forbidden(forbidden())),
        };
        let Ok(prefix) = prefix.parse::<PrefixName>() else {
            return Ok(Response::Unknown(no_prefix()));
        };
        let rows = prefixes::close_by_hand(&self.services, prefix, leave).await.map_err(Fault::from)?;
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
            Err(faults) => return Ok(PhoneResponse::Invalid(faults.refusal())),
        };
        let standing = unlock::look(&self.services, &phone).await.map_err(Fault::from)?;
        Ok(PhoneResponse::Found(Json(PhoneStanding::of(&phone, &standing))))
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
        let leave = match keeping(&gate, request) {
            Ok(leave) => leave,
            Err(Forbidden) => return Ok(UnlockResponse::Forbidden(forbidden())),
        };
        let phone = match self.read(&phone) {
            Ok(phone) => phone,
            Err(faults) => return Ok(UnlockResponse::Invalid(faults.refusal())),
        };
        let unlocked = unlock::unlock(&self.services, phone.clone(), leave).await.map_err(Fault::from)?;
        Ok(UnlockResponse::Done(Json(Unlocked::of(&phone, &unlocked))))
    }
}

impl AbuseApi {
    fn read(&self, text: &str) -> Result<PhoneNumber, Faults> {
        let mut faults = Faults::default();
        let phone = faults.check("phone", sentence(PhoneNumber::parse(text, self.services.region)));
        phone.ok_or(faults)
    }
}

fn keeping(gate: &Gate, request: &Request) -> Result<Keeping, Forbidden> {
    roles::may_keep(&gate.0, client_ip::of(request))
}

fn forbidden() -> Refusal {
    Failure::of(ErrorCode::Forbidden).into()
}

fn known(rows: &[Prefix]) -> Option<Json<PrefixRows>> {
    (!rows.is_empty()).then(|| Json(PrefixRows::of(rows)))
}

fn no_prefix() -> Refusal {
    Failure::new(ErrorCode::NotFound, NO_PREFIX).into()
}

fn sentence<T>(result: Result<T, impl std::fmt::Display>) -> Result<T, FieldFaults> {
    result.map_err(|fault| vec![fault.to_string()])
}
