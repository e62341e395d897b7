//! The gate as poem-openapi sees it. It is the first argument of every handler that needs it, so that a stranger
//! learns nothing of the body's faults.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::error::RequestError;
use crate::{
    domain::access::SignedIn,
    flows::{Services, gate},
};

/// The access token of `verify-otp`, `verify-login` or `refresh`.
#[derive(SecurityScheme)]
#[oai(rename = "Bearer", ty = "bearer", bearer_format = "JWT", checker = "check")]
pub struct Gate(pub SignedIn);

async fn check(request: &Request, bearer: Bearer) -> Result<SignedIn> {
    let services = request
        .data::<Arc<Services>>()
        .ok_or_else(|| RequestError::Internal("the services were not handed to the gate".to_owned()))?;
    match gate::enter(services, &bearer.token).await.map_err(RequestError::from)? {
        Ok(who) => Ok(who),
        Err(refused) => Err(RequestError::Token(refused).into()),
    }
}
