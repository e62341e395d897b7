//! The gate: the access token of a request, as a poem-openapi security scheme. It is the first argument of every handler
//! that needs it, so that a caller without a token learns nothing about errors in the body.
//!
//! [`Gate`] also checks the session, and refuses guests. [`GuestGate`] lets them in. [`Token`] is for a handler whose statement
//! checks the session; it lets guests in, too.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::{
    envelope::{ErrorCode, ErrorResponse},
    error::RequestError,
};
use crate::{
    domain::{
        access::{AccessToken, SignedIn},
        roles::{Forbidden, may_act_as_user},
    },
    flows::{Services, gate},
};

/// The response to a session that has fewer rights than its account.
pub fn too_few_rights() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::Forbidden, TOO_FEW_RIGHTS)
}

const TOO_FEW_RIGHTS: &str =
    "This session has fewer rights than your account: sign in with your password and your second factor";

/// The name of the scheme in the document, and the one by which [`super::docs`] finds the operations that are open to guests.
pub const BEARER: &str = "Bearer";
pub const BEARER_OR_GUEST: &str = "BearerOrGuest";

/// The access token of `verify-otp`, `verify-login` or `refresh`.
#[derive(SecurityScheme)]
#[oai(rename = "Bearer", ty = "bearer", bearer_format = "JWT", checker = "check")]
pub struct Gate(pub SignedIn);

async fn check(request: &Request, bearer: Bearer) -> Result<SignedIn> {
    let signed_in = check_with_guests(request, bearer).await?;
    match may_act_as_user(&signed_in) {
        Ok(()) => Ok(signed_in),
        Err(Forbidden) => Err(RequestError::Guest.into()),
    }
}

/// The access token of `verify-otp`, `verify-login` or `refresh`, or that of a guest.
#[derive(SecurityScheme)]
#[oai(rename = "BearerOrGuest", ty = "bearer", bearer_format = "JWT", checker = "check_with_guests")]
pub struct GuestGate(pub SignedIn);

async fn check_with_guests(request: &Request, bearer: Bearer) -> Result<SignedIn> {
    let services = services(request)?;
    let token = gate::read(services, &bearer.token).map_err(RequestError::Token)?;
    enter(services, &token).await
}

/// The access token of `verify-otp`, `verify-login` or `refresh`, or that of a guest.
// Its session was not checked. The comment above is the document's.
#[derive(SecurityScheme)]
#[oai(rename = "BearerOrGuest", ty = "bearer", bearer_format = "JWT", checker = "check_token")]
pub struct Token(pub AccessToken);

#[expect(clippy::unused_async, reason = "poem-openapi wants every checker to be async")]
async fn check_token(request: &Request, bearer: Bearer) -> Result<AccessToken> {
    Ok(gate::read(services(request)?, &bearer.token).map_err(RequestError::Token)?)
}

/// Checks the session of a token, which may be that of a guest.
///
/// # Errors
/// The response to a session that has ended, and to a database that does not answer.
pub async fn enter(services: &Services, token: &AccessToken) -> Result<SignedIn> {
    let entered = gate::enter(services, token).await.map_err(RequestError::from)?;
    Ok(entered.map_err(RequestError::Token)?)
}

/// What the use cases work with.
///
/// # Errors
/// Never: every request has them.
pub fn services(request: &Request) -> Result<&Arc<Services>, RequestError> {
    let services = request.data::<Arc<Services>>();
    services.ok_or_else(|| RequestError::Internal("the request has no services".to_owned()))
}
