//! The gate: the access token of a request, as a poem-openapi security scheme. It is the first argument of every handler
//! that needs it, so that a caller without a token learns nothing about errors in the body.
//!
//! [`Gate`] also checks the session. [`Token`] is for a handler whose statement does that.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::{
    envelope::{ErrorCode, ErrorResponse},
    error::RequestError,
};
use crate::{
    domain::access::{AccessToken, SignedIn},
    flows::{Services, gate},
};

/// The response to a session that has fewer rights than its account.
pub fn too_few_rights() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::Forbidden, TOO_FEW_RIGHTS)
}

const TOO_FEW_RIGHTS: &str =
    "This session has fewer rights than your account: sign in with your password and your second factor";

/// The access token of `verify-otp`, `verify-login` or `refresh`.
#[derive(SecurityScheme)]
#[oai(rename = "Bearer", ty = "bearer", bearer_format = "JWT", checker = "check")]
pub struct Gate(pub SignedIn);

async fn check(request: &Request, bearer: Bearer) -> Result<SignedIn> {
    let services = services(request)?;
    let token = gate::read(services, &bearer.token).map_err(RequestError::Token)?;
    enter(services, &token).await
}

/// The access token of `verify-otp`, `verify-login` or `refresh`.
// Its session was not checked. The comment above is the document's.
#[derive(SecurityScheme)]
#[oai(rename = "Bearer", ty = "bearer", bearer_format = "JWT", checker = "check_token")]
pub struct Token(pub AccessToken);

#[expect(clippy::unused_async, reason = "poem-openapi wants every checker to be async")]
async fn check_token(request: &Request, bearer: Bearer) -> Result<AccessToken> {
    Ok(gate::read(services(request)?, &bearer.token).map_err(RequestError::Token)?)
}

/// Checks the session of a token.
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
