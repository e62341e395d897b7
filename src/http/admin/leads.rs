//! Leads for programs of the sales team: lists, changes, verifying by hand, and sending a code again.

mod shapes;

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        keyset::Page,
        lead::{self, Change, LeadName, NoteText, State, Wanted},
        roles::{self, Forbidden, StaffPermission},
    },
    flows::{
        Services, console,
        leads::{self, Changed, ChangedBy, Verified},
        resend::{self, Resent},
    },
    http::{
        Tag,
        admin::phones::{ResendRequest, ResendResponse, ResentData, resent},
        body::MaybeJson,
        client_ip,
        envelope::{ErrorCode, ErrorResponse},
        error::RequestError,
        fields::{self, Describe, ErrorMessages, Field, FieldErrors, optional, parsed},
        json::Json,
        lists::list_response,
        security::Gate,
    },
    store::{self, StoreError},
};

use shapes::{
    ChangeLeadRequest, CountryFilter, Day, Lead, Leads, Limit, MOST_LIMIT, NextCursor, SearchText, SortOrder,
    SourceFilter, StateFilter, USUAL_LIMIT, VerifiedFilter, VerifiedLead,
};

const NO_LEAD: &str = "There is no such lead";

const BLOCKED: &str = "This phone number is blocked";

const REVIEW_NUMBER: &str = "This number is for app reviewers: only its fixed code makes its account";

/// The operations of this module.
pub struct LeadsApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

list_response!(
    /// The responses of `GET leads`.
    LeadsResponse: Leads, "The page, in the order of `sort`.", for staff
);

/// The responses of `GET leads/{id}`.
#[derive(ApiResponse)]
pub enum LeadResponse {
    /// The lead.
    #[oai(status = 200)]
    Found(Json<Lead>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `not_found`: there is no such lead, or `id` is not a UUID.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
}

/// The responses of `PUT leads/{id}`.
#[derive(ApiResponse)]
pub enum ChangeLeadResponse {
    /// The lead as it is now.
    #[oai(status = 200)]
    Changed(Json<Lead>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `not_found`: there is no such lead, or `id` is not a UUID.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
    /// `edit_conflict`: another person changed the lead since you read it. The message says who and when. Nothing is changed.
    #[oai(status = 409)]
    Stale(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong. A verified lead keeps its `state`.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// The responses of verifying by hand.
#[derive(ApiResponse)]
pub enum VerifyLeadResponse {
    /// The phone has an account, and the lead is converted; both may have been so before.
    #[oai(status = 200)]
    Verified(Json<VerifiedLead>),
    /// `forbidden`: only for staff and admins, in a session opened with the password; or the number is blocked, or for app reviewers.
    /// `account_disabled`: the account of the phone is disabled.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `not_found`: there is no such lead, or `id` is not a UUID.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
}

/// The responses of sending a code to a lead.
#[derive(ApiResponse)]
pub enum ResendToLeadResponse {
    /// The code was sent. It is not in the response.
    #[oai(status = 200)]
    Sent(Json<ResentData>),
    /// `phone_unreachable`: the number gets no messages; `error.reason` says why. A number for app review gets none either.
    #[oai(status = 400)]
    Unreachable(ErrorResponse),
    /// `forbidden`: only for staff and admins, in a session opened with the password. `account_disabled`: the account of
    /// this phone is disabled.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `not_found`: there is no such lead, or `id` is not a UUID.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
    /// `validation_failed`: `channel` is not switched on.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `otp_cooldown`: a code was sent to this phone too recently. `phone_locked`: unlock it first. `rate_limited`: a limit of
    /// the phone, its prefix or the day is used up.
    #[oai(status = 429)]
    TooSoon(ErrorResponse),
    /// `sms_rejected`: the SMS provider refuses the server. The operator has to act.
    #[oai(status = 502)]
    SmsRejected(ErrorResponse),
    /// `sms_unavailable`: the SMS provider does not answer. Try again; there is no cooldown.
    #[oai(status = 503)]
    SmsUnavailable(ErrorResponse),
}

impl From<ResendResponse> for ResendToLeadResponse {
    fn from(response: ResendResponse) -> Self {
        match response {
            ResendResponse::Sent(data) => Self::Sent(data),
            ResendResponse::Unreachable(failure) => Self::Unreachable(failure),
            ResendResponse::Forbidden(failure) => Self::Forbidden(failure),
            ResendResponse::Invalid(failure) => Self::Invalid(failure),
            ResendResponse::TooSoon(failure) => Self::TooSoon(failure),
            ResendResponse::SmsRejected(failure) => Self::SmsRejected(failure),
            ResendResponse::SmsUnavailable(failure) => Self::SmsUnavailable(failure),
        }
    }
}

#[OpenApi(tag = "Tag::Admin")]
impl LeadsApi {
    /// List the leads
    ///
    /// The users who requested a code. For staff and admins, in a session opened with the password. Numbers are masked.
    #[expect(clippy::too_many_arguments, reason = "the parameters of the query")]
    #[oai(path = "/api/admin/leads", method = "get", operation_id = "listLeads")]
    async fn list(
        &self,
        gate: Gate,
        request: &Request,
        /// A number, its beginning or its end; or beginnings of words of the name, which may also be the account's.
        q: Query<Field<SearchText>>,
        /// Leads in this state.
        state: Query<Field<StateFilter>>,
        /// Whether the phone is verified.
        verified: Query<Field<VerifiedFilter>>,
        /// The country of the number: two letters (ISO 3166-1), or `--` for none.
        country: Query<Field<CountryFilter>>,
        /// The operation of the first request.
        source: Query<Field<SourceFilter>>,
        /// First request on this day in `TIME_ZONE`, or later.
        first_from: Query<Field<Day>>,
        /// First request on this day, or earlier.
        first_to: Query<Field<Day>>,
        /// Last request on this day, or later.
        last_from: Query<Field<Day>>,
        /// Last request on this day, or earlier.
        last_to: Query<Field<Day>>,
        /// By the last or first request. A minus: the newest first.
        sort: Query<Field<SortOrder>>,
        /// `next` of the page before.
        cursor: Query<Field<NextCursor>>,
        /// Leads per page, 1 to 100.
        limit: Query<Field<Limit>>,
    ) -> Result<LeadsResponse> {
        if staff_permission(&gate, request).is_err() {
            return Ok(LeadsResponse::Forbidden(forbidden()));
        }
        let text = |name: &str| match name {
            "q" => q.raw_text(),
            "state" => state.raw_text(),
            "verified" => verified.raw_text(),
            "country" => country.raw_text(),
            "source" => source.raw_text(),
            "first_from" => first_from.raw_text(),
            "first_to" => first_to.raw_text(),
            "last_from" => last_from.raw_text(),
            "last_to" => last_to.raw_text(),
            "sort" => sort.raw_text(),
            _ => None,
        };
        let (wanted, problems) = Wanted::parse(text, self.services.region, self.services.zone);
        let mut errors = FieldErrors::default();
        for problem in problems {
            errors.check::<()>(problem.field, Err(vec![problem.message]));
        }
        let after = errors.check("cursor", parsed(cursor.raw_text().map(lead::Place::parse).transpose()));
        let limit = errors.check("limit", page_size(limit.raw_text()));
        let (Some(after), Some(limit), true) = (after, limit, errors.is_empty()) else {
            return Ok(LeadsResponse::Invalid(errors.into_error_response()));
        };
        let leads = self.page(&wanted, after, limit).await.map_err(RequestError::from)?;
        Ok(LeadsResponse::List(Json(leads)))
    }

    /// Get a lead
    ///
    /// With the whole phone number, which is recorded in the audit log, and the notes.
    #[oai(path = "/api/admin/leads/:id", method = "get", operation_id = "getLead")]
    async fn lead(
        &self,
        gate: Gate,
        request: &Request,
        /// The lead (UUID).
        id: Path<String>,
    ) -> Result<LeadResponse> {
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(LeadResponse::Forbidden(forbidden()));
        };
        let found = self.find(&id).await.map_err(RequestError::from)?;
        let Some(lead) = found else {
            return Ok(LeadResponse::Unknown(no_lead()));
        };
        let shown = self.show(&lead, permission).await.map_err(RequestError::from)?;
        Ok(LeadResponse::Found(Json(shown)))
    }

    /// Change a lead
    ///
    /// Fields that are left out stay. `state` is moved between `new`, `waiting`, `contacted` and `lost`. The response has the whole
    /// phone number, which is recorded in the audit log.
    #[oai(path = "/api/admin/leads/:id", method = "put", operation_id = "changeLead")]
    async fn change(
        &self,
        gate: Gate,
        request: &Request,
        /// The lead (UUID).
        id: Path<String>,
        body: Json<ChangeLeadRequest>,
    ) -> Result<ChangeLeadResponse> {
        use ChangeLeadResponse as Response;
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(Response::Forbidden(forbidden()));
        };
        let Ok(id) = id.parse::<Uuid>() else {
            return Ok(Response::Unknown(no_lead()));
        };
        let body = &body.0;
        let mut errors = FieldErrors::default();
        let change = Change {
            state: optional(&mut errors, "state", &body.state, state),
            name: optional(&mut errors, "name", &body.name, name),
            note: optional(&mut errors, "note", &body.note, |field| parsed(NoteText::parse(field.text()?))),
            version: optional(&mut errors, "version", &body.version, Field::integer),
        };
        if !errors.is_empty() {
            return Ok(Response::Invalid(errors.into_error_response()));
        }
        let changed = leads::change(&self.services, id, change, permission).await;
        Ok(match changed.map_err(RequestError::from)? {
            Changed::Done(lead, _) => {
                let shown = self.show(&lead, permission).await.map_err(RequestError::from)?;
                Response::Changed(Json(shown))
            }
            Changed::NotFound => Response::Unknown(no_lead()),
            Changed::Stale(stale) => Response::Stale(edit_conflict(&stale)),
            Changed::IsConverted => Response::Invalid(wrong_state("A verified lead keeps its state")),
            Changed::NeedsProof => Response::Invalid(wrong_state(NEEDS_PROOF)),
        })
    }

    /// Verify a lead by hand
    ///
    /// For a user whom you spoke with and who gets no code. Makes the account as `verify-otp` does and converts the lead. No
    /// session is opened: the user signs in later.
    #[oai(path = "/api/admin/leads/:id/verify", method = "post", operation_id = "verifyLead")]
    async fn verify(
        &self,
        gate: Gate,
        request: &Request,
        /// The lead (UUID).
        id: Path<String>,
    ) -> Result<VerifyLeadResponse> {
        use VerifyLeadResponse as Response;
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(Response::Forbidden(forbidden()));
        };
        let found = self.find(&id).await.map_err(RequestError::from)?;
        let Some(lead) = found else {
            return Ok(Response::Unknown(no_lead()));
        };
        let verified = leads::verify(&self.services, lead.phone, permission).await;
        Ok(match verified.map_err(RequestError::from)? {
            Verified::Done { account, is_new, .. } => {
                Response::Verified(Json(VerifiedLead { user_id: account.id.to_string(), is_new }))
            }
            Verified::Disabled => Response::Forbidden(ErrorResponse::from_code(ErrorCode::AccountDisabled)),
            Verified::Blocked => Response::Forbidden(ErrorResponse::new(ErrorCode::Forbidden, BLOCKED)),
            Verified::ReviewNumber => {
                Response::Forbidden(ErrorResponse::new(ErrorCode::Forbidden, REVIEW_NUMBER))
            }
        })
    }

    /// Send a code to a lead
    ///
    /// The code that the user waits for, or a new one, within the limits of the phone; the limits of an address do not
    /// count. Only the user sees the code. The response has the whole phone number, which is recorded in the audit log.
    #[oai(path = "/api/admin/leads/:id/resend", method = "post", operation_id = "resendToLead")]
    async fn resend(
        &self,
        gate: Gate,
        request: &Request,
        /// The lead (UUID).
        id: Path<String>,
        body: MaybeJson<ResendRequest>,
    ) -> Result<ResendToLeadResponse> {
        use ResendToLeadResponse as Response;
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(Response::Forbidden(forbidden()));
        };
        let mut errors = FieldErrors::default();
        let body = body.0.unwrap_or_default();
        let channel = errors.check("channel", fields::channel(&body.channel, &self.services.channels));
        let Some(channel) = channel else {
            return Ok(Response::Invalid(errors.into_error_response()));
        };
        let found = self.find(&id).await.map_err(RequestError::from)?;
        let Some(lead) = found else {
            return Ok(Response::Unknown(no_lead()));
        };
        let outcome = resend::resend(&self.services, lead.phone.clone(), channel, permission).await;
        let outcome = outcome.map_err(RequestError::from)?;
        if let Resent::Sent { .. } = outcome {
            console::note_shown(&self.services, &lead.phone, None, permission);
        }
        Ok(resent(request, &lead.phone, &outcome).into())
    }
}

impl LeadsApi {
    async fn find(&self, id: &str) -> Result<Option<lead::Lead>, StoreError> {
        match id.parse() {
            Ok(id) => store::leads::find_by_id(&self.services.store, id).await,
            Err(_) => Ok(None),
        }
    }

    async fn page(
        &self,
        wanted: &Wanted,
        after: Option<lead::Place>,
        limit: usize,
    ) -> Result<Leads, StoreError> {
        let db = &self.services.store;
        let one_more = u64::try_from(limit + 1).unwrap_or(u64::MAX);
        let rows = store::leads::list(&db.planning(), wanted, after, one_more).await?;
        let page = Page::new(rows, limit, |lead| lead.place(wanted.sort).cursor());
        let accounts = store::leads::list_accounts(db, page.items.iter().map(|lead| &lead.phone)).await?;
        Ok(Leads::from_page(&page, |lead| accounts.get(&lead.phone).cloned()))
    }

    async fn show(&self, lead: &lead::Lead, permission: StaffPermission) -> Result<Lead, StoreError> {
        let db = &self.services.store;
        let accounts = store::leads::list_accounts(db, [&lead.phone]).await?;
        let account = accounts.get(&lead.phone);
        let notes = store::leads::list_notes(db, lead.id).await?;
        console::note_shown(&self.services, &lead.phone, account.map(|account| account.id), permission);
        Ok(Lead::new(lead, account, notes))
    }
}

const NEEDS_PROOF: &str =
    "Only a code converts a lead, or a verification by hand: POST /api/admin/leads/{id}/verify";

fn staff_permission(gate: &Gate, request: &Request) -> Result<StaffPermission, Forbidden> {
    roles::may_act_as_staff(&gate.0, client_ip::from_request(request))
}

fn forbidden() -> ErrorResponse {
    ErrorResponse::from_code(ErrorCode::Forbidden)
}

fn no_lead() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::NotFound, NO_LEAD)
}

fn wrong_state(message: &'static str) -> ErrorResponse {
    FieldErrors::new("state", message).into_error_response()
}

fn edit_conflict(stale: &leads::Stale) -> ErrorResponse {
    let who = match &stale.by {
        ChangedBy::Staff(name) => name.as_str(),
        ChangedBy::Unknown => "A member of staff whose account was deleted",
        ChangedBy::User => "The user",
    };
    let at = stale.lead.changed_at.map(crate::http::timestamp::rfc3339).unwrap_or_default();
    let version = stale.lead.version;
    let message = format!("{who} changed this lead at {at}. Read it again: it has version {version} now");
    ErrorResponse::new(ErrorCode::EditConflict, message)
}

fn state(field: &Field<impl Describe>) -> Result<State, ErrorMessages> {
    match field.text()?.parse() {
        Ok(State::Converted) => Err(vec![NEEDS_PROOF.to_owned()]),
        Ok(state) => Ok(state),
        Err(_) => Err(vec!["State must be new, waiting, contacted or lost".to_owned()]),
    }
}

fn name(field: &Field<impl Describe>) -> Result<Option<LeadName>, ErrorMessages> {
    field.given().map_or(Ok(None), |field| parsed(LeadName::parse(field.text()?)))
}

fn page_size(text: Option<&str>) -> Result<usize, ErrorMessages> {
    let Some(text) = text else {
        return Ok(USUAL_LIMIT);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let size = digits.then(|| text.parse().ok()).flatten();
    size.filter(|size| (1..=MOST_LIMIT).contains(size))
        .ok_or_else(|| vec![format!("Limit must be a whole number from 1 to {MOST_LIMIT}")])
}
