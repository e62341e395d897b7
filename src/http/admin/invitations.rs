//! Invitations, for staff.

mod shapes;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::{Request, Result};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::{
    domain::{
        invitation::{NewInvitation, check_end, check_uses},
        keyset::{Cursor, Page},
        phone::Region,
        roles::{self, Forbidden, StaffPermission},
    },
    flows::{
        Services,
        invitations::{self, Ended},
    },
    http::{
        Tag,
        body::MaybeJson,
        client_ip,
        envelope::{ErrorCode, ErrorResponse},
        error::RequestError,
        fields::{self, Field, FieldErrors, optional, parsed},
        json::Json,
        lists::list_response,
        security::Gate,
    },
    store,
};

use shapes::{Invitation, Invitations, MadeInvitation, NewInvitationRequest};

/// Invitations on a page.
const PAGE_SIZE: usize = 50;

/// How many accounts a page names at most, over all of its invitations.
const MOST_MADE: u64 = 1_000;

const NO_INVITATION: &str = "There is no such invitation";

/// The operations of this module.
pub struct InvitationsApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

list_response!(
    /// The responses of listing invitations.
    InvitationsResponse: Invitations, "The page, newest first.", for staff
);

/// The responses of making an invitation.
#[derive(ApiResponse)]
pub enum MakeInvitationResponse {
    /// The invitation, with its text in `invitation`: no other answer shows it.
    #[oai(status = 201)]
    Made(Json<MadeInvitation>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// The responses of ending an invitation.
#[derive(ApiResponse)]
pub enum InvitationResponse {
    /// The invitation as it is now.
    #[oai(status = 200)]
    Found(Json<Invitation>),
    /// `forbidden`: only for staff and admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `not_found`: there is no such invitation, or `id` is not a UUID.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
}

#[OpenApi(tag = "Tag::Admin")]
impl InvitationsApi {
    /// List invitations
    ///
    /// For staff and admins, in a session opened with the password. Newest first, 50 on a page. Phones are masked.
    #[oai(path = "/api/admin/invitations", method = "get", operation_id = "listInvitations")]
    async fn list(
        &self,
        gate: Gate,
        request: &Request,
        /// Where the page begins.
        cursor: Query<Field<shapes::Cursor>>,
    ) -> Result<InvitationsResponse> {
        if staff_permission(&gate, request).is_err() {
            return Ok(InvitationsResponse::Forbidden(forbidden()));
        }
        let mut errors = FieldErrors::default();
        let after = optional(&mut errors, "cursor", &cursor, |field| parsed(Cursor::parse(field.text()?)));
        if !errors.is_empty() {
            return Ok(InvitationsResponse::Invalid(errors.into_error_response()));
        }
        let (db, now) = (&self.services.store, self.services.clock.now());
        let most = u64::try_from(PAGE_SIZE + 1).unwrap_or(u64::MAX);
        let found = store::invitations::list(db, after.map(|cursor| cursor.id), most).await;
        let found = found.map_err(RequestError::from)?;
        let page = Page::new(found, PAGE_SIZE, |invitation| Cursor::at(invitation.made_at, invitation.id));
        let ids: Vec<Uuid> = page.items.iter().map(|invitation| invitation.id).collect();
        let made = store::invitations::list_made(db, &ids, MOST_MADE).await.map_err(RequestError::from)?;
        Ok(InvitationsResponse::List(Json(Invitations::from_page(&page, &made, now))))
    }

    /// Make an invitation
    ///
    /// With `SIGNUPS=invited` a user without an account shows its text as `invitation` at `signup` or `register`. It makes `uses`
    /// accounts, one by default. One for a `phone_number` makes only the account of that phone, and none at `register`, which
    /// proves no phone. The text is shown once.
    #[oai(path = "/api/admin/invitations", method = "post", operation_id = "makeInvitation")]
    async fn make(
        &self,
        gate: Gate,
        request: &Request,
        body: MaybeJson<NewInvitationRequest>,
    ) -> Result<MakeInvitationResponse> {
        use MakeInvitationResponse as Response;
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(Response::Forbidden(forbidden()));
        };
        let now = self.services.clock.now();
        let new = match read(&body.0.unwrap_or_default(), self.services.region, now) {
            Ok(new) => new,
            Err(errors) => return Ok(Response::Invalid(errors.into_error_response())),
        };
        let made = invitations::make(&self.services, new, permission).await.map_err(RequestError::from)?;
        let text = made.code.text();
        Ok(Response::Made(Json(MadeInvitation::new(&made.invitation, text.expose_secret(), now))))
    }

    /// End an invitation
    ///
    /// Accounts that it made stay. A user who got a code with it and has not entered it gets no account. An invitation that was ended
    /// before does not change.
    #[oai(path = "/api/admin/invitations/:id", method = "delete", operation_id = "endInvitation")]
    async fn end(
        &self,
        gate: Gate,
        request: &Request,
        /// The invitation (UUID).
        id: Path<String>,
    ) -> Result<InvitationResponse> {
        let Ok(permission) = staff_permission(&gate, request) else {
            return Ok(InvitationResponse::Forbidden(forbidden()));
        };
        let no_invitation = || ErrorResponse::new(ErrorCode::NotFound, NO_INVITATION);
        let Ok(id) = id.parse::<Uuid>() else {
            return Ok(InvitationResponse::Unknown(no_invitation()));
        };
        let (db, now) = (&self.services.store, self.services.clock.now());
        Ok(match invitations::end(&self.services, id, permission).await.map_err(RequestError::from)? {
            Ended::Done(invitation) | Ended::Before(invitation) => {
                let made = store::invitations::list_made(db, &[id], MOST_MADE).await;
                let made = made.map_err(RequestError::from)?;
                InvitationResponse::Found(Json(Invitation::in_list(&invitation, &made, now)))
            }
            Ended::NotFound => InvitationResponse::Unknown(no_invitation()),
        })
    }
}

fn read(
    body: &NewInvitationRequest,
    region: Region,
    now: DateTime<Utc>,
) -> Result<NewInvitation, FieldErrors> {
    let mut errors = FieldErrors::default();
    let phone = body.phone_number.given().map(|field| fields::phone(field, region)).transpose();
    let phone = errors.check("phone_number", phone);
    let has_phone = body.phone_number.given().is_some();
    let uses = body.uses.given().map_or(Ok(1), |field| parsed(check_uses(field.integer()?, has_phone)));
    let uses = errors.check("uses", uses);
    let end = body.expires_at.given().map_or(Ok(None), |field| {
        let end = DateTime::parse_from_rfc3339(field.text()?)
            .map_err(|_| vec!["The end must be a time, such as 2027-01-31T00:00:00+05:30".to_owned()])?;
        parsed(check_end(end.to_utc(), now)).map(Some)
    });
    let expires_at = errors.check("expires_at", end);
    match (uses, expires_at, phone) {
        (Some(uses), Some(expires_at), Some(phone)) => Ok(NewInvitation { uses, expires_at, phone }),
        _ => Err(errors),
    }
}

fn staff_permission(gate: &Gate, request: &Request) -> Result<StaffPermission, Forbidden> {
    roles::may_act_as_staff(&gate.0, client_ip::from_request(request))
}

fn forbidden() -> ErrorResponse {
    ErrorResponse::from_code(ErrorCode::Forbidden)
}
