//! The gate: the access token of a request, as a poem-openapi security scheme. It is the first argument of every handler
//! that needs it, so that a caller without a token learns nothing about errors in the body.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::{
    envelope::{ErrorCode, ErrorResponse},
    error::RequestError,
};
use crate::{
    domain::access::SignedIn,
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
    let services = request
        .data::<Arc<Services>>()
        .ok_or_else(|| RequestError::Internal("the request has no services".to_owned()))?;
    match gate::enter(services, &bearer.token).await.map_err(RequestError::from)? {
        Ok(signed_in) => Ok(signed_in),
        Err(refused) => Err(RequestError::Token(refused).into()),
    }
}
